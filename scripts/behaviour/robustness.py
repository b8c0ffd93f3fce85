"""Does a text keep its label when it is written in another way?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from scripts.behaviour.reading import Read, Said, mean
from scripts.behaviour.transforms import TRANSFORMS, pairs

Entry = dict[str, Any]
GOAL = 0.95


def agrees(before: Said, after: Said, of: Callable[[Said], str | None]) -> bool:
    """An abstention agrees with nothing.

    >>> agrees(Said((0.1, 0.2, 0.7)), Said((0.2, 0.2, 0.6)), lambda said: said.label)
    True
    >>> agrees(Said(abstained="language"), Said(abstained="language"), lambda said: said.label)
    False
    """
    return of(before) is not None and of(before) == of(after)


def measured(texts: Sequence[str], read: Read, floor: Read) -> list[Entry]:
    """Agreement of the most probable sentiment, and of the top shared emotion: all together, then by transform."""
    found = {name: _agreements(name, texts, read, floor) for name in TRANSFORMS}
    whole = [[hit for column in columns for hit in column] for columns in zip(*found.values(), strict=True)]
    return [
        *_entries("all transforms", whole, list(texts) * len(TRANSFORMS), {"at_least": GOAL}),
        *(entry for name, columns in found.items() for entry in _entries(name, columns, list(texts), {})),
    ]


def _agreements(name: str, texts: Sequence[str], read: Read, floor: Read) -> list[list[float]]:
    made = pairs(name, list(texts))
    flat = [text for pair in made for text in pair]
    ours, theirs = read(flat), floor(flat)

    def column(said: Sequence[Said], of: Callable[[Said], str | None]) -> list[float]:
        return [float(agrees(*both, of)) for both in zip(said[::2], said[1::2], strict=True)]

    return [
        column(ours, lambda s: s.label),
        column(ours, lambda s: s.emotion),
        column(theirs, lambda s: s.label),
        [float(said.abstained is not None) for said in ours[1::2]],
    ]


def _entries(
    name: str, columns: Sequence[Sequence[float]], texts: Sequence[str], more: dict[str, Any]
) -> list[Entry]:
    labels, emotions, floor, abstained = columns
    same = {"kind": "robustness", "name": name}
    left = {"abstained": int(sum(abstained))} if any(abstained) else {}
    return [
        {
            **same,
            "measure": "label_agreement",
            **mean(labels, texts),
            "floor": round(sum(floor) / len(floor), 4),
            **left,
            **more,
        },
        {**same, "measure": "emotion_agreement", **mean(emotions, texts), **left},
    ]
