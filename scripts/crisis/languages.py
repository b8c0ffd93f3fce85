"""Figures of the crisis rules in German, French and Spanish: on a written sample, and on ordinary text.

The sample was written by a language model that was given `GUIDELINE.md` and had not seen the rules; nobody in need
wrote any of it, and it is indirect and full of dialect on purpose. Half of its texts count, half do not. Every
second line, `dev`, then shaped the rules; the others, `blind`, did not. The floor is a list of keywords.
"""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Iterator
from pathlib import Path

from scripts.paths import ROOT

SAMPLE = ROOT / "scripts" / "crisis" / "sample_{language}.csv"
KEYWORDS = {
    "de": re.compile(r"\b(?:suizid|selbstmord|umbringen|sterben)", re.IGNORECASE),
    "fr": re.compile(r"\b(?:suicide|suicider|suicidaire|me tuer|mourir)\b", re.IGNORECASE),
    "es": re.compile(r"\b(?:suicidio|suicidarme|suicida|matarme|morir)\b", re.IGNORECASE),
}
"""By language, the words that a plain list would look for."""
ORDINARY: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("xed_multi/xed.tsv.gz", "lang", {}),
    ("brighter/train.tsv.gz", "lang", {"deu": "de", "esp": "es"}),
)
"""Sets of ordinary text, the column of the language, and other names of languages."""


def written(language: str, split: str) -> Iterator[tuple[str, str]]:
    """The label and the text of each line of one half of a language's sample: `dev` or `blind`."""
    with Path(str(SAMPLE).format(language=language)).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["split"] == split:
                yield row["label"], row["text"]


def ordinary(data: Path, language: str) -> Iterator[tuple[str, list[str]]]:
    """The name of each set that has texts of the language, and these texts."""
    for name, column, others in ORDINARY:
        with gzip.open(data / "text" / name, "rt", encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            texts = [row["text"] or "" for row in rows if others.get(row[column], row[column]) == language]
        if texts:
            yield name.partition("/")[0], texts
