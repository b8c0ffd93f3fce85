"""Why items were ranked as they were: the parts of each score, in data and in words, with and without the mood."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from assistant.recommend.decision import RankingDecision
from assistant.recommend.ranking import WORDS

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
