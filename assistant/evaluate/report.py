"""What a run leaves behind: `predictions.csv`, `report.json`, and a short table for the terminal."""

from __future__ import annotations

import csv
import json
import math
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from assistant.errors import Invalid, Unavailable
from assistant.evaluate import metrics
from assistant.evaluate.manifest import BadRow
from assistant.evaluate.metrics import Figure
from assistant.evaluate.run import Outcome
from assistant.evaluate.tasks import Sheet, Task, answer, chosen, class_names, statistics
from assistant.inference.card import Card

FEWEST = 30
"""Rows below which a group's figures say more about chance than about the group."""
SHOWN_BAD = 50
"""Bad rows listed in the report; all are counted."""
_ROOM = 4_000_000
"""Bytes that must be free before a run starts, beside those of the predictions."""


def sheet_of(task: Task, card: Card, outcomes: Sequence[Outcome]) -> Sheet:
    """Labels beside answers. Columns are the classes present, all labels of the card, or the affects labelled."""
    used = {name for o in outcomes for name in (*o.row.labels, *o.row.affect)}
    names = class_names(task, card, used)
    shape = (len(outcomes), len(names))
    sheet = Sheet(
        task=task,
        names=names,
        truth=np.full(shape, np.nan) if task == "affect" else np.zeros(shape),
        given=np.full(shape, np.nan),
        deviation=np.full(shape if task == "affect" else (len(outcomes), 0), np.nan),
        predicted=np.zeros(shape, dtype=bool),
        answered=np.array([o.scores is not None for o in outcomes], dtype=bool),
        clusters=metrics.cluster_numbers([o.row.speaker for o in outcomes]),
    )
    for at, outcome in enumerate(outcomes):
        for column, name in enumerate(names):
            if name in outcome.row.labels:
                sheet.truth[at, column] = 1
            elif name in outcome.row.affect:
                sheet.truth[at, column] = outcome.row.affect[name]
        if outcome.scores is not None:
            sheet.given[at], sheet.deviation[at] = answer(task, outcome.scores, names)
            sheet.predicted[at] = chosen(task, outcome.scores, sheet.given[at], sheet.names)
    return sheet


def findings(
    sheet: Sheet, outcomes: Sequence[Outcome], *, drop: bool, replicates: int, seed: int
) -> dict[str, Any]:
    """The part of the report that is computed: n, abstained, metrics, per_class, confusion, groups."""

    def measured(part: Sheet) -> dict[str, Figure]:
        clusters = int(part.clusters.max(initial=-1)) + 1
        return metrics.figures(statistics(part, drop=drop), clusters, replicates=replicates, seed=seed)

    counts = sheet.counts(drop=drop).sum(axis=0)
    precision, recall, f1 = metrics.precision(counts), metrics.recall(counts), metrics.f1(counts)
    per_class = {
        name: {
            "precision": float(precision[at]),
            "recall": float(recall[at]),
            "f1": float(f1[at]),
            "support": int(counts[2, at]),
        }
        for at, name in enumerate(sheet.names)
    }
    return {
        "n": len(outcomes),
        "clusters": int(sheet.clusters.max(initial=-1)) + 1,
        "abstained": dict(sorted(Counter(o.abstained for o in outcomes if o.abstained).items())),
        "metrics": _jsonable(measured(sheet)),
        "per_class": {} if sheet.task == "affect" else per_class,
        "confusion": {} if sheet.task in ("affect", "labels") else _confusion(sheet, drop=drop),
        "groups": {
            key: {
                "column": column,
                "n": int(rows.sum()),
                **(
                    {"metrics": _jsonable(measured(sheet.take(rows)))}
                    if rows.sum() >= FEWEST
                    else {"metrics": {}, "note": "insufficient evidence"}
                ),
            }
            for key, column, rows in _groups(outcomes)
        },
    }


def _confusion(sheet: Sheet, *, drop: bool) -> dict[str, dict[str, int]]:
    """True class to predicted class to rows; `abstained` is a column where abstentions count."""
    table: dict[str, dict[str, int]] = {}
    for at, name in enumerate(sheet.names):
        rows = sheet.truth[:, at] > 0
        table[name] = {
            other: int((rows & sheet.predicted[:, column]).sum()) for column, other in enumerate(sheet.names)
        }
        if not drop:
            table[name]["abstained"] = int((rows & ~sheet.answered).sum())
    return table


def _groups(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, str, metrics.Bools]]:
    seen: set[str] = set()
    for column in ("group", "gender"):
        values = np.array([getattr(o.row, column) for o in outcomes], dtype=object)
        for value in sorted(set(values) - {""}):
            key = value if value not in seen else f"{column} {value}"
            seen.add(key)
            yield key, column, np.asarray(values == value, dtype=bool)


def _jsonable(value: Any) -> Any:
    """Figures as objects, and undefined numbers as null: NaN is no JSON."""
    if isinstance(value, Figure):
        return {"value": _jsonable(value.value), "low": _jsonable(value.low), "high": _jsonable(value.high)}
    if isinstance(value, Mapping):
        return {str(key): _jsonable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(inner) for inner in value]
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value


