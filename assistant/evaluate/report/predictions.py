"""`predictions.csv`: its lines as a run writes them, and how `compare` reads them back."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import compress, islice
from pathlib import Path
from typing import Any

import numpy as np

from assistant.arrays import Bools, Floats, Ints
from assistant.errors import Invalid, NotFound
from assistant.evaluate.figures import metrics
from assistant.evaluate.figures.tasks import Sheet, Task
from assistant.evaluate.report.conversion import read_report
from assistant.evaluate.report.report import Report
from assistant.evaluate.run.outcomes import RowOutcome

_BLOCK = 10_000
"""Rows held as text at one time."""


def make_lines(sheet: Sheet, outcomes: Sequence[RowOutcome], *, with_text: bool = False) -> Iterator[list[Any]]:
    """The lines of `predictions.csv`, the header first."""
    affect = sheet.task == "affect"
    who = [name for name in ("speaker", "group", "gender") if any(getattr(o.row, name) for o in outcomes)]
    first = "file" if any(o.row.file for o in outcomes) else "id"
    labels = [f"{what}{name}" for what in ("label_", "mean_", "deviation_") for name in sheet.names]
    probabilities = ["label", "prediction", *(f"p_{name}" for name in sheet.names)]
    text = ["text"] if with_text else []
    yield ["line", first, *who, *(labels if affect else probabilities), "abstained", *text]
    for at, outcome in enumerate(outcomes):
        row = outcome.row
        if affect:
            cells = [_shown(value) for value in (*sheet.truth[at], *sheet.given[at], *sheet.deviation[at])]
        else:
            predicted = compress(sheet.names, sheet.predicted[at])
            cells = ["|".join(row.labels), "|".join(predicted), *map(_shown, sheet.given[at])]
        rest = [outcome.abstained or "", *([row.text] if with_text else [])]
        yield [row.line, row.name, *(getattr(row, name) for name in who), *cells, *rest]


def _shown(value: float) -> str:
    return f"{value:.6f}" if math.isfinite(value) else ""


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """One model's answers."""

    name: str
    """Its name in tables."""
    folder: Path
    report: Report
    keys: Sequence[tuple[int, str]]
    """[rows]: line of the manifest, and file or id."""
    sheet: Sheet

    @property
    def drop(self) -> bool:
        """Whether abstentions were left out."""
        return bool(self.report.options.get("abstain") == "drop")


def read_scored(folder: Path, name: str) -> Scored:
    """Read a folder that `assistant evaluate voice|text|mood` wrote.

    Raises `NotFound` (`report_missing`) and `Invalid` (`report_invalid`).
    """
    report = read_report(folder / "report.json")
    if report.task == "situnes" or report.task == "logs":
        raise Invalid(f"{folder} is a report of {report.task}, which has no rows to compare", code="not_comparable")
    task: Task = "emotion" if report.task == "mood" else report.task
    file = folder / "predictions.csv"
    try:
        with file.open(encoding="utf-8", newline="") as opened:
            keys, sheet = _sheet(csv.reader(opened), task)
    except FileNotFoundError as error:
        raise NotFound(f"{folder} has no predictions.csv: evaluate again", code="report_missing") from error
    except (OSError, ValueError, IndexError, csv.Error) as error:
        raise Invalid(f"{file} is not as evaluate writes it: {error}", code="report_invalid") from error
    return Scored(name, folder, report, keys, sheet)


def _sheet(lines: Iterator[list[str]], task: Task) -> tuple[list[tuple[int, str]], Sheet]:
    head = next(lines, [])
    if head[:1] != ["line"] or head[1:2] not in (["file"], ["id"]) or "abstained" not in head:
        raise ValueError("the header is another")
    affect, end = task == "affect", head.index("abstained")
    start = next(at for at, cell in enumerate(head) if cell == "label" or (affect and cell[:6] == "label_"))
    cells = head[start:end] if affect else head[start + 2 : end]
    prefix = "label_" if affect else "p_"
    names = tuple(cell.removeprefix(prefix) for cell in cells if cell.startswith(prefix) or not affect)
    speaker = head.index("speaker") if "speaker" in head[:start] else None
    keys: list[tuple[int, str]] = []
    who: list[str] = []
    blocks: list[tuple[Floats, Floats, Floats, Bools, Bools]] = []
    while block := list(islice(lines, _BLOCK)):
        keys += [(int(cells[0]), cells[1]) for cells in block]
        who += ["" if speaker is None else cells[speaker] for cells in block]
        blocks.append(_read_block(block, start, end, names, affect=affect))
    if not blocks:
        raise ValueError("it has no rows")
    parts = [np.concatenate(part) for part in zip(*blocks, strict=True)]
    truth, given, deviation, predicted, answered = parts
    return keys, Sheet(task, names, truth, given, deviation, predicted, answered, metrics.number_clusters(who))


