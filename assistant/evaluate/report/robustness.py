"""Robustness: the same rows under one condition after another, and how much each costs, row by row."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from assistant.arrays import Floats, Ints
from assistant.bootstrap import Figure, Statistic
from assistant.evaluate.figures import measures, tally
from assistant.evaluate.figures.metrics import Formula
from assistant.evaluate.figures.tally import Tally
from assistant.evaluate.figures.tasks import Scoring, Sheet
from assistant.evaluate.report.conversion import to_measured
from assistant.evaluate.report.findings import make_sheet
from assistant.evaluate.report.report import ConditionResult
from assistant.evaluate.run.conditions import Disturbance
from assistant.evaluate.run.outcomes import RowOutcome
from assistant.inference.card import Card

_ERRORS = ("ece", "brier", "nll", "mae_", "rmse_", "aurc")
"""Prefixes of figures for which less is better."""

Hear = Callable[[Disturbance], Sequence[RowOutcome]]
"""Reads all rows again under a disturbance."""


def measure_conditions(
    disturbances: Sequence[Disturbance],
    clean: Sheet,
    outcomes: Sequence[RowOutcome],
    hear: Hear,
    card: Card,
    scoring: Scoring,
) -> list[ConditionResult]:
    """Read the rows under each disturbance and compare with the clean run: the report's `conditions`.

    `clean` is the sheet of the clean `outcomes`.
    """
    reference = _lines(outcomes)
    chance: Any = {"drop": scoring.drop, "replicates": scoring.replicates, "seed": scoring.seed}
    results = []
    for disturbance in disturbances:
        disturbed = hear(disturbance)
        sheet = make_sheet(clean.task, card, disturbed)
        abstained = Counter(o.abstained for o in disturbed if o.abstained)
        result = ConditionResult(
            name=disturbance.condition.name,
            kind=disturbance.condition.kind,
            level=disturbance.condition.level,
            n=len(sheet),
            abstained=dict(sorted(abstained.items())),
            metrics=to_measured(measures.compute_figures(sheet, **chance)),
            loss=to_measured(compute_losses(*match_rows(clean, reference, sheet, _lines(disturbed)), **chance)),
        )
        results.append(result)
    return results


def compute_losses(clean: Sheet, disturbed: Sheet, *, drop: bool, replicates: int, seed: int) -> dict[str, Figure]:
    """How much worse each figure is than clean, over the same rows in the same order.

    Whole clusters are resampled for both at once, so that what is common to both cancels out of the interval. A
    loss is positive where the condition does harm, also for figures for which less is better. Empty where the
    classes present differ, as then no figure means the same.
    """
    if clean.names != disturbed.names or not len(clean):
        return {}
    disturbed = replace(disturbed, clusters=clean.clusters)
    both = [measures.make_tallies(sheet, drop=drop) for sheet in (clean, disturbed)]
    free = [measures.make_auc_statistics(sheet, drop=drop) for sheet in (clean, disturbed)]

    def lose(name: str) -> Statistic:
        return lambda weights: np.asarray(_sign(name) * (free[0][name](weights) - free[1][name](weights)))

    figures = tally.compute_figures(
        [_beside(before, after) for before, after in zip(*both, strict=True)],
        clean.clusters,
        free={name: lose(name) for name in free[0]},
        replicates=replicates,
        seed=seed,
    )
    order = measures.compute_figures(clean, drop=drop, replicates=0, seed=seed)
    return {name: figures[name] for name in order}


def match_rows(
    clean: Sheet, clean_lines: Sequence[int], disturbed: Sheet, disturbed_lines: Sequence[int]
) -> tuple[Sheet, Sheet]:
    """Both sheets with only the rows that could be read in both runs, matched by line of the manifest."""
    before, after = (np.asarray(lines, dtype=np.int64) for lines in (clean_lines, disturbed_lines))
    if np.array_equal(before, after):
        return clean, disturbed
    return clean.take(np.isin(before, after)), disturbed.take(np.isin(after, before))


def _lines(outcomes: Sequence[RowOutcome]) -> array[int]:
    return array("q", (outcome.row.line for outcome in outcomes))


def _sign(name: str) -> float:
    return -1.0 if name.startswith(_ERRORS) else 1.0


def _beside(before: Tally, after: Tally) -> Tally:
    """Both runs' sums in one, and their figures' differences."""

    def of(rows: Ints) -> Floats:
        return np.concatenate([one.of(rows).reshape(len(rows), -1) for one in (before, after)], axis=1)

    def less(name: str, formula: Formula, later: Formula) -> Formula:
        def loss(sums: Floats) -> Floats:
            first, second = (
                part.reshape(*sums.shape[:-1], *one.shape)
                for part, one in ((sums[..., : before.width], before), (sums[..., before.width :], after))
            )
            return np.asarray(_sign(name) * (formula(first) - later(second)))

        return loss

    formulas = {name: less(name, formula, after.formulas[name]) for name, formula in before.formulas.items()}
    both = [name for name in before.values if name in after.values]
    values = {name: _sign(name) * (before.values[name] - after.values[name]) for name in both}
    return Tally((before.width + after.width,), of, formulas, values)
