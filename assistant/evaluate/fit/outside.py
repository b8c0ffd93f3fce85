"""Figures of a method whose every reading is of a speaker, or a corpus, that its training did not hear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from assistant import bootstrap
from assistant.arrays import Floats, Ints
from assistant.bootstrap import Figure, Statistic
from assistant.evaluate.figures import measures
from assistant.evaluate.figures.tasks import Sheet
from assistant.evaluate.options import Options
from assistant.evaluate.report.findings import make_sheet
from assistant.evaluate.run.baseline import BaselineMode
from assistant.evaluate.run.outcomes import Outcome
from assistant.evaluate.tables.tables import plain
from assistant.inference.card import Card

SHOWN = ("uar", "accuracy", "macro_f1", "ece", "coverage")
"""Figures of each fold; the whole has them all."""


def found(
    options: Options,
    card: Card,
    every: Mapping[BaselineMode, Sequence[Outcome]],
    floor: Sequence[Outcome],
    parts: Ints,
    names: Sequence[str],
    *,
    floor_name: str,
) -> dict[str, Any]:
    """The keys `folds` and `compared` of the report.

    `every` are the outcomes by personal baseline. A corpus that is left out is scored over its own classes.
    """
    asked = _split(options, card, every[options.baseline], parts, len(names))
    without = _split(options, card, every["none"], parts, len(names))
    low = _split(options, card, floor, parts, len(names))
    of = [
        {
            "held_out": name,
            "n": len(sheet.answered),
            "clusters": int(sheet.clusters.max(initial=-1)) + 1,
            "metrics": alone(sheet, options),
            **({"without_baseline": alone(bare, options)} if options.baseline != "none" else {}),
            "floor": {"uar": alone(floored, options)["uar"]},
        }
        for name, sheet, bare, floored in zip(names, asked, without, low, strict=True)
    ]
    folds = {
        "protocol": "speakers" if options.leave_out is None else plain(options.leave_out),
        "k": len(names),
        "seed": options.seed,
        "of": of,
        "mean": mean(asked, options),
        **({"mean_without_baseline": mean(without, options)} if options.baseline != "none" else {}),
        "mean_floor": mean(low, options),
    }
    compared = {f"baseline: {mode}": pooled(card, outcomes, options) for mode, outcomes in every.items()}
    return {"folds": folds, "compared": {**compared, floor_name: pooled(card, floor, options)}}


def pooled(card: Card, outcomes: Sequence[Outcome], options: Options) -> dict[str, Figure]:
    """All folds together."""
    return alone(make_sheet(options.task, card, outcomes), options)


def alone(sheet: Sheet, options: Options) -> dict[str, Figure]:
    """The figures of one sheet."""
    clusters = int(sheet.clusters.max(initial=-1)) + 1
    return bootstrap.figures(_statistics(sheet, options), clusters, replicates=options.bootstrap, seed=options.seed)


def mean(sheets: Sequence[Sheet], options: Options) -> dict[str, Figure]:
    """The mean of the folds' figures, each counting alike; intervals resample speakers over all folds at once.

    In a replicate a fold none of whose speakers were drawn is left out of the mean.
    """
    counts = [int(sheet.clusters.max(initial=-1)) + 1 for sheet in sheets]
    ends = np.cumsum(counts)
    each = [_statistics(sheet, options) for sheet in sheets]

    def joined(name: str) -> Statistic:
        def value(weights: Floats) -> Floats:
            parts = np.split(weights, ends[:-1], axis=1)
            values = np.stack([one[name](part) for one, part in zip(each, parts, strict=True)])
            known = np.isfinite(values)
            total = np.where(known, values, 0.0).sum(axis=0)
            return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)

        return value

    return bootstrap.figures(
        {name: joined(name) for name in each[0]}, int(ends[-1]), replicates=options.bootstrap, seed=options.seed
    )


def _statistics(sheet: Sheet, options: Options) -> dict[str, Statistic]:
    every = measures.statistics(sheet, drop=options.abstain == "drop")
    return {name: every[name] for name in SHOWN if name in every}


def _split(options: Options, card: Card, outcomes: Sequence[Outcome], parts: Ints, count: int) -> list[Sheet]:
    if options.leave_out is None:
        whole = make_sheet(options.task, card, outcomes)
        return [whole.take(np.asarray(parts == part)) for part in range(count)]
    return [
        make_sheet(options.task, card, [outcomes[at] for at in np.flatnonzero(parts == part).tolist()])
        for part in range(count)
    ]
