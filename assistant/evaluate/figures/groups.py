"""Groups of rows, and whether the figures of one are worse than those of another by more than chance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from assistant.arrays import Bools, Floats, Ints
from assistant.bootstrap import Figure
from assistant.evaluate.figures import measures, permutation, tally
from assistant.evaluate.figures.metrics import Formula
from assistant.evaluate.figures.tally import Layout, Tally
from assistant.evaluate.figures.tasks import Sheet

FEWEST = 30
"""Rows below which a group's figures say more about chance than about the group."""
FEWEST_CLUSTERS = 5
"""Clusters below which a group says more about those people than about the group."""
INSUFFICIENT = "insufficient evidence"
SIGNIFICANT = 0.05
_PAIRWISE = 6  # groups up to which every pair is tested; of more, each is tested against all the others together


def list_groups(columns: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str, Bools]]:
    """The key, column and rows of every group; a key that two columns share is told with its column.

    >>> [key for key, _, _ in list_groups({"group": ["a", "", "b"], "site": ["b", "c", ""]})]
    ['a', 'b', 'site b', 'c']
    """
    seen: set[str] = set()
    for column, values in columns.items():
        here = np.array(values, dtype=object)
        for value in sorted(set(values) - {""}):
            key = value if value not in seen else f"{column} {value}"
            seen.add(key)
            yield key, column, np.asarray(here == value, dtype=bool)


def explain_shortage(rows: int, clusters: int) -> str | None:
    """Why a group of this size can't be judged, None where it can."""
    if rows < FEWEST:
        return f"{INSUFFICIENT}: {rows} rows, fewer than {FEWEST}"
    if clusters < FEWEST_CLUSTERS:
        return f"{INSUFFICIENT}: {clusters} clusters, fewer than {FEWEST_CLUSTERS}"
    return None


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """Sums of the rows that one cluster has in one group, [cells, ...], beside that cluster and group, [cells]."""

    sums: Floats
    cluster: Ints
    group: Ints
    clusters: int
    nested: bool
    """Every cluster lies in one group."""

    def side(self, groups: Sequence[int]) -> Floats:
        """What each cluster has in some groups together, [clusters, ...]."""
        found = np.zeros((self.clusters, *self.sums.shape[1:]))
        some = np.isin(self.group, groups)
        np.add.at(found, self.cluster[some], self.sums[some])
        return found


def measure_gaps(
    sheet: Sheet, columns: Mapping[str, Sequence[str]], *, drop: bool, replicates: int, seed: int
) -> list[dict[str, Any]]:
    """For each column, how far its best group is from its worst, and whether chance may be all that is behind it.

    Groups that are too small are left out by name; with fewer than two others the verdict is `INSUFFICIENT`.
    Classes that not all of the groups have are left out of means over classes. p is by permutation: clusters change
    groups, or, where they have rows in both, swap them. It is Holm's over all pairs; of more than six groups, the
    smaller one of the best and the worst against the others.
    """
    several = (_measure_column(sheet, name, values, drop, replicates, seed) for name, values in columns.items())
    return [gap for gaps in several for gap in gaps]


def _measure_column(
    sheet: Sheet, column: str, values: Sequence[str], drop: bool, replicates: int, seed: int
) -> Iterator[dict[str, Any]]:
    names, code = np.unique(np.array(values, dtype=str), return_inverse=True)
    sizes = {at: int((code == at).sum()) for at, name in enumerate(names) if name}
    if len(sizes) < 2:
        return
    clusters = {at: len(np.unique(sheet.clusters[code == at])) for at in sizes}
    large = [at for at, size in sizes.items() if not explain_shortage(size, clusters[at])]
    rows = np.flatnonzero(np.isin(code, large))
    group = np.searchsorted(large, code[rows])
    group_names = [str(names[at]) for at in large]
    common = _list_common_classes(sheet, rows, group, len(large))
    main = measures.tally_main_figures(sheet, common, drop=drop)
    nothing = Figure(np.nan, np.nan, np.nan)
    unjudged: dict[str, Any] = {
        "column": column, "left_out": [str(names[at]) for at in sizes if at not in large],
        "best": None, "worst": None, "gap": nothing, "p": None, "verdict": INSUFFICIENT, "values": {}, "tests": [],
    }  # fmt: skip
    if len(large) < 2:
        yield from (unjudged | {"metric": metric} for metric in main.formulas)
        return
    cells = _sum_cells(main, sheet.clusters[rows], rows, group, seed)
    sums = np.stack([cells.side([at]).sum(axis=0) for at in range(len(large))])
    for metric, formula in main.formulas.items():
        each = formula(sums)
        gap = unjudged | {"metric": metric, "values": dict(zip(group_names, each.tolist(), strict=True))}
        if np.isfinite(each).all():
            gap |= _judge_gap(cells, formula, each, group_names, replicates, seed)
        yield gap


