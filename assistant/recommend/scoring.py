"""The score of every item as a sum of named parts: what is known at the start, and what was learned since.

Cold start: declared interests, recent searches, the mood's affinity, popularity and freshness; then what people who
liked the same liked (`together`). To it comes what the belief has learned (`bandits`): the reward that all these
left unexplained, and a bonus for exploring. No part of a commercial item's score depends on the mood.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from assistant.arrays import Bools, Floats, Floats32, Ints
from assistant.emotion import Mood
from assistant.profile.person import Profile
from assistant.recommend.bandits import Belief, Exploration, Folded, fold
from assistant.recommend.features import AFFINITY, INTEREST, ITEM, SEARCH, blind, context_vector, mood_numbers
from assistant.recommend.item_table import ItemTable
from assistant.recommend.moment import Moment
from assistant.recommend.together import Neighbours, together

Parts = dict[str, Floats]

INTEREST_WEIGHT = 0.3
SEARCH_WEIGHT = 0.3
POPULARITY_WEIGHT = 0.5
"""Of the most popular item; the others' by their share of its rewards."""
FRESHNESS_WEIGHT = 0.1
POPULARITY_HALF_LIFE_S = 7 * 86_400.0
POPULARITY_FEW = 5.0
"""Decayed rewards below which even the most popular item hasn't the whole weight."""
FRESHNESS_HALF_LIFE_S = 3 * 86_400.0


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """What rewards have taught, laid out for one table."""

    belief: Belief
    exploration: Exploration = field(default_factory=Exploration)
    popular: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    """Rows that were rewarded at all."""
    mass: Floats = field(default_factory=lambda: np.empty(0))
    """Their rewards, decayed to the time `at`."""
    at: float = 0.0
    """Unix seconds."""
    neighbours: Neighbours | None = None
    """What is liked together; None where nothing is known of that."""


@dataclass(frozen=True, slots=True, eq=False)
class Beliefs:
    """The belief folded over one context."""

    without: Folded
    """Of the moment alone."""
    knowing: Folded
    """With the mood; the same where there is none."""


def fold_beliefs(who: RankingContext) -> Beliefs | None:
    """What was learned, folded over one context; None before the first reward."""
    if who.learned is None:
        return None
    belief, how, context = who.learned.belief, who.learned.exploration, context_vector(who.moment, who.mood)
    without = fold(belief, blind(context), how, who.seed)
    return Beliefs(without, without if who.mood is None else fold(belief, context, how, who.seed))


