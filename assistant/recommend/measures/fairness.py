"""Who was shown what: exposure by declared group, with intervals over people.

A small group is insufficient evidence, never a pass: it enters no number, neither its own nor that of others. And
"no difference found" isn't "fair": the interval says which differences are still possible.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from assistant.arrays import Floats
from assistant.bootstrap import Figure
from assistant.recommend.measures.interval import (
    compare_means,
    compare_shares,
    estimate_mean,
    estimate_share,
    widen_z,
)
from assistant.recommend.measures.rates import Shown, get_best_reward, group_by_person

FEWEST = 30
"""People of a group, below which nothing is said of it."""
GROUPS = 50
"""Groups that are compared; of more, the largest."""
_KINDS, _ITEMS = 20, 20
"""How many kinds and items are compared: those shown most."""

Verdict = Literal["insufficient evidence", "differs", "may differ", "no difference found"]

SAYS: Mapping[Verdict, str] = {
    "insufficient evidence": f"fewer than {FEWEST} people, or nobody to compare them with: nothing can be said",
    "differs": "the interval of the difference leaves out 0, also when widened for the number of comparisons",
    "may differ": "the 95 % interval leaves out 0, but of so many comparisons one may by chance",
    "no difference found": "which is not the same as fair: the interval says what is still possible",
}


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure of a group, beside all other groups that are large enough."""

    figure: Figure
    difference: Figure | None
    """To the others; None where there are none."""
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class GroupExposure:
    """People who declared the same."""

    name: str | None
    """None: they declared nothing."""
    people: int
    slates: int
    offers: Compared | None = None
    """Share of the items shown that were commercial. This and all below only for a large enough group."""
    reward: Compared | None = None
    """Mean reward of a person for a slate."""
    kinds: Mapping[str, Compared] = field(default_factory=dict)
    """Share of the items shown, by kind."""
    items: Mapping[str, Compared] = field(default_factory=dict)
    """Share of the slates on which it was, by item."""


@dataclass(frozen=True, slots=True)
class _Counts:
    """One row for each person, one column for each measure."""

    hits: Floats
    trials: Floats
    reward: Floats

    def take(self, rows: Sequence[int]) -> _Counts:
        return _Counts(self.hits[rows], self.trials[rows], self.reward[rows])


def compare_groups(shown: Sequence[Shown], declared: Mapping[str, str | None]) -> tuple[GroupExposure, ...]:
    """Each group beside all others, the largest first; `declared` says by pseudonym what each person declared.

    People that aren't in it are left out.
    """
    people = {person: theirs for person, theirs in group_by_person(shown).items() if person in declared}
    rows: dict[str | None, list[int]] = {}
    for row, person in enumerate(people):
        rows.setdefault(declared[person], []).append(row)
    ordered = sorted(rows, key=lambda name: (-len(rows[name]), name is None, name or ""))
    large = [name for name in ordered if len(rows[name]) >= FEWEST][:GROUPS]
    slates = list(people.values())
    kinds, items = _list_most_shown(slates)
    table = _count_shown(slates, kinds, items)
    comparisons = (2 + len(kinds) + len(items)) * (len(large) if len(large) > 2 else 1)
    wide, found = widen_z(comparisons), []
    for name in ordered:
        own = GroupExposure(name, len(rows[name]), sum(len(slates[row]) for row in rows[name]))
        if name in large:
            others = [row for other in large if other != name for row in rows[other]]
            own = _compare_group(own, table.take(rows[name]), table.take(others), kinds, items, wide)
        found.append(own)
    return tuple(found)


def _list_most_shown(people: Sequence[Sequence[Shown]]) -> tuple[list[str], list[str]]:
    pieces = [piece for theirs in people for one in theirs for piece in one.pieces]
    kinds, items = Counter(piece.kind for piece in pieces), Counter(piece.item for piece in pieces)
    return [name for name, _ in kinds.most_common(_KINDS)], [name for name, _ in items.most_common(_ITEMS)]


def _count_shown(people: Sequence[Sequence[Shown]], kinds: Sequence[str], items: Sequence[str]) -> _Counts:
    """Columns: offers, then kinds, then items."""
    columns = {("kind", name): 1 + at for at, name in enumerate(kinds)}
    columns |= {("item", name): 1 + len(kinds) + at for at, name in enumerate(items)}
    shape = (len(people), 1 + len(columns))
    hits, trials = np.zeros(shape), np.zeros(shape)
    for row, theirs in enumerate(people):
        for one in theirs:
            trials[row, : 1 + len(kinds)] += len(one.pieces)
            trials[row, 1 + len(kinds) :] += bool(one.pieces)
            for piece in one.pieces:
                hits[row, 0] += piece.commercial
                for key in (("kind", piece.kind), ("item", piece.item)):
                    if key in columns:
                        hits[row, columns[key]] += 1
    rewards = [float(np.mean([get_best_reward(one) for one in theirs])) for theirs in people]
    return _Counts(hits, trials, np.array(rewards))


def _compare_group(
    own: GroupExposure, mine: _Counts, others: _Counts, kinds: list[str], items: list[str], wide: float
) -> GroupExposure:
    measured = [_compare_share(mine, others, column, wide) for column in range(mine.hits.shape[1])]
    reward = Compared(estimate_mean(mine.reward), None, "insufficient evidence")
    if len(others.reward):
        apart, widened = (compare_means(mine.reward, others.reward, *z) for z in ((), (wide,)))
        reward = Compared(reward.figure, apart, _judge(apart, widened))
    return replace(
        own,
        offers=measured[0],
        reward=reward,
        kinds=dict(zip(kinds, measured[1:], strict=False)),
        items=dict(zip(items, measured[1 + len(kinds) :], strict=True)),
    )


def _compare_share(mine: _Counts, others: _Counts, column: int, wide: float) -> Compared:
    hits, trials = mine.hits[:, column], mine.trials[:, column]
    figure = estimate_share(hits, trials)
    if not len(others.hits) or not trials.sum() or not others.trials[:, column].sum():
        return Compared(figure, None, "insufficient evidence")
    beside = (others.hits[:, column], others.trials[:, column])
    apart = compare_shares(hits, trials, *beside)
    return Compared(figure, apart, _judge(apart, compare_shares(hits, trials, *beside, wide)))


def _judge(apart: Figure, widened: Figure) -> Verdict:
    if apart.low <= 0 <= apart.high:
        return "no difference found"
    return "may differ" if widened.low <= 0 <= widened.high else "differs"
