"""The records of the consent ledger: a hash chain in an append-only table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

from sqlalchemy import ColumnElement, and_, bindparam, exists, func, insert, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from assistant.consent.receipt import Actor, Event, Record
from assistant.consent.records import GENESIS, link
from assistant.store import schema
from assistant.store.database import Database, StorageFailed
from assistant.store.group_commit import GroupCommit

CHANNEL = "attune_consents"
"""PostgreSQL notifies other processes of new records on this channel."""
_CHAINING = 0x6174_7463
"""The advisory lock held while the chain grows."""
_PAGE = 1000
_OF_PERSON = (
    select(schema.consents).where(schema.consents.c.person == bindparam("person")).order_by(schema.consents.c.seq)
)
"""Built once, because every stream begins with this query."""


def stands(person: ColumnElement[str], event: Event, lifted: Event) -> ColumnElement[bool]:
    """Whether a record of `event` holds for a person: neither `lifted` nor `erased` came after it."""
    said, later = schema.consents.alias("said"), schema.consents.alias("later")
    ended = exists().where(
        later.c.person == said.c.person, later.c.seq > said.c.seq, later.c.event.in_((lifted, "erased"))
    )
    return exists().where(said.c.person == person, said.c.event == event, ~ended)


def granted(said: Any, now: float) -> ColumnElement[bool]:
    """Whether a record of the table `said` is a grant that holds at Unix time `now` and was not withdrawn."""
    later = schema.consents.alias("later")
    withdrawn = exists().where(
        later.c.person == said.c.person,
        later.c.modality == said.c.modality,
        later.c.purpose == said.c.purpose,
        later.c.event == "withdrawn",
        later.c.seq > said.c.seq,
    )
    return and_(said.c.event == "granted", said.c.expires_at > now, ~withdrawn)


class ConsentRecords:
    """The ledger's records; `consent.records.Records`. Those that arrive together share a transaction."""

    def __init__(self, database: Database, *, most: int = 512) -> None:
        self._database = database
        self._writes = GroupCommit(self._write, most=most)

    async def append(self, record: Record) -> Record:
        """Store one record, durable when this returns; the result has its place and its hash.

        An `expired` record that is stored already is not written again. Cancelling the wait does not cancel the
        write. Raises `StorageFailed`.
        """
        return await self._writes.write(record)

    async def history(self, person: str) -> list[Record]:
        """All records about one person, oldest first."""
        return await self._records(_OF_PERSON, {"person": person})

    async def after(self, seq: int, limit: int = _PAGE) -> list[Record]:
        """The next records of anybody after a place in the ledger, oldest first."""
        table = schema.consents
        return await self._records(select(table).where(table.c.seq > seq).order_by(table.c.seq).limit(limit))

    async def last_seq(self) -> int:
        """The place of the newest record; 0 where there is none."""
        return int(await self._database.scalar(select(func.max(schema.consents.c.seq))) or 0)

    async def count(self) -> int:
        """How many records there are."""
        return int(await self._database.scalar(select(func.count()).select_from(schema.consents)) or 0)

    async def expired(self, now: float, limit: int = _PAGE) -> list[Record]:
        """Grants that ran out and were neither replaced nor withdrawn nor recorded as expired yet, oldest first."""
        grant, later = schema.consents, schema.consents.alias("later")
        superseded = exists().where(
            later.c.person == grant.c.person,
            later.c.seq > grant.c.seq,
            or_(
                later.c.event == "erased",
                and_(later.c.event == "expired", later.c.reason == grant.c.id),
                and_(
                    later.c.event.in_(("granted", "withdrawn")),
                    later.c.modality == grant.c.modality,
                    later.c.purpose == grant.c.purpose,
                ),
            ),
        )
        due = select(grant).where(grant.c.expires_at <= now, grant.c.event == "granted", ~superseded)
        return await self._records(due.order_by(grant.c.seq).limit(limit))

    async def close(self) -> None:
        """Wait until everything is written."""
        await self._writes.close()

    async def _write(self, records: Sequence[Record]) -> list[Record]:
        async with self._database.write() as connection:
            return await self._append_chained(connection, records)

    async def _append_chained(self, connection: AsyncConnection, records: Sequence[Record]) -> list[Record]:
        await self._database.take_turns(connection, _CHAINING)
        table = schema.consents
        head = (await connection.execute(select(table).order_by(table.c.seq.desc()).limit(1))).first()
        seq, previous = (0, GENESIS) if head is None else (head.seq, head.hash)
        expiries = [record.id for record in records if record.event == "expired"]
        known: dict[str, Record] = {}
        if expiries:
            rows = await connection.execute(select(table).where(table.c.id.in_(expiries)))
            known = {row.id: _record(row) for row in rows}
        kept, new = [], []
        for record in records:
            if record.id not in known or record.event != "expired":
                seq, previous = seq + 1, link(previous, record)
                known[record.id] = replace(record, seq=seq, hash=previous)
                new.append(_values(known[record.id]))
            kept.append(known[record.id])
        if new:
            await connection.execute(insert(table), new)
            if self._database.kind == "postgresql":
                await connection.execute(text(f"NOTIFY {CHANNEL}"))
        return kept

    async def _records(self, query: Any, values: dict[str, Any] | None = None) -> list[Record]:
        return [_record(row) for row in await self._database.rows(query, values)]


def _values(record: Record) -> dict[str, Any]:
    values = {name: getattr(record, name) for name in record.__slots__ if name != "actor"}
    return values | {"actor": record.actor.kind, "evidence": record.actor.evidence}


def _record(row: Any) -> Record:
    if row.event not in get_args(Event):
        raise StorageFailed(
            "the ledger holds an event that this version doesn't know; a newer version wrote it",
            code="data_corrupt",
        )
    values = dict(row._mapping)
    values["actor"] = Actor(values["actor"], values.pop("evidence"))
    return Record(**values)
