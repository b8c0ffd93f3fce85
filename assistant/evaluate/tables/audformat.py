"""Databases in audformat: a folder with `db.yaml` and tables of annotations, as CSV or Parquet.

The format is that of https://audeering.github.io/audformat/. A `.pkl` table is never opened: unpickling runs what
is in it. The package `audformat` isn't used: it loads whole tables, and here rows are streamed in bounded memory.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from assistant.errors import Invalid, NotFound
from assistant.evaluate.extras import optional
from assistant.evaluate.tables.formats import to_text
from assistant.evaluate.tables.numbers import parse_time
from assistant.evaluate.tables.tables import Cells, TextTable, normalise_name, open_plain_table

Described = Mapping[Any, Any]
HEADER = "db.yaml"
_SEGMENT = ("file", "start", "end")


@dataclass(frozen=True, slots=True)
class Part:
    """One table of a database, as its header describes it."""

    name: str
    index: tuple[str, ...]
    """What its rows are about: a file, a segment of one, or the levels of a miscellaneous table."""
    schemes: Mapping[str, str]
    """The scheme of each column, empty for none."""
    split: str = ""

    def column(self, name: str) -> str | None:
        """The column of that name, else the only one of the scheme of that name."""
        if name in self.schemes:
            return name
        found = [column for column, scheme in self.schemes.items() if scheme == name]
        return found[0] if len(found) == 1 else None


@dataclass(frozen=True, slots=True)
class Lookup:
    """A column that is found elsewhere: by the segment, the file, or another column's value."""

    column: str
    by: tuple[str, ...]
    values: Mapping[tuple[str, ...], str] | None
    """None for the value of that other column itself."""


def is_database(file: Path) -> bool:
    """Whether this is the folder or the header of a database."""
    return file.name == HEADER or file.is_dir()


def open_database(
    file: Path, table: str | None, wanted: Sequence[str], needed: Sequence[str] = ("speaker", "gender", "group")
) -> TextTable:
    """One table of a database, with `needed` columns from its other tables and from properties of its labels.

    Without a `table` it is the one that has one of the `wanted` columns. `start` and `end` are
    in seconds. Raises `NotFound` (`file_missing`) and `Invalid` (`manifest_unreadable`,
    `manifest_column_missing`, `table_unclear`, `table_pickled`).
    """
    header = file if file.name == HEADER else file / HEADER
    told = _read(header)
    parts = {name: _part(name, one) for name, one in _dict(told.get("tables")).items()}
    misc = {name: _part(name, one) for name, one in _dict(told.get("misc_tables")).items()}
    schemes = {normalise_name(str(name)): _dict(scheme) for name, scheme in _dict(told.get("schemes")).items()}
    main = parts[table] if table in parts else _chosen(header, parts, table, wanted)
    opened = _seconds(open_plain_table(_stored(header, main.name)))
    absent = [name for name in dict.fromkeys([*wanted, *needed]) if name not in opened.columns]
    joined = [_joined(header, name, main, list(parts.values())) for name in absent]
    lookups = [lookup for lookup in joined if lookup]
    known = {column: main.schemes.get(column, "") for column in opened.columns}
    for column in [lookup.column for lookup in lookups]:
        known[column] = next((s for part in parts.values() if (s := part.schemes.get(column))), column)
    for name in dict.fromkeys(needed):
        if name not in known and (of_labels := _property(header, name, known, schemes, misc)):
            lookups.append(of_labels)
            known[name] = ""
    speakers, sources = "speaker" in known, (header, opened.file)
    return replace(_with(opened, lookups), folders=(header.parent,), sources=sources, names_speakers=speakers)


