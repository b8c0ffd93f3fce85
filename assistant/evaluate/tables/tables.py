"""Tables of text cells that can be read again and again, with columns called as we call them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from assistant.errors import Invalid
from assistant.evaluate.tables.form import PLAIN, TableForm
from assistant.evaluate.tables.formats import read_cells

Cells = Mapping[str, str]
HEADER_HINT = "if its first line is data and no names, give them: --header text,labels,id"

_EMOBOX = {
    "file": "wav", "emotion": "emo", "id": "key", "corpus": "dataset", "speaker": "spk",
}  # fmt: skip
"""Our names for the columns of EmoBox's lists of clips."""
_UP = 5  # folders above a list in which `downloads/...` may lie: a list lies in data/<corpus>/fold_<n>


@dataclass(frozen=True, slots=True)
class TextTable:
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
    form: TableForm = PLAIN

    def map_cells(self, columns: Iterable[str], change: Callable[[Cells], Cells | str]) -> TextTable:
        """The table with the cells of each row as `change` gives them, or says why the row can't be read."""

        def rows() -> Iterator[tuple[int, Cells | str]]:
            for line, cells in self.rows():
                yield line, cells if isinstance(cells, str) else change(cells)

        return replace(self, columns=tuple(columns), rows=rows)


def normalise_name(name: str) -> str:
    """How names are compared.

    >>> normalise_name(" Emotion ")
    'emotion'
    """
    return name.strip().casefold()


def open_plain_table(file: Path, form: TableForm = PLAIN) -> TextTable:
    """A plain table. Raises what `read_cells` raises."""
    _, header = next(read_cells(file, form))
    if isinstance(header, str):
        raise Invalid(f"{file} has no header: {header}", code="manifest_unreadable")
    columns = tuple(normalise_name(cell) for cell in header)
    if twice := sorted({name for name in columns if name and columns.count(name) > 1}):
        why = f"{file} has several columns called {', '.join(name[:40] for name in twice)}; {HEADER_HINT}"
        raise Invalid(why, code="manifest_unreadable")

    def rows() -> Iterator[tuple[int, Cells | str]]:
        table = read_cells(file, form)
        next(table)
        for line, cells in table:
            yield line, cells if isinstance(cells, str) else dict(zip(columns, cells, strict=True))

    return TextTable(file, columns, rows, (file.parent,), (file,), form=form)


def rename_columns(table: TextTable, names: Mapping[str, str]) -> TextTable:
    r"""The table with columns called as {"ours": "theirs"} says; `theirs` may end in `:PATTERN`.

    A pattern is a regular expression, and the cell becomes its first group: `speaker=file:(\d\d)` takes the
    speaker from the file's name. The other columns keep their names. Raises `Invalid`: `manifest_column_missing`
    (with the columns there are), `columns_invalid`.
    """
    places: dict[str, tuple[str, re.Pattern[str] | None]] = {name: (name, None) for name in table.columns}
    gone: set[str] = set()
    for ours, written in names.items():
        theirs, pattern = normalise_name(written), None
        if theirs not in table.columns and ":" in written:
            before, _, expression = written.partition(":")
            theirs = normalise_name(before)
            try:
                pattern = re.compile(expression)
            except re.error as error:
                why = f"--columns: {expression!r} is not a valid pattern: {error}"
                raise Invalid(why, code="columns_invalid") from error
            if pattern.groups != 1:
                why = f"--columns: the pattern {expression!r} must have one group, as in (\\d+)"
                raise Invalid(why, code="columns_invalid")
        if theirs not in table.columns:
            raise Invalid(
                f"--columns: {table.file} has no column `{theirs}`; it has {', '.join(table.columns) or 'none'}",
                code="manifest_column_missing",
            )
        if pattern is None:
            gone.add(theirs)
        places[normalise_name(ours)] = (theirs, pattern)
    asked = {normalise_name(ours) for ours in names}
    kept = {ours: found for ours, found in places.items() if ours in asked or ours not in gone}
    return table.map_cells(
        kept, lambda cells: {ours: _match_cell(cells[theirs], only) for ours, (theirs, only) in kept.items()}
    )


def _match_cell(cell: str, pattern: re.Pattern[str] | None) -> str:
    if pattern is None:
        return cell
    found = pattern.search(cell)
    return (found.group(1) or "") if found else ""


def adapt_emobox(table: TextTable) -> TextTable:
    """A list of clips by EmoBox with our columns beside its own, any other table as it is.

    Ma et al. 2024, "EmoBox: multilingual multi-corpus speech emotion recognition toolkit and benchmark",
    Interspeech. It names no speaker; `--columns` with a pattern can take one from the key or the path.
    """
    if not {"wav", "emo"} <= set(table.columns) or "file" in table.columns:
        return table
    there = {ours: theirs for ours, theirs in _EMOBOX.items() if theirs in table.columns}
    named = rename_columns(table, there | {theirs: theirs for theirs in there.values()})
    above = [table.file.resolve().parent, *table.file.resolve().parents][: _UP + 1]
    folders = tuple(dict.fromkeys([*table.folders, *above]))
    return replace(named, folders=folders, names_speakers="speaker" in named.columns)
