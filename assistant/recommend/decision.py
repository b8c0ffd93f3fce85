"""The ranking of a decision: what is kept of it, what is remembered of the mood in it, and how it is explained.

What is kept is stored for a year and holds no number of a mood. What the mood added is in memory, until the mood
expires or any consent of the person is withdrawn. `assistant.decision` has the whole decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import msgspec

from assistant.bounded import BoundedDict
from assistant.emotion import Mood
from assistant.recommend.holdout import Arm
from assistant.recommend.ranking import WORDS, Ranking


class DecidedItem(msgspec.Struct, frozen=True, kw_only=True):
    """One item of a slate."""

    id: str
    kind: str
    commercial: bool
    propensity: float
    """Probability of this item at this place, given those above it."""
    reason: str
    """The largest part of its score, in words."""
    codes: tuple[str, ...]
    """The parts of its score above 0, the largest first."""
    parts: dict[str, float]
    """The parts of its score, without those that the mood made."""
    own: tuple[float, float]
    """Its two features that depend on the person: match with their interests, and with their searches."""


class Diversity(msgspec.Struct, frozen=True):
    """What diversity cost and brought (`slate.Price`), and where it came from."""

    price: float
    likeness: float
    because: Literal["asked", "bubble_limit"]


class RankingDecision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How one slate was chosen. Members that have a default are written only where they differ from it."""

    inputs: tuple[str, ...]
    """Names of what was looked at."""
    policy: str
    """Version of the ranking."""
    mood_used: bool
    arm: Arm | None
    """Of the standing experiment; None where no use of the mood was granted."""
    active: bool
    """It was shown; else rewards count only once it is activated."""
    temperature: float
    serendipity: float
    context: tuple[float, ...]
    """The moment as numbers (`features.MOMENT`)."""
    items: tuple[DecidedItem, ...]
    diversity: Diversity | None = None
    without_mood: tuple[str, ...] | None = None
    """Ids of the slate that the same chance would have drawn without the mood; None where none was used."""
    likes: int = 0
    """How many items that the person liked before were looked at."""
    taste: bool = True
    """Rewards may say what the person likes; not where they asked that nothing about them be used."""


@dataclass(frozen=True, slots=True)
class DecidedRanking:
    """A kept ranking, with whose it is."""

    person: str
    """Pseudonym."""
    at: float
    """Unix seconds."""
    ranking: RankingDecision


class DecisionBook(Protocol):
    """Where rankings are found again. `store` implements it."""

    async def find(self, app: str, decision: str) -> DecidedRanking:
        """The ranking of one of the app's decisions.

        Raises `NotFound` (`decision_unknown`), also for a decision that ranked nothing.
        """

    async def activate(self, app: str, decision: str) -> None:
        """Mark a ranking as shown. Raises `NotFound` (`decision_unknown`)."""


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
        self._known = BoundedDict[str, MoodPart](_DECISIONS)

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

    def get(self, decision: str, now: float) -> MoodPart | None:
        """What a decision knew; None once that isn't remembered any more, or the mood has expired at `now`."""
        known = self._known.get(decision)
        return known if known is not None and known.expires_at > now else None

    def forget(self, person: str) -> None:
        """Drop everything about a person."""
        for decision in [name for name, known in self._known.items() if known.person == person]:
            del self._known[decision]


Parts = Mapping[str, float]

CORRECTIONS: Mapping[str, Mapping[str, bool | float]] = {
    "mood_stress": {"stress": False},
    "mood_valence": {"valence": 0.0},
    "mood_arousal": {"arousal": 0.0},
}
"""What the person can say of themself where that part of a score read their mood wrongly."""


class ReasonExplained(msgspec.Struct, frozen=True):
    """A part of a score that spoke for an item, or a rule that fired."""

    code: str
    says: str


class ItemExplained(msgspec.Struct, frozen=True, kw_only=True):
    """An item of a decision."""

    id: str
    place: int
    propensity: float
    reason: str
    reasons: tuple[ReasonExplained, ...]
    parts: dict[str, float]
    """They sum to the score."""
    score_without_mood: float
    score: float | None
    """None where the mood was used and what it added isn't remembered any more."""


def explain_items(ranking: RankingDecision, mood_parts: Mapping[str, Parts] | None) -> tuple[ItemExplained, ...]:
    """The items of a kept ranking, each with the parts that sum to its score.

    `mood_parts` says what the mood added, by item: empty where no mood was used, and None where one was and isn't
    remembered any more. Then the whole score isn't known either, only that without the mood.
    """
    explained = []
    for place, item in enumerate(ranking.items):
        parts = item.parts | dict((mood_parts or {}).get(item.id, {}))
        explained.append(
            ItemExplained(
                id=item.id,
                place=place,
                propensity=item.propensity,
                reason=item.reason,
                reasons=tuple(ReasonExplained(code, WORDS[code]) for code in item.codes),
                parts={name: round(value, 6) for name, value in parts.items()},
                score_without_mood=round(sum(item.parts.values()), 6),
                score=None if mood_parts is None else round(sum(parts.values()), 6),
            )
        )
    return tuple(explained)


def correction_of(ranking: RankingDecision) -> Mapping[str, bool | float] | None:
    """The correction that fits the first and largest part that the mood made; None where it made none of these."""
    codes = (code for item in ranking.items for code in item.codes)
    return next((CORRECTIONS[code] for code in codes if code in CORRECTIONS), None)
