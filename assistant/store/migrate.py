"""Bringing the main database to the newest schema."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DBAPIError

from assistant.store.database import MIGRATING, Database, StorageFailed, begin_immediate, kind_of, name_error
from assistant.store.postgres import hide_secrets

_ATTEMPTS, _WAIT_S = 100, 0.05


class SchemaUnknown(StorageFailed):
    """This version of Attune cannot migrate the schema that the database has."""

    code = "schema_unknown"


def migrate(url: str) -> None:
    """Bring the main database to the newest schema; make it where it doesn't exist. One process at a time.

    Raises `StorageFailed`, and of that `SchemaUnknown` where the database is too old or too new for this version.
    """
    if kind_of(url) == "sqlite":
        engine = create_engine(url)
        event.listen(engine, "connect", _prepare_to_migrate)
        event.listen(engine, "begin", begin_immediate)
        try:
            with engine.begin() as connection:
                _upgrade(connection)
        except DBAPIError as error:
            raise StorageFailed(f"can't open or migrate {hide_secrets(url)}: {error.orig}") from error
        finally:
            engine.dispose()
        return
    with ThreadPoolExecutor(1) as thread:  # with an event loop of its own, because the caller may run in one
        thread.submit(lambda: asyncio.run(_migrate(url))).result()


async def _migrate(url: str) -> None:
    database = Database(url)
    try:
        async with database.write() as connection:
            await database.take_turns(connection, MIGRATING)
            await connection.run_sync(_upgrade)
    except SchemaUnknown:
        raise
    except StorageFailed as error:
        raise StorageFailed(f"can't open or migrate {hide_secrets(url)}: {name_error(error.__cause__)}") from error
    finally:
        await database.close()


def _prepare_to_migrate(connection: Any, _: Any) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA busy_timeout=5000")
    # done here, before others have the file open: this pragma fails instead of waiting for a lock
    for attempt in range(_ATTEMPTS):
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:  # another process opens it at the same moment
            if "locked" not in str(error) or attempt == _ATTEMPTS - 1:
                raise
            time.sleep(_WAIT_S)


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    current = MigrationContext.configure(connection).get_current_revision()
    known = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    if current is not None and current not in known:
        raise SchemaUnknown(
            f"this version can't migrate a database whose schema has the revision {current!r}; it knows "
            f"{', '.join(known)}. An older database: first run `assistant migrate` of the version before this one. "
            "A newer one: use the version that made it"
        )
    command.upgrade(config, "head")
