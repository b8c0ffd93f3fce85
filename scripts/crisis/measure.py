"""Measure the crisis rules on the frozen, labelled sample and on ordinary comments; write models/text/crisis.toml.

Intervals are Wilson's, at 95 %, over sentences; most authors gave one or two, so clustering is slight. The floor
beside each figure is a plain list of keywords: suicide, suicidal, kill myself, die.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from assistant.recommend.measures.interval import wilson_interval
from assistant.text.crisis import notice_crisis
from scripts.crisis.languages import KEYWORDS, ordinary, written
from scripts.crisis.sample import Sentence, load, read_set
from scripts.paths import DATA, ROOT

OUT = ROOT / "models" / "text" / "crisis.toml"
COMMAND = "python -m scripts.crisis.measure"
SAMPLES = {
    "dev": "labelled sample, dev (shaped the rules)",
    "test": "labelled sample, test",
    "second": "labelled sample, second (shaped the rules)",
    "third": "labelled sample, third (shaped the rules)",
    "blind": "labelled sample, blind",
}
RISKS = ("Attempt", "Behavior", "Ideation", "Indicator", "Supportive")
_KEYWORDS = re.compile(r"\b(?:suicide|suicidal|kill myself|die)\b", re.IGNORECASE)


@dataclass(frozen=True)
class CrisisFigure:
    """A share of `n` texts, with its interval and what the keywords reach."""

    measure: str
    data: str
    category: str
    value: float
    low: float
    high: float
    n: int
    floor: float

    def as_toml(self) -> str:
        lines = ["[[figures]]", f'measure = "{self.measure}"', f'data = "{self.data}"']
        lines += [f'category = "{self.category}"'] if self.category else []
        lines += [f"{name} = {getattr(self, name):.5f}" for name in ("value", "low", "high")]
        return "\n".join([*lines, f"n = {self.n}", f"floor = {self.floor:.5f}", f'command = "{COMMAND}"', ""])


def figure(
    measure: str, data: str, hits: Sequence[bool], floor: Sequence[bool], category: str = ""
) -> CrisisFigure:
    """The share of true among `hits`; `floor` is the same for the keywords (precision: over their own alarms)."""
    value = sum(hits) / max(1, len(hits))
    return CrisisFigure(
        measure,
        data,
        category,
        value,
        *wilson_interval(sum(hits), len(hits)),
        len(hits),
        sum(floor) / max(1, len(floor)),
    )


def alarmed(text: str) -> bool:
    return notice_crisis(text) is not None


def keywords(text: str) -> bool:
    return _KEYWORDS.search(text) is not None


def shares(
    measure: str,
    data: str,
    texts: Sequence[str],
    category: str = "",
    floor: Callable[[str], bool] = keywords,
) -> CrisisFigure:
    """How many of the texts raise an alarm."""
    return figure(measure, data, [alarmed(text) for text in texts], [floor(text) for text in texts], category)


def precision(data: str, lines: Sequence[tuple[Sentence, str]]) -> CrisisFigure:
    """Of the alarms on sentences labelled yes or no, the share that are yes."""

    def right(alarm: Callable[[str], bool]) -> list[bool]:
        return [line.label == "yes" for line, text in lines if line.label in ("yes", "no") and alarm(text)]

    return figure("precision", data, right(alarmed), right(keywords))


def sample_figures(lines: Sequence[tuple[Sentence, str]], data: str) -> list[CrisisFigure]:
    def texts(label: str, category: str = "") -> list[str]:
        return [text for line, text in lines if line.label == label and category in ("", line.category)]

    categories = sorted({line.category for line, _ in lines if line.label == "yes"})
    found = [shares("recall", data, texts("yes"))]
    found += [shares("recall", data, texts("yes", category), category) for category in categories]
    for name in sorted({line.set for line, _ in lines if line.label == "yes"}):
        part = [text for line, text in lines if line.label == "yes" and line.set == name]
        found.append(shares("recall", f"{data}, {name} alone", part))
    found.append(precision(data, lines))
    found.append(shares("alarms", data, texts("either"), "either"))
    found.append(shares("alarms", data, texts("no"), "no"))
    found.append(shares("recall", data, texts("other"), "concern_for_other"))
    return found


def user_figures(data: Path) -> list[CrisisFigure]:
    """Share of users of whom any sentence alarms, by the psychiatrists' label: all users, so informative only."""
    users = read_set(data, "crisis_cssrs500")
    return [
        shares("users_alarmed", "crisis_cssrs500", [user["Post"] for user in users if user["Label"] == risk], risk)
        for risk in RISKS
    ]


def language_figures(data: Path) -> list[CrisisFigure]:
    """Recall and false alarms in German, French and Spanish."""
    figures = []
    for language, known in KEYWORDS.items():

        def floor(text: str, known: re.Pattern[str] = known) -> bool:
            return known.search(text) is not None

        for split, data_name in (("dev", "dev (shaped the rules)"), ("blind", "blind")):
            lines = list(written(language, split))
            for measure, wanted in (("recall", "yes"), ("false_alarms", "no")):
                texts = [text for label, text in lines if label == wanted]
                figures.append(shares(measure, f"written sample, {language}, {data_name}", texts, floor=floor))
        for name, texts in ordinary(data, language):
            figures.append(shares("false_alarms", f"{name}, {language}", texts, floor=floor))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data (ATTUNE_DATA)")
    parser.add_argument("--out", type=Path, default=OUT, help="where to write the figures")
    parser.add_argument("--dev", action="store_true", help="show the dev half alone and write nothing")
    options = parser.parse_args()
    lines = load(options.data)
    found: list[CrisisFigure] = []
    for split, data in SAMPLES.items():
        if split == "dev" or not options.dev:
            found += sample_figures([line for line in lines if line[0].split == split], data)
    if not options.dev:
        comments = [row["text"] for row in read_set(options.data, "goemotions", "dev.tsv.gz")]
        found.append(shares("false_alarms", "goemotions dev", comments))
        found += user_figures(options.data)
        found += language_figures(options.data)
        options.out.write_text("\n".join(one.as_toml() for one in found), encoding="utf-8")
    for one in found:
        print(
            f"{one.measure:14} {one.data:45} {one.category:18} {one.value:.4f} [{one.low:.4f}, {one.high:.4f}]"
            f" n={one.n} floor={one.floor:.4f}"
        )


if __name__ == "__main__":
    main()
