"""What a run leaves behind: `report.json`, `report.html`, `card.md`, `predictions.csv`, and a table to print."""

from __future__ import annotations

import csv
import json
import math
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from assistant.errors import Invalid, Unavailable
from assistant.evaluate.figures.tasks import Sheet
from assistant.evaluate.report.document import document
from assistant.evaluate.report.findings import findings as findings
from assistant.evaluate.report.findings import jsonable
from assistant.evaluate.report.findings import sheet_of as sheet_of
from assistant.evaluate.report.glossary import headline
from assistant.evaluate.report.model_card import model_card
from assistant.evaluate.report.provenance import SCHEMA
from assistant.evaluate.run.engine import Outcome
from assistant.evaluate.tables.manifest import BadRow

SHOWN_BAD = 50
"""Bad rows listed in the report; all are counted."""
FILES = "report.html, report.json, card.md, predictions.csv"
"""What `write` leaves, as it is told."""
_ROOM = 4_000_000
"""Bytes that must be free before a run starts, beside those of the predictions."""


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
        # a file name may hold bytes that are no UTF-8; they are written as escapes
        with beside.open("w", encoding="utf-8", errors="backslashreplace", newline="") as opened:
            yield opened
        if not keep:
            beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


def write(
    out: Path, report: Mapping[str, Any], sheet: Sheet, outcomes: Sequence[Outcome], *, with_text: bool
) -> None:
    """Write all files of a run. Raises `Unavailable` (`out_unwritable`)."""
    with _writing(out), _replacing(out / "predictions.csv") as file:
        csv.writer(file, lineterminator="\n").writerows(_lines(sheet, outcomes, with_text=with_text))
    save(out, report)


def save(out: Path, report: Mapping[str, Any]) -> None:
    """Write `report.json`, and what is drawn from it alone: `report.html` and `card.md`. Raises as `write` does."""
    plain = jsonable({"schema": SCHEMA, **report})
    with _writing(out):
        with _replacing(out / "report.json") as file:
            json.dump(plain, file, indent=2, ensure_ascii=False, allow_nan=False)
            file.write("\n")
        for name, content in (("report.html", document(plain)), ("card.md", model_card(plain))):
            with _replacing(out / name) as file:
                file.write(content)


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
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
        *_beside(report),
        *(f"  {note}" for note in report["notes"]),
    ]
    return "\n".join(lines)


def _beside(report: Mapping[str, Any]) -> Iterator[str]:
    """The leading figure under other conditions and by fold, and what gaps were found."""
    key = next(iter(headline(report)), "")
    for one in report.get("conditions") or ():
        if key in one["metrics"]:
            yield _line(f"{key}, {one['name']}", one["metrics"][key])
    for fold in (report.get("folds") or {}).get("of") or ():
        if isinstance(found := fold["metrics"].get(key), Mapping):
            yield _line(f"{key} without {fold['held_out']}", found)
    for gap in report.get("gaps") or ():
        if gap["verdict"] == "gap":
            yield f"  gap by {gap['column']}: {gap['metric']} of {gap['best']} and of {gap['worst']} differ"


def _line(name: str, figure: Mapping[str, float | None]) -> str:
    value, low, high = (figure[key] for key in ("value", "low", "high"))
    if value is None:
        return f"  {name:<20} undefined"
    return f"  {name:<20} {value:6.3f}" + ("" if low is None else f"  [{low:6.3f}, {high:6.3f}]")
