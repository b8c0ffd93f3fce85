"""Computes what a report says of a run: figures with intervals, per class, by group, curves. No files, no clock."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from msgspec import UNSET

from assistant.evaluate.figures import metrics
from assistant.evaluate.figures.groups import FEWEST, INSUFFICIENT, explain_shortage, list_groups, measure_gaps
from assistant.evaluate.figures.measures import compute_curves, compute_figures, make_ranked
from assistant.evaluate.figures.tasks import Scoring, Sheet, Task, choose_names, get_answer, list_classes
from assistant.evaluate.report.conversion import round_number, to_measured, to_struct
from assistant.evaluate.report.report import ClassFigures, Curves, Figures, Findings, Gap, Group
from assistant.evaluate.run.outcomes import RowOutcome
from assistant.evaluate.tables.manifest import Row
from assistant.inference.card import Card

_OWN = ("speaker", "group", "gender")
"""Columns that every row has."""
_LARGE = 4_000_000
"""Numbers in a sheet above which it uses smaller types: a million label sets would fill the memory."""


def make_sheet(task: Task, card: Card, outcomes: Sequence[RowOutcome]) -> Sheet:
    """Labels beside answers; a column for each class that occurs, label of the card, or labelled affect."""
    used: dict[str, None] = {}
    answered, speakers = [], []
    for outcome in outcomes:
        used |= dict.fromkeys((*outcome.row.labels, *outcome.row.affect))
        answered.append(outcome.scores is not None)
        speakers.append(sys.intern(outcome.row.speaker))
    names = list_classes(task, card, set(used))
    shape, affect = (len(answered), len(names)), task == "affect"
    large = shape[0] * shape[1] > _LARGE
    number: Any = np.float32 if large else np.float64
    sheet = Sheet(
        task=task,
        names=names,
        truth=np.full(shape, np.nan) if affect else np.zeros(shape, dtype=np.bool_ if large else np.float64),
        given=np.full(shape, np.nan, dtype=number),
        deviation=np.full(shape if affect else (shape[0], 0), np.nan, dtype=number),
        predicted=np.zeros(shape, dtype=bool),
        answered=np.array(answered, dtype=bool),
        clusters=metrics.number_clusters(speakers),
    )
    place = {name: at for at, name in enumerate(names)}
    for at, outcome in enumerate(outcomes):
        for name, value in (outcome.row.affect or dict.fromkeys(outcome.row.labels, 1.0)).items():
            if name in place:
                sheet.truth[at, place[name]] = value
        if outcome.scores is not None:
            sheet.given[at], sheet.deviation[at] = get_answer(task, outcome.scores, names)
            sheet.predicted[at] = choose_names(task, outcome.scores, sheet.given[at], sheet.names)
    return sheet


def compute_findings(
    sheet: Sheet,
    outcomes: Sequence[RowOutcome],
    scoring: Scoring,
    *,
    columns: Sequence[str] = ("group", "gender"),
    task: Task | Literal["mood"] | None = None,
) -> Findings:
    """Compute what the report says of the outcomes, in one pass over them.

    `columns` are those to group by. `task` is that of the report, if it is not that of the sheet.
    """

    chance: Any = {"drop": scoring.drop, "replicates": scoring.replicates, "seed": scoring.seed}

    def measure(part: Sheet) -> Figures:
        return to_measured(compute_figures(part, **chance))

    abstained: Counter[str] = Counter()
    values: dict[str, list[str]] = {name: [] for name in columns}
    for outcome in outcomes:
        if outcome.abstained:
            abstained[outcome.abstained] += 1
        for name, column in values.items():
            column.append(sys.intern(read_column(outcome.row, name)))
    whole = measure(sheet)
    return Findings(
        task=task or sheet.task,
        n=len(sheet),
        clusters=int(sheet.clusters.max(initial=-1)) + 1,
        abstained=dict(sorted(abstained.items())),
        metrics=whole,
        per_class={} if sheet.task == "affect" else _per_class(sheet, drop=scoring.drop),
        label_counts=_label_counts(sheet),
        confusion={} if sheet.task in ("affect", "labels") else _confusion(sheet, drop=scoring.drop),
        curves=to_struct(compute_curves(sheet, whole.get("aurc"), drop=scoring.drop), Curves),
        groups={key: _group(column, sheet.take(rows), measure) for key, column, rows in list_groups(values)},
        gaps=[to_struct(gap, Gap) for gap in measure_gaps(sheet, values, **chance)],
    )


def describe_classes(sheet: Sheet) -> str:
    """The classes that a prediction was chosen from, as a note."""
    return f"closed set: argmax over the {len(sheet.names)} classes that occur ({', '.join(sheet.names)})"


def list_extra_columns(columns: Sequence[str]) -> list[str]:
    """The columns that a row has only on request.

    >>> list_extra_columns(["gender", "accent", "accent"])
    ['accent']
    """
    return [name for name in dict.fromkeys(columns) if name not in _OWN]


def list_group_columns(columns: Sequence[str]) -> list[str]:
    """The columns to group by: `group`, `gender`, and those that were asked for.

    >>> list_group_columns(["accent", "gender"])
    ['group', 'gender', 'accent']
    """
    return list(dict.fromkeys(("group", "gender", *columns)))


def read_column(row: Row, column: str) -> str:
    """The cell of a row in a column, ours or one that was asked for; empty where there is none."""
    return str(getattr(row, column)) if column in _OWN else row.more.get(column, "")


def _group(column: str, part: Sheet, measured: Callable[[Sheet], Figures]) -> Group:
    if len(part) < FEWEST:
        return Group(column=column, n=len(part), metrics={}, note=INSUFFICIENT)
    few = explain_shortage(len(part), int(part.clusters.max()) + 1)
    return Group(column=column, n=len(part), metrics=measured(part), note=few or UNSET)


def _per_class(sheet: Sheet, *, drop: bool) -> dict[str, ClassFigures]:
    counts = sheet.count(drop=drop)
    precision, recall, f1 = metrics.precision(counts), metrics.recall(counts), metrics.f1(counts)
    areas = replace(make_ranked(sheet, drop=drop), score=sheet.given, truth=sheet.truth).areas()
    columns = {"precision": precision, "recall": recall, "f1": f1, "auc": areas}
    found = {}
    for at, name in enumerate(sheet.names):
        values = {key: round_number(column[at]) for key, column in columns.items()}
        found[name] = ClassFigures(support=int(counts[2, at]), **values)
    return found


def _label_counts(sheet: Sheet) -> dict[str, int]:
    there = np.isfinite(sheet.truth) if sheet.task == "affect" else sheet.truth > 0
    return dict(zip(sheet.names, there.sum(axis=0).tolist(), strict=True))


def _confusion(sheet: Sheet, *, drop: bool) -> dict[str, dict[str, int]]:
    """True class to predicted class to rows; `abstained` is a column where abstentions count."""
    names = len(sheet.names)
    table = np.zeros((names, names + 1), dtype=np.int64)
    for some in sheet.blocks():
        true, predicted = sheet.truth[some] > 0, sheet.predicted[some]
        table[:, :names] += true.T.astype(np.int64) @ predicted
        table[:, names] += (true & ~sheet.answered[some, None]).sum(axis=0)
    columns = sheet.names if drop else (*sheet.names, "abstained")
    rows = zip(sheet.names, table.tolist(), strict=True)
    return {name: dict(zip(columns, row, strict=False)) for name, row in rows}
