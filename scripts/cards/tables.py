"""Write every generated page and table of the documentation: model cards, figures, settings, error codes.

    python -m scripts.cards.tables            # write what is out of date
    python -m scripts.cards.tables --check    # write nothing; 1 if something is out of date

A table inside a page stands between `<!-- NAME -->` and `<!-- /NAME -->`; a page without its markers is an error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from assistant.commands.reference import errors_page, settings_page
from scripts.cards import mood
from scripts.cards.page import models_table, pages
from scripts.paths import ROOT


class MarkerMissing(Exception):
    """A page does not have both markers of a table, each once."""


def whole_pages() -> dict[str, str]:
    """Path from the root to content of every page that is generated as a whole."""
    written = {"assistant/SETTINGS.md": settings_page(), "assistant/server/ERRORS.md": errors_page()}
    for card in sorted((ROOT / "models").glob("*/card.toml")):
        written |= {f"models/{card.parent.name}/{name}": content for name, content in pages(card.parent).items()}
    return written | {"scripts/mood/FIGURES.md": mood.page(mood.read_figures())}


def tables() -> dict[str, Mapping[str, str]]:
    """Path from the root to the tables inside that page, by the name of their markers."""
    return {
        "README.md": {"models": models_table(ROOT / "models")},
        "assistant/mood/README.md": {"figures": mood.main_table(mood.read_figures())},
    }


def fill(page: str, name: str, table: str) -> str:
    """Put the table between its markers. Raises `MarkerMissing`.

    >>> fill("a <!-- t --> old <!-- /t --> z", "t", "new")
    'a <!-- t -->\\n\\nnew\\n<!-- /t --> z'
    """
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if page.count(start) != 1 or page.count(end) != 1 or page.index(start) > page.index(end):
        raise MarkerMissing(f"needs {start} and {end}, each once")
    return f"{page.partition(start)[0]}{start}\n\n{table}\n{end}{page.partition(end)[2]}"


def stale_pages(root: Path) -> dict[str, str]:
    """Path from `root` to the right content of every page that does not have it. Raises `MarkerMissing`."""
    right = whole_pages()
    for path, inside in tables().items():
        content = (root / path).read_text(encoding="utf-8")
        for name, table in inside.items():
            try:
                content = fill(content, name, table)
            except MarkerMissing as error:
                raise MarkerMissing(f"{path} {error}") from None
        right[path] = content
    return {
        path: content
        for path, content in right.items()
        if not (root / path).is_file() or (root / path).read_text(encoding="utf-8") != content
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 where something is out of date, or has no place."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    parser.add_argument("--root", type=Path, default=ROOT, help="where the pages are (default: this project)")
    options = parser.parse_args(arguments)
    try:
        stale = stale_pages(options.root)
    except (MarkerMissing, OSError) as error:
        print(error)
        return 1
    for path, content in stale.items():
        print(f"{path} is out of date" if options.check else f"wrote {path}")
        if not options.check:
            (options.root / path).write_text(content, encoding="utf-8")
    if options.check and stale:
        print("run `python -m scripts.cards.tables`")
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
