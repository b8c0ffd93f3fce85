"""Removes what is too old or may not be kept any more: every hour, and when consent to `remember` ends."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import Column, ColumnElement, Select, Table, and_, delete, exists, select, true, tuple_

from assistant.config import Settings
from assistant.consent.ledger import Ledger
from assistant.consent.receipt import Record
from assistant.errors import AssistantError
from assistant.store import schema
from assistant.store.consents import granted, stands
from assistant.store.database import Database
from assistant.store.people import PERSONAL

log = logging.getLogger(__name__)

_DAY_S = 86_400.0
_EVERY_S = 3600.0
_BATCH = 1000
_TOLD_S = 600.0
"""Seconds, by the database's own clock, after which every process has heard of a change."""


@dataclass(frozen=True, slots=True)
class RetentionTerm:
    """How long the rows of one table are kept."""

    table: Table
    since: Column[float]
    """Unix seconds at which the time starts."""
    days: float


def retention_terms(settings: Settings) -> tuple[RetentionTerm, ...]:
    """All retention terms. Each part of the context has its own end."""
    return (
        RetentionTerm(schema.moods, schema.moods.c.at, settings.mood_days),
        RetentionTerm(schema.remembered, schema.remembered.c.at, settings.baseline_days),
        RetentionTerm(schema.decisions, schema.decisions.c.at, settings.decision_days),
        RetentionTerm(schema.rewards, schema.rewards.c.at, settings.decision_days),
        RetentionTerm(schema.accesses, schema.accesses.c.last_at, settings.access_days),
        RetentionTerm(schema.contexts, schema.contexts.c.expires_at, 0.0),
    )


class Purge:
    """Removes what must not be kept. What is merely old stays for people who restricted the use of their data."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        settings: Settings,
        clock: Callable[[], float],
        blind: Callable[[str], Awaitable[None]],
    ) -> None:
        """`blind` takes the mood out of a person's kept rewards."""
        self._database, self._ledger = database, ledger
        self._terms = retention_terms(settings)
        self._clock, self._blind = clock, blind
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> Mapping[str, int]:
        """Purge once; returns how many rows were removed, by table. Records grants that ran out as `expired`."""
        await self._ledger.expire()
        now, gone = self._clock(), {}
        for term in self._terms:
            old = term.since <= now - term.days * _DAY_S
            unrestricted = ~stands(term.table.c.person, "restricted", "unrestricted")
            gone[term.table.name] = await self._remove(term.table, and_(old, unrestricted))
        for table in (schema.moods, schema.remembered):
            gone[table.name] += await self._remove(table, ~_remembers(table.c.person, now, table.c.modality))
        for person in await self._people_to_blind(now):
            await self._blind(person)
        for table in PERSONAL:  # rows that another process wrote while it erased the person
            gone[table.name] = gone.get(table.name, 0) + await self._remove(
                table, ~exists().where(schema.people.c.pseudonym == table.c.person)
            )
        gone["changes"] = await self._remove(schema.changes, schema.changes.c.at < time.time() - _TOLD_S)
        if any(gone.values()):
            await self._database.wipe_log()
            log.info("purged %s", ", ".join(f"{count} {name}" for name, count in gone.items() if count))
        return gone

    def forget_after(self, record: Record) -> None:
        """Where `record` ends a grant to `remember`, remove what was kept of that modality, in a task."""
        if record.event in ("withdrawn", "expired") and record.purpose == "remember":
            task = asyncio.get_running_loop().create_task(self._forget(record))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    @asynccontextmanager
    async def running(self, every_s: float = _EVERY_S) -> AsyncIterator[None]:
        """Purge now and every `every_s` seconds; at the end finish what has begun."""
        task = asyncio.create_task(self._repeat(every_s))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, *self._tasks, return_exceptions=True)

    async def _repeat(self, every_s: float) -> None:
        while True:
            try:
                await self.run()
            except AssistantError as error:
                log.warning("the purge failed and will run again: %s", error.code)
            await asyncio.sleep(every_s)

    async def _forget(self, record: Record) -> None:
        try:
            for table in (schema.moods, schema.remembered):
                mine = and_(table.c.person == record.person, table.c.modality == record.modality)
                lasts = _remembers(table.c.person, self._clock(), table.c.modality)
                await self._remove(table, and_(mine, ~lasts))
            await self._blind(record.person)
        except AssistantError as error:
            log.warning(
                "data that may no longer be remembered could not be removed; the next purge will try again: %s",
                error.code,
            )

    async def _people_to_blind(self, now: float) -> Sequence[str]:
        """People whose rewards still hold a mood that may not be remembered."""
        table = schema.rewards
        query = select(table.c.person).where(table.c.felt, ~_remembers(table.c.person, now)).distinct()
        return [row.person for row in await self._database.rows(query)]

    async def _remove(self, table: Table, which: ColumnElement[bool]) -> int:
        """Remove rows in batches, so that no other write waits long."""
        key = list(table.primary_key.columns)
        batch: Select[tuple[object, ...]] = select(*key).where(which).limit(_BATCH)
        total = 0
        while True:
            rows = [tuple(row) for row in await self._database.rows(batch)]
            if rows:  # mostly there is nothing, and no write need wait
                await self._database.execute(delete(table).where(tuple_(*key).in_(rows), which))
            total += len(rows)
            if len(rows) < _BATCH:
                return total


def _remembers(
    person: ColumnElement[str], now: float, modality: ColumnElement[str] | None = None
) -> ColumnElement[bool]:
    """Whether a person grants `remember` for a modality, or for any, by the ledger's records."""
    said = schema.consents.alias("said")
    same = true() if modality is None else said.c.modality == modality
    return exists().where(said.c.person == person, same, said.c.purpose == "remember", granted(said, now))
