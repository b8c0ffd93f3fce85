"""Clients of others, installed once from pinned lock files, outside the environment that Attune runs in."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

HERE = Path(__file__).parent
INSTALLED = Path(__file__).parents[2] / ".venv" / "clients"
_NO_NETWORK = (
    "ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT", "ENETUNREACH", "EHOSTUNREACH", "ERR_SOCKET_TIMEOUT",
)  # fmt: skip
"""How npm says that it reached nobody."""


def installed_from_npm(name: str) -> Path:
    """The folder with the packages of `tests/clients/<name>`."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed (Debian: apt-get install nodejs npm)")
    files = [HERE / name / "package.json", HERE / name / "package-lock.json"]
    return _installed(name, files, [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"])


def _installed(name: str, files: Sequence[Path], command: Sequence[str]) -> Path:
    """Run `command` in a folder with these files, but where that was done; workers wait for each other."""
    folder = INSTALLED / name
    folder.mkdir(parents=True, exist_ok=True)
    wanted = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    stamp = folder / "installed"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == wanted:
            return folder
        for file in files:
            shutil.copy(file, folder)
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100)
        if done.returncode and any(sign in done.stderr for sign in _NO_NETWORK):
            pytest.skip(f"the clients of {name} can't be installed without a network")
        assert done.returncode == 0, done.stderr
        stamp.write_text(wanted)
    return folder
