"""Which items, in which order, and why: a score that is a sum of named parts, and exact propensities.

The slate is drawn from the softmax of the scores without replacement, from the decision's id, so every choice can
be replayed and its probability is known (`slate`). While the mood is used, commercial items come after all others,
and no part of a commercial item's score depends on the mood (`scoring`). Nor does how much is explored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

import numpy as np

from assistant.arrays import Bools, Ints
from assistant.recommend.catalogue import Item
from assistant.recommend.features import usable
from assistant.recommend.item_table import ItemTable
from assistant.recommend.moment import NOWHERE, Moment
from assistant.recommend.scoring import RankingContext, View, fold_beliefs, parts, totals, view
from assistant.recommend.slate import Drawn, Knobs, Price, draw, draw_diverse, generator, price, temperature_of
from assistant.recommend.together import strongest_like

VERSION = "rank-3"
WORDS = {
    "interest": "matches what you said you like",
    "search": "matches what you looked for lately",
    "popularity": "others liked it lately",
    "together": "people who liked what you liked, liked this too",
    "freshness": "it is new",
    "learned": "people liked similar items in similar situations",
    "exploration": "to find out whether it is liked",
    "mood_stress": "may suit a stressed moment",
    "mood_valence": "may suit the mood",
    "mood_arousal": "may suit the energy of the moment",
    "mood_learned": "people in such a mood liked the like of it",
    "mood_exploration": "to find out whether it suits such a mood",
    "catalogue": "something from the catalogue",
}
"""Each part of a score in words for the person. A ranking adds what the part is known from, where it is known."""


@dataclass(frozen=True, slots=True)
class RankRequest:
    """What an app asks of one ranking."""

    slots: int = 5
    candidates: Sequence[str] | None = None
    """Ids of the only items that may be ranked; None: all."""
    moment: Moment = NOWHERE
    offers: bool = True
    """Commercial items may be shown."""
    active: bool = True
    """It is shown at once; else rewards count only after it was activated."""
    knobs: Knobs = Knobs()


@dataclass(frozen=True, slots=True)
class ScoreReason:
    """One part of a score."""

    code: str
    """The part's name: stable."""
    words: str
    part: float


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
    reasons: tuple[ScoreReason, ...] = ()
    """The parts that are not 0, the largest first; they sum to the score."""


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


def rank_items(table: ItemTable, who: RankingContext, request: RankRequest) -> Ranking:
    """Choose up to `request.slots` items.

    Items in another language than the person's are left out, unless there are none in theirs; so is what isn't
    available now, and, without `request.offers`, everything commercial.
    """
    if usable(who.mood) is None:
        who = who.blind
    who = replace(who, beliefs=fold_beliefs(who))
    knobs, seed = request.knobs, who.seed
    rows = table.rows(who.profile.language, who.now, request.candidates)
    if not request.offers:
        rows = rows[~table.commercial[rows]]
    seen = view(table, rows, who)
    scores = totals(seen, who)
    temperature = knobs.temperature
    if knobs.exploration_budget is not None:
        temperature = temperature_of(scores if who.mood is None else totals(seen, who.blind), knobs)
    diverse = knobs.serendipity > 0
    noise = np.empty(0) if diverse else -np.log(generator(seed).standard_exponential(len(rows)))
    vectors = table.vectors if len(rows) == len(table.items) else table.vectors[rows]
    places: list[Drawn] = []
    cost = Price(0.0, 0.0)
    for name, others in _tiers(seen.commercial, mood_used=who.mood is not None):
        wanted = min(request.slots - len(places), len(rows) - len(others))
        if wanted <= 0:
            continue
        of_tier = scores
        if len(others):
            of_tier = scores.copy()
            of_tier[others] = -np.inf
        if diverse:
            rng = generator(seed, name)
            cost = cost if places else price(of_tier, vectors, wanted, knobs.serendipity)
            places += draw_diverse(of_tier, vectors, wanted, temperature, knobs.serendipity, rng)
        else:
            places += draw(of_tier, noise, wanted, temperature)
    return Ranking(_slate(table, rows, places, seen, who), knobs, temperature, cost, who.mood is not None)


def _tiers(commercial: Bools, *, mood_used: bool) -> list[tuple[str, Ints]]:
    """In the order in which places are filled: a name, and the scored rows that are not of it."""
    paid = np.flatnonzero(commercial) if mood_used else _NONE
    if not len(paid):
        return [("all", paid)]
    return [("free", paid), ("commercial", np.flatnonzero(~commercial))]


_NONE = np.empty(0, dtype=np.int64)


def _slate(
    table: ItemTable, rows: Ints, places: Sequence[Drawn], seen: View, who: RankingContext
) -> tuple[Recommendation, ...]:
    drawn_rows = np.array([drawn.row for drawn in places], dtype=np.int64)
    scored = {name: part.tolist() for name, part in parts(seen.take(drawn_rows), who).items()}
    slate = []
    for place, (row, drawn) in enumerate(zip(rows[drawn_rows].tolist(), places, strict=True)):
        item = table.items[row]
        own = {
            name: part[place] for name, part in scored.items() if not (item.commercial and name.startswith("mood_"))
        }
        reasons = _reasons(own, row, table, who)
        largest = reasons[0].words if reasons and reasons[0].part > 0 else WORDS["catalogue"]
        slate.append(Recommendation(item, sum(own.values()), own, drawn.propensity, largest, reasons))
    return tuple(slate)


def _reasons(parts: dict[str, float], row: int, table: ItemTable, who: RankingContext) -> tuple[ScoreReason, ...]:
    largest = sorted(((part, name) for name, part in parts.items() if part), key=itemgetter(0), reverse=True)
    return tuple([ScoreReason(name, _words(name, row, table, who), part) for part, name in largest])


def _words(code: str, row: int, table: ItemTable, who: RankingContext) -> str:
    """A part of one item's score in words, with what it is known from."""
    if code == "interest":
        tags = sorted(set(table.items[row].tags) & set(who.profile.interests))
        return f"{WORDS[code]}: {', '.join(tags)}"
    if code == "together" and who.learned is not None and who.learned.neighbours is not None:
        liked = strongest_like(who.learned.neighbours, who.likes, row)
        if liked in table.place:
            return f"because people who liked {table.items[table.place[liked]].title} liked this too"
    return WORDS[code]
