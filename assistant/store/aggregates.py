"""Numbers for operators that reveal nobody: they count more than ten people, and are rounded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import and_, exists, func, select, true

from assistant.emotion import MODALITIES, PURPOSES
from assistant.store import schema
from assistant.store.consents import granted, stands
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
        self._database, self._clock = database, clock

    async def count_by_app(self, app: str | None) -> list[dict[str, Any]]:
        """The numbers of one app, or of each app where `app` is None."""
        async with self._database.read() as connection:
            apps = select(schema.apps.c.id, schema.apps.c.name).order_by(schema.apps.c.name)
            rows = (await connection.execute(apps if app is None else apps.where(schema.apps.c.id == app))).all()
        return [{"app": row.name, **await self._numbers(row.id)} for row in rows]

    async def _numbers(self, app: str) -> dict[str, Any]:
        people = await self._count(app, true())
        if people <= TOO_FEW:
            return {"people": None, "withheld": WITHHELD}
        of, corrections = schema.people.c.pseudonym, schema.accesses
        facts = (
            exists().where(schema.consents.c.person == of, schema.consents.c.event == "granted"),
            exists().where(schema.consents.c.person == of, schema.consents.c.event == "withdrawn"),
            exists().where(corrections.c.person == of, corrections.c.action == _CORRECTED),
            stands(of, "restricted", "unrestricted"),
            stands(of, "objected", "unobjected"),
        )
        ever, gone, corrected, restricted, objected = [await self._count(app, fact) for fact in facts]
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
            "restricted": publishable(restricted, people),
            "objected": publishable(objected, people),
        }

    async def _count(self, app: str, which: Any) -> int:
        query = select(func.count()).select_from(schema.people).where(schema.people.c.app == app, which)
        return int(await self._database.scalar(query) or 0)

    async def _consents(self, app: str) -> dict[tuple[str, str], int]:
        said, people = schema.consents.alias("said"), schema.people
        query = (
            select(said.c.modality, said.c.purpose, func.count(said.c.person.distinct()).label("people"))
            .join(people, and_(people.c.pseudonym == said.c.person, people.c.app == app))
            .where(granted(said, self._clock()))
            .group_by(said.c.modality, said.c.purpose)
        )
        found = {(row.modality, row.purpose): row.people for row in await self._database.rows(query)}
        return {(m, p): found.get((m, p), 0) for m in MODALITIES for p in PURPOSES}
