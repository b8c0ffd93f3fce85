"""Draw the sentences on which the crisis rules are measured, and look them up again in the data.

`sample.csv` beside this file names every sentence (set, row, field, span) and gives its label, but does not hold
its words: those stay in the data, under their own terms. The draw knows nothing of the rules: a random part, a
part with a word of a broad net (death, life, hurt, ...), and a part with a word of a narrower net and one for the
writer.

Users and posts are cut into splits before anything is drawn; `GUIDELINE.md` says what each split was used for.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import random
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

from scripts.paths import DATA

FILE = Path(__file__).with_name("sample.csv")
SEED = 20261121
LONGEST = 300
DEV_PERCENT = 60

_BREAK = re.compile(r"(?<=[.!?])['\")]*\s+|(?<=[a-z][.!?])(?=[A-Z][a-z])|', '|\", \"|', \"|\", '|\s{2,}|\n+|\\n")
_NET = re.compile(
    r"die|dead|death|dying|kill|suicid|\bend|life|alive|\bliv(?:e|ing)\b|wake|waking|pills?\b|hang|cut|hurt|harm|"
    r"myself|overdos|gun\b|bridge|exist|any ?more|disappear|born|noose|rope|knife|jump|gone|burden|sleep|goodbye|"
    r"without me|give up|giving up|wrist|razor|bleed|pain\b|unaliv|kms|note\b|over with",
    re.IGNORECASE,
)
_NARROW = re.compile(
    r"\bdie\b|dead\b|death|dying|kill|suicid|\bend(?:ing)? (?:it|my|things|everything|this|the)|alive|"
    r"\bliv(?:e|ing)\b|wak(?:e|ing) up|pills?\b|hang\b|hanging|\bcut|hurt(?:ing)?\b|harm|overdos|gun\b|bridge|"
    r"exist|born|noose|rope|knife|jump|wrist|razor|unaliv|kms",
    re.IGNORECASE,
)
_WRITER = re.compile(r"\b(?:i|i'?m|i'?ve|i'?d|i'?ll|me|my|myself)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Sentence:
    """One line of `sample.csv`: where the sentence stands, how it was drawn, and what it was labelled."""

    set: str
    row: int
    """Counted from 0 in the set's file: a user or a post."""
    field: str
    start: int
    end: int
    """Characters of the field."""
    sha256: str
    """The first 12 hexadecimal digits over the sentence: a look-up that finds other words fails."""
    split: str
    drawn: str
    """random, net or narrow."""
    label: str = ""
    category: str = ""


FILES = {
    "crisis_cssrs500": ("users.tsv.gz", ("Post",)),
    "crisis_sdcnl": ("train.tsv.gz", ("title", "selftext")),
    "goemotions": ("train.tsv.gz", ("text",)),
}


def read_set(data: Path, name: str, file: str = "") -> list[dict[str, str]]:
    """The rows of a set's file, as they stand."""
    csv.field_size_limit(1 << 24)
    quoting: Literal[0, 3] = csv.QUOTE_NONE if name == "goemotions" else csv.QUOTE_MINIMAL
    with gzip.open(data / "text" / name / (file or FILES[name][0]), "rt", encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened, delimiter="\t", quoting=quoting))


def load(data: Path = DATA, file: Path = FILE) -> list[tuple[Sentence, str]]:
    """The labelled sample with its words; raises ValueError where the data are not those that were labelled."""
    with file.open(encoding="utf-8", newline="") as opened:
        lines = [
            Sentence(**{**line, "row": int(line["row"]), "start": int(line["start"]), "end": int(line["end"])})  # type: ignore[arg-type]
            for line in csv.DictReader(opened)
        ]
    sets = {name: read_set(data, name) for name in {line.set for line in lines}}
    found = []
    for line in lines:
        words = sets[line.set][line.row][line.field][line.start : line.end]
        if _digest(words) != line.sha256:
            raise ValueError(f"{line.set} row {line.row} is not what was labelled")
        found.append((line, words))
    return found


