"""Write the models' figures from their cards into README.md, between the two `figures` comments."""

from __future__ import annotations

import argparse
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
START, END = "<!-- figures -->", "<!-- /figures -->"


def table(models: Path) -> str:
    """All figures as Markdown, one table for each model that has any."""
    parts = []
    for file in sorted(models.glob("*/card.toml")):
        card = tomllib.loads(file.read_text(encoding="utf-8"))
        size = (file.parent / "model.onnx").stat().st_size / 1e6
        parts.append(f"**`{card['name']}`** ({size:.1f} MB). {card['summary']}\n\n*Licence:* {card['licence']}\n")
        figures = card.get("figures", [])
        variants = [figure for figure in figures if "; baseline" in figure["data"]]
        if figures:
            parts.append(_rows([figure for figure in figures if figure not in variants]))
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


def updated(readme: str, figures: str) -> str:
    """`readme` with `figures` between the comments."""
    before, rest = readme.split(START)
    return f"{before}{START}\n{figures}{END}{rest.split(END)[1]}"


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether README.md is up to date")
    args = parser.parse_args()
    file = ROOT / "README.md"
    old = file.read_text(encoding="utf-8")
    new = updated(old, table(ROOT / "models"))
    if args.check:
        print(
            "up to date" if new == old else "README.md does not show the cards' figures; run this without --check"
        )
        return 0 if new == old else 1
    file.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
