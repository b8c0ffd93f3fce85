"""Reading the researcher's table: rows that can be scored, and rows that can't, each with its line and reason."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from assistant.errors import Invalid, NotFound
from assistant.evaluate.tasks import SCALES, Task

LabelMap = Mapping[str, str | None]

_LONGEST_CELL = 10_000_000
"""Characters; the csv module's own limit, 131,072, is less than some documents have."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row to score."""

    line: int
    """Line of the manifest on which it begins, from 1."""
    name: str
    """`file` as written, or the `id` of a text where there is one."""
    file: Path | None = None
    text: str = ""
    start_s: float = 0.0
    end_s: float | None = None
    speaker: str = ""
    group: str = ""
    gender: str = ""
    labels: tuple[str, ...] = ()
    """One for a class task, any number for `labels`, none for affect."""
    affect: Mapping[str, float] = field(default_factory=dict)
    """Affect labels, on the manifest's scale; only those that the row has."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that can't be scored, and why."""

    line: int
    reason: str
    perhaps_alone: bool = False
    """It failed beside others in a batch, and any of them may be the cause."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A table, read."""

    rows: tuple[Row, ...]
    bad: tuple[BadRow, ...]
    left_out: int
    """Rows whose label the map leaves out on purpose."""
    columns: tuple[str, ...]


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
    known = {_plain(name): name for name in allowed}
    wrong = sorted({str(ours) for ours in found.values() if ours is not None and _plain(str(ours)) not in known})
    if wrong:
        raise Invalid(
            f"the label map {file} names {', '.join(wrong)}; known: {', '.join(allowed)}, or null to leave out",
            code="label_map_invalid",
        )
    return {
        _plain(str(theirs)): None if ours is None else known[_plain(str(ours))] for theirs, ours in found.items()
    }


def _plain(name: str) -> str:
    return name.strip().casefold()


def read_manifest(
    file: Path,
    modality: Literal["voice", "text"],
    task: Task,
    *,
    allowed: Sequence[str],
    label_map: LabelMap | None = None,
    need_speaker: bool = False,
) -> Manifest:
    """Read a CSV or TSV, by its ending, gzipped or not.

    Raises `NotFound` (`file_missing`) and `Invalid`: `manifest_column_missing`, `manifest_unreadable`. Rows that
    can't be understood are collected, never raised.
    """
    rows: list[Row] = []
    bad: list[BadRow] = []
    left_out = 0
    table = cells_of(file)
    _, header = next(table)
    if isinstance(header, str):
        raise Invalid(f"{file} has no header: {header}", code="manifest_unreadable")
    columns = [_plain(cell) for cell in header]
    _check_columns(file, columns, modality, task, allowed)
    for line, cells in table:
        try:
            if isinstance(cells, str):
                raise ValueError(cells)
            row = row_of(line, columns, cells, modality, file.parent)
            if need_speaker and not row.speaker:
                raise ValueError("no speaker, and a personal baseline needs one")
            labelled = with_labels(row, dict(zip(columns, cells, strict=False)), task, allowed, label_map or {})
        except ValueError as error:
            bad.append(BadRow(line, str(error)))
            continue
        if labelled is None:
            left_out += 1
        else:
            rows.append(labelled)
    return Manifest(tuple(rows), tuple(bad), left_out, tuple(columns))


def cells_of(file: Path) -> Iterator[tuple[int, list[str] | str]]:
    """The header, then each row with the line it begins on: its cells, or why they can't be read."""
    packed = file.suffix.lower() == ".gz"
    ending = Path(file.stem).suffix.lower() if packed else file.suffix.lower()
    if ending not in (".csv", ".tsv"):
        raise Invalid(f"{file} must end in .csv, .tsv, .csv.gz or .tsv.gz", code="manifest_unreadable")
    if not file.is_file():
        raise NotFound(f"there is no file {file}", code="file_missing")
    limit = csv.field_size_limit(_LONGEST_CELL)
    try:
        with gzip.open(file) if packed else file.open("rb") as raw:
            opened = io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")
            reader = csv.reader(opened, delimiter="\t" if ending == ".tsv" else ",")
            header: list[str] | None = None
            while True:
                line = reader.line_num + 1
                try:
                    cells = next(reader, None)
                except csv.Error as error:
                    yield line, f"not readable as a row: {error}"
                    continue
                if cells is None:
                    break
                if not cells:  # a blank line
                    continue
                if header is not None and len(cells) != len(header):
                    yield line, f"{len(cells)} cells where there are {len(header)} columns"
                elif ending == ".tsv" and any("\n" in cell and "\t" in cell for cell in cells):
                    yield line, f"a quote opens here and rows up to line {reader.line_num} ran together"
                else:
                    header = header or cells
                    yield line, cells
            if header is None:
                raise Invalid(f"{file} is empty", code="manifest_unreadable")
    except UnicodeDecodeError as error:
        raise Invalid(f"{file} is not UTF-8: {error.reason}", code="manifest_unreadable") from error
    except (OSError, EOFError, zlib.error) as error:
        raise Invalid(f"{file} can't be read: {error}", code="manifest_unreadable") from error
    finally:
        csv.field_size_limit(limit)


