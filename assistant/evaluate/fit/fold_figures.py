"""Figures of a method whose every reading is of a speaker, or a corpus, that its training did not hear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from msgspec import UNSET

from assistant import bootstrap
from assistant.arrays import Floats, Ints
from assistant.bootstrap import Figure, Statistic
from assistant.evaluate.figures import measures
from assistant.evaluate.figures.tasks import Scoring, Sheet
from assistant.evaluate.report.conversion import to_measured
from assistant.evaluate.report.findings import make_sheet
from assistant.evaluate.report.report import Fold, Folds, Number
from assistant.evaluate.run.baseline import BaselineMode
from assistant.evaluate.run.outcomes import RowOutcome
from assistant.inference.card import Card

FLOOR = "floor: energy and pitch"
SHOWN = ("uar", "accuracy", "macro_f1", "ece", "coverage")
"""Figures of each fold; the whole has them all."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """Who is tested by whom, and how that is scored."""

    folds: int
    """Of speakers, where no column is left out; as many as there are speakers at most."""
    column: str | None
    """The column whose values are left out in turn, instead of folds of speakers."""
    baseline: BaselineMode
    scoring: Scoring


def compute_fold_figures(
    protocol: Protocol,
    card: Card,
    outcomes: Mapping[BaselineMode, Sequence[RowOutcome]],
    floor: Sequence[RowOutcome],
    parts: Ints,
    names: Sequence[str],
) -> tuple[Folds, dict[str, dict[str, Figure]]]:
    """The members `folds` and `compared` of the report, from outcomes by personal baseline and those of the floor.

    `parts` [rows] is the fold of each outcome, `names` what is left out of each fold. A corpus that is left out is
    scored over its own classes.
    """
    scoring, with_baseline = protocol.scoring, protocol.baseline != "none"

    def split(some: Sequence[RowOutcome]) -> list[Sheet]:
        if protocol.column is None:
            whole = make_sheet(scoring.task, card, some)
            return [whole.take(np.asarray(parts == part)) for part in range(len(names))]
        return [
            make_sheet(scoring.task, card, [some[at] for at in np.flatnonzero(parts == part).tolist()])
            for part in range(len(names))
        ]

    asked, without, low = split(outcomes[protocol.baseline]), split(outcomes["none"]), split(floor)
    folds = Folds(
        protocol=protocol.column or "speakers",
        k=len(names),
        seed=scoring.seed,
        of=[
            Fold(
                held_out=name,
                n=len(sheet.answered),
                clusters=int(sheet.clusters.max(initial=-1)) + 1,
                metrics=_record(compute_figures(sheet, scoring)),
                without_baseline=_record(compute_figures(bare, scoring)) if with_baseline else UNSET,
                floor=_record({"uar": compute_figures(floored, scoring)["uar"]}),
            )
            for name, sheet, bare, floored in zip(names, asked, without, low, strict=True)
        ],
        mean=_record(compute_mean(asked, scoring)),
        mean_without_baseline=_record(compute_mean(without, scoring)) if with_baseline else UNSET,
        mean_floor=_record(compute_mean(low, scoring)),
    )
    pooled = {f"baseline: {mode}": some for mode, some in outcomes.items()} | {FLOOR: floor}
    compared = {
        name: compute_figures(make_sheet(scoring.task, card, some), scoring) for name, some in pooled.items()
    }
    return folds, compared


def _record(figures: Mapping[str, Figure]) -> dict[str, Number]:
    return dict(to_measured(figures))


def compute_figures(sheet: Sheet, scoring: Scoring) -> dict[str, Figure]:
    """The figures of one sheet."""
    clusters = int(sheet.clusters.max(initial=-1)) + 1
    statistics = _make_statistics(sheet, scoring)
    return bootstrap.compute_figures(statistics, clusters, replicates=scoring.replicates, seed=scoring.seed)


def compute_mean(sheets: Sequence[Sheet], scoring: Scoring) -> dict[str, Figure]:
    """The mean of the folds' figures, each counting alike; intervals resample speakers over all folds at once.

    In a replicate a fold none of whose speakers were drawn is left out of the mean.
    """
    counts = [int(sheet.clusters.max(initial=-1)) + 1 for sheet in sheets]
    ends = np.cumsum(counts)
    each = [_make_statistics(sheet, scoring) for sheet in sheets]

    def joined(name: str) -> Statistic:
        def value(weights: Floats) -> Floats:
            parts = np.split(weights, ends[:-1], axis=1)
            values = np.stack([one[name](part) for one, part in zip(each, parts, strict=True)])
            known = np.isfinite(values)
            total = np.where(known, values, 0.0).sum(axis=0)
            return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)

        return value

    statistics = {name: joined(name) for name in each[0]}
    return bootstrap.compute_figures(statistics, int(ends[-1]), replicates=scoring.replicates, seed=scoring.seed)


def _make_statistics(sheet: Sheet, scoring: Scoring) -> dict[str, Statistic]:
    every = measures.make_statistics(sheet, drop=scoring.drop)
    return {name: every[name] for name in SHOWN if name in every}
