"""What decisions knew of the mood: in memory, until the mood expires or any consent of the person is withdrawn.

A reward that comes later teaches without it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from assistant.emotion import Mood
from assistant.recommend.ranking import Ranking

_DECISIONS = 20_000


@dataclass(frozen=True, slots=True)
class MoodPart:
    """What one decision knew of the mood."""

    person: str
    """Pseudonym."""
    expires_at: float
    """Unix seconds."""
    context: tuple[float, ...] | None
    """The context's numbers, by which a reward may teach; None where the mood may not be remembered."""
    parts: Mapping[str, Mapping[str, float]]
    """Item to what the mood added to its score."""


class MoodParts:
    """By decision; the oldest goes first."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, MoodPart] = OrderedDict()

    def __contains__(self, decision: str) -> bool:
        return decision in self._known

    def remember(
        self, decision: str, person: str, mood: Mood, context: tuple[float, ...] | None, ranking: Ranking
    ) -> None:
        """Remember what the mood added to a ranking."""
        parts = {
            ranked.item.id: {name: part for name, part in ranked.parts.items() if name.startswith("mood_")}
            for ranked in ranking.slate
        }
        self._known[decision] = MoodPart(person, mood.expires_at, context, parts)
        if len(self._known) > _DECISIONS:
            self._known.popitem(last=False)

    def get(self, decision: str, now: float) -> MoodPart | None:
        """What a decision knew; None once that isn't remembered any more, or the mood has expired at `now`."""
        known = self._known.get(decision)
        return known if known is not None and known.expires_at > now else None

    def forget(self, person: str) -> None:
        """Drop everything about a person."""
        for decision in [name for name, known in self._known.items() if known.person == person]:
            del self._known[decision]
