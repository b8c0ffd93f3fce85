"""`assistant catalogue`: give an app something to recommend."""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path

import msgspec

from assistant.commands import Actions
from assistant.config import Settings
from assistant.errors import Invalid
from assistant.recommend.catalogue import Catalogue, check, starter


def configure(actions: Actions) -> None:
    """Add the action."""
    parser = actions.add("load", "replace an app's catalogue", load)
    parser.add_argument("--app", required=True, metavar="NAME", help="the app, as in `assistant keys create`")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("file", nargs="?", type=Path, metavar="FILE", help="JSON, as PUT /v1/catalogue takes it")
    source.add_argument("--starter", action="store_true", help="the sixty items that come with Attune, to try it")


def load(args: argparse.Namespace, settings: Settings) -> int:
    """Replace an app's catalogue as a whole, as PUT /v1/catalogue does."""
    from assistant.store.apps import Apps, Catalogues
    from assistant.store.database import Database

    catalogue = starter() if args.starter else read_catalogue(args.file)

    async def put() -> bool:
        database = Database(settings.database)
        try:
            app = await Apps(database, time.time).find_app(args.app)
            catalogues = Catalogues(database, time.time)
            replaced = bool((await catalogues.get(app.id)).items)
            await catalogues.put(app.id, catalogue)
            return replaced
        finally:
            await database.close()

    later = "; a running server uses it after a restart" if asyncio.run(put()) else ""
    print(f"{args.app} can recommend {len(catalogue.items)} items{later}")
    return 0


def read_catalogue(file: Path) -> Catalogue:
    """Read and check a catalogue.

    Raises `Invalid`: `file_missing`, `catalogue_unreadable`, or the code of the first fault.
    """
    try:
        catalogue = msgspec.json.decode(file.read_bytes(), type=Catalogue)
    except OSError as error:
        raise Invalid(f"can't read {file}: {error.strerror}", code="file_missing") from error
    except msgspec.MsgspecError as error:
        raise Invalid(f"{file} is not a catalogue: {error}", code="catalogue_unreadable") from error
    check(catalogue)
    return catalogue
