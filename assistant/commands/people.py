"""`assistant people`: export, erase or restrict the data of one person or of many, without a running server."""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote

import msgspec
from tqdm import tqdm

from assistant.commands import Actions
from assistant.config import Settings
from assistant.consent.receipt import Actor
from assistant.errors import ConfigInvalid, Invalid, NotFound

if TYPE_CHECKING:  # the database is loaded when it is needed
    from assistant.profile.person import App, Person
    from assistant.store.storage import Storage

OPERATOR = Actor("operator", "command")
_TOGETHER = 200


def configure(actions: Actions) -> None:
    """Add the actions."""

    def add(name: str, about: str, run: Callable[..., int]) -> argparse.ArgumentParser:
        parser = actions.add(name, about, run)
        parser.add_argument("--app", required=True, metavar="NAME", help="the app that the people belong to")
        whom = parser.add_mutually_exclusive_group(required=True)
        whom.add_argument("--person", metavar="ID", help="one person, by the app's id for them")
        whom.add_argument("--file", type=Path, help="many people: a file with one id per line")
        return parser

    exported = add("export", "export everything that is stored about people, as JSON lines", export)
    exported.add_argument("--out", type=Path, help="file for one person (default: standard output), or folder")
    add("erase", "erase people permanently", erase)
    restricted = add("restrict", "keep the data of people without using it", restrict)
    restricted.add_argument("--lift", action="store_true", help="end the restriction")
    objected = add("object", "stop profiling people for content", object_)
    objected.add_argument("--lift", action="store_true", help="allow profiling again")


def export(args: argparse.Namespace, settings: Settings) -> int:
    """Write everything that is stored about people; of many people one file each, into a folder."""
    if args.file is not None and args.out is None:
        raise Invalid("name a folder for the exports with --out", code="folder_missing")

    async def one(storage: Storage, app: App, person: Person) -> None:
        if args.out is None:
            await _write(storage, app, person, sys.stdout.buffer, quiet=not sys.stderr.isatty())
            return
        file = args.out if args.file is None else args.out / f"{quote(person.id, safe='')}.ndjson"
        try:
            with _create_file(file) as opened:
                await _write(storage, app, person, opened, quiet=args.file is not None)
        except OSError as error:
            raise ConfigInvalid(f"can't write the export: {error.strerror}") from error

    return asyncio.run(_each(args, settings, "exporting", one))


def erase(args: argparse.Namespace, settings: Settings) -> int:
    """Destroy people's keys and remove every row about them; the consent ledger keeps a last record."""

    async def done() -> int:
        async with _open(args, settings) as (storage, app, people, missing):
            with tqdm(total=len(people), unit="person", desc="erasing", disable=len(people) < 2) as bar:
                for start in range(0, len(people), _TOGETHER):
                    some = people[start : start + _TOGETHER]
                    await storage.erase(app, some, OPERATOR)
                    bar.update(len(some))
            return _report(len(people), missing, "erased")

    return asyncio.run(done())


def restrict(args: argparse.Namespace, settings: Settings) -> int:
    """Keep the data of people without using it, until the restriction is lifted."""

    async def one(storage: Storage, app: App, person: Person) -> None:
        await storage.restrict(app, person, not args.lift, OPERATOR)

    return asyncio.run(_each(args, settings, "lifting" if args.lift else "restricting", one))


def object_(args: argparse.Namespace, settings: Settings) -> int:
    """Stop profiling people for content, until the objection is lifted."""

    async def one(storage: Storage, app: App, person: Person) -> None:
        await storage.object(app, person, not args.lift, OPERATOR)

    return asyncio.run(_each(args, settings, "lifting" if args.lift else "objecting", one))


async def _each(
    args: argparse.Namespace, settings: Settings, doing: str, one: Callable[[Storage, App, Person], Awaitable[None]]
) -> int:
    async with _open(args, settings) as (storage, app, people, missing):
        for person in tqdm(people, unit="person", desc=doing, disable=len(people) < 2):
            await one(storage, app, person)
        return _report(len(people), missing, "done")


async def _write(storage: Storage, app: App, person: Person, out: BinaryIO, *, quiet: bool) -> None:
    storage.access.note_access(person.pseudonym, "operator", "people export")
    with tqdm(unit="record", desc="exporting", disable=quiet) as bar:
        async for chunk in storage.exports.stream_export(app, person):
            if bar.total is None:
                bar.total = msgspec.json.decode(chunk.split(b"\n", 1)[0])["total"]
            out.write(chunk)
            bar.update(chunk.count(b"\n"))
    out.flush()


@asynccontextmanager
async def _open(
    args: argparse.Namespace, settings: Settings
) -> AsyncIterator[tuple[Storage, App, list[Person], list[int]]]:
    """The storage, the app, its people, and the numbers of the lines without one: ids are never printed."""
    from assistant.store.storage import open_storage

    async with open_storage(settings, clock=time.time, new_id=lambda: secrets.token_hex(12)) as storage:
        app = await storage.apps.find_app(args.app)
        people, missing = [], []
        for line, name in enumerate(_ids(args), 1):
            try:
                if name:
                    people.append(await storage.people.get(app, name))
            except NotFound:
                missing.append(line)
        yield storage, app, people, missing


def _ids(args: argparse.Namespace) -> list[str]:
    if args.file is None:
        return [args.person]
    try:
        return [line.strip() for line in args.file.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"can't read the file of ids: {type(error).__name__}") from error


def _report(count: int, missing: list[int], done: str) -> int:
    print(f"{count} people {done}", file=sys.stderr)
    if missing:
        shown = ", ".join(map(str, missing[:10])) + (", ..." if len(missing) > 10 else "")
        print(f"no such person in this app, lines: {shown} [person_unknown]", file=sys.stderr)
    return 1 if missing else 0


def _create_file(file: Path) -> BinaryIO:
    """Create or empty a file that only its owner can read."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.fchmod(descriptor, 0o600)  # it may have been there
    return os.fdopen(descriptor, "wb")
