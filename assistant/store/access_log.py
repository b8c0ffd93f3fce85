"""The access log: who read or used a person's data. By pseudonym; written in batches that no request waits for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace

from sqlalchemy import select

from assistant.store import schema
from assistant.store.database import Database, StorageFailed
from assistant.store.row_inserts import RowInsert

log = logging.getLogger(__name__)

_MOST = 20_000
"""Different accesses that may wait to be written. More are lost, and an error is logged."""
_PROMPTLY = 1_000
"""When so many wait, they are written at once."""
_EVERY_S = 1.0

COLUMNS = ("who", "action", "purpose", "at", "last_at", "count")
"""What is stored of an access, besides the person."""

_INSERT = RowInsert(schema.accesses)
_Key = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Access:
    """Somebody read or used a person's data, once or several times in a row."""

    who: str
    """An API key's or a token's id, or `operator`; never the key itself."""
    action: str
    """What was asked for: a method and a path of the API, without any id."""
    purpose: str
    """What the data was used for; empty where it was only read or changed."""
    at: float
    """Unix seconds: the first time."""
    last_at: float
    """Unix seconds: the last time."""
    count: int = 1
    seq: int = 0
    """Its place in the log, for paging."""


class AccessLog:
    """Notes an access at once and writes it soon; equal accesses between two writes become one row with a count."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database, self._clock = database, clock
        self._waiting: dict[_Key, Access] = {}
        self._writing = asyncio.Lock()
        self._soon = asyncio.Event()
        self._lost = 0

    def note_access(self, person: str, who: str, action: str, purpose: str = "") -> None:
        """Note that `who` read or used the data of `person` (a pseudonym). Never waits."""
        key, now = (person, who, action, purpose), self._clock()
        known = self._waiting.get(key)
        if known is not None:
            self._waiting[key] = replace(known, last_at=now, count=known.count + 1)
        elif len(self._waiting) < _MOST:
            self._waiting[key] = Access(who, action, purpose, now, now)
        else:
            self._lost += 1
        if len(self._waiting) >= _PROMPTLY:
            self._soon.set()

    async def flush(self) -> None:
        """Write what waits. Where that raises `StorageFailed`, it keeps waiting for the next write."""
        async with self._writing:
            taken, self._waiting = self._waiting, {}
            if not taken:
                return
            rows = [
                {"person": person, **{name: getattr(access, name) for name in COLUMNS}}
                for (person, *_), access in taken.items()
            ]
            try:
                await self._database.insert(_INSERT, rows)
            except BaseException:
                self._return(taken)
                raise
            if self._lost:
                log.error("%d accesses could not be stored: too many at once", self._lost)
                self._lost = 0

    async def list_accesses(self, person: str, *, before: int | None = None, limit: int = 100) -> list[Access]:
        """Accesses to one person's data, newest first; only those before the one with `seq` = `before`."""
        await self.flush()
        table = schema.accesses
        query = select(table).where(table.c.person == person)
        if before is not None:
            query = query.where(table.c.seq < before)
        rows = await self._database.rows(query.order_by(table.c.seq.desc()).limit(limit))
        return [Access(**{name: row._mapping[name] for name in (*COLUMNS, "seq")}) for row in rows]

    def forget(self, person: str) -> None:
        """Drop the waiting accesses to the data of a person who was erased."""
        self._waiting = {key: access for key, access in self._waiting.items() if key[0] != person}

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Write every second, or sooner when much waits; at the end write the rest."""
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            async with self._writing:  # cancelled in the middle of a write, its rows could be written twice
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            try:
                await self.flush()
            except StorageFailed:
                log.error("%d accesses could not be written at the end", len(self._waiting))

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_EVERY_S):
                    await self._soon.wait()
            self._soon.clear()
            try:
                await self.flush()
            except StorageFailed:
                log.warning("accesses could not be written; trying again")
                await asyncio.sleep(_EVERY_S)

    def _return(self, taken: dict[_Key, Access]) -> None:
        for key, access in self._waiting.items():
            known = taken.get(key)
            if known is None:
                taken[key] = access
            else:
                taken[key] = replace(known, last_at=access.last_at, count=known.count + access.count)
        self._waiting = taken
