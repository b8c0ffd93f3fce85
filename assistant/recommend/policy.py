"""Which items, in which order, and why: a score that is a sum of named parts, and exact propensities.

The slate is drawn from the softmax of the scores without replacement, from the decision's id, so every choice can
be replayed and its probability is known (`slate`). While the mood is used, commercial items come after all others,
and no part of a commercial item's score depends on the mood (`scoring`). Nor does how much is explored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from assistant.emotion import Mood
from assistant.profile.person import Profile
from assistant.recommend.catalogue import Item
from assistant.recommend.diversity import Price, price
from assistant.recommend.features import usable
from assistant.recommend.moment import NOWHERE, Moment
from assistant.recommend.scoring import Bools, Ints, Learned, Situation, View, believed, parts, totals, view
from assistant.recommend.shelf import Shelf, lay_out
from assistant.recommend.slate import TEMPERATURE, Drawn, Knobs, draw, draw_diverse, generator, temperature_of

__all__ = [
    "TEMPERATURE",
    "VERSION",
    "WORDS",
    "DecisionLog",
    "Ranking",
    "Reason",
    "Recommendation",
    "rank",
    "ranked",
]

VERSION = "rank-2"
WORDS = {
    "interest": "matches what you said you like: {tags}",
    "search": "matches what you looked for lately",
    "popularity": "others liked it lately",
    "freshness": "it is new",
    "learned": "people in such a moment liked the like of it",
    "exploration": "to find out whether it is liked",
    "mood_stress": "may suit a stressed moment",
    "mood_valence": "may suit the mood",
    "mood_arousal": "may suit the energy of the moment",
    "mood_learned": "people in such a mood liked the like of it",
    "mood_exploration": "to find out whether it suits such a mood",
    "catalogue": "something from the catalogue",
}
"""What each part of a score says to a person."""


class DecisionLog(Protocol):
    """Where decisions are kept."""

    async def add(self, decision: str, person: str, at: float, body: dict[str, Any]) -> None:
        """Keep one; durable when this returns."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One part of a score."""

    code: str
    """The part's name: stable."""
    words: str
    part: float

    @property
    def of_mood(self) -> bool:
        """It comes from the mood."""
        return self.code.startswith("mood_")


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
    reasons: tuple[Reason, ...] = ()
    """The parts that are not 0, the largest first; they sum to the score."""

    @property
    def blind_score(self) -> float:
        """What the score would have been without the mood."""
        return sum(part for name, part in self.parts.items() if not name.startswith("mood_"))

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


@dataclass(frozen=True, slots=True)
class Ranking:
    """A slate and how it was drawn."""

    slate: tuple[Recommendation, ...]
    knobs: Knobs
    temperature: float
    """Of the softmax, after the exploration budget."""
    price: Price
    """Of diversity."""
    mood_used: bool


def rank(
    items: Sequence[Item] | Shelf, profile: Profile, mood: Mood | None, *, slots: int, seed: str, **more: Any
) -> tuple[Recommendation, ...]:
    """The slate of `ranked`."""
    return ranked(items, profile, mood, slots=slots, seed=seed, **more).slate


def ranked(
    items: Sequence[Item] | Shelf,
    profile: Profile,
    mood: Mood | None,
    *,
    slots: int,
    seed: str,
    moment: Moment = NOWHERE,
    now: float = 0.0,
    candidates: Sequence[str] | None = None,
    learned: Learned | None = None,
    knobs: Knobs = Knobs(),  # noqa: B008
    offers: bool = True,
) -> Ranking:
    """Choose up to `slots` items. `mood` is None where there is no consent to use it for content.

    Items in another language than the person's are left out, unless there are none in theirs; so is what isn't
    available `now` (Unix seconds), and, without `offers`, everything commercial.
    """
    mood = usable(mood)
    shelf = items if isinstance(items, Shelf) else lay_out(items)
    rows = shelf.rows(profile.language, now, candidates)
    if not offers:
        rows = rows[~shelf.commercial[rows]]
    who = Situation(profile, mood, moment, now, learned, seed)
    who = replace(who, beliefs=believed(who))
    seen = view(shelf, rows, who)
    scores = totals(seen, who)
    temperature = knobs.temperature
    if knobs.exploration_budget is not None:
        temperature = temperature_of(scores if mood is None else totals(seen, who.blind), knobs)
    places: list[Drawn] = []
    noise = np.empty(0) if knobs.serendipity else -np.log(generator(seed).standard_exponential(len(rows)))
    whole = len(rows) == len(shelf.items)
    vectors = shelf.vectors if whole else shelf.vectors[rows]
    for name, tier in _tiers(shelf.commercial if whole else shelf.commercial[rows], mood_used=mood is not None):
        wanted = min(slots - len(places), len(rows) if tier is None else int(tier.sum()))
        if wanted <= 0:
            continue
        of_tier = scores if tier is None else np.where(tier, scores, -np.inf)
        if knobs.serendipity:
            rng = generator(seed, name)
            places += draw_diverse(of_tier, vectors, wanted, temperature, knobs.serendipity, rng)
        else:
            places += draw(of_tier, noise, wanted, temperature)
    cost = Price(0.0, 0.0)
    if knobs.serendipity:
        first = np.ones(len(rows), dtype=bool) if mood is None else ~shelf.commercial[rows]
        cost = price(scores[first], vectors[first], slots, knobs.serendipity)
    return Ranking(_slate(shelf, rows, places, seen, who), knobs, temperature, cost, mood is not None)


def _tiers(commercial: Bools, *, mood_used: bool) -> list[tuple[str, Bools | None]]:
    """Which of the scored rows, in the order in which places are filled; None: all of them."""
    if not mood_used or not commercial.any():
        return [("all", None)]
    return [("free", ~commercial), ("commercial", commercial)]


def _slate(
    shelf: Shelf, rows: Ints, places: Sequence[Drawn], seen: View, who: Situation
) -> tuple[Recommendation, ...]:
    at = np.array([one.row for one in places], dtype=np.int64)
    chosen, taken = rows[at], parts(seen.take(at), who)
    found = []
    for place, (row, drawn) in enumerate(zip(chosen.tolist(), places, strict=True)):
        item = shelf.items[row]
        own = {name: float(part[place]) for name, part in taken.plain.items()}
        if not item.commercial:
            own |= {name: float(part[place]) for name, part in taken.felt.items()}
        reasons = _reasons(item, own, who.profile)
        said = reasons[0].words if reasons and reasons[0].part > 0 else WORDS["catalogue"]
        found.append(Recommendation(item, sum(own.values()), own, drawn.propensity, said, reasons))
    return tuple(found)


def _reasons(item: Item, parts: dict[str, float], profile: Profile) -> tuple[Reason, ...]:
    tags = ", ".join(sorted(set(item.tags) & set(profile.interests)))
    found = [
        Reason(name, WORDS[name].format(tags=tags) if name == "interest" else WORDS[name], part)
        for name, part in parts.items()
        if part
    ]
    return tuple(sorted(found, key=lambda reason: -reason.part))
