"""Labels as the researcher wrote them, turned into ours, or told apart as unknown."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from assistant.errors import Invalid, NotFound
from assistant.evaluate.figures.tasks import Task
from assistant.evaluate.tables.tables import normalise_name

LabelMap = Mapping[str, str | None]


class UnknownLabel(ValueError):
    """A label that is neither ours nor in the map."""

    def __init__(self, label: str) -> None:
        super().__init__(f"unknown label {label[:40]!r}; name it in --label-map, or null to leave it out")
        self.label = label


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of one row: names, or numbers for affect."""

    names: tuple[str, ...] = ()
    affect: Mapping[str, float] | None = None


def read_label_map(file: Path | None, allowed: Sequence[str]) -> LabelMap:
    """Read {"theirs": "ours" or null}. Raises `Invalid` (`label_map_invalid`), `NotFound` (`file_missing`)."""
    if file is None:
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise NotFound(f"can't read the label map {file}: {error.strerror}", code="file_missing") from error
    except ValueError as error:
        raise Invalid(f"the label map {file} is not JSON: {error}", code="label_map_invalid") from error
    if not isinstance(found, dict):
        raise Invalid(f'the label map {file} must look like {{"theirs": "ours"}}', code="label_map_invalid")
    known = {normalise_name(name): name for name in allowed}
    named = {str(ours) for ours in found.values() if ours is not None}
    if wrong := sorted(name for name in named if normalise_name(name) not in known):
        raise Invalid(
            f"the label map {file} names {', '.join(wrong)}; known: {', '.join(allowed)}, or null to leave out",
            code="label_map_invalid",
        )
    return {
        normalise_name(str(theirs)): None if ours is None else known[normalise_name(str(ours))]
        for theirs, ours in found.items()
    }


def read_labels(cell: Mapping[str, str], task: Task, allowed: Sequence[str], label_map: LabelMap) -> Labels | None:
    """A row's labels; None where the map leaves it out. Raises `UnknownLabel`, or `ValueError` with the reason.

    Names are compared without case; the map goes before our own names.

    >>> read_labels({"emotion": "Happy"}, "emotion", ["joy"], {"happy": "joy"})
    Labels(names=('joy',), affect=None)
    >>> read_labels({"valence": "2.5"}, "affect", ["valence", "arousal"], {})
    Labels(names=(), affect={'valence': 2.5})
    """
    if task == "affect":
        affect = {name: value for name in allowed if (value := read_number(cell, name)) is not None}
        if not affect:
            raise ValueError("no label")
        return Labels(affect=affect)
    written = [name for name in (cell[task].split("|") if task == "labels" else [cell[task]]) if name.strip()]
    if not written and task != "labels":  # an empty set of labels is a label; no class is not
        raise ValueError("no label")
    mapped = (_map_label(name, allowed, label_map) for name in written)
    names = dict.fromkeys(name for name in mapped if name is not None)
    if written and not names:
        return None
    return Labels(tuple(map(sys.intern, names)))


def _map_label(name: str, allowed: Sequence[str], label_map: LabelMap) -> str | None:
    plain = normalise_name(name)
    for found in (plain, plain.removesuffix(".0")):  # tables of floats write `1` as `1.0`
        if found in label_map:
            return label_map[found]
        if found in allowed:
            return found
        if ours := next((ours for ours in allowed if normalise_name(ours) == found), None):
            return ours
    raise UnknownLabel(name.strip())


def read_number(cell: Mapping[str, str], column: str) -> float | None:
    """A finite number, None where the cell is empty. Raises `ValueError` for anything else."""
    written = cell.get(column, "").strip()
    if not written:
        return None
    try:
        value = float(written)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{column} is not a number: {written[:40]!r}")
    return value


def list_counts(counts: Mapping[str, int], *, most: int | None = None) -> str:
    """Labels with how often each occurs, the most frequent first.

    >>> list_counts({"puzzled": 2, "bored": 12, "shy": 1}, most=2)
    "'bored' (12), 'puzzled' (2) and 1 more"
    """
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    told = ", ".join(f"{label[:40]!r} ({count})" for label, count in ordered[:most])
    more = len(ordered) - len(ordered[:most])
    return told + (f" and {more} more" if more else "")
