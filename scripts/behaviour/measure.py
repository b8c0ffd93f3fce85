"""Measure how models/text behaves beyond its benchmarks; write the figures on its card as `[[behaviour]]`.

Every text goes through the served reader. Beside the figures of sentiment stands the floor: bag of words with
logistic regression on the same tweets and phrases.

robustness   the label of 500 texts under eight ways of writing them
checklist    the behavioural tests of sentiment of Ribeiro et al. 2020
fairness     shifts of valence and stress with names, genders and HolisticBias' descriptors
feelings     negated, ironic, quoted and reported feelings
abstention   texts that can't be read, and the coverage of those that can
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from scripts.behaviour import abstention, checklist, fairness, feelings, robustness, texts
from scripts.behaviour.floor import open_floor
from scripts.behaviour.reading import Served
from scripts.cards import card as cards
from scripts.paths import DATA, ROOT

FOLDER = ROOT / "models" / "text"
UNREADABLE = ROOT / "tests" / "text" / "unreadable.csv"
TEXTS = 500
NAMED = 150
COMMAND = "python -m scripts.behaviour.measure"

Entry = dict[str, Any]


def measures(data: Path, unreadable: Path, work: Path, read: Served) -> Mapping[str, Callable[[], list[Entry]]]:
    """What can be measured, by kind; the floor is fitted when it is first needed."""

    def floor() -> Callable[..., Any]:
        return open_floor(data, work)

    return {
        "robustness": lambda: robustness.measured(texts.chosen(data, TEXTS), read, floor()),
        "checklist": lambda: checklist.measured(checklist.cases(data), read, floor()),
        "fairness": lambda: fairness.measured(
            data,
            texts.named(data, NAMED, fairness.MASKED_NAME),
            texts.gendered(data),
            read,
            floor(),
        ),
        "feelings": lambda: feelings.measured(texts.ironic(data), read, floor(), read.stress_threshold),
        "abstention": lambda: abstention.measured(
            texts.unreadable(unreadable) if unreadable.exists() else [],
            texts.dev_texts(data),
            read,
        ),
    }


def shown(entry: Entry) -> str:
    """One line for a terminal."""
    value = f"{entry['value']:7.4f} [{entry['low']:.4f}, {entry['high']:.4f}]" if "low" in entry else "undefined"
    floor = f" floor {entry['floor']:.4f}" if "floor" in entry else ""
    return f"  {entry['measure']:<22}{value}{floor} n {entry['n']}  {entry['name']} {entry.get('detail', '')}"


def main() -> None:
    kinds = ["robustness", "checklist", "fairness", "feelings", "abstention"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data sets (or ATTUNE_DATA)")
    parser.add_argument(
        "--model", type=Path, default=FOLDER, help="folder of the model to measure; its card is written"
    )
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "text", help="folder that keeps the floor")
    parser.add_argument("--unreadable", type=Path, default=UNREADABLE, help="CSV of kind, detail, text, split")
    parser.add_argument(
        "--only", nargs="+", choices=kinds, default=kinds, metavar="KIND", help=f"some of {', '.join(kinds)}"
    )
    options = parser.parse_args()
    folder = options.model.resolve()
    read = Served(folder)
    known = measures(options.data, options.unreadable, options.work.resolve() / "measure", read)
    if "abstention" in options.only and not options.unreadable.exists():
        print(f"no {options.unreadable}: only the coverage of readable texts is measured")
    for kind in options.only:
        print(f"{kind}", flush=True)
        found = [{**entry, "command": f"{COMMAND} --only {kind}"} for entry in known[kind]()]
        # After each kind, so that what was measured stays when a later one is interrupted.
        cards.write_behaviour(folder, kind, found, kinds)
        print("\n".join(map(shown, found)), flush=True)


if __name__ == "__main__":
    main()
