"""Who is tested by whom: folds of speakers, or a corpus left out as a whole; and the figures of the folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from msgspec import UNSET

from assistant import bootstrap
from assistant.arrays import Floats, Ints
from assistant.bootstrap import Figure, Statistic
from assistant.errors import Invalid
from assistant.evaluate.figures import measures, metrics
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
FEWEST_SPEAKERS = 3
"""One to test, and two so that the training can choose its ridge on a speaker it didn't learn from."""


def assign_speaker_folds(speakers: Sequence[str], target: Ints, k: int, seed: int) -> Ints:
    """The fold of each row, [rows], from 0: no speaker in two folds, classes spread as evenly as that allows.

    Speakers are taken largest first, equals in an order drawn with `seed`; each goes to the fold that leaves the
    counts of every class most alike, as scikit-learn's StratifiedGroupKFold does. With k as large as the number of
    speakers or larger each is a fold. Raises `Invalid` (`too_few_speakers`) for fewer than `FEWEST_SPEAKERS`.

    >>> assign_speaker_folds(["a", "a", "b", "b", "c", "c"], np.array([0, 1, 0, 1, 0, 1]), 3, seed=0).tolist()
    [1, 1, 2, 2, 0, 0]
    """
    names, who = np.unique(np.asarray(speakers, dtype=object).astype(str), return_inverse=True)
    if len(names) < FEWEST_SPEAKERS:
        raise Invalid(
            f"the rows that can be read have {len(names)} speakers; speaker-disjoint folds need at least "
            f"{FEWEST_SPEAKERS}: label more speakers, or check the column `speaker`",
            code="too_few_speakers",
        )
    return spread_groups(who.astype(np.int64), target, min(k, len(names)), seed)


def spread_groups(who: Ints, target: Ints, k: int, seed: int) -> Ints:
    """Give whole groups `who` [rows], numbered from 0, to k folds; [rows]. See `assign_speaker_folds`."""
    groups, classes = int(who.max()) + 1, int(target.max()) + 1
    counts = np.zeros((groups, classes))
    np.add.at(counts, (who, target), 1)
    share = counts / counts.sum(axis=0).clip(min=1)
    drawn = np.random.default_rng(seed).permutation(groups)
    order = drawn[np.argsort(-counts[drawn].sum(axis=1), kind="stable")]
    held, rows = np.zeros((k, classes)), np.zeros(k)
    place = np.zeros(groups, dtype=np.int64)
    for turn, group in enumerate(order):
        open_to = np.flatnonzero(rows == 0) if groups - turn <= int((rows == 0).sum()) else np.arange(k)
        uneven = []
        for fold in open_to:
            after = held.copy()
            after[fold] += share[group]
            uneven.append((round(float(after.std(axis=0).mean()), 9), rows[fold], int(fold)))
        chosen = min(uneven)[2]
        held[chosen] += share[group]
        rows[chosen] += counts[group].sum()
        place[group] = chosen
    return place[who]


def assign_left_out(values: Sequence[str], column: str) -> tuple[Ints, tuple[str, ...]]:
    """The fold of each row when each value of a column is left out in turn, and the values.

    Raises `Invalid` (`too_few_parts`) for fewer than two values.

    >>> place, names = assign_left_out(["emodb", "ravdess", "emodb"], "corpus")
    >>> place.tolist(), names
    ([0, 1, 0], ('emodb', 'ravdess'))
    """
    names, place = np.unique(np.asarray(values, dtype=object).astype(str), return_inverse=True)
    if len(names) < 2:
        raise Invalid(
            f"--leave-out {column}: the rows that can be read have {len(names)} value in that column; it takes two "
            "or more, so that one can be tested by a head that learned from the others",
            code="too_few_parts",
        )
    return place.astype(np.int64), tuple(names.tolist())


def find_shared_speakers(speakers: Sequence[str], place: Ints) -> tuple[str, ...]:
    """Speakers that are in more than one fold, sorted: there must be none.

    >>> find_shared_speakers(["a", "b", "a"], np.array([0, 0, 1]))
    ('a',)
    """
    seen: dict[str, int] = {}
    pairs = zip(speakers, place.tolist(), strict=True)
    return tuple(sorted({name for name, fold in pairs if seen.setdefault(name, fold) != fold}))


def name_folds(speakers: Sequence[str], place: Ints) -> list[str]:
    """What is left out of each fold: the name of the speaker, or how many there are."""
    found = []
    for part in range(int(place.max()) + 1):
        names = sorted({name for name, at in zip(speakers, place.tolist(), strict=True) if at == part})
        found.append(f"speaker {names[0]}" if len(names) == 1 else f"fold {part + 1}: {len(names)} speakers")
    return found


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
        places = [np.flatnonzero(parts == part) for part in range(len(names))]
        if protocol.column is None:
            whole = make_sheet(scoring.task, card, some)
            return [whole.take(rows) for rows in places]
        return [make_sheet(scoring.task, card, [some[at] for at in rows.tolist()]) for rows in places]

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
    return folds, {k: compute_figures(make_sheet(scoring.task, card, some), scoring) for k, some in pooled.items()}


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
            values = [one[name](part) for one, part in zip(each, parts, strict=True)]
            return metrics.mean_known(np.stack(values, axis=1))

        return value

    statistics = {name: joined(name) for name in each[0]}
    return bootstrap.compute_figures(statistics, int(ends[-1]), replicates=scoring.replicates, seed=scoring.seed)


def _make_statistics(sheet: Sheet, scoring: Scoring) -> dict[str, Statistic]:
    every = measures.make_statistics(sheet, drop=scoring.drop)
    return {name: every[name] for name in SHOWN if name in every}
