"""The feed of changes: what other processes on the same database wrote.

It brings new consent records; on PostgreSQL also whom or what other changes are about, so that it is dropped from
memory. SQLite tells that whenever it is asked.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from typing import Any

import aiosqlite
from sqlalchemy import make_url

from assistant.consent.changes import Changes
from assistant.consent.receipt import Record
from assistant.store.consents import CHANNEL, ConsentRecords
from assistant.store.database import Database, StorageFailed, finish_connecting
from assistant.store.point_reads import CHANGES_AFTER, LAST_CHANGE
from assistant.store.postgres import connect_postgres

_POLL_S = 0.05
_LOOK_S = 0.1
"""Seconds without a notification after which to look anyway: one may be lost, and a pooler passes on none."""
_CONNECT_S = 5.0


def changes_of(database: Database, records: ConsentRecords) -> Changes:
    """The feed for this kind of database."""
    if database.kind == "sqlite":
        return PolledChanges(database.url, records)
    return ListenedChanges(database, records)


class _Dropping:
    """Drops what has changed from what is kept in memory."""

    def __init__(self, database: Database, heard: int) -> None:
        self._database, self._heard = database, heard

    @classmethod
    async def begin(cls, database: Database) -> _Dropping:
        """Begin with the changes after now, and with nothing kept."""
        (last,) = await database.find(LAST_CHANGE)
        database.kept.clear()  # what was read before may have changed since
        return cls(database, last.seq or 0)

    async def catch_up(self) -> None:
        """Drop what was changed since the last time."""
        began = time.monotonic()
        while rows := await self._database.find(CHANGES_AFTER, heard=self._heard):
            self._database.kept.drop(*(row.about for row in rows))
            self._heard = rows[-1].seq
        self._database.kept.mark_complete(began)


class PolledChanges:
    """For SQLite, whose processes share a host: its data version shows cheaply whether another process wrote."""

    def __init__(self, url: str, records: ConsentRecords) -> None:
        self._file = make_url(url).database or ""
        self._records = records

    async def follow(self, after: int) -> AsyncGenerator[Sequence[Record], None]:
        """See `Changes.follow`. Looks every 50 ms."""
        try:
            connection = await finish_connecting(aiosqlite.connect(self._file, isolation_level=None))
            try:
                seen: Any = None
                while True:
                    version = list(await connection.execute_fetchall("PRAGMA data_version"))
                    records = await self._records.after(after) if version != seen else []
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
                    await dropping.catch_up()
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
