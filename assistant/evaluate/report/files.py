"""The files: `report.json`, `report.html`, `card.md`, `predictions.csv`, `bad_rows.csv`, and what it prints."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import msgspec

from assistant.errors import Invalid, Unavailable
from assistant.evaluate.report.conversion import to_plain
from assistant.evaluate.report.documents import model_card, report_page
from assistant.evaluate.report.glossary import choose_headline
from assistant.evaluate.report.report import BadRowEntry, BadRows, Measured, Number, Report
from assistant.evaluate.tables.manifest import BadRow

BAD_ROWS = "bad_rows.csv"
"""All rows that couldn't be scored, beside the report."""
SHOWN_BAD = 50
"""Bad rows listed in the report; all are counted."""
FILES = "report.html, report.json, card.md, predictions.csv"
"""What a run writes, as it is printed."""
_ROOM = 4_000_000
"""Free bytes that a run needs besides the predictions."""


def list_bad_rows(bad: Sequence[BadRow]) -> BadRows:
    """The number of bad rows, and the first `SHOWN_BAD` in the order of the file."""
    first = [BadRowEntry(line=row.line, reason=row.reason) for row in _sort_rows(bad)[:SHOWN_BAD]]
    return BadRows(count=len(bad), first=first)


def print_bad_rows(bad: Sequence[BadRow]) -> None:
    """Print the first bad rows to the standard error, and how many more there are."""
    listed = list_bad_rows(bad)
    for row in listed.first:
        print(f"line {row.line}: {row.reason}", file=sys.stderr)
    if more := listed.count - len(listed.first):
        print(f"and {more} more bad rows", file=sys.stderr)


def report_bad_rows(out: Path, data: Path, bad: Sequence[BadRow]) -> None:
    """Print the first bad rows, and write all of them to `bad_rows.csv`, in the order of the manifest.

    Without bad rows there is no such file, also none of an earlier run. Raises `Unavailable` (`out_unwritable`).
    """
    print_bad_rows(bad)
    with _writing(out):
        if not bad:
            (out / BAD_ROWS).unlink(missing_ok=True)
            return
        rows = [(data.name or str(data), row.line, row.name, row.reason) for row in _sort_rows(bad)]
        with _replacing(out / BAD_ROWS) as file:
            csv.writer(file, lineterminator="\n").writerows([("manifest", "line", "file", "reason"), *rows])


def _sort_rows(bad: Sequence[BadRow]) -> list[BadRow]:
    return sorted(bad, key=lambda row: row.line)


def print_nothing_scored(data: Path) -> int:
    """Print that no row could be scored; returns the exit status of such a run."""
    print(f"assistant evaluate: none of the rows of {data} could be scored", file=sys.stderr)
    return 1


def prepare_folder(out: Path, *, rows: int, columns: int) -> None:
    """Make the folder and check that the results will fit. Raises `Invalid` or `Unavailable` (`out_unwritable`)."""
    wanted = rows * (100 + 20 * columns) + _ROOM
    try:
        out.mkdir(parents=True, exist_ok=True)
        with _replacing(out / "report.json", keep=True) as file:
            file.write(" " * 4096)
        free = shutil.disk_usage(out).free
    except (FileExistsError, NotADirectoryError) as error:
        raise Invalid(f"--out {out} is not a folder", code="out_unwritable") from error
    except OSError as error:
        raise Unavailable(f"cannot write into --out {out}: {error.strerror}", code="out_unwritable") from error
    if free < wanted:
        words = f"--out {out} has {free >> 20} MB of free space, this needs {wanted >> 20}"
        raise Unavailable(words, code="out_unwritable")


@contextmanager
def _replacing(file: Path, *, keep: bool = False) -> Iterator[TextIO]:
    """Write to a new file, then replace `file` by it; `keep` only tries, and leaves `file` as it is."""
    beside = file.with_name(f".{file.name}.part")
    try:
        # a file name may hold bytes that are no UTF-8; they are written as escapes
        with beside.open("w", encoding="utf-8", errors="backslashreplace", newline="") as opened:
            yield opened
        if not keep:
            beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


