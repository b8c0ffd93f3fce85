"""What people were shown and the rewards of it, read for measures: bounded, and decrypted in another thread."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import exists, select, tuple_

from assistant.errors import NotFound
from assistant.profile.person import Profile
from assistant.recommend.holdout import Arm
from assistant.recommend.measures.rates import Came, Piece, Sample, Shown
from assistant.store import schema
from assistant.store.consents import stands
from assistant.store.database import Database
from assistant.store.keys import Opener, Vault
from assistant.store.people import StoredProfile

MOST = 20_000
"""Decisions that one report reads."""
_CHUNK = 250
"""Decisions decrypted at a time: a few milliseconds, because streams need the interpreter too."""
_REWARDS = 4
"""Rewards read per decision, on the average of a chunk."""
_PAGE, _PAGES = 12, 5
"""A person's latest decisions, read to find what they were shown lately."""

_d, _p, _r = schema.decisions, schema.people, schema.rewards


class _ShownItem(msgspec.Struct):
    id: str
    kind: str | None = None
    """None in decisions of an older version, which did not store it."""
    commercial: bool = False


class _Ranking(msgspec.Struct):
    items: tuple[_ShownItem, ...] = ()
    active: bool = True
    arm: Arm | None = None


class _ShownDecision(msgspec.Struct):
    """The part of a stored decision that says what was shown."""

    ranking: _Ranking | None = None
    limits: tuple[str, ...] = ()

    @property
    def shown(self) -> tuple[_ShownItem, ...]:
        """The items that were shown, without those that say no kind."""
        if self.ranking is None or not self.ranking.active:
            return ()
        return tuple(item for item in self.ranking.items if item.kind is not None)


_decision = msgspec.json.Decoder(_ShownDecision).decode
_reward = msgspec.json.Decoder(Came).decode


class Exposures:
    """What an app's people were shown. Only one report is read at a time."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database, self._vault = database, vault
        self._turn = asyncio.Lock()

    async def kinds(self, person: str, most: int) -> list[str]:
        """See `recommend.bubble.ShownKinds`. It looks at the last decisions only, a few dozen."""
        found: list[str] = []
        newest = select(_d.c.body).where(_d.c.person == person).order_by(_d.c.at.desc(), _d.c.id.desc())
        for page in range(_PAGES):
            rows = await self._database.rows(newest.limit(_PAGE).offset(page * _PAGE))
            if rows:
                try:
                    opened = await self._vault.opener(person)
                except NotFound:  # erased just now
                    return []
            for row in rows:
                kept = _decision(opened("decision", row.body))
                if not kept.limits:
                    found += [item.kind for item in reversed(kept.shown) if item.kind is not None]
            if len(rows) < _PAGE or len(found) >= most:
                break
        return found[:most][::-1]

    async def sample(self, app: str, since: float, *, most: int = MOST) -> Sample:
        """The app's latest slates since `since` (Unix seconds), with their rewards; at most `most` decisions."""
        shown: list[Shown] = []
        read, whole = 0, True
        may: dict[str, bool] = {}
        async with self._turn:
            async for rows in self._pages(app, since, most + 1):
                read += len(rows)
                if read > most:
                    rows, read, whole = rows[: most - read], most, False
                await self._note_unrestricted({row.person for row in rows}, may)
                rows = [row for row in rows if may[row.person]]
                openers = await self._vault.openers({row.person for row in rows})
                rewards, all_of_them = await self._rewards(app, [row.id for row in rows])
                whole = whole and all_of_them
                shown += await asyncio.to_thread(_decrypt, rows, rewards, openers)
        return Sample(shown, read, since, whole)

    async def read_declared(
        self, people: Collection[str], of: Callable[[Profile], str | None]
    ) -> dict[str, str | None]:
        """One declared fact of each of these people, by pseudonym; those who were erased are left out."""
        named, found = list(people), dict[str, str | None]()
        async with self._turn:
            for start in range(0, len(named), _CHUNK):
                query = select(_p.c.pseudonym, _p.c.profile)
                query = query.where(_p.c.pseudonym.in_(named[start : start + _CHUNK]))
                rows = await self._database.rows(query)
                openers = await self._vault.openers([row.pseudonym for row in rows])
                found |= await asyncio.to_thread(_decrypt_profiles, rows, openers, of)
        return found

    async def _pages(self, app: str, since: float, most: int) -> AsyncIterator[Sequence[Any]]:
        # no join: SQLite would read all people, and sort all their decisions for every page
        theirs = exists().where(_p.c.pseudonym == _d.c.person, _p.c.app == app)
        query = select(_d.c.id, _d.c.person, _d.c.at, _d.c.body).where(theirs, _d.c.at >= since)
        query = query.order_by(_d.c.at.desc(), _d.c.id.desc())
        before: tuple[float, str] | None = None
        while most > 0:
            page = query.limit(min(_CHUNK, most))
            if before is not None:
                page = page.where(_d.c.at <= before[0], tuple_(_d.c.at, _d.c.id) < tuple_(*before))
            rows = await self._database.rows(page)
            if rows:
                yield rows
            if len(rows) < min(_CHUNK, most):
                return
            most -= len(rows)
            before = (rows[-1].at, rows[-1].id)

    async def _rewards(self, app: str, decisions: Sequence[str]) -> tuple[Sequence[Any], bool]:
        """Rewards of these decisions, and whether these are all of them."""
        most = _REWARDS * _CHUNK
        query = select(_r.c.decision, _r.c.person, _r.c.body).where(_r.c.app == app, _r.c.decision.in_(decisions))
        rows = await self._database.rows(query.limit(most + 1))
        return rows[:most], len(rows) <= most

    async def _note_unrestricted(self, people: set[str], may: dict[str, bool]) -> None:
        """Note in `may` which people did not restrict the use of their data. Each is looked up once."""
        if unknown := people - may.keys():
            query = select(_p.c.pseudonym).where(~stands(_p.c.pseudonym, "restricted", "unrestricted"))
            found = {row.pseudonym for row in await self._database.rows_with(query, _p.c.pseudonym, unknown)}
            may |= {person: person in found for person in unknown}


def _decrypt(rows: Sequence[Any], rewards: Sequence[Any], openers: Mapping[str, Opener]) -> list[Shown]:
    came: defaultdict[str, list[Came]] = defaultdict(list)
    for row in rewards:
        if row.person in openers:
            came[row.decision].append(_reward(openers[row.person]("reward", row.body)))
    found = []
    for row in rows:
        if row.person not in openers:  # erased just now
            continue
        kept = _decision(openers[row.person]("decision", row.body))
        if kept.ranking is None or not kept.ranking.active:
            continue
        pieces = tuple(Piece(item.id, item.kind or "", item.commercial) for item in kept.shown)
        found.append(Shown(row.person, row.at, pieces, tuple(came[row.id]), kept.ranking.arm))
    return found


def _decrypt_profiles(
    rows: Sequence[Any], openers: Mapping[str, Opener], of: Callable[[Profile], str | None]
) -> dict[str, str | None]:
    read = msgspec.json.Decoder(StoredProfile).decode
    return {
        row.pseudonym: of(read(openers[row.pseudonym]("profile", row.profile)).profile)
        for row in rows
        if row.pseudonym in openers
    }
