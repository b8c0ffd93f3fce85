"""Two models on the same rows: how far apart they are, and whether chance may be all that is behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from assistant.arrays import Floats
from assistant.bootstrap import Figure
from assistant.evaluate.figures import measures, permutation, tally
from assistant.evaluate.figures.metrics import Formula
from assistant.evaluate.figures.sheet import Sheet
from assistant.evaluate.figures.tally import Layout, Tally, split_sums


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

    The interval resamples clusters for both at once. The test asks what the difference would be if it made no
    difference which model is which: within a cluster the two swap all their answers, or don't (the randomisation
    test of Fisher 1935; for models Noreen 1989). With up to ten clusters all ways are tried. Above
    `tally.MANY` clusters, random ones swap together.
    """
    several = (
        measures.tally_comparable_figures(first, drop=drop),
        measures.tally_comparable_figures(second, drop=drop),
    )
    layout = Layout.from_clusters(tally.merge_clusters(first.clusters, seed=seed))
    sums = [layout.totals(one, 0, layout.count) for one in several]
    blocks, exact = permutation.draw_swaps(layout.count, seed)
    whole, move = [part.sum(axis=0) for part in sums], sums[1] - sums[0]
    drawn: dict[str, list[Floats]] = {name: [] for one in several[0] for name in one.formulas}
    for swapped in blocks:
        moved = swapped @ move
        for name, values in _compute_differences(several[0], whole[0] + moved, whole[1] - moved):
            drawn[name].append(values)
    both = tally.compute_figures(
        _tally_pairs(several[0], sums), np.arange(layout.count), replicates=replicates, seed=seed
    )
    found = {}
    for (one, ours), (_, theirs) in zip(
        split_sums(whole[0], several[0]), split_sums(whole[1], several[0]), strict=True
    ):
        for name, formula in one.formulas.items():
            difference = both[name]
            p = permutation.compute_p(difference.value, drawn[name], exact=exact)
            found[name] = Contrast(float(formula(ours)), float(formula(theirs)), difference, p, exact)
    return found


def _compute_differences(tallies: list[Tally], ours: Floats, theirs: Floats) -> Iterator[tuple[str, Floats]]:
    for (one, first), (_, second) in zip(split_sums(ours, tallies), split_sums(theirs, tallies), strict=True):
        for name, formula in one.formulas.items():
            yield name, formula(first) - formula(second)


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
        for (one, first), (_, second) in zip(
            split_sums(sums[0], tallies), split_sums(sums[1], tallies), strict=True
        )
    ]