def spans(text: str) -> Iterator[tuple[int, int]]:
    """Where the sentences of three words or more stand; long ones are cut at a space.

    >>> list(spans("One two three. Four five six."))
    [(0, 14), (15, 29)]
    """
    start = 0
    breaks = [*_BREAK.finditer(text)]
    for end, following in [*((found.start(), found.end()) for found in breaks), (len(text), len(text))]:
        while end - start > LONGEST:
            cut = text.rfind(" ", start, start + LONGEST)
            cut = start + LONGEST if cut <= start else cut
            yield start, cut
            start = cut
        first, last = start, end
        while first < last and text[first] in " '\"[]":
            first += 1
        if len(text[first:last].split()) >= 3:
            yield first, last
        start = following


def draw(data: Path) -> list[Sentence]:
    """The sample without labels, in an order that tells nothing."""
    found: dict[str, Sentence] = {}
    for name, (_, columns) in FILES.items():
        rows = read_set(data, name)
        generator = random.Random(f"{SEED} {name}")
        order = generator.sample(range(len(rows)), len(rows))
        for place, row in enumerate(order):
            split, wanted = _wanted(name, place, len(rows))
            units = [(field, *span) for field in columns for span in spans(rows[row][field])]
            generator.shuffle(units)
            _take(found, name, row, rows[row], units, split, wanted)
        if name == "crisis_cssrs500":
            once_more = [row for place, row in enumerate(order) if _wanted(name, place, len(rows))[0] == "test"]
    rows, generator = read_set(data, "crisis_cssrs500"), random.Random(f"{SEED} blind")
    for row in once_more:
        units = [("Post", *span) for span in spans(rows[row]["Post"])]
        generator.shuffle(units)
        _take(found, "crisis_cssrs500", row, rows[row], units, "third", [("narrow", 1)])
    return sorted(found.values(), key=lambda sentence: sentence.sha256)


def _take(
    found: dict[str, Sentence],
    name: str,
    row: int,
    texts: dict[str, str],
    units: list[tuple[str, int, int]],
    split: str,
    wanted: list[tuple[str, int]],
) -> None:
    """Add the first sentences of `units` that fit and aren't there yet."""
    for drawn, count in wanted:
        taken = 0
        for field, start, end in units:
            digest = _digest(texts[field][start:end])
            if taken == count or digest in found or not _fits(drawn, texts[field][start:end]):
                continue
            found[digest] = Sentence(name, row, field, start, end, digest, split, drawn)
            taken += 1


def _wanted(name: str, place: int, rows: int) -> tuple[str, list[tuple[str, int]]]:
    """The split of the row at this place of the random order, and how many sentences to draw from it, and how."""
    if name == "crisis_cssrs500":
        if place < rows * DEV_PERCENT // 100:
            return "dev", [("random", place % 4 == 0), ("net", place % 2), ("narrow", 2)]
        return "test", [("random", place % 2), ("net", 1), ("narrow", 2)]
    if name == "crisis_sdcnl":
        if place < 400:
            return "test", [("random", place % 4 == 0), ("net", place % 4 == 1), ("narrow", 1)]
        return ("second", "third", "blind")[min(place // 400 - 1, 2)], [("narrow", 1)]
    if place < 100:
        return ("dev", "test")[place % 2], [("random", 1)]
    return ("dev", "test")[place % 2], [("net", 1)] if place < 1200 else []


def _fits(drawn: str, words: str) -> bool:
    if drawn == "random":
        return True
    if drawn == "net":
        return bool(_NET.search(words))
    return bool(_NARROW.search(words) and _WRITER.search(words))


def _digest(words: str) -> str:
    return hashlib.sha256(words.encode()).hexdigest()[:12]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data (ATTUNE_DATA)")
    parser.add_argument("--out", type=Path, required=True, help="where to write the sample, without labels")
    options = parser.parse_args()
    with options.out.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.DictWriter(opened, [field.name for field in fields(Sentence)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(sentence) for sentence in draw(options.data))


if __name__ == "__main__":
    main()