def _read(header: Path) -> Mapping[str, Any]:
    yaml = optional("yaml", "reading an audformat database")
    try:
        found = yaml.load(header.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except OSError as error:
        raise NotFound(f"can't read {header}: {error.strerror}", code="file_missing") from error
    except (yaml.YAMLError, ValueError) as error:
        raise Invalid(f"{header} is not valid YAML: {error}", code="manifest_unreadable") from error
    if not isinstance(found, dict) or not isinstance(found.get("tables"), dict):
        raise Invalid(f"{header} describes no tables: is it an audformat database?", code="manifest_unreadable")
    return found


def _dict(value: Any) -> Described:
    return value if isinstance(value, dict) else {}


def _part(name: str, described: Any) -> Part:
    described = _dict(described)
    columns = _dict(described.get("columns")).items()
    schemes = {
        normalise_name(str(name)): normalise_name(str(_dict(one).get("scheme_id", ""))) for name, one in columns
    }
    index: tuple[str, ...] = _SEGMENT if described.get("type") == "segmented" else _SEGMENT[:1]
    if "levels" in described:
        levels = described["levels"]
        index = tuple(normalise_name(str(one)) for one in (levels if isinstance(levels, list | dict) else [levels]))
    return Part(str(name), index, schemes, str(described.get("split_id", "")))


def _chosen(header: Path, parts: Mapping[str, Part], table: str | None, wanted: Sequence[str]) -> Part:
    if table is not None:
        why = f"{header} has no table {table}; it has {', '.join(parts) or 'none'}"
        raise Invalid(why, code="manifest_column_missing")
    fit = [part for part in parts.values() if not wanted or any(part.column(name) for name in wanted)]
    if len(fit) == 1:
        return fit[0]
    if fit:
        told = ", ".join(part.name + (f" (split {part.split})" if part.split else "") for part in fit)
        raise Invalid(
            f"several tables of {header} have {' or '.join(wanted) or 'files'}: choose one with --table: {told}",
            code="table_unclear",
        )
    there = "; ".join(f"{part.name}: {', '.join(part.schemes) or 'none'}" for part in parts.values())
    raise Invalid(
        f"no table of {header} has a column {' or '.join(wanted)}; it has {there or 'none'} "
        "(--columns ours=theirs says what they are called)",
        code="manifest_column_missing",
    )


def _stored(header: Path, name: str) -> Path:
    """The file of a table: Parquet, else CSV, as audformat itself looks for them."""
    for ending in (".parquet", ".csv"):
        if (file := header.with_name(f"db.{name}{ending}")).is_file():
            return file
    if header.with_name(f"db.{name}.pkl").is_file():
        raise Invalid(
            f"the table {name} of {header} is stored as a pickle only, which can run any code when it is opened; "
            "if you trust it, open it with audformat and save it with storage_format='csv'",
            code="table_pickled",
        )
    why = f"{header} names the table {name}, but there is no db.{name}.csv or .parquet"
    raise NotFound(why, code="file_missing")


def _seconds(table: TextTable) -> TextTable:
    if not set(_SEGMENT) <= set(table.columns):
        return table

    def parse(cells: Cells) -> Cells | str:
        try:
            times = {name: parse_time(cells[name], decimal="point") for name in _SEGMENT[1:]}
        except ValueError as error:
            return str(error)
        return {**cells, **{name: "" if time is None else repr(time) for name, time in times.items()}}

    return table.map_cells(table.columns, parse)


def _joined(header: Path, name: str, main: Part, parts: Sequence[Part]) -> Lookup | None:
    """A column of the same table by its scheme's name, or of other tables about the same segments or files."""
    if same := main.column(name):
        return Lookup(name, (same,), None)
    values: dict[tuple[str, ...], str] = {}
    index: tuple[str, ...] = ()
    for part in parts:
        column = part.column(name)
        if column is None or not set(part.index) <= set(main.index) or (index and part.index != index):
            continue
        index = part.index
        for _, cells in _seconds(open_plain_table(_stored(header, part.name))).rows():
            if not isinstance(cells, str) and cells[column]:
                values.setdefault(tuple(cells[level] for level in index), sys.intern(cells[column]))
    return Lookup(name, index, values) if index else None


def _property(
    header: Path, name: str, known: Mapping[str, str], schemes: Mapping[str, Described], misc: Mapping[str, Part]
) -> Lookup | None:
    """What the labels of a known column say of themselves: `gender` of the speakers, or `speaker.gender`."""
    for column, scheme in known.items():
        labels = schemes.get(scheme, {}).get("labels")
        asked = name.removeprefix(f"{column}.")
        if isinstance(labels, str) and labels in misc:
            part = misc[labels]
            if asked not in part.schemes or len(part.index) != 1:
                continue
            told: dict[tuple[str, ...], str] = {
                (cells[part.index[0]],): sys.intern(cells[asked])
                for _, cells in open_plain_table(_stored(header, part.name)).rows()
                if not isinstance(cells, str)
            }
            return Lookup(name, (column,), told)
        told = {
            (to_text(label),): sys.intern(to_text(one[key]))
            for label, one in _dict(labels).items()
            for key in _dict(one)
            if normalise_name(str(key)) == asked
        }
        if told:
            return Lookup(name, (column,), told)
    return None


def _with(table: TextTable, lookups: Sequence[Lookup]) -> TextTable:
    def look_up(cells: Cells) -> Cells:
        row = dict(cells)
        for lookup in lookups:
            key = tuple(row.get(name, "") for name in lookup.by)
            row[lookup.column] = key[0] if lookup.values is None else lookup.values.get(key, "")
        return row

    return table.map_cells(dict.fromkeys([*table.columns, *(one.column for one in lookups)]), look_up)
