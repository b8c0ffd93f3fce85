"""The kinds of items that people were shown lately: read from the log of decisions, and kept in memory for a while.

Every worker reads the same log, so a filter bubble is known after a restart and by all of them; what another worker
showed meanwhile is known here after `REFRESH_S` at the latest.
"""

from __future__ import annotations

import sys
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from assistant.recommend.bubble import LATELY, Bubble, ShownKinds, bubble
from assistant.recommend.item_table import ItemTable

REFRESH_S = 300.0
"""Seconds for which what was read is used; what this worker shows is added at once."""
_PEOPLE = 20_000


@dataclass(frozen=True, slots=True)
class _KnownKinds:
    at: float
    """Unix seconds."""
    kinds: deque[str] = field(default_factory=lambda: deque(maxlen=LATELY))


class ShownLately:
    """The kinds of items that people were shown lately."""

    def __init__(self, log: ShownKinds) -> None:
        self._log = log
        self._known: OrderedDict[str, _KnownKinds] = OrderedDict()
        self._forgets = 0
        self._kinds: dict[str, tuple[ItemTable, frozenset[str]]] = {}

    async def bubble(self, app: str, person: str, table: ItemTable, now: float) -> Bubble:
        """How narrow what the person was shown lately is."""
        return bubble(await self.kinds(person, now), self._of(app, table))

    async def kinds(self, person: str, now: float) -> Sequence[str]:
        """The kinds of the last items that they were shown, oldest first."""
        known = self._known.get(person)
        if known is None or abs(now - known.at) >= REFRESH_S:
            known = await self._read(person, now)
        return tuple(known.kinds)

    def add(self, person: str, kinds: Sequence[str]) -> None:
        """The person is shown some more items; they count with those that were read."""
        if (known := self._known.get(person)) is not None:
            known.kinds.extend(kinds)

    def forget(self, person: str) -> None:
        """Drop what is in memory; a read that is under way keeps nothing."""
        self._known.pop(person, None)
        self._forgets += 1

    async def _read(self, person: str, now: float) -> _KnownKinds:
        forgets, read = self._forgets, _KnownKinds(now)
        read.kinds.extend(sys.intern(kind) for kind in await self._log.kinds(person, LATELY))
        if forgets == self._forgets:  # else perhaps they were erased meanwhile
            self._known[person] = read
            self._known.move_to_end(person)
            if len(self._known) > _PEOPLE:
                self._known.popitem(last=False)
        return read

    def _of(self, app: str, table: ItemTable) -> frozenset[str]:
        known = self._kinds.get(app)
        if known is None or known[0] is not table:
            known = self._kinds[app] = (table, frozenset(item.kind for item in table.items))
        return known[1]
