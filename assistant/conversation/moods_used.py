"""The mood that each decision used: in memory until it expires, so that the decision can be explained."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from assistant.emotion import Mood

_DECISIONS = 20_000


@dataclass(frozen=True, slots=True)
class MoodsUsed:
    """The mood that a decision used for its tone and for its ranking; None where none was used."""

    person: str
    """Pseudonym."""
    tone: Mood | None
    content: Mood | None


class MoodsUsedMemory:
    """By decision; the oldest goes first."""

    def __init__(self) -> None:
        self._used: OrderedDict[str, MoodsUsed] = OrderedDict()

    def add(self, decision: str, used: MoodsUsed) -> None:
        """Remember what a decision used, if anything."""
        if used.tone is None and used.content is None:
            return
        self._used[decision] = used
        if len(self._used) > _DECISIONS:
            self._used.popitem(last=False)

    def find(self, decision: str, now: float) -> MoodsUsed | None:
        """What a decision used, while the mood is not expired at unix time `now`."""
        used = self._used.get(decision)
        if used is None:
            return None
        tone, content = (
            mood if mood is not None and now < mood.expires_at else None for mood in (used.tone, used.content)
        )
        if tone is None and content is None:
            del self._used[decision]
            return None
        return MoodsUsed(used.person, tone, content)

    def forget(self, person: str) -> None:
        """Drop all moods of a person; each may rest on any modality."""
        for decision in [decision for decision, used in self._used.items() if used.person == person]:
            del self._used[decision]