def _read_block(
    block: Sequence[Sequence[str]], start: int, end: int, names: Sequence[str], *, affect: bool
) -> tuple[Floats, Floats, Floats, Bools, Bools]:
    """Truth, given, deviation, predicted, answered. Columns from `start` to `end` are labels and answers."""
    answered = np.array([cells[end] == "" for cells in block], dtype=bool)
    if affect:
        values = np.array([[_number(cell) for cell in cells[start:end]] for cells in block])
        truth, given, deviation = np.split(values, 3, axis=1)
        return truth, given, deviation, np.zeros(truth.shape, dtype=bool), answered
    given = np.array([[_number(cell) for cell in cells[start + 2 : end]] for cells in block])
    truth, predicted = (_masks([cells[at] for cells in block], names) for at in (start, start + 1))
    return truth.astype(np.float64), given, np.empty((len(block), 0)), predicted, answered


def _number(cell: str) -> float:
    return float(cell) if cell else np.nan


def _masks(cells: Sequence[str], names: Sequence[str]) -> Bools:
    place = {name: at for at, name in enumerate(names)}
    masks = np.zeros((len(cells), len(names)), dtype=bool)
    for row, cell in enumerate(cells):
        for name in cell.split("|") if cell else ():
            masks[row, place[name]] = True
    return masks


def find_common_rows(scored: Sequence[Scored]) -> list[Ints]:
    """Row numbers of the rows that all models scored, in the order of the first, [models][rows]."""
    places = [{key: at for at, key in enumerate(one.keys)} for one in scored]
    keys = [key for key in places[0] if all(key in other for other in places[1:])]
    return [np.array([place[key] for key in keys], dtype=np.int64) for place in places]


def align_sheets(scored: Sequence[Scored]) -> list[Sheet]:
    """The sheets of the rows that all models scored, with the same names and clusters.

    Where abstentions are left out, only rows that all of them answered. Raises `Invalid` (`not_comparable`) where
    there are none, or their labels differ.
    """
    rows = find_common_rows(scored)
    if scored[0].drop:
        answered = np.logical_and.reduce([one.sheet.answered[at] for one, at in zip(scored, rows, strict=True)])
        rows = [at[answered] for at in rows]
    if not len(rows[0]):
        raise Invalid("there is no row that all of these scored", code="not_comparable")
    names = tuple(dict.fromkeys(name for one in scored for name in one.sheet.names))
    sheets = [_named(one.sheet.take(at), names) for one, at in zip(scored, rows, strict=True)]
    first = sheets[0]
    for one, sheet in zip(scored, sheets, strict=True):
        if not np.array_equal(sheet.truth, first.truth, equal_nan=True):
            raise Invalid(
                f"{scored[0].name} and {one.name} have other labels for the same rows: evaluate both with the same "
                "--label-map and --scale",
                code="not_comparable",
            )
    return [replace(sheet, clusters=first.clusters) for sheet in sheets]


def _named(sheet: Sheet, names: Sequence[str]) -> Sheet:
    """The sheet with other columns; a name that it lacks is never true and never predicted."""
    if tuple(names) == sheet.names:
        return sheet
    shape = (len(sheet), len(names))
    affect = sheet.task == "affect"
    truth = np.full(shape, np.nan if affect else 0.0)
    given = np.where(sheet.answered[:, None] & (not affect), np.zeros(shape), np.nan)
    deviation = np.full(shape if affect else (len(sheet), 0), np.nan)
    predicted = np.zeros(shape, dtype=bool)
    for at, name in enumerate(names):
        if name in sheet.names:
            place = sheet.names.index(name)
            truth[:, at], given[:, at], predicted[:, at] = (
                part[:, place] for part in (sheet.truth, sheet.given, sheet.predicted)
            )
            if affect:
                deviation[:, at] = sheet.deviation[:, place]
    return replace(sheet, names=tuple(names), truth=truth, given=given, deviation=deviation, predicted=predicted)
