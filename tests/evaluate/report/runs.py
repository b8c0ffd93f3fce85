"""Runs of evaluate for tests, and their pages as a browser sees them."""

from __future__ import annotations

import csv
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from assistant.cli import main
from assistant.evaluate.report import files
from assistant.evaluate.report.conversion import to_struct
from assistant.evaluate.report.documents import model_card, report_page
from assistant.evaluate.report.report import Report
from tests.evaluate.report.reports import (
    bare_report,
    full_report,
    labels_report,
    many_classes_report,
)

READING = Path(sys.modules["assistant"].__path__[0]) / "demo" / "reading.flac"
EVERY = (full_report, labels_report, many_classes_report, bare_report)
TEXTS = (
    ("I am so happy today!", "joy"),
    ("Leave me alone, I hate this.", "anger"),
    ("I cried all night.", "sadness"),
    ("What a wonderful present, thank you!", "joy"),
    ("How dare you!", "anger"),
    ("Nobody came, and I miss them.", "sadness"),
)
VARYING = re.compile(r'<(time|span)[^>]* class="varies">[^<]*</\1>|<time [^>]*>')


class Tags(HTMLParser):
    """Every element and attribute that a browser would see, and whether elements close in order."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.unbalanced: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.unbalanced += self._open

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen.append((name, dict(attributes)))
        if name not in ("meta", "br"):
            self._open.append(name)

    def handle_startendtag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen.append((name, dict(attributes)))

    def handle_endtag(self, name: str) -> None:
        if not self._open or self._open.pop() != name:
            self.unbalanced.append(name)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def a_table(folder: Path, rows: tuple[tuple[str, str], ...] = TEXTS, column: str = "emotion") -> Path:
    file = folder / "texts.csv"
    with file.open("w", newline="", encoding="utf-8") as opened:
        csv.writer(opened).writerows([("text", column), *rows])
    return file


def page_of(report: dict[str, Any]) -> str:
    return report_page(to_struct(report, Report))


def card_of(report: dict[str, Any]) -> str:
    return model_card(to_struct(report, Report))


def evaluated(out: Path, *args: str) -> dict[str, str]:
    assert main(["evaluate", *args, "--out", str(out), "--bootstrap", "50"]) == 0
    return {name: (out / name).read_text(encoding="utf-8") for name in files.FILES.split(", ")}
