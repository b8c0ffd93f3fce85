"""A catalogue laid out for ranking: one row of numbers per item, made once for each version."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from assistant.arrays import Bools, Floats, Floats32, Ints
from assistant.recommend.catalogue import Item
from assistant.recommend.features import BUCKETS, COMMERCIAL, ITEM, item_numbers
from assistant.recommend.slate import unit

_NEVER = 4e12
"""Unix seconds that no clock reaches."""


@dataclass(frozen=True, slots=True, eq=False)
class ItemTable:
    """Items, and the numbers that ranking needs."""

    items: tuple[Item, ...]
    place: dict[str, int]
    """Id to row."""
    numbers: Floats
    """[items, len(ITEM)]; the columns that depend on a person are 0."""
    light: Floats32
    """The same in single precision, where it is precise enough."""
    vectors: Floats32
    """[items, buckets], of length 1 or 0: what likeness is measured by. Column by column, which is faster."""
    commercial: Bools
    published: Floats
    """Unix seconds; -inf where unknown."""
    available_from: Floats
    available_until: Floats
    """Unix seconds; what is switched off is never available."""
    languages: dict[str, Ints]
    """Language to rows."""
    tags: dict[str, Ints]
    """Tag to the rows that have it."""
    tag_counts: Floats
    words: dict[str, Ints]
    """Word of a title, kind or tag, in lower case, to the rows that have it."""
    timed: bool
    """Something is not always available."""
    dated: bool
    """Something has a time of publication."""
    kinds: frozenset[str]

    def rows(self, language: str, now: float, candidates: Sequence[str] | None = None) -> Ints:
        """Rows that may be recommended: available, among the candidates, and in the language.

        Where nothing is in the language, all languages will do.
        """
        if candidates is None:
            spoken = self._available(self.languages.get(language, _NONE), now)
            return spoken if len(spoken) else self._available(np.arange(len(self.items)), now)
        candidate_rows = sorted({self.place[name] for name in candidates if name in self.place})
        asked = self._available(np.array(candidate_rows, dtype=np.int64), now)
        in_language = np.isin(asked, self.languages.get(language, _NONE))
        return asked[in_language] if in_language.any() else asked

    def _available(self, rows: Ints, now: float) -> Ints:
        if not self.timed:
            return rows
        return rows[(self.available_from[rows] <= now) & (now < self.available_until[rows])]

    def liked(self, interests: Sequence[str]) -> Floats:
        """Per item: the share of its tags among the interests."""
        return self._matched(self.tags, set(interests)) / self.tag_counts

    def searched(self, searches: Sequence[str]) -> Floats:
        """Per item: the largest share of the words of one search that it has; older searches count less.

        The n-th newest counts 0.8 to the power n.
        """
        best = np.zeros(len(self.items))
        for age, search in enumerate(searches):
            wanted = set(words(search))
            if wanted:
                np.maximum(best, 0.8**age * self._matched(self.words, wanted) / len(wanted), out=best)
        return best

    def _matched(self, index: dict[str, Ints], wanted: set[str]) -> Floats:
        count = np.zeros(len(self.items))
        for name in wanted & index.keys():
            count[index[name]] += 1
        return count


_NONE = np.empty(0, dtype=np.int64)


def words(text: str) -> list[str]:
    """Words of a title or a search, in lower case.

    >>> words("Slow Jazz, please!")
    ['slow', 'jazz', 'please']
    """
    return re.findall(r"\w+", text.lower())


def lay_out(items: Sequence[Item]) -> ItemTable:
    """Lay out items. It takes about 50 microseconds an item: use another thread where there are many."""
    items = tuple(items)
    hashes: dict[str, tuple[int, float]] = {}
    split = {text: words(text) for text in {text for item in items for text in (item.kind, *item.tags)}}
    numbers = np.array([item_numbers(item, hashes) for item in items]).reshape(len(items), len(ITEM))
    ends = [_NEVER if item.available_until is None else item.available_until for item in items]
    until = [end if item.available else -_NEVER for item, end in zip(items, ends, strict=True)]
    start = [-_NEVER if item.available_from is None else item.available_from for item in items]
    return ItemTable(
        items=items,
        place={item.id: row for row, item in enumerate(items)},
        numbers=numbers,
        light=numbers.astype(np.float32),
        vectors=np.asfortranarray(unit(numbers[:, BUCKETS]), dtype=np.float32),
        commercial=numbers[:, COMMERCIAL] > 0,
        published=np.array([-np.inf if i.published_at is None else i.published_at for i in items]),
        available_from=np.array(start),
        available_until=np.array(until),
        languages=_index([(item.language,) for item in items]),
        tags=_index([item.tags for item in items]),
        tag_counts=np.array([max(1, len(item.tags)) for item in items], dtype=np.float64),
        words=_index([[*words(i.title), *split[i.kind], *(w for t in i.tags for w in split[t])] for i in items]),
        timed=any(end < _NEVER for end in until) or any(begin > -_NEVER for begin in start),
        dated=any(item.published_at is not None for item in items),
        kinds=frozenset(item.kind for item in items),
    )


def _index(named: Sequence[Iterable[str]]) -> dict[str, Ints]:
    rows_of: dict[str, list[int]] = {}
    for row, names in enumerate(named):
        for name in set(names):
            rows_of.setdefault(name, []).append(row)
    return {name: np.array(rows, dtype=np.int64) for name, rows in rows_of.items()}
