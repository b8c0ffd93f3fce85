"""What was chosen for people; and, with their consent, how they usually are. Sealed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
from sqlalchemy import delete, insert, select

from assistant.emotion import Baseline, Modality
from assistant.errors import NotFound
from assistant.store import schema
from assistant.store.database import Database
from assistant.store.group_commit import Gathering
from assistant.store.keys.vault import Vault


class Decisions:
    """What was chosen for a person, and why; sealed. And, with their consent, how they usually are."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._gathering = Gathering(self._write)

    async def add(self, decision: str, person: str, at: float, body: dict[str, Any]) -> None:
        """Keep one decision; durable when this returns."""
        sealed = await self._vault.seal(person, "decision", msgspec.json.encode(body))
        await self._gathering.add({"id": decision, "person": person, "at": at, "body": sealed})

    async def _write(self, rows: Sequence[dict[str, Any]]) -> Sequence[None]:
        async with self._database.write() as connection:
            await connection.execute(insert(schema.decisions), list(rows))
        return [None] * len(rows)

    async def close(self) -> None:
        """Wait until everything is written."""
        await self._gathering.close()

    async def get(self, decision: str, person: str) -> dict[str, Any]:
        """Raises `NotFound` (`decision_unknown`)."""
        table = schema.decisions
        query = select(table.c.body).where(table.c.id == decision, table.c.person == person)
        async with self._database.read() as connection:
            sealed = await connection.scalar(query)
        if sealed is None:
            raise NotFound("there is no such decision", code="decision_unknown")
        body: dict[str, Any] = msgspec.json.decode(await self._vault.open(person, "decision", sealed))
        return body

    async def made(self, decision: str, app: str) -> tuple[str, float]:
        """For whom of `app` it was made, by pseudonym, and when in unix seconds.

        Raises `NotFound` (`decision_unknown`), the same whether or not another app has it.
        """
        made, people = schema.decisions, schema.people
        query = (
            select(made.c.person, made.c.at)
            .join(people, people.c.pseudonym == made.c.person)
            .where(made.c.id == decision, people.c.app == app)
        )
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise NotFound("there is no such decision", code="decision_unknown")
        return row.person, row.at

    async def remember(self, person: str, modality: Modality, baseline: Baseline, at: float) -> None:
        """Keep a person's baseline; only with their grant to remember."""
        body = await self._vault.seal(person, f"baseline {modality}", msgspec.json.encode(baseline))
        values = {"person": person, "modality": modality, "at": at, "body": body}
        async with self._database.write() as connection:
            await connection.execute(self._database.upsert(schema.remembered, ["person", "modality"], **values))

    async def recall(self, person: str, modality: Modality) -> Baseline | None:
        """The baseline that was kept, if any."""
        table = schema.remembered
        query = select(table.c.body).where(table.c.person == person, table.c.modality == modality)
        async with self._database.read() as connection:
            sealed = await connection.scalar(query)
        if sealed is None:
            return None
        opened = await self._vault.open(person, f"baseline {modality}", sealed)
        baseline = msgspec.json.decode(opened, type=Baseline)
        return replace(baseline, source="stored")

    async def forget(self, person: str, modality: Modality) -> None:
        """Drop the baseline that was kept."""
        table = schema.remembered
        gone = delete(table).where(table.c.person == person, table.c.modality == modality)
        async with self._database.write() as connection:
            await connection.execute(gone)
