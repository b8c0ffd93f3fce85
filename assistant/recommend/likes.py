"""What people liked last: read from their own sealed rewards, and kept in memory for a while.

It is read when a worker first ranks for somebody who may be known by it, or first takes a reward of theirs; then
only what is newer is read, after a reward that this worker took and else after `REFRESH_S`.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from dataclasses import dataclass, replace

from assistant.recommend.feedback import RewardLog, shows_taste
from assistant.recommend.together import LIKES

REFRESH_S = 300.0
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
        self._known: OrderedDict[str, _KnownLikes] = OrderedDict()
        self._forgets = 0

    async def recent(self, person: str, now: float) -> tuple[str, ...]:
        """Ids of items, the newest first, at most `LIKES`; without what may not be used."""
        known = self._known.get(person)
        if known is None or abs(now - known.at) >= REFRESH_S:
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
            self._known.move_to_end(person)
            if len(self._known) > _PEOPLE:
                self._known.popitem(last=False)
        return read
