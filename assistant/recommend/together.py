"""Who liked this also liked: items that the same people liked, counted from rewards as they come.

The likeness of two items is the cosine of the people who liked them, shrunk where those are few (Sarwar et al.
2001; Deshpande & Karypis 2004). An item is scored by its likeness to what the person liked last.

What is kept are counts of people and no person: how many liked an item, and how many two of them. They grow with
the log of rewards, in its order, so whoever folds the same log counts the same. A pair counts only once a few
people share it, so that nobody's own taste shows in another's slate (Calandrino et al. 2011).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from assistant.arrays import Floats, Ints
from assistant.recommend.item_table import ItemTable

LIKED = 0.3
"""The least reward of something liked: that of a click."""
LIKES = 20
"""What a person liked last, by which their taste is known, and with which what they like next is paired."""
FEWEST = 3
"""People who like both, below which a pair says nothing."""
SHRINK = 1.0
"""Added to the geometric mean of how many like each of two items."""
FADING = 0.9
"""What a like counts beside the one after it."""
WEIGHT = 2.0
"""Of this part of a score; with `TRUST` and `HALF` it stays below 1."""
TRUST = 20.0
"""Likes of a person at which half of `WEIGHT` is trusted."""
HALF = 1.0
"""Likeness to all that they like at which the part is half of what it can be."""


class Like(NamedTuple):
    """Somebody liked something."""

    item: str
    beside: Sequence[str]
    """What they liked before, at most `LIKES`; with the item itself in it, it is liked again and counts no more."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is kept. At twice as much, what is rarest goes; of what is as rare, the oldest."""

    items: int = 5_000
    partners: int = 50
    """Of each item."""


BOUNDS = Bounds()


@dataclass(frozen=True, slots=True, eq=False)
class Together:
    """How many people liked items, alone and together."""

    people: Mapping[str, int] = field(default_factory=dict)
    """Item to how many like it."""
    pairs: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Item to other items, and how many like both."""


def add_likes(known: Together, likes: Iterable[Like], bounds: Bounds = BOUNDS) -> Together:
    """The counts after some more likes, in the order of the log.

    >>> both = add_likes(Together(), [Like("a", ()), Like("b", ("a",)), Like("b", ("b", "a"))])
    >>> both.people, both.pairs["a"]
    ({'a': 1, 'b': 1}, {'b': 1})
    """
    likes = [like for like in likes if like.item not in like.beside]
    if not likes:
        return known
    people, pairs = dict(known.people), dict(known.pairs)
    own: set[str] = set()
    """Items whose partners are no longer shared with `known`."""

    def count(item: str, other: str) -> None:
        if item not in own:
            own.add(item)
            pairs[item] = dict(pairs.get(item, ()))
        partners: dict[str, int] = pairs[item]  # type: ignore[assignment]
        partners[other] = partners.get(other, 0) + 1
        if len(partners) > 2 * bounds.partners:
            pairs[item] = _commonest(partners, bounds.partners)

    for like in likes:
        people[like.item] = people.get(like.item, 0) + 1
        for other in like.beside:
            if other in people:
                count(like.item, other)
                count(other, like.item)
        if len(people) > 2 * bounds.items:
            people = _commonest(people, bounds.items)
            pairs = {
                item: {other: count for other, count in partners.items() if other in people}
                for item, partners in pairs.items()
                if item in people
            }
            own = set(pairs)
    return Together(people, pairs)


def _commonest(counts: Mapping[str, int], most: int) -> dict[str, int]:
    """The largest counts, in the order in which they came; of equal ones the latest."""
    latest_first = list(counts)[::-1]
    kept = set(sorted(latest_first, key=counts.__getitem__, reverse=True)[:most])  # stable
    return {name: count for name, count in counts.items() if name in kept}


def pack_counts(known: Together) -> tuple[list[str], list[int], list[list[int]]]:
    """Names, how many like each, and for each its partners as place, count, place, count and so on."""
    names = list(dict.fromkeys([*known.people, *(name for row in known.pairs.values() for name in row)]))
    place = {name: at for at, name in enumerate(names)}
    rows = [[place[item], *(n for o, c in row.items() for n in (place[o], c))] for item, row in known.pairs.items()]
    return names, list(known.people.values()), rows


def unpack_counts(names: list[str], people: list[int], rows: list[list[int]]) -> Together:
    """Undo `pack_counts`.

    >>> known = add_likes(Together(), [Like("a", ()), Like("b", ("a",))])
    >>> unpack_counts(*pack_counts(known)).pairs == known.pairs
    True
    """
    pairs = {
        names[row[0]]: {names[at]: count for at, count in zip(row[1::2], row[2::2], strict=True)} for row in rows
    }
    return Together(dict(zip(names, people, strict=False)), pairs)


class Neighbours:
    """What is liked together, laid out for one table; worked out for an item when it is first asked for."""

    def __init__(self, known: Together, table: ItemTable) -> None:
        self._known = known
        self._table = table
        self._neighbours: dict[str, tuple[Ints, Floats]] = {}
        self._by_row: dict[str, dict[int, float]] = {}

    def alike(self, item: str) -> tuple[Ints, Floats]:
        """Rows of the table and how alike they are, without anything commercial."""
        neighbours = self._neighbours.get(item)
        if neighbours is None:
            neighbours = self._neighbours[item] = self._alike(item)
        return neighbours

    def likeness(self, item: str, row: int) -> float:
        """How alike one row is; 0 where that isn't known."""
        if item not in self._by_row:
            rows, alike = self.alike(item)
            self._by_row[item] = dict(zip(rows.tolist(), alike.tolist(), strict=True))
        return self._by_row[item].get(row, 0.0)

    def _alike(self, item: str) -> tuple[Ints, Floats]:
        people, place, paid = self._known.people, self._table.place, self._table.commercial
        partners = self._known.pairs.get(item, {})
        if item in place and paid[place[item]]:
            partners = {}
        kept = [
            (place[other], count, people[other])
            for other, count in partners.items()
            if count >= FEWEST and other in place and not paid[place[other]]
        ]
        rows = np.array([row for row, _, _ in kept], dtype=np.int64)
        counts = np.array([count for _, count, _ in kept], dtype=np.float64)
        alone = np.array([alone for _, _, alone in kept], dtype=np.float64)
        return rows, counts / (np.sqrt(people.get(item, 0) * alone) + SHRINK)


def together(neighbours: Neighbours, likes: Sequence[str], size: int) -> Floats:
    """[size]: the part of each row's score that comes from what the person liked, the newest first.

    With R the sum of likenesses, older likes fading, and n likes: WEIGHT x n / (n + TRUST) x R / (R + HALF).
    """
    score = np.zeros(size)
    for age, item in enumerate(likes[:LIKES]):
        rows, alike = neighbours.alike(item)
        score[rows] += FADING**age * alike
    count = min(len(likes), LIKES)
    reached = np.flatnonzero(score)
    score[reached] *= WEIGHT * count / (count + TRUST) / (score[reached] + HALF)
    return score


def strongest_like(neighbours: Neighbours, likes: Sequence[str], row: int) -> str | None:
    """Which of the person's likes says most for a row of the table; None where none does."""
    weighed = [(FADING**age * neighbours.likeness(item, row), item) for age, item in enumerate(likes[:LIKES])]
    most, item = max(weighed, key=itemgetter(0), default=(0.0, ""))
    return item if most > 0 else None
