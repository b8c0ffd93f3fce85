"""Mood history and baselines of people who granted `remember`. Both are sealed and kept for a limited time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import msgspec
from sqlalchemy import delete, insert, select

from assistant.emotion import STATEMENT, Baseline, Estimate, Modality, Reading
from assistant.store import schema
from assistant.store.database import Database
from assistant.store.keys import Vault


@dataclass(frozen=True, slots=True)
class PastMood:
    """One stored reading of one modality."""

    seq: int
    """Its place in the history, for paging."""
    at: float
    """Unix seconds."""
    reading: dict[str, Any]


class MoodHistory:
    """Readings of whole utterances and messages, in the order in which they were made; `mood.timeline.MoodLog`."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database, self._vault = database, vault

    async def add_reading(self, person: str, reading: Reading, at: float) -> None:
        """Store one reading; durable when this returns."""
        body = await self._vault.seal(person, "mood", msgspec.json.encode(_storable(reading)))
        row = {"person": person, "modality": reading.modality, "at": at, "body": body}
        await self._database.execute(insert(schema.moods).values(**row))

    async def list_moods(self, person: str, *, before: int | None = None, limit: int = 100) -> list[PastMood]:
        """The history of one person, newest first; only what is before the one with `seq` = `before`."""
        table = schema.moods
        query = select(table.c.seq, table.c.at, table.c.body).where(table.c.person == person)
        if before is not None:
            query = query.where(table.c.seq < before)
        rows = await self._database.rows(query.order_by(table.c.seq.desc()).limit(limit))
        if not rows:
            return []
        opened = await self._vault.opener(person)
        return [PastMood(row.seq, row.at, msgspec.json.decode(opened("mood", row.body))) for row in rows]

    async def forget(self, person: str, modality: Modality) -> None:
        """Drop the history of one modality."""
        table = schema.moods
        await self._database.execute(delete(table).where(table.c.person == person, table.c.modality == modality))


def _storable(reading: Reading) -> dict[str, Any]:
    emotions = {name: round(p, 4) for name, p in reading.emotions.items()}
    affect = {"valence": _rounded(reading.valence), "arousal": _rounded(reading.arousal)}
    known = {"modality": reading.modality, **affect, "stress": round(reading.stress, 4), "emotions": emotions}
    return {**known, "statement": STATEMENT}


def _rounded(estimate: Estimate) -> dict[str, float]:
    return {"mean": round(estimate.mean, 4), "deviation": round(estimate.deviation, 4)}


class StoredBaselines:
    """At most one baseline for each person and modality; `mood.baseline.Baselines`."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database, self._vault = database, vault

    async def remember(self, person: str, modality: Modality, baseline: Baseline, at: float) -> None:
        """Store a person's baseline. The caller has their grant to `remember`."""
        body = await self._vault.seal(person, f"baseline {modality}", msgspec.json.encode(baseline))
        values = {"person": person, "modality": modality, "at": at, "body": body}
        await self._database.execute(self._database.upsert(schema.remembered, ["person", "modality"], **values))

    async def recall(self, person: str, modality: Modality) -> Baseline | None:
        """The stored baseline, if any."""
        table = schema.remembered
        query = select(table.c.body).where(table.c.person == person, table.c.modality == modality)
        sealed = await self._database.scalar(query)
        if sealed is None:
            return None
        opened = await self._vault.open(person, f"baseline {modality}", sealed)
        return replace(msgspec.json.decode(opened, type=Baseline), source="stored")

    async def forget(self, person: str, modality: Modality) -> None:
        """Remove the stored baseline."""
        table = schema.remembered
        await self._database.execute(delete(table).where(table.c.person == person, table.c.modality == modality))
