"""What the log of rewards says of each app and each person: what was learned, and what people liked last.

Each worker holds it in memory and catches up with the log. From time to time an app's state is stored, so that a
restart need not fold the whole log. What a person liked last is read from their own sealed rewards.
"""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from dataclasses import dataclass, field, replace

import numpy as np

from assistant.bounded import BoundedDict
from assistant.recommend.bandits import Exploration
from assistant.recommend.feedback import RewardLog, State, align_state, learn, pack, shows_taste, unpack
from assistant.recommend.item_table import ItemTable
from assistant.recommend.scoring import Learned
from assistant.recommend.together import LIKES

REFRESH_S = 1.0
"""How old what was learned may be, beside this worker's own rewards."""
SNAPSHOT_EVERY = 200
"""Rewards after which the state is stored."""


@dataclass(slots=True)
class _AppState:
    """What one app's rewards have taught, as far as this worker knows."""

    state: State = field(default_factory=State)
    stored: int = 0
    """Number of the last reward in the newest snapshot."""
    looked_at: float = -np.inf
    aligned: tuple[ItemTable, State, Learned] | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Learner:
    """Learns from the rewards of all apps."""

    def __init__(self, log: RewardLog, exploration: Exploration) -> None:
        self._log = log
        self._exploration = exploration
        self._apps = defaultdict[str, _AppState](_AppState)

    async def learned(self, app: str, table: ItemTable, now: float) -> Learned | None:
        """What was learned, by the rows of a table; None before the first reward."""
        state = await self.state(app, now)
        if not state.number:
            return None
        known = self._apps[app]
        if known.aligned is None or known.aligned[0] is not table or known.aligned[1] is not state:
            known.aligned = (table, state, align_state(state, table, now, self._exploration))
        return known.aligned[2]

    async def state(self, app: str, now: float) -> State:
        """What the app's acknowledged rewards have taught, caught up to `REFRESH_S` ago."""
        known = self._apps[app]
        if now - known.looked_at < REFRESH_S:
            return known.state
        async with known.lock:
            if now - known.looked_at < REFRESH_S:
                return known.state
            if not known.state.number and (snapshot := await self._log.snapshot(app)) is not None:
                known.state = unpack(snapshot[1])
                known.stored = known.state.number
            number, rewards = await self._log.after(app, known.state.number)
            if rewards:
                known.state = await asyncio.to_thread(learn, known.state, rewards, number)
            known.looked_at = now
            if known.state.number - known.stored >= SNAPSHOT_EVERY:
                await self._log.keep(app, known.state.number, await asyncio.to_thread(pack, known.state))
                known.stored = known.state.number
        return known.state

    def outdate(self, app: str) -> None:
        """A reward was added: look at the log before the next use."""
        if app in self._apps:
            self._apps[app].looked_at = -np.inf


LIKES_REFRESH_S = 300.0
"""Seconds for which what was read is used, unless this worker took a reward meanwhile."""
_READ = 100
"""A person's newest rewards, among which their likes are looked for."""
_PEOPLE = 20_000


@dataclass(frozen=True, slots=True)
class _KnownLikes:
    items: tuple[str, ...]
    """The newest first."""
    number: int
    """Of the last reward that was read."""
    at: float
    """Unix seconds."""


class LikedLately:
    """What people liked last."""

    def __init__(self, log: RewardLog) -> None:
        self._log = log
        self._known = BoundedDict[str, _KnownLikes](_PEOPLE)
        self._forgets = 0

    async def recent(self, person: str, now: float) -> tuple[str, ...]:
        """Ids of items, the newest first, at most `LIKES`; without what may not be used."""
        known = self._known.get(person)
        if known is None or abs(now - known.at) >= LIKES_REFRESH_S:
            known = await self._read(person, known or _KnownLikes((), 0, now), now)
        return known.items

    def outdate(self, person: str) -> None:
        """The person gave a reward: read again before the next use."""
        if (known := self._known.get(person)) is not None:
            self._known[person] = replace(known, at=float("-inf"))

    def forget(self, person: str) -> None:
        """Drop what is in memory; a read that is under way keeps nothing."""
        self._known.pop(person, None)
        self._forgets += 1

    async def _read(self, person: str, known: _KnownLikes, now: float) -> _KnownLikes:
        forgets = self._forgets
        number, rewards = await self._log.of_person(person, known.number, _READ)
        liked = [reward.item for reward in reversed(rewards) if reward.taste and shows_taste(reward)]
        items = tuple(sys.intern(item) for item in dict.fromkeys([*liked, *known.items]))[:LIKES]
        read = _KnownLikes(items, max(number, known.number), now)
        if forgets == self._forgets:  # else perhaps they were erased meanwhile
            self._known[person] = read
        return read
