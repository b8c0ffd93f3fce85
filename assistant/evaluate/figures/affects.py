"""The figures of affect labels: numbers beside means and deviations, a dimension a column."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from assistant.arrays import Floats, Ints
from assistant.evaluate.figures import metrics
from assistant.evaluate.figures.sheet import Sheet
from assistant.evaluate.figures.tally import Tally

_NINETY = 1.645
"""Standard deviations on either side of a mean that hold 90 % of a normal distribution."""


def affects(sheet: Sheet) -> Tally:
    """Correlation, concordance, errors and how many labels lie inside the 90 % interval, of each dimension."""
    middle = [float(np.nanmean(column)) if np.isfinite(column).any() else 0.0 for column in sheet.truth.T]

    def rows(some: Ints) -> Floats:
        truth, given = sheet.truth[some], sheet.given[some]
        known = np.isfinite(truth) & np.isfinite(given)
        error = np.where(known, np.abs(truth - given), 0.0)
        inside = known & (error <= _NINETY * sheet.deviation[some])
        found = [metrics.moments(given[:, at], truth[:, at], middle[at]) for at in range(len(sheet.names))]
        return np.concatenate([np.stack(found, axis=1), np.stack([error, error**2, inside], axis=2)], axis=2)

    def part(at: int, of: Sequence[int], formula: metrics.Formula) -> metrics.Formula:
        return lambda sums: formula(sums[..., at, list(of)])

    formulas: dict[str, metrics.Formula] = {}
    for at, name in enumerate(sheet.names):
        formulas[f"pearson_{name}"] = part(at, range(6), metrics.pearson)
        formulas[f"ccc_{name}"] = part(at, range(6), metrics.ccc)
    for at, name in enumerate(sheet.names):
        formulas[f"mae_{name}"] = part(at, (0, 6), metrics.mean)
        formulas[f"rmse_{name}"] = part(at, (0, 7), metrics.root_mean)
    for at, name in enumerate(sheet.names):
        formulas[f"coverage_90_{name}"] = part(at, (0, 8), metrics.share)
    formulas["coverage_90"] = lambda sums: metrics.share(sums[..., [0, 8]].sum(axis=-2))
    return Tally((len(sheet.names), 9), rows, formulas)
