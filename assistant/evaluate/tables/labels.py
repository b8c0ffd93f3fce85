"""Labels as the researcher wrote them, turned into ours, or told apart as unknown."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.errors import Invalid, NotFound
from assistant.evaluate.figures.tasks import Task
from assistant.evaluate.tables.numbers import Decimal, parse_number
from assistant.evaluate.tables.tables import Cells, TextTable, normalise_name

LabelMap = Mapping[str, str | None]


_TRUTHS = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False, "": False}
_BRACKETS = {"[": "]", "(": ")", "{": "}"}
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")


class UnknownLabel(ValueError):
    """A label that is neither ours nor in the map."""

    def __init__(self, label: str) -> None:
        places = "; a text file of names, one a line, says what numbers from 0 mean" * label.isdecimal()
        super().__init__(f"unknown label {label[:40]!r}; name it in --label-map, or null to leave it out{places}")
        self.label = label


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of one row: names, or numbers for affect."""

    names: tuple[str, ...] = ()
    affect: Mapping[str, float] | None = None


def load_label_map(file: Path) -> Mapping[str, Any]:
    """{"theirs": "ours" or null} as it is written; of a list of names, or a text file with one a line, by place.

    Places count from 0, as in the list of labels that GoEmotions is published with. Raises `Invalid`
    (`label_map_invalid`), `NotFound` (`file_missing`).
    """
    try:
        written = file.read_text(encoding="utf-8-sig")
        found = written.split("\n") if file.suffix.lower() == ".txt" else json.loads(written)
    except OSError as error:
        raise NotFound(f"can't read the label map {file}: {error.strerror}", code="file_missing") from error
    except ValueError as error:
        raise Invalid(f"the label map {file} is not JSON: {error}", code="label_map_invalid") from error
    if isinstance(found, list):
        names = [name.strip() if isinstance(name, str) else name for name in found]
        return {str(place): name for place, name in enumerate(names) if name != ""}
    if not isinstance(found, dict):
        raise Invalid(f'the label map {file} must look like {{"theirs": "ours"}}', code="label_map_invalid")
    return found


def read_label_map(file: Path | None, allowed: Sequence[str]) -> LabelMap:
    """Read a map of labels, see `load_label_map`. Raises also `Invalid` (`label_map_invalid`) for unknown names."""
    if file is None:
        return {}
    found = load_label_map(file)
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


def read_labels(
    cell: Mapping[str, str],
    task: Task,
    allowed: Sequence[str],
    label_map: LabelMap,
    decimal: Decimal | None = None,
) -> Labels | None:
    """A row's labels; None where the map leaves it out. Raises `UnknownLabel`, or `ValueError` with the reason.

    Names are compared without case; the map goes before our own names.

    >>> read_labels({"emotion": "Happy"}, "emotion", ["joy"], {"happy": "joy"})
    Labels(names=('joy',), affect=None)
    >>> read_labels({"valence": "2.5"}, "affect", ["valence", "arousal"], {})
    Labels(names=(), affect={'valence': 2.5})
    """
    if task == "affect":
        affect = {name: value for name in allowed if (value := read_number(cell, name, decimal)) is not None}
        if not affect:
            raise ValueError("no label")
        return Labels(affect=affect)
    written = split_names(cell[task], lambda name: _is_known(name, allowed, label_map))
    if task != "labels" and len(written) > 1:
        if cell[task].strip()[0] in _BRACKETS:
            raise ValueError(f"{len(written)} labels, and {task} takes one")
        written = [cell[task]]
    if not written and task != "labels":  # an empty set of labels is a label; no class is not
        raise ValueError("no label")
    mapped = (_map_label(name, allowed, label_map) for name in written)
    names = dict.fromkeys(name for name in mapped if name is not None)
    if written and not names:
        return None
    return Labels(tuple(map(sys.intern, names)))


def split_names(written: str, is_known: Callable[[str], bool] = lambda _: False) -> list[str]:
    """The names in a cell: joined by a bar, a semicolon or a comma, or a list as JSON, Python or NumPy writes it.

    A cell that `is_known` as a whole is one name.

    >>> [split_names(one) for one in ("joy|love", "2,14", "['joy', 'love']", '["joy"]', "['joy' 'love']", "[2 14]")]
    [['joy', 'love'], ['2', '14'], ['joy', 'love'], ['joy'], ['joy', 'love'], ['2', '14']]
    >>> split_names("happy, excited", {"happy, excited"}.__contains__)
    ['happy, excited']
    """
    plain = written.strip()
    if is_known(plain):
        return [plain]
    if plain == "set()":
        return []
    if _BRACKETS.get(plain[:1]) == plain[-1:] != "":
        plain = plain[1:-1]
        quoted = [found[1] if found[1] is not None else found[2] for found in _QUOTED.finditer(plain)]
        if quoted and not _QUOTED.sub("", plain).strip(" ,;|\t\r\n"):
            return [re.sub(r"\\(.)", r"\1", name) for name in quoted if name.strip()]
        if re.fullmatch(r"[\d.\s]+", plain):
            return plain.split()
    separator = next((one for one in "|;," if one in plain), "|")
    return [name.strip() for name in plain.split(separator) if name.strip()]


def gather_columns(table: TextTable, allowed: Sequence[str], label_map: LabelMap) -> tuple[TextTable, list[str]]:
    """A table with columns of 0 and 1 for labels, with `labels` too, any other as it is; and what to say of it."""
    names = [name for name in table.columns if _is_known(name, allowed, label_map)]
    if "labels" in table.columns or len(names) < 2:
        return table, []

    def gather(cells: Cells) -> Cells | str:
        told = {name: cells[name].strip().casefold() for name in names}
        if wrong := [name for name, value in told.items() if value not in _TRUTHS]:
            return f"the column `{wrong[0]}` is of a label and neither 0 nor 1: {cells[wrong[0]][:40]!r}"
        return {**cells, "labels": "|".join(name for name, value in told.items() if _TRUTHS[value])}

    columns = f"{', '.join(names[:3])}, ..." if len(names) > 3 else ", ".join(names)
    note = f"the labels are taken from {len(names)} columns of 0 and 1: {columns}"
    return table.map_cells([*table.columns, "labels"], gather), [note]


def _is_known(name: str, allowed: Sequence[str], label_map: LabelMap) -> bool:
    try:
        return _map_label(name, allowed, label_map) is not None or True
    except UnknownLabel:
        return False


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


def read_number(cell: Mapping[str, str], column: str, decimal: Decimal | None = None) -> float | None:
    """A finite number, None where the cell is empty. Raises `ValueError` for anything else."""
    written = cell.get(column, "").strip()
    if not written:
        return None
    try:
        return parse_number(written, decimal)
    except ValueError as error:
        raise ValueError(
            f"{column} is {error}" if str(error).startswith("not ") else f"{column}: {error}"
        ) from None


def list_counts(counts: Mapping[str, int], *, most: int | None = None) -> str:
    """Labels with how often each occurs, the most frequent first.

    >>> list_counts({"puzzled": 2, "bored": 12, "shy": 1}, most=2)
    "'bored' (12), 'puzzled' (2) and 1 more"
    """
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    told = ", ".join(f"{label[:40]!r} ({count})" for label, count in ordered[:most])
    more = len(ordered) - len(ordered[:most])
    return told + (f" and {more} more" if more else "")