def write_report(report: Report, out: Path) -> Report:
    """Write `report.json`, the page and the model card; returns the report as it was written.

    Raises `Unavailable` (`out_unwritable`).
    """
    content = to_plain(report)
    written = msgspec.convert(content, Report)
    with _writing(out):
        with _replacing(out / "report.json") as file:
            json.dump(content, file, indent=2, ensure_ascii=False, allow_nan=False)
            file.write("\n")
        for name, text in (("report.html", report_page(written)), ("card.md", model_card(written))):
            with _replacing(out / name) as file:
                file.write(text)
    return written


def write_and_print(report: Report, predictions: Iterable[Sequence[Any]], out: Path) -> None:
    """Write `predictions.csv` and the report, print its figures, and name the files.

    `predictions` are lines, the header first. Raises `Unavailable` (`out_unwritable`).
    """
    with _writing(out), _replacing(out / "predictions.csv") as file:
        csv.writer(file, lineterminator="\n").writerows(predictions)
    print(format_summary(write_report(report, out)))
    print(f"  in {out}: {FILES}")


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"cannot write into --out {out}: {error.strerror}", code="out_unwritable") from error


def format_summary(report: Report) -> str:
    """All figures, aligned; then the leading one by condition, fold and reading; then gaps, notes and leakage."""
    places = 5 if report.task == "logs" else 3
    counts = [f"{report.n} rows", f"{report.clusters} clusters", f"{sum(report.abstained.values())} abstained"]
    if report.splits:
        counts.append(f"{report.splits} splits")
    if report.bad_rows:
        counts.append(f"{report.bad_rows.count} bad")
    lines = [f"{report.task} with {report.model.name}: {', '.join(counts)}, {report.seconds:.1f} s"]
    lines += (_format_line(name, figure, places) for name, figure in report.metrics.items())
    lines += (*_list_parts(report), *(f"  {note}" for note in report.notes))
    if report.leakage and report.leakage.against:
        lines.append(f"  against {report.leakage.against}: {report.leakage.verdict}")
    return "\n".join(lines)


def _list_parts(report: Report) -> Iterator[str]:
    key = next(iter(choose_headline(report.task, report.metrics)), "")
    parts: list[tuple[str, Mapping[str, Number]]] = []
    parts += [(f"{key}, {one.name}", one.metrics) for one in report.conditions or ()]
    if report.folds:
        parts += [(f"{key} without {fold.held_out}", fold.metrics) for fold in report.folds.of]
        parts += [(f"{key}, mean of the folds", report.folds.mean or {})]
    parts += [(f"{key}, {name}", figures) for name, figures in (report.compared or {}).items()]
    for name, figures in parts:
        if isinstance(figure := figures.get(key), Measured):
            yield _format_line(name, figure)
    if report.sets and report.sets.held:
        sets = f"; {report.sets.said:.0%} of the rows have one, of {report.sets.names or 0:.1f} names on average"
        yield _format_line("sets that hold the label", report.sets.held) + sets
    if report.weights:
        effective, largest = (report.weights[key] or 0 for key in ("effective_sample_size", "largest"))
        yield f"  effective sample size {effective:.1f}, largest weight {largest:.3g}"
    for gap in report.gaps or ():
        if gap.verdict == "gap":
            yield f"  gap by {gap.column}: {gap.metric} of {gap.best} and of {gap.worst} differ"


def _format_line(name: str, figure: Measured, places: int = 3) -> str:
    if figure.value is None:
        return f"  {name:<20} undefined"
    value, low, high = (f"{end or 0:{places + 3}.{places}f}" for end in (figure.value, figure.low, figure.high))
    return f"  {name:<20} {value}" + ("" if figure.low is None else f"  [{low}, {high}]")
