"""Which items, in which order, and why: a score that is a sum of named parts, and exact propensities.

The slate is drawn from the softmax of the scores without replacement (Plackett-Luce), by Gumbel noise seeded with
the decision's id, so every choice can be replayed and its probability is known. While the mood is used, commercial
items come after all others, and no part of a commercial item's score depends on the mood.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from assistant.emotion import Mood
from assistant.profile.person import Profile
from assistant.recommend.catalogue import Item

VERSION = "rank-1"
TEMPERATURE = 0.05
"""Of the softmax: small, so that little is explored."""
_INTEREST = 0.5
_WORDS = {
    "interest": "matches what you said you like: {tags}",
    "mood_stress": "may suit a stressed moment",
    "mood_valence": "may suit the mood",
    "mood_arousal": "may suit the energy of the moment",
    "catalogue": "something from the catalogue",
}


class DecisionLog(Protocol):
    """Where decisions are kept."""

    async def add(self, decision: str, person: str, at: float, body: dict[str, Any]) -> None:
        """Keep one; durable when this returns."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One ranked item."""

    item: Item
    score: float
    """The sum of `parts`."""
    parts: dict[str, float]
    propensity: float
    """Probability of this item at this place, given those above it."""
    reason: str
    """The largest part, in words."""

    def as_json(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "id": self.item.id,
            "title": self.item.title,
            "kind": self.item.kind,
            "language": self.item.language,
            "commercial": self.item.commercial,
            "score": round(self.score, 4),
            "parts": {name: round(part, 4) for name, part in self.parts.items()},
            "propensity": round(self.propensity, 6),
            "reason": self.reason,
        }


def rank(
    items: Sequence[Item], profile: Profile, mood: Mood | None, *, slots: int, seed: str
) -> tuple[Recommendation, ...]:
    """Choose up to `slots` items. `mood` is None where there is no consent to use it for content.

    Items in another language than the person's are left out, unless there are none in theirs.
    """
    if mood is not None and mood.abstained is not None:
        mood = None
    spoken = [item for item in items if item.language == profile.language] or list(items)
    parts = [_parts(item, profile, mood) for item in spoken]
    scores = np.array([sum(part.values()) for part in parts])
    noise = _generator(seed).gumbel(size=len(spoken))
    tiers = [[i for i, item in enumerate(spoken) if item.commercial == paid] for paid in (False, True)]
    order: list[tuple[int, float]] = []
    for tier in tiers if mood is not None else [list(range(len(spoken)))]:
        order += _draw(np.array(tier, dtype=np.int64), scores, noise)
    return tuple(
        Recommendation(
            item=spoken[i],
            score=float(scores[i]),
            parts=parts[i],
            propensity=propensity,
            reason=_reason(spoken[i], parts[i], profile),
        )
        for i, propensity in order[:slots]
    )


def _generator(seed: str) -> np.random.Generator:
    return np.random.default_rng(list(hashlib.sha256(seed.encode()).digest()[:16]))


def _parts(item: Item, profile: Profile, mood: Mood | None) -> dict[str, float]:
    liked = len(set(item.tags) & set(profile.interests))
    parts = {"interest": _INTEREST * liked / len(item.tags) if liked else 0.0}
    if mood is not None and not item.commercial:
        parts["mood_stress"] = item.affinity.stress * mood.stress
        parts["mood_valence"] = item.affinity.valence * mood.valence.mean * mood.confidence
        parts["mood_arousal"] = item.affinity.arousal * mood.arousal.mean * mood.confidence
    return parts


def _draw(
    tier: npt.NDArray[np.int64], scores: npt.NDArray[np.float64], noise: npt.NDArray[np.float64]
) -> list[tuple[int, float]]:
    if not len(tier):
        return []
    logits = scores[tier] / TEMPERATURE
    places = np.argsort(-(logits + noise[tier]), kind="stable")
    weights = np.exp(logits - logits.max())[places]
    left = np.cumsum(weights[::-1])[::-1]
    return [(int(i), float(p)) for i, p in zip(tier[places], weights / left, strict=True)]


def _reason(item: Item, parts: dict[str, float], profile: Profile) -> str:
    name, value = max(parts.items(), key=lambda part: part[1])
    if value <= 0:
        name = "catalogue"
    tags = ", ".join(sorted(set(item.tags) & set(profile.interests)))
    return _WORDS[name].format(tags=tags)
