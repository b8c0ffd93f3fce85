"""The records of the consent ledger."""

from __future__ import annotations

from typing import get_args

from sqlalchemy import insert, select

from assistant.consent.receipt import Actor, Event, Record
from assistant.store import schema
from assistant.store.database import Database


class ConsentRecords:
    """The ledger's records: only ever appended to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, record: Record) -> None:
        """Keep one record; durable when this returns."""
        values = {name: getattr(record, name) for name in record.__slots__ if name != "actor"}
        values |= {"actor": record.actor.kind, "evidence": record.actor.evidence}
        async with self._database.write() as connection:
            await connection.execute(insert(schema.consents).values(**values))

    async def of(self, person: str) -> list[Record]:
        """All records about one person, oldest first."""
        table = schema.consents
        query = select(table).where(table.c.person == person).order_by(table.c.seq)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [
            Record(
                id=row.id,
                person=row.person,
                at=row.at,
                event=_event(row.event),
                modality=row.modality,
                purpose=row.purpose,
                notice=row.notice,
                expires_at=row.expires_at,
                actor=Actor(row.actor, row.evidence),
                reason=row.reason,
            )
            for row in rows
        ]


def _event(text: str) -> Event:
    assert text in get_args(Event)
    return text  # type: ignore[return-value]