def _check_columns(file: Path, columns: Sequence[str], modality: str, task: Task, allowed: Sequence[str]) -> None:
    wanted = ["file", "speaker"] if modality == "voice" else ["text"]
    if task != "affect":
        wanted.append(task)
    missing = [f"the column `{name}`" for name in wanted if name not in columns]
    if task == "affect" and not any(name in columns for name in allowed):
        missing.append("one of " + ", ".join(f"`{name}`" for name in allowed))
    if missing:
        raise Invalid(
            f"{file} lacks {' and '.join(missing)}; it has {', '.join(columns) or 'none'}",
            code="manifest_column_missing",
        )


def row_of(line: int, columns: Sequence[str], cells: Sequence[str], modality: str, folder: Path) -> Row:
    """One row without its labels. Raises `ValueError` with the reason when it can't be scored."""
    cell = dict(zip(columns, cells, strict=True))
    row = Row(
        line=line,
        name=cell.get("file" if modality == "voice" else "id", "").strip(),
        speaker=cell.get("speaker", "").strip(),
        group=cell.get("group", "").strip(),
        gender=cell.get("gender", "").strip(),
    )
    if modality == "text":
        return replace(row, text=cell["text"])
    if not row.name:
        raise ValueError("no file named")
    file = folder / row.name
    try:
        found = file.is_file()
    except OSError as error:  # a name longer than the file system allows
        raise ValueError(f"{row.name[:40]} can't be a file: {error.strerror}") from error
    if not found:
        raise ValueError(f"there is no file {row.name}")
    start = number_of(cell, "trim_start_s") or 0.0
    end = number_of(cell, "trim_end_s")
    if start < 0 or (end is not None and end <= start):
        raise ValueError(f"nothing lies between {start:g} s and {'the end' if end is None else f'{end:g} s'}")
    return replace(row, file=file, start_s=start, end_s=end)


def number_of(cell: Mapping[str, str], column: str) -> float | None:
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


def with_labels(
    row: Row, cell: Mapping[str, str], task: Task, allowed: Sequence[str], label_map: LabelMap
) -> Row | None:
    """The row with its labels; None where the map leaves it out; ValueError where they can't be understood."""
    if task == "affect":
        affect = {name: value for name in allowed if (value := number_of(cell, name)) is not None}
        if not affect:
            raise ValueError("no label")
        return replace(row, affect=affect)
    written = [name for name in (cell[task].split("|") if task == "labels" else [cell[task]]) if name.strip()]
    if not written and task != "labels":  # an empty set of labels is a label; no class is not
        raise ValueError("no label")
    ours = {_plain(name): name for name in allowed}
    names: dict[str, None] = {}
    for name in written:
        plain = _plain(name)
        if plain not in label_map and plain not in ours:
            plain = _whole(plain)
        if plain in label_map:
            mapped = label_map[plain]
        elif plain in ours:
            mapped = ours[plain]
        else:
            raise ValueError(
                f"unknown label {name.strip()[:40]!r}; name it in --label-map, or null to leave it out"
            )
        if mapped is not None:
            names[mapped] = None
    if written and not names:
        return None
    return replace(row, labels=tuple(names))


def _whole(written: str) -> str:
    """Whole numbers as tables of floats write them: `1.0` is `1`."""
    return written.removesuffix(".0")


def scale_of(rows: Sequence[Row]) -> tuple[float, float]:
    """The smallest conventional scale that holds all affect labels. Raises `Invalid` (`scale_unknown`).

    >>> scale_of([Row(2, "", affect={"valence": 1.0}), Row(3, "", affect={"valence": 4.5, "arousal": 2.0})])
    (1.0, 5.0)
    """
    values = [value for row in rows for value in row.affect.values()]
    least, most = min(values, default=0.0), max(values, default=0.0)
    for low, high in SCALES:
        if low <= least and most <= high:
            return low, high
    raise Invalid(
        f"the labels lie between {least:g} and {most:g}, which is no usual scale: say --scale LOW,HIGH",
        code="scale_unknown",
    )


def rescaled(rows: Sequence[Row], scale: tuple[float, float]) -> tuple[list[Row], list[BadRow]]:
    """Affect labels moved from `scale` to [-1, 1]; rows with a label outside are bad."""
    low, high = scale
    kept: list[Row] = []
    bad: list[BadRow] = []
    for row in rows:
        if any(not low <= value <= high for value in row.affect.values()):
            bad.append(BadRow(row.line, f"a label lies outside the scale {low:g} to {high:g}"))
        else:
            moved = {name: 2 * (value - low) / (high - low) - 1 for name, value in row.affect.items()}
            kept.append(replace(row, affect=moved))
    return kept, bad