def bad_rows(bad: Sequence[BadRow]) -> dict[str, Any]:
    """How many, and the first `SHOWN_BAD` in the order of the file."""
    ordered = sorted(bad, key=lambda row: row.line)
    return {
        "count": len(bad),
        "first": [{"line": row.line, "reason": row.reason} for row in ordered[:SHOWN_BAD]],
    }


def tell(bad: Sequence[BadRow]) -> None:
    """Print the first bad rows to the standard error, and how many more there are."""
    listed = bad_rows(bad)
    for row in listed["first"]:
        print(f"line {row['line']}: {row['reason']}", file=sys.stderr)
    if more := listed["count"] - len(listed["first"]):
        print(f"and {more} more bad rows", file=sys.stderr)


def prepare(out: Path, *, rows: int, columns: int) -> None:
    """Make the folder and see that the results will fit. Raises `Invalid` or `Unavailable` (`out_unwritable`)."""
    wanted = rows * (100 + 20 * columns) + _ROOM
    try:
        out.mkdir(parents=True, exist_ok=True)
        with _replacing(out / "report.json", keep=True) as file:
            file.write(" " * 4096)
        free = shutil.disk_usage(out).free
    except (FileExistsError, NotADirectoryError) as error:
        raise Invalid(f"--out {out} is not a folder", code="out_unwritable") from error
    except OSError as error:
        raise Unavailable(f"can't write into --out {out}: {error.strerror}", code="out_unwritable") from error
    if free < wanted:
        raise Unavailable(
            f"--out {out} has {free >> 20} MB of free space, this needs {wanted >> 20}", code="out_unwritable"
        )


@contextmanager
def _replacing(file: Path, *, keep: bool = False) -> Iterator[TextIO]:
    """Write beside `file`, then put it in its place; `keep` only tries, and leaves what is there."""
    beside = file.with_name(f".{file.name}.part")
    try:
        with beside.open("w", encoding="utf-8", newline="") as opened:
            yield opened
        if not keep:
            beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


def write(
    out: Path, report: Mapping[str, Any], sheet: Sheet, outcomes: Sequence[Outcome], *, with_text: bool
) -> None:
    """Write both files. Raises `Unavailable` (`out_unwritable`)."""
    try:
        with _replacing(out / "predictions.csv") as file:
            csv.writer(file, lineterminator="\n").writerows(_lines(sheet, outcomes, with_text=with_text))
        with _replacing(out / "report.json") as file:
            json.dump(_jsonable(report), file, indent=2, ensure_ascii=False, allow_nan=False)
            file.write("\n")
    except OSError as error:
        raise Unavailable(f"can't write into --out {out}: {error.strerror}", code="out_unwritable") from error


def _lines(sheet: Sheet, outcomes: Sequence[Outcome], *, with_text: bool) -> Iterator[list[Any]]:
    affect = sheet.task == "affect"
    who = [name for name in ("speaker", "group", "gender") if any(getattr(o.row, name) for o in outcomes)]
    first = "file" if any(o.row.file for o in outcomes) else "id"
    labels = [f"{what}{name}" for what in ("label_", "mean_", "deviation_") for name in sheet.names]
    probabilities = ["label", "prediction", *(f"p_{name}" for name in sheet.names)]
    text = ["text"] if with_text else []
    yield ["line", first, *who, *(labels if affect else probabilities), "abstained", *text]
    for at, outcome in enumerate(outcomes):
        if affect:
            told = [*sheet.truth[at], *sheet.given[at], *sheet.deviation[at]]
            shown = [_shown(value) for value in told]
        else:
            predicted = "|".join(
                name for name, is_it in zip(sheet.names, sheet.predicted[at], strict=True) if is_it
            )
            shown = ["|".join(outcome.row.labels), predicted, *(_shown(value) for value in sheet.given[at])]
        row = outcome.row
        rest = [outcome.abstained or "", *([row.text] if with_text else [])]
        yield [row.line, row.name, *(getattr(row, name) for name in who), *shown, *rest]


def _shown(value: float) -> str:
    return f"{value:.6f}" if math.isfinite(value) else ""


def table(report: Mapping[str, Any]) -> str:
    """The figures for a terminal, aligned."""
    abstained, bad = sum(report["abstained"].values()), report["bad_rows"]["count"]
    lines = [
        f"{report['task']} with {report['model']['name']}: {report['n']} rows, {report['clusters']} clusters, "
        f"{abstained} abstained, {bad} bad, {report['seconds']:.1f} s",
        *(_line(name, figure) for name, figure in report["metrics"].items()),
        *(f"  {note}" for note in report["notes"]),
    ]
    return "\n".join(lines)


def _line(name: str, figure: Mapping[str, float | None]) -> str:
    value, low, high = (figure[key] for key in ("value", "low", "high"))
    if value is None:
        return f"  {name:<20} undefined"
    return f"  {name:<20} {value:6.3f}" + ("" if low is None else f"  [{low:6.3f}, {high:6.3f}]")
