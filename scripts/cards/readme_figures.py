"""Write the figures of the models' cards, and those of the mood, into README.md, each between two comments."""

from __future__ import annotations

import argparse
import sys
import tomllib
from pathlib import Path
from typing import Any

from scripts.paths import ROOT

OPEN = 8
"""Figures of a model that are seen at once."""
MODELS, MOOD = "figures", "mood figures"
"""Names of the comments: `<!-- figures -->` to `<!-- /figures -->`, and so on."""
SHOWN = (
    "coverage of 90 % sets", "share of sets small enough to be said", "names in a set", "uar", "weighted_f1",
    "mean auc", "auc of stress", "auc of unpleasant", "balanced accuracy",
)  # fmt: skip
"""Measures of the mood in the table, with the differences in them; the file has all."""


def table(models: Path) -> str:
    """All figures as Markdown, one table for each model that has any."""
    parts = []
    for file in sorted(models.glob("*/card.toml")):
        card = tomllib.loads(file.read_text(encoding="utf-8"))
        size = (file.parent / "model.onnx").stat().st_size / 1e6
        parts.append(f"**`{card['name']}`** ({size:.1f} MB). {card['summary']}\n\n*Licence:* {card['licence']}\n")
        figures = card.get("figures", [])
        variants = [figure for figure in figures if "; baseline" in figure["data"]]
        first = [figure for figure in figures if figure not in variants]
        if first:
            parts.append(_rows(first[:OPEN]))
        if more := first[OPEN:]:
            parts.append(f"<details><summary>{len(more)} more figures</summary>\n\n{_rows(more)}\n</details>\n")
        if variants:
            words = "The same with a personal baseline (speaker: all clips known; online: only those before)"
            parts.append(f"<details><summary>{words}</summary>\n\n{_rows(variants)}\n</details>\n")
    return "\n".join(parts)


def _rows(figures: list[dict[str, Any]]) -> str:
    head = ["| measure | data | value | 95 % | floor | n |", "|---|---|---|---|---|---|"]
    return "\n".join(head + [_row(figure) for figure in figures]) + "\n"


def _row(figure: dict[str, Any]) -> str:
    def shown(name: str) -> str:
        return f"{figure[name]:.3f}" if name in figure else ""

    interval = f"{shown('low')}–{shown('high')}" if "low" in figure else ""
    cells = (figure["measure"].replace("_", " "), figure["data"], shown("value"), interval, shown("floor"))
    return f"| {' | '.join(cells)} | {figure.get('n', '')} |"


def mood_table(file: Path) -> str:
    """The figures of the mood as Markdown, one table for each part of the measurement."""
    figures = tomllib.loads(file.read_text(encoding="utf-8"))["figures"]
    shown = [figure for figure in figures if figure["measure"].removeprefix("difference of ") in SHOWN]
    parts = {
        "sets": "Sets of emotions that can't be ruled out",
        "dialogue": "Messages alone, and with their history",
        "speech": "Utterances alone, with the personal baseline, and with their history",
        "fused": "Voice and text together, and the better of the two",
        "help": "The tone that is chosen, and what supporters did",
    }
    return "\n".join(
        f"<details><summary>{words}</summary>\n\n{_rows([f for f in shown if f['part'] == part])}\n</details>\n"
        for part, words in parts.items()
    )


def updated(readme: str, name: str, figures: str) -> str:
    """`readme` with `figures` between the comments of this name; as it is where it has none."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if start not in readme:
        return readme
    before, rest = readme.split(start)
    return f"{before}{start}\n{figures}{end}{rest.split(end)[1]}"


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether README.md is up to date")
    args = parser.parse_args()
    file = ROOT / "README.md"
    old = file.read_text(encoding="utf-8")
    new = updated(old, MODELS, table(ROOT / "models"))
    new = updated(new, MOOD, mood_table(ROOT / "assistant" / "mood" / "figures.toml"))
    if args.check:
        print(
            "up to date" if new == old else "README.md does not show the cards' figures; run this without --check"
        )
        return 0 if new == old else 1
    file.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
