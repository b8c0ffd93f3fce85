"""Numbers for operators that reveal nobody: they count more than ten people, and are rounded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import and_, exists, func, select

from assistant.consent.receipt import Event
from assistant.emotion import MODALITIES, PURPOSES
from assistant.store import schema
from assistant.store.consents import stands
from assistant.store.database import Database

TOO_FEW = 10
"""A number of at most so many people is withheld."""
ROUNDED = 5
"""The others are rounded to multiples of this, so that two answers don't reveal who was added between them."""
WITHHELD = "insufficient people"
_CORRECTED = "POST /v1/people/{person}/mood/corrections"
"""The action's name in the access log."""


def publishable(people: int, of: int | None = None) -> int | None:
    """A number of people as it may be published; None where they, or the rest `of` a group, are too few.

    >>> publishable(10), publishable(11), publishable(13), publishable(103)
    (None, 10, 15, 105)
    >>> publishable(98, of=103)  # would reveal the five who differ
    """
    if people <= TOO_FEW or (of is not None and 0 < of - people <= TOO_FEW):
        return None
    return ROUNDED * round(people / ROUNDED)


def publishable_rate(part: int, of: int) -> float | None:
    """A share, to two decimals, of publishable numbers; None where one of them is withheld.

    >>> publishable_rate(30, 61), publishable_rate(3, 61), publishable_rate(58, 61)
    (0.5, None, None)
    """
    shown, whole = publishable(part, of), publishable(of)
    return None if shown is None or whole is None else round(shown / whole, 2)


class Aggregates:
    """Counts of people, by app. Those who were erased are not counted."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    async def count_by_app(self, app: str | None) -> list[dict[str, Any]]:
        """The numbers of one app, or of each app where `app` is None."""
        async with self._database.read() as connection:
            apps = select(schema.apps.c.id, schema.apps.c.name).order_by(schema.apps.c.name)
            rows = (await connection.execute(apps if app is None else apps.where(schema.apps.c.id == app))).all()
        return [{"app": row.name, **await self._numbers(row.id)} for row in rows]

    async def _numbers(self, app: str) -> dict[str, Any]:
        people = await self._count(app, None)
        if people <= TOO_FEW:
            return {"people": None, "withheld": WITHHELD}
        ever, gone, corrected = [
            await self._count(app, said)
            for said in (_has_event("granted"), _has_event("withdrawn"), _has_correction())
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
            "restricted": publishable(
                await self._count(app, stands(schema.people.c.pseudonym, "restricted", "unrestricted")), people
            ),
            "objected": publishable(
                await self._count(app, stands(schema.people.c.pseudonym, "objected", "unobjected")), people
            ),
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


def _has_event(event: Event) -> Any:
    table = schema.consents
    return exists().where(table.c.person == schema.people.c.pseudonym, table.c.event == event)


def _has_correction() -> Any:
    table = schema.accesses
    return exists().where(table.c.person == schema.people.c.pseudonym, table.c.action == _CORRECTED)
