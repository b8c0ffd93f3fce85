"""Tests by permutation, how often chance alone would show as much, and two models compared by them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from assistant.arrays import Floats
from assistant.bootstrap import Figure
from assistant.evaluate.figures import measures, tally
from assistant.evaluate.figures.metrics import Formula
from assistant.evaluate.figures.tally import Layout, Tally, split_sums
from assistant.evaluate.figures.tasks import Sheet

K = TypeVar("K")

PERMUTATIONS = 2000
"""Random permutations, where there are too many to try all."""
_NUMBERS = 400_000_000
"""Most numbers that are permuted altogether: many clusters get fewer permutations, but at least `_LEAST`."""
_LEAST = 200
_ROOM = 4_000_000  # most numbers in one block: 32 MB
_TIES = 1e-9  # differences closer than this count as equal


def draw_swaps(clusters: int, seed: int, permutations: int = PERMUTATIONS) -> tuple[Iterator[Floats], bool]:
    """Which clusters swap sides, in blocks of [some, clusters]; and whether these are all ways there are.

    >>> blocks, exact = draw_swaps(2, seed=0)
    >>> np.concatenate(list(blocks)).tolist(), exact
    ([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], True)
    """
    if clusters < 60 and 2**clusters <= permutations:
        every = (np.arange(2**clusters)[:, None] >> np.arange(clusters)) & 1
        return iter([every.astype(np.float64)]), True
    return _draw_blocks(clusters, permutations, lambda rng, n: rng.integers(2, size=(n, clusters)), seed), False


def draw_assignments(sides: Floats, seed: int, permutations: int = PERMUTATIONS) -> tuple[Iterator[Floats], bool]:
    """All, or random, ways to give the same sides to other clusters: 0 or 1 each, [clusters] -> [some, clusters].

    >>> blocks, exact = draw_assignments(np.array([1.0, 0.0, 0.0]), seed=0)
    >>> np.concatenate(list(blocks)).tolist(), exact
    ([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], True)
    """
    clusters, ones = len(sides), int(sides.sum())
    if comb(clusters, ones) <= permutations:
        every = np.zeros((comb(clusters, ones), clusters))
        for at, chosen in enumerate(combinations(range(clusters), ones)):
            every[at, list(chosen)] = 1
        return iter([every]), True
    blocks = _draw_blocks(clusters, permutations, lambda rng, n: rng.permuted(np.tile(sides, (n, 1)), axis=1), seed)
    return blocks, False


def _draw_blocks(
    clusters: int, permutations: int, draw: Callable[[np.random.Generator, int], npt.NDArray[Any]], seed: int
) -> Iterator[Floats]:
    rng = np.random.default_rng(seed)
    left = min(permutations, max(_LEAST, _NUMBERS // max(1, clusters)))
    while left:
        now = min(left, max(1, _ROOM // max(1, clusters)))
        yield np.asarray(draw(rng, now), dtype=np.float64)
        left -= now


def compute_p(observed: float, drawn: Iterable[Floats], *, exact: bool) -> float:
    """Two-sided: the share of permutations that differ from nothing at least as much.

    Of random permutations the observed one counts as one more, (1 + as extreme) / (1 + all) (Phipson and Smyth
    2010); so the smallest p is one over their number. NaN where the difference is undefined.

    >>> compute_p(2.0, [np.array([2.0, -2.0, 0.0, 1.0])], exact=True)
    0.5
    """
    if not np.isfinite(observed):
        return float("nan")
    extreme = every = 0
    for block in drawn:
        known = block[np.isfinite(block)]
        extreme += int((np.abs(known) >= abs(observed) - _TIES).sum())
        every += len(known)
    if not exact:
        extreme, every = extreme + 1, every + 1
    return extreme / every if every else float("nan")


def adjust_p(p: Mapping[K, float]) -> dict[K, float]:
    """Adjusted for being several (Holm 1979, Scandinavian Journal of Statistics 6:65); NaN stays out.

    >>> adjust_p({"a": 0.01, "b": 0.04, "c": 0.03})
    {'a': 0.03, 'b': 0.06, 'c': 0.06}
    """
    known = sorted((value, at, key) for at, (key, value) in enumerate(p.items()) if np.isfinite(value))
    found = dict.fromkeys(p, float("nan"))
    most = 0.0
    for place, (value, _, key) in enumerate(known):
        most = max(most, min(1.0, (len(known) - place) * value))
        found[key] = most
    return {key: round(value, 12) for key, value in found.items()}


@dataclass(frozen=True, slots=True)
class Contrast:
    """One figure of two models."""

    first: float
    second: float
    difference: Figure
    """First less second, with its 95 % bootstrap interval over clusters."""
    p: float
    """Two-sided, by permutation; NaN where the figure is undefined."""
    exact: bool
    """All permutations were tried."""


def compare_models(
    first: Sheet, second: Sheet, *, drop: bool, replicates: int = 1000, seed: int = 0
) -> dict[str, Contrast]:
    """Compare two sheets of the same rows, labels, names and clusters, figure by figure.

    The interval resamples clusters for both at once. In the test the two swap all their answers within a cluster,
    or don't (the randomisation test of Fisher 1935; for models Noreen 1989). With up to ten clusters all ways are
    tried. Above `tally.MANY` clusters, random ones swap together.
    """
    several = [measures.tally_comparable_figures(sheet, drop=drop) for sheet in (first, second)]
    layout = Layout.from_clusters(tally.merge_clusters(first.clusters, seed=seed))
    sums = [layout.totals(one, 0, layout.count) for one in several]
    blocks, exact = draw_swaps(layout.count, seed)
    whole, move = [part.sum(axis=0) for part in sums], sums[1] - sums[0]
    drawn: dict[str, list[Floats]] = {name: [] for one in several[0] for name in one.formulas}
    for swapped in blocks:
        moved = swapped @ move
        for one, ours, theirs in _split_both(several[0], whole[0] + moved, whole[1] - moved):
            for name, formula in one.formulas.items():
                drawn[name].append(formula(ours) - formula(theirs))
    pairs = _tally_pairs(several[0], sums)
    both = tally.compute_figures(pairs, np.arange(layout.count), replicates=replicates, seed=seed)
    found = {}
    for one, ours, theirs in _split_both(several[0], *whole):
        for name, formula in one.formulas.items():
            p = compute_p(both[name].value, drawn[name], exact=exact)
            found[name] = Contrast(float(formula(ours)), float(formula(theirs)), both[name], p, exact)
    return found


def _split_both(tallies: list[Tally], ours: Floats, theirs: Floats) -> Iterator[tuple[Tally, Floats, Floats]]:
    """Sums of both models by tally."""
    for (one, first), (_, second) in zip(split_sums(ours, tallies), split_sums(theirs, tallies), strict=True):
        yield one, first, second


def _tally_pairs(tallies: list[Tally], sums: list[Floats]) -> list[Tally]:
    """Tallies of both models at once, whose figures are the differences; clusters take the place of rows."""

    def difference(formula: Formula, axes: int) -> Formula:
        def apart_by(both: Floats) -> Floats:
            first, second = np.moveaxis(both, -1 - axes, 0)
            return np.asarray(formula(first) - formula(second))

        return apart_by

    return [
        Tally.from_rows(
            np.stack([first, second], axis=1),
            {name: difference(formula, len(one.shape)) for name, formula in one.formulas.items()},
        )
        for one, first, second in _split_both(tallies, *sums)
    ]
