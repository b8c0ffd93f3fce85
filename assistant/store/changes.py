"""The feed of changes: what other processes on the same database wrote.

It brings new consent records, and whom or what other changes are about: that is dropped from memory.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from typing import Any

import aiosqlite
from sqlalchemy import bindparam, func, make_url, select

from assistant.consent.changes import Changes
from assistant.consent.receipt import Record
from assistant.store import schema
from assistant.store.consents import CHANNEL, ConsentRecords
from assistant.store.database import Database, StorageFailed, finish_connecting
from assistant.store.postgres import connect_postgres

_POLL_S = 0.05
_LOOK_S = 0.1
"""Seconds without a notification after which to look anyway: one may be lost, and a pooler passes on none."""
_CONNECT_S = 5.0
_PAGE = 1000
_changes = schema.changes
_LAST = select(func.max(_changes.c.seq))
_AFTER = select(_changes).where(_changes.c.seq > bindparam("heard")).order_by(_changes.c.seq).limit(_PAGE)


def changes_of(database: Database, records: ConsentRecords) -> Changes:
    """The feed for this kind of database."""
    if database.kind == "sqlite":
        return PolledChanges(database, records)
    return ListenedChanges(database, records)


class _Dropping:
    """Drops what has changed from what is kept in memory."""

    def __init__(self, database: Database, heard: int) -> None:
        self._database, self._heard = database, heard

    @classmethod
    async def begin(cls, database: Database) -> _Dropping:
        """Begin with the changes after now, and with nothing kept."""
        heard = int(await database.scalar(_LAST) or 0)
        database.kept.clear()  # what was read before may have changed since
        return cls(database, heard)

    async def catch_up(self) -> None:
        """Drop what was changed since the last time."""
        while rows := await self._database.rows(_AFTER, {"heard": self._heard}):
            self._database.kept.drop(*(row.about for row in rows))
            self._heard = rows[-1].seq


class PolledChanges:
    """For SQLite, whose processes share a host: its data version shows cheaply whether another process wrote."""

    def __init__(self, database: Database, records: ConsentRecords) -> None:
        self._database, self._records = database, records
        self._file = make_url(database.url).database or ""

    async def follow(self, after: int) -> AsyncGenerator[Sequence[Record], None]:
        """See `Changes.follow`. Looks every 50 ms."""
        try:
            connection = await finish_connecting(aiosqlite.connect(self._file, isolation_level=None))
            try:
                seen: Any = None
                dropping = await _Dropping.begin(self._database)
                while True:
                    began = time.monotonic()
                    version = list(await connection.execute_fetchall("PRAGMA data_version"))
                    records = []
                    if version != seen:
                        await dropping.catch_up()
                        records = await self._records.after(after)
                    self._database.kept.mark_complete(began)
                    if records:  # there may be another page
                        after = records[-1].seq
                    else:
                        seen = version
                    yield records
                    if not records:
                        await asyncio.sleep(_POLL_S)
            finally:
                await connection.close()
        except sqlite3.Error as error:
            raise StorageFailed(f"can't follow the changes now: {type(error).__name__}") from error


class ListenedChanges:
    """For PostgreSQL, which notifies those who LISTEN as soon as a record is committed."""

    def __init__(self, database: Database, records: ConsentRecords) -> None:
        self._database, self._records = database, records

    async def follow(self, after: int) -> AsyncGenerator[Sequence[Record], None]:
        """See `Changes.follow`. Looks at every notification, and now and then without one."""
        import asyncpg  # an extra: only those who use PostgreSQL have it

        bell = asyncio.Event()
        try:
            connection = await connect_postgres(self._database.url)
            try:
                connection.add_termination_listener(lambda _: bell.set())
                await connection.add_listener(CHANNEL, lambda *_: bell.set())
                dropping = await _Dropping.begin(self._database)
                while not connection.is_closed():
                    bell.clear()
                    began = time.monotonic()
                    await dropping.catch_up()
                    self._database.kept.mark_complete(began)
                    records = await self._records.after(after)
                    if records:
                        after = records[-1].seq
                        bell.set()  # there may be another page
                    yield records
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_LOOK_S):
                            await bell.wait()
            finally:
                await connection.close(timeout=_CONNECT_S)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise StorageFailed(f"can't follow the changes now: {type(error).__name__}") from error
        raise StorageFailed("can't follow the changes now: the connection was closed")
