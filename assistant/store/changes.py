"""The feed of new consent records: what other processes on the same database wrote."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from typing import Any

import aiosqlite
from sqlalchemy import make_url

from assistant.consent.changes import Changes
from assistant.consent.receipt import Record
from assistant.store.consents import CHANNEL, ConsentRecords
from assistant.store.database import Database, StorageFailed, finish_connecting
from assistant.store.postgres import connect_postgres, is_pooled

_POLL_S = 0.05
_LOOK_S = 0.5
"""Seconds without a notification after which to look anyway: one may be lost with its connection."""
_LOOK_POOLED_S = 0.1
"""The same behind a pooler, which may pass on no notification at all."""
_CONNECT_S = 5.0


def changes_of(database: Database, records: ConsentRecords) -> Changes:
    """The feed for this kind of database."""
    if database.kind == "sqlite":
        return PolledChanges(database.url, records)
    return ListenedChanges(database.url, records)


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

    def __init__(self, url: str, records: ConsentRecords) -> None:
        self._url, self._records = url, records

    async def follow(self, after: int) -> AsyncGenerator[Sequence[Record], None]:
        """See `Changes.follow`. Looks at every notification, and now and then without one."""
        import asyncpg  # an extra: only those who use PostgreSQL have it

        bell = asyncio.Event()
        try:
            connection = await connect_postgres(self._url)
            try:
                look_s = _LOOK_POOLED_S if await is_pooled(connection) else _LOOK_S
                connection.add_termination_listener(lambda _: bell.set())
                await connection.add_listener(CHANNEL, lambda *_: bell.set())
                while not connection.is_closed():
                    bell.clear()
                    records = await self._records.after(after)
                    if records:
                        after = records[-1].seq
                        bell.set()  # there may be another page
                    yield records
                    with suppress(TimeoutError):
                        async with asyncio.timeout(look_s):
                            await bell.wait()
            finally:
                await connection.close(timeout=_CONNECT_S)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise StorageFailed(f"can't follow the changes now: {type(error).__name__}") from error
        raise StorageFailed("can't follow the changes now: the connection was closed")
