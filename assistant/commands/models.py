"""`assistant models`: list the model folders, or check each against its card."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from assistant.config import shipped_models
from assistant.errors import AssistantError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("what", nargs="?", choices=("list", "check"), default="list", help="(default: list)")
    parser.add_argument("--models", type=Path, help="folder of model folders (default: the shipped ones)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print one line for each model; returns 1 if a model is broken or there are none."""
    describe = _check if args.what == "check" else _list
    root = args.models or shipped_models()
    folders = sorted(card.parent for card in root.glob("*/card.toml"))
    if not folders:
        print(f"there are no models in {root}", file=sys.stderr)
        return 1
    failed = 0
    for folder in folders:
        try:
            line, good = describe(folder)
        except AssistantError as problem:
            line, good = f"{folder.name:<20} BROKEN  {problem.message} [{problem.code}]", False
        print(line)
        failed += not good
    return 1 if failed else 0


def _list(folder: Path) -> tuple[str, bool]:
    from assistant.inference.card import read_card

    card = read_card(folder)
    return f"{card.name:<20} {card.kind:<8} {card.graph.stat().st_size / 1e6:6.1f} MB  {card.licence}", True


def _check(folder: Path) -> tuple[str, bool]:
    """Check hash, labels, shapes and golden outputs; of a voice model its stem and head too."""
    from assistant.audio.voice import check_head
    from assistant.inference.card import check_stem, read_card, stem_of
    from assistant.inference.model import golden_error, open_model

    card = read_card(folder)
    if "stem" in card.data:
        check_stem(card, read_card(folder.parent / stem_of(card)[0]))
    if card.kind == "voice":
        check_head(card)
    error, limit = golden_error(open_model(folder)), float(card.data.get("golden_tolerance", 0.02))
    verdict = "ok" if error <= limit else "WRONG"
    return (f"{card.name:<20} {verdict:<6} hash, labels, shapes; golden outputs within {error:.2g}", error <= limit)