@dataclass(frozen=True, slots=True, eq=False)
class RankingContext:
    """Whom a ranking is for, when, and what was learned: all that a score depends on besides the item."""

    profile: Profile
    mood: Mood | None
    """Only with a grant for content."""
    moment: Moment
    now: float
    """Unix seconds."""
    learned: Learned | None
    seed: str
    beliefs: Beliefs | None = None
    """What `fold_beliefs` gives, so that it is worked out once."""
    likes: tuple[str, ...] = ()
    """Ids of what the person liked last, the newest first; empty where that may not be used."""

    @property
    def blind(self) -> RankingContext:
        """The same without the mood."""
        return self if self.mood is None else replace(self, mood=None)


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Some rows of a table as a person sees them, without a copy of the whole table."""

    numbers: Floats
    light: Floats32
    commercial: Bools
    liked: Floats
    searched: Floats
    plain: Parts
    """Parts that need no weights: freshness, popularity and what is liked together."""

    def take(self, at: Ints) -> View:
        """Some of them."""
        plain = {name: part[at] for name, part in self.plain.items()}
        return View(self.numbers[at], self.light[at], self.commercial[at], self.liked[at], self.searched[at], plain)


def view(table: ItemTable, rows: Ints, who: RankingContext) -> View:
    """Rows of a table, ascending, as a person sees them in a situation."""
    size, searches = len(table.items), who.moment.searches
    at = slice(None) if len(rows) == size else rows  # a slice copies nothing
    plain: Parts = {}
    if table.dated:
        age = np.maximum(who.now - table.published[at], 0.0)
        plain["freshness"] = FRESHNESS_WEIGHT * np.exp2(-age / FRESHNESS_HALF_LIFE_S)
    if who.learned is not None:
        plain["popularity"] = _popularity(who.learned, size, who.now)[at]
        if who.likes and who.learned.neighbours is not None:
            plain["together"] = together(who.learned.neighbours, who.likes, size)[at]
    liked = table.liked(who.profile.interests)[at]
    searched = table.searched(searches)[at] if searches else np.zeros(len(rows))
    return View(table.numbers[at], table.light[at], table.commercial[at], liked, searched, plain)


def totals(seen: View, who: RankingContext) -> Floats:
    """[rows]: the scores alone, for many items; `parts` says what they are made of."""
    score = _weigh(seen, who, slice(None))
    if who.mood is not None and seen.commercial.any():
        paid = np.flatnonzero(seen.commercial)
        score[paid] = _weigh(seen, who.blind, paid)
    for part in seen.plain.values():
        score += part
    return score


def _weigh(seen: View, who: RankingContext, rows: Ints | slice) -> Floats:
    """The scores of some rows by their numbers: with the weights of the cold start and those that were learned."""
    weights = np.zeros(len(ITEM))
    weights[INTEREST], weights[SEARCH] = INTEREST_WEIGHT, SEARCH_WEIGHT
    if who.mood is not None:
        weights[AFFINITY] = mood_numbers(who.mood)
    belief: Folded | None = None
    if (beliefs := who.beliefs or fold_beliefs(who)) is not None:
        belief = beliefs.without if who.mood is None else beliefs.knowing
        weights += belief.mean
        if belief.drawn is not None:
            weights += belief.drawn
    numbers, liked, searched = seen.numbers[rows], seen.liked[rows], seen.searched[rows]
    score = np.asarray(numbers @ weights)
    own = np.flatnonzero((liked != 0) | (searched != 0))
    score[own] += weights[INTEREST] * liked[own] + weights[SEARCH] * searched[own]
    if belief is not None and belief.drawn is None:
        bonus = belief.bonus(seen.light[rows])  # what explores needs no more digits
        filled = seen.light[rows][own]
        filled[:, INTEREST], filled[:, SEARCH] = liked[own], searched[own]
        bonus[own] = belief.bonus(filled)
        score += bonus
    return score


def parts(seen: View, who: RankingContext) -> Parts:
    """The parts of the scores of a few rows, such as those of a slate, each [rows]. They sum to `totals`.

    What the mood adds is named `mood_...`, comes last, and is 0 for everything commercial.
    """
    numbers = seen.numbers.copy()
    numbers[:, INTEREST], numbers[:, SEARCH] = seen.liked, seen.searched
    plain: Parts = {"interest": INTEREST_WEIGHT * seen.liked}
    of_mood: Parts = {}
    if who.moment.searches:
        plain["search"] = SEARCH_WEIGHT * seen.searched
    plain |= seen.plain
    free = ~seen.commercial
    if who.mood is not None:
        for column, (name, weight) in enumerate(zip(_FELT, mood_numbers(who.mood), strict=True)):
            of_mood[name] = free * (numbers[:, AFFINITY][:, column] * weight)
    beliefs = who.beliefs or fold_beliefs(who)
    if beliefs is not None:
        plain["learned"] = beliefs.without.expected(numbers)
        plain["exploration"] = beliefs.without.bonus(numbers)
        if who.mood is not None:
            of_mood["mood_learned"] = free * (beliefs.knowing.expected(numbers) - plain["learned"])
            of_mood["mood_exploration"] = free * (beliefs.knowing.bonus(numbers) - plain["exploration"])
    return plain | of_mood


_FELT = ("mood_stress", "mood_valence", "mood_arousal")
_LEARNED = frozenset({"learned", "exploration", "mood_learned", "mood_exploration"})


def cold_start(parts: Mapping[str, float]) -> float:
    """The part of a score that was there before anything was learned: what a reward is compared with."""
    return sum(value for name, value in parts.items() if name not in _LEARNED)


def _popularity(learned: Learned, size: int, now: float) -> Floats:
    popularity = np.zeros(size)
    mass = learned.mass * 2.0 ** (-max(0.0, now - learned.at) / POPULARITY_HALF_LIFE_S)
    popularity[learned.popular] = POPULARITY_WEIGHT * mass / max(mass.max(initial=0.0), POPULARITY_FEW)
    return popularity
