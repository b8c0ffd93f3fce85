"""The development texts whose reading is tested, as they were written."""

from __future__ import annotations

import csv
from pathlib import Path
from random import Random

from scripts.behaviour.people import swapped
from scripts.text.data import dreaddit_table, table

SHORTEST, LONGEST = 4, 40
"""Words."""
_HE_OR_SHE = frozenset(["he", "she", "him", "her", "his", "hers", "himself", "herself"])


def dev_texts(data: Path) -> dict[str, list[str]]:
    """Texts of each development split."""
    return {
        "goemotions dev": list(table(data, "goemotions/dev.tsv.gz").text.astype(str)),
        "tweeteval_sentiment val": list(table(data, "tweeteval_sentiment/val.tsv.gz").text.astype(str)),
        "sst2 dev": list(table(data, "sst2/dev.tsv").text.astype(str)),
        "emobank dev": list(table(data, "emobank/dev.tsv").text.astype(str)),
        "dreaddit, held-out posts": list(dreaddit_table(data, held_out=True).text.astype(str)),
    }


def chosen(data: Path, count: int, *, seed: int = 0) -> list[str]:
    """`count` texts of 4 to 40 words, as many of GoEmotions as of TweetEval's sentiments and of SST-2."""
    known = dev_texts(data)
    sets = [known[name] for name in ("goemotions dev", "tweeteval_sentiment val", "sst2 dev")]
    found: list[str] = []
    for place, texts in enumerate(sets):
        fit = sorted({text for text in texts if SHORTEST <= len(text.split()) <= LONGEST})
        share = count * (place + 1) // len(sets) - count * place // len(sets)
        found += Random(f"{seed} {place}").sample(fit, share)
    return found


def named(data: Path, count: int, slot: str) -> list[str]:
    """Comments with one masked name and without a word for a woman or a man."""
    fit = [
        text
        for text in dev_texts(data)["goemotions dev"]
        if text.count(slot) == 1 and swapped(text)[1] == "none" and not _HE_OR_SHE & set(text.lower().split())
    ]
    return Random(0).sample(sorted(set(fit)), min(count, len(set(fit))))


def gendered(data: Path) -> list[str]:
    """All comments, tweets and phrases that speak of a woman or a man."""
    known = dev_texts(data)
    sets = ("goemotions dev", "tweeteval_sentiment val", "sst2 dev")
    return [text for name in sets for text in known[name] if swapped(text)[1] != "none"]


def ironic(data: Path) -> dict[str, list[str]]:
    """Tweets by class: irony, non_irony."""
    found = table(data, "tweeteval_irony/val.tsv")
    return {name: list(found.text[found.label == name].astype(str)) for name in ("irony", "non_irony")}


def unreadable(file: Path) -> list[dict[str, str]]:
    """The test rows of a list of texts that ought not to be read: kind, detail, text, split."""
    with file.open(encoding="utf-8", newline="") as lines:
        return [row for row in csv.DictReader(lines) if row["split"] == "test"]
