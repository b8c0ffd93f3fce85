"""How each person usually sounds and writes. Stored only with their grant to `remember`, and sealed."""

from __future__ import annotations

from dataclasses import replace

import msgspec
from sqlalchemy import delete, select

from assistant.emotion import Baseline, Modality
from assistant.store import schema
from assistant.store.database import Database
from assistant.store.keys.vault import Vault


class StoredBaselines:
    """At most one baseline for each person and modality; `mood.baseline.Baselines`."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def remember(self, person: str, modality: Modality, baseline: Baseline, at: float) -> None:
        """Store a person's baseline. The caller has their grant to `remember`."""
        body = await self._vault.seal(person, f"baseline {modality}", msgspec.json.encode(baseline))
        values = {"person": person, "modality": modality, "at": at, "body": body}
        async with self._database.write() as connection:
            await connection.execute(self._database.upsert(schema.remembered, ["person", "modality"], **values))

    async def recall(self, person: str, modality: Modality) -> Baseline | None:
        """The stored baseline, if any."""
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
        """Remove the stored baseline."""
        table = schema.remembered
        gone = delete(table).where(table.c.person == person, table.c.modality == modality)
        async with self._database.write() as connection:
            await connection.execute(gone)
