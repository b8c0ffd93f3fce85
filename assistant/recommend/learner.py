"""What each app's rewards have taught: folded from the log of rewards, in every worker alike.

Each worker holds it in memory and catches up with the log. From time to time the state is stored, so that a restart
need not fold the whole log.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import numpy as np

from assistant.recommend.bandits import Exploration
from assistant.recommend.feedback import RewardLog, State, align_state, learn, pack, unpack
from assistant.recommend.item_table import ItemTable
from assistant.recommend.scoring import Learned

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
        self._apps: dict[str, _AppState] = {}

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
        known = self._apps.get(app)
        if known is None:
            known = self._apps[app] = _AppState()
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