def _judge_gap(
    cells: _Cells, formula: Formula, values: Floats, names: Sequence[str], replicates: int, seed: int
) -> dict[str, Any]:
    """How far the best of the groups is from the worst, from the figure of each, [groups]."""
    best, worst = int(values.argmax()), int(values.argmin())
    if best == worst:
        worst = (best + 1) % len(names)
    low, high = _compute_interval(cells, formula, best, worst, replicates, seed)
    tests = _test_groups(cells, formula, len(names), seed)
    p = tests[min(best, worst), max(best, worst)] if len(names) <= _PAIRWISE else min(tests[best,], tests[worst,])
    return {
        "best": names[best],
        "worst": names[worst],
        "gap": Figure(float(values[best] - values[worst]), low, high),
        "p": p,
        "verdict": "gap" if p < SIGNIFICANT else "no gap shown",
        "tests": [
            {"groups": [names[at] for at in some], "against": "each other" if len(some) > 1 else "the rest", "p": p}
            for some, p in tests.items()
        ],
    }


def _list_common_classes(sheet: Sheet, rows: Ints, of: Ints, groups: int) -> list[int]:
    """The classes that every group has."""
    if sheet.task == "affect":
        return list(range(len(sheet.names)))
    held = [np.bincount(of[sheet.truth[rows, at] > 0], minlength=groups) for at in range(len(sheet.names))]
    return [at for at, counts in enumerate(held) if groups and counts.all()]


def _sum_cells(main: Tally, clusters: Ints, rows: Ints, of: Ints, seed: int) -> _Cells:
    _, clusters = np.unique(clusters, return_inverse=True)
    count, groups = int(clusters.max()) + 1, int(of.max()) + 1
    nested = len(np.unique(clusters * groups + of)) == count
    clusters = tally.merge_clusters(clusters, of if nested else None, seed=seed)
    count = int(clusters.max()) + 1
    keys, cell = np.unique(clusters * groups + of, return_inverse=True)
    layout = Layout.from_clusters(cell.astype(np.int64))
    sums = layout.totals([replace(main, of=lambda some: main.of(rows[some]))], 0, layout.count)
    return _Cells(sums.reshape(len(sums), *main.shape), keys // groups, keys % groups, count, nested)


def _compute_interval(
    cells: _Cells, formula: Formula, best: int, worst: int, replicates: int, seed: int
) -> tuple[float, float]:
    either = np.stack([cells.side([best]), cells.side([worst])], axis=1)

    def gap(sums: Floats) -> Floats:
        return np.asarray(formula(sums[..., 0, :, :]) - formula(sums[..., 1, :, :]))

    there: Bools = (either != 0).reshape(len(either), -1).any(axis=1)
    rows = Tally.from_rows(either[there], {"gap": gap})
    found = tally.compute_figures([rows], np.arange(there.sum()), replicates=replicates, seed=seed)
    return found["gap"].low, found["gap"].high


def _test_groups(cells: _Cells, formula: Formula, groups: int, seed: int) -> dict[tuple[int, ...], float]:
    """Holm's p of every pair, or of each group against the others."""
    every = range(groups)
    asked: list[tuple[int, ...]] = list(combinations(every, 2)) if groups <= _PAIRWISE else [(at,) for at in every]
    found = {}
    for some in asked:
        one = cells.side([some[0]])
        other = cells.side([some[1]] if len(some) > 1 else [at for at in every if at != some[0]])
        found[some] = _test_difference(one, other, formula, nested=cells.nested, seed=seed)
    return permutation.adjust_p(found)


def _test_difference(one: Floats, other: Floats, formula: Formula, *, nested: bool, seed: int) -> float:
    flat, shape = [side.reshape(len(side), -1) for side in (one, other)], one.shape[1:]
    there = [(side != 0).sum(axis=1) > 0 for side in flat]
    either = there[0] | there[1]
    first, second = flat[0][either], flat[1][either]
    observed = float(formula(one.sum(axis=0)) - formula(other.sum(axis=0)))
    if nested:
        blocks, exact = permutation.draw_assignments(there[0][either].astype(np.float64), seed)
        pooled = first + second
        pairs = ((sides @ pooled, (1 - sides) @ pooled) for sides in blocks)
    else:
        blocks, exact = permutation.draw_swaps(len(first), seed)
        move = second - first
        pairs = ((first.sum(axis=0) + s @ move, second.sum(axis=0) - s @ move) for s in blocks)
    drawn = (formula(a.reshape(-1, *shape)) - formula(b.reshape(-1, *shape)) for a, b in pairs)
    return permutation.compute_p(observed, drawn, exact=exact)
