"""Numbers for operators that tell of nobody: of more than ten people, and rounded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import and_, exists, func, select

from assistant.consent.receipt import Event
from assistant.emotion import MODALITIES, PURPOSES
from assistant.store import schema
from assistant.store.database import Database

TOO_FEW = 10
"""A number of at most so many people isn't told."""
ROUNDED = 5
"""To what the others are rounded, so that two answers don't tell of whoever came in between."""
WITHHELD = "insufficient people"
_CORRECTED = "POST /v1/people/{person}/mood/corrections"
"""As the access log names it."""


def publishable(people: int, of: int | None = None) -> int | None:
    """A number of people as it may be told; None where they, or the rest `of` a group, are too few.

    >>> publishable(10), publishable(11), publishable(13), publishable(103)
    (None, 10, 15, 105)
    >>> publishable(98, of=103)  # would tell of five who differ
    """
    if people <= TOO_FEW or (of is not None and 0 < of - people <= TOO_FEW):
        return None
    return ROUNDED * round(people / ROUNDED)


def publishable_rate(part: int, of: int) -> float | None:
    """A share, in hundredths, out of what may be told of both.

    >>> publishable_rate(30, 61), publishable_rate(3, 61), publishable_rate(58, 61)
    (0.5, None, None)
    """
    shown, whole = publishable(part, of), publishable(of)
    return None if shown is None or whole is None else round(shown / whole, 2)


class Aggregates:
    """Counts over people, by app. Those who were erased count no more."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    async def of(self, app: str | None) -> list[dict[str, Any]]:
        """One app's numbers; None: those of each."""
        async with self._database.read() as connection:
            apps = select(schema.apps.c.id, schema.apps.c.name).order_by(schema.apps.c.name)
            rows = (await connection.execute(apps if app is None else apps.where(schema.apps.c.id == app))).all()
        return [{"app": row.name, **await self._numbers(row.id)} for row in rows]

    async def _numbers(self, app: str) -> dict[str, Any]:
        people = await self._count(app, None)
        if people <= TOO_FEW:
            return {"people": None, "withheld": WITHHELD}
        ever, gone, corrected = [
            await self._count(app, said) for said in (_said("granted"), _said("withdrawn"), _corrected())
        ]
        consents = [
            {"modality": modality, "purpose": purpose, "people": publishable(count, people)}
            for (modality, purpose), count in (await self._consents(app)).items()
        ]
        return {
            "people": publishable(people),
            "consents": consents,
            "granted_ever": publishable(ever, people),
            "opt_out_rate": publishable_rate(gone, ever),
            "correction_rate": publishable_rate(corrected, people),
            "restricted": publishable(await self._count(app, _stands("restricted", "unrestricted")), people),
            "objected": publishable(await self._count(app, _stands("objected", "unobjected")), people),
        }

    async def _count(self, app: str, which: Any) -> int:
        table = schema.people
        query = select(func.count()).select_from(table).where(table.c.app == app)
        if which is not None:
            query = query.where(which)
        async with self._database.read() as connection:
            return int(await connection.scalar(query) or 0)

    async def _consents(self, app: str) -> dict[tuple[str, str], int]:
        said, later, people = schema.consents.alias("said"), schema.consents.alias("later"), schema.people
        ended = exists().where(
            later.c.person == said.c.person,
            later.c.modality == said.c.modality,
            later.c.purpose == said.c.purpose,
            later.c.event == "withdrawn",
            later.c.seq > said.c.seq,
        )
        query = (
            select(said.c.modality, said.c.purpose, func.count(said.c.person.distinct()).label("people"))
            .join(people, and_(people.c.pseudonym == said.c.person, people.c.app == app))
            .where(said.c.event == "granted", said.c.expires_at > self._clock(), ~ended)
            .group_by(said.c.modality, said.c.purpose)
        )
        async with self._database.read() as connection:
            found = {(row.modality, row.purpose): row.people for row in (await connection.execute(query)).all()}
        return {(m, p): found.get((m, p), 0) for m in MODALITIES for p in PURPOSES}


def _said(event: Event) -> Any:
    table = schema.consents
    return exists().where(table.c.person == schema.people.c.pseudonym, table.c.event == event)


def _stands(event: Event, lifted: Event) -> Any:
    said, later = schema.consents.alias("said"), schema.consents.alias("later")
    ended = exists().where(later.c.person == said.c.person, later.c.event == lifted, later.c.seq > said.c.seq)
    return exists().where(said.c.person == schema.people.c.pseudonym, said.c.event == event, ~ended)


def _corrected() -> Any:
    table = schema.accesses
    return exists().where(table.c.person == schema.people.c.pseudonym, table.c.action == _CORRECTED)
