"""Tables of text cells that can be read again and again, with columns called as we call them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from assistant.errors import Invalid
from assistant.evaluate.tables.formats import cells_of

Cells = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose rows can be read any number of times, one after the other."""

    file: Path
    columns: tuple[str, ...]
    """In lower case, without spaces around."""
    rows: Callable[[], Iterator[tuple[int, Cells | str]]]
    """Line and cells by column, or why the row can't be read."""
    folders: tuple[Path, ...]
    """Where the files that it names are looked for, in this order."""
    sources: tuple[Path, ...]
    """The files it is made of."""
    names_speakers: bool = True
    """False for a format that has no place for them."""


def plain(name: str) -> str:
    """How names are compared.

    >>> plain(" Emotion ")
    'emotion'
    """
    return name.strip().casefold()


def table_of(file: Path) -> Table:
    """A plain table. Raises `NotFound` (`file_missing`) and `Invalid` (`manifest_unreadable`)."""
    _, header = next(cells_of(file))
    if isinstance(header, str):
        raise Invalid(f"{file} has no header: {header}", code="manifest_unreadable")
    columns = tuple(plain(cell) for cell in header)
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        raise Invalid(f"{file} has several columns called {', '.join(twice)}", code="manifest_unreadable")

    def rows() -> Iterator[tuple[int, Cells | str]]:
        table = cells_of(file)
        next(table)
        for line, cells in table:
            yield line, cells if isinstance(cells, str) else dict(zip(columns, cells, strict=True))

    return Table(file, columns, rows, (file.parent,), (file,))


def renamed(table: Table, names: Mapping[str, str]) -> Table:
    r"""The table with columns called as {"ours": "theirs"} says; `theirs` may end in `:PATTERN`.

    A pattern is a regular expression, and the cell becomes its first group: `speaker=file:(\d\d)` takes the
    speaker from the file's name. The other columns keep their names. Raises `Invalid`: `manifest_column_missing`
    (with the columns there are), `columns_invalid`.
    """
    places: dict[str, tuple[str, re.Pattern[str] | None]] = {name: (name, None) for name in table.columns}
    gone: set[str] = set()
    for ours, written in names.items():
        theirs, pattern = plain(written), None
        if theirs not in table.columns and ":" in written:
            before, _, expression = written.partition(":")
            theirs = plain(before)
            try:
                pattern = re.compile(expression)
            except re.error as error:
                raise Invalid(
                    f"--columns: {expression!r} is no pattern: {error}", code="columns_invalid"
                ) from error
            if pattern.groups != 1:
                raise Invalid(
                    f"--columns: the pattern {expression!r} must have one group, as in (\\d+)",
                    code="columns_invalid",
                )
        if theirs not in table.columns:
            raise Invalid(
                f"--columns: {table.file} has no column `{theirs}`; it has {', '.join(table.columns) or 'none'}",
                code="manifest_column_missing",
            )
        if pattern is None:
            gone.add(theirs)
        places[plain(ours)] = (theirs, pattern)
    asked = {plain(ours) for ours in names}
    kept = {ours: found for ours, found in places.items() if ours in asked or ours not in gone}

    def rows() -> Iterator[tuple[int, Cells | str]]:
        for line, cells in table.rows():
            if isinstance(cells, str):
                yield line, cells
            else:
                yield line, {ours: _taken(cells[theirs], only) for ours, (theirs, only) in kept.items()}

    return Table(table.file, tuple(kept), rows, table.folders, table.sources, table.names_speakers)


def _taken(cell: str, pattern: re.Pattern[str] | None) -> str:
    if pattern is None:
        return cell
    found = pattern.search(cell)
    return (found.group(1) or "") if found else ""
