"""A SQLite file, opened for many readers and one durable writer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import MetaData, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from assistant.errors import Unavailable


class StorageFailed(Unavailable):
    """The database can't be read or written: a full disk, a missing folder, no permission."""

    code = "storage_failed"


class Database:
    """One database, for transactions that read or write."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine = create_async_engine(url.replace("sqlite:", "sqlite+aiosqlite:", 1))
        event.listen(self._engine.sync_engine, "connect", _tune)
        self._writing = asyncio.Lock()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that may change something, and is durable when it ends. Raises `StorageFailed`.

        One at a time: SQLite has one writer, and waiting here is fair and holds up no reader.
        """
        async with self._writing, self.read() as connection:
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A transaction; use `write` to change something. Raises `StorageFailed` where the database can't do it."""
        try:
            async with self._engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            raise StorageFailed(f"the database can't be used now: {type(error.orig).__name__}") from error

    async def create(self, tables: MetaData) -> None:
        """Make the tables that don't exist yet."""
        async with self.write() as connection:
            await connection.run_sync(tables.create_all)

    async def wipe_log(self) -> None:
        """Empty the write-ahead log, so that what was deleted lies nowhere on the disk any more."""
        try:
            async with self._writing, self._engine.connect() as connection:
                raw = await connection.execution_options(isolation_level="AUTOCOMMIT")
                await raw.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        except DBAPIError as error:
            raise StorageFailed(f"the database can't be used now: {type(error.orig).__name__}") from error

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


def _tune(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000",
                   "secure_delete=ON"):  # fmt: skip
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def migrate(url: str) -> None:
    """Bring the main database to the newest schema, making it where it doesn't exist."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        raise StorageFailed(f"can't open or migrate {url}: {error.orig}") from error
    finally:
        engine.dispose()
