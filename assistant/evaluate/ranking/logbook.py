"""Reading a log of choices with their propensities: rows that can be used, and rows that can't, with reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assistant.arrays import Floats
from assistant.errors import Invalid
from assistant.evaluate.tables.labels import number_of
from assistant.evaluate.tables.manifest import BadRow
from assistant.evaluate.tables.tables import table_of

_NEEDED = ("action", "reward", "propensity", "target")
_MODELLED = ("expected", "expected_target")


@dataclass(frozen=True, slots=True)
class Log:
    """The rows that can be used, in the order of the file."""

    lines: tuple[int, ...]
    actions: tuple[str, ...]
    numbers: Mapping[str, Floats]
    """Column to one number for each row."""
    of: tuple[str, ...]
    """Person, or group, of each row; empty where there is none."""
    over: str | None
    """Which column that is."""
    bad: tuple[BadRow, ...]


def read(file: Path) -> Log:
    """Read a CSV, TSV, JSON lines, JSON or Parquet by its ending. Rows that can't be used are collected.

    Raises `NotFound` (`file_missing`) and `Invalid` (`manifest_column_missing`, `manifest_unreadable`).
    """
    table = table_of(file)
    columns = table.columns
    modelled = [name for name in _MODELLED if name in columns]
    missing = [f"`{name}`" for name in (*_NEEDED, *(_MODELLED if modelled else ())) if name not in columns]
    if missing:
        raise Invalid(
            f"{file} lacks the column {' and '.join(missing)}; it has {', '.join(columns) or 'none'}",
            code="manifest_column_missing",
        )
    over = next((name for name in ("person", "group") if name in columns), None)
    rows: list[tuple[int, str, dict[str, float], str]] = []
    bad: list[BadRow] = []
    for line, cell in table.rows():
        try:
            if isinstance(cell, str):
                raise ValueError(cell)
            row = {name: _number(cell, name) for name in (*_NEEDED[1:], *modelled)}
        except ValueError as error:
            bad.append(BadRow(line, str(error)))
            continue
        rows.append((line, cell["action"].strip(), row, cell.get(over or "", "").strip()))
    return Log(
        lines=tuple(line for line, _, _, _ in rows),
        actions=tuple(action for _, action, _, _ in rows),
        numbers={name: np.array([row[name] for _, _, row, _ in rows]) for name in (*_NEEDED[1:], *modelled)},
        of=tuple(who for _, _, _, who in rows),
        over=over,
        bad=tuple(bad),
    )


def _number(cell: Mapping[str, str], column: str) -> float:
    value = number_of(cell, column)
    if value is None:
        raise ValueError(f"no {column}")
    if column == "propensity" and not 0 < value <= 1:
        raise ValueError("the propensity must be greater than 0 and at most 1")
    if column == "target" and not 0 <= value <= 1:
        raise ValueError("the target is a probability, from 0 to 1")
    return value
