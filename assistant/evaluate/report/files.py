"""The files of a run: `report.json`, `report.html`, `card.md`, `predictions.csv` and `bad_rows.csv`."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import msgspec

from assistant.errors import Invalid, Unavailable
from assistant.evaluate.report.conversion import to_plain
from assistant.evaluate.report.model_card import model_card
from assistant.evaluate.report.page import report_page
from assistant.evaluate.report.report import BadRowEntry, BadRows, Report
from assistant.evaluate.report.terminal import format_summary
from assistant.evaluate.tables.manifest import BadRow, write_bad_rows

SHOWN_BAD = 50
"""Bad rows listed in the report; all are counted."""
FILES = "report.html, report.json, card.md, predictions.csv"
"""What a run writes, as it is printed."""
_ROOM = 4_000_000
"""Free bytes that a run needs besides the predictions."""


def list_bad_rows(bad: Sequence[BadRow]) -> BadRows:
    """The number of bad rows, and the first `SHOWN_BAD` in the order of the file."""
    ordered = sorted(bad, key=lambda row: row.line)
    return BadRows(
        count=len(bad), first=[BadRowEntry(line=row.line, reason=row.reason) for row in ordered[:SHOWN_BAD]]
    )


def print_bad_rows(bad: Sequence[BadRow]) -> None:
    """Print the first bad rows to the standard error, and how many more there are."""
    listed = list_bad_rows(bad)
    for row in listed.first:
        print(f"line {row.line}: {row.reason}", file=sys.stderr)
    if more := listed.count - len(listed.first):
        print(f"and {more} more bad rows", file=sys.stderr)


def report_bad_rows(out: Path, data: Path, bad: Sequence[BadRow]) -> None:
    """Print the first bad rows, and write all of them. Raises `Unavailable` (`out_unwritable`)."""
    print_bad_rows(bad)
    write_bad_rows(out, data, bad)


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
        raise Unavailable(
            f"--out {out} has {free >> 20} MB of free space, this needs {wanted >> 20}", code="out_unwritable"
        )


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


def write_predictions(out: Path, lines: Iterable[Sequence[Any]]) -> None:
    """Write `predictions.csv`, the header first. Raises `Unavailable` (`out_unwritable`)."""
    with _writing(out), _replacing(out / "predictions.csv") as file:
        csv.writer(file, lineterminator="\n").writerows(lines)


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


def write_and_print(report: Report, out: Path) -> None:
    """Write the report, print its figures, and name the files. Raises `Unavailable` (`out_unwritable`)."""
    print(format_summary(write_report(report, out)))
    print(f"  in {out}: {FILES}")


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"cannot write into --out {out}: {error.strerror}", code="out_unwritable") from error
