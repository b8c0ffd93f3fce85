"""Formats of tables, streamed as text: CSV, TSV, JSON lines, JSON and Parquet, each row with its line."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from assistant.errors import Invalid, NotFound
from assistant.evaluate.extras import optional
from assistant.evaluate.tables.dialect import find_separator
from assistant.evaluate.tables.form import PLAIN, TableForm

Line = tuple[int, list[str] | str]
"""The line a row begins on, and its cells or why they can't be read."""

ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
_PACKED = (".csv", ".tsv", ".jsonl", ".ndjson")
_LONGEST_CELL = 10_000_000  # characters; the csv module's own limit, 131,072, is less than some documents have
_LARGEST_JSON = 200_000_000  # bytes of a .json file, which is read whole
_SNIFFED = 100_000  # characters that tell what separates the cells
_AT_ONCE = 4096  # rows of Parquet in memory


def read_cells(file: Path, form: TableForm = PLAIN) -> Iterator[Line]:
    """The header, then each row. Raises `NotFound` (`file_missing`) and `Invalid` (`manifest_unreadable`).

    JSON lines and Parquet come as text too: lists joined by a bar, true as 1, null and not-a-number empty. With
    `form.header` the first line of CSV is a row.
    """
    packed, ending = file.suffix.lower() == ".gz", _get_ending(file)
    if ending not in (_PACKED if packed else ENDINGS):
        known = f"{', '.join(ENDINGS)} (the text ones may be gzipped: .csv.gz)"
        raise Invalid(f"{file} must end in {known}", code="manifest_unreadable")
    if not file.is_file():
        raise NotFound(f"there is no file {file}", code="file_missing")
    if ending in (".csv", ".tsv"):
        lines = _read_csv(file, form)
    elif form.header or form.separator:
        why = f"--header and --separator are for CSV and TSV, and {file} names its columns itself"
        raise Invalid(why, code="columns_invalid")
    else:
        lines = {".json": _read_json, ".parquet": _read_parquet}.get(ending, _read_json_lines)(file)
    if (header := next(lines, None)) is None:
        raise Invalid(f"{file} is empty", code="manifest_unreadable")
    yield header
    yield from lines


def _get_ending(file: Path) -> str:
    return Path(file.name.lower().removesuffix(".gz")).suffix


@contextmanager
def _open_text(file: Path) -> Iterator[TextIO]:
    """The file as text. Raises `Invalid` (`manifest_unreadable`) for whatever goes wrong while it is read."""
    try:
        with gzip.open(file) if file.suffix.lower() == ".gz" else file.open("rb") as raw:
            wide = raw.read(2) in (b"\xff\xfe", b"\xfe\xff")  # what spreadsheets call Unicode text
            raw.seek(0)
            yield io.TextIOWrapper(raw, encoding="utf-16" if wide else "utf-8-sig", newline="")
    except UnicodeDecodeError as error:
        why = f"{file} is not {error.encoding.upper()}: {error.reason}; save it as UTF-8"
        raise Invalid(why, code="manifest_unreadable") from error
    except (OSError, EOFError, zlib.error) as error:
        raise Invalid(f"{file} can't be read: {error}", code="manifest_unreadable") from error


def _read_csv(file: Path, form: TableForm) -> Iterator[Line]:
    limit = csv.field_size_limit(_LONGEST_CELL)
    tabs = _get_ending(file) == ".tsv"
    header: list[str] | None = list(form.header) or None
    if header:
        yield 0, header
    try:
        with _open_text(file) as opened:
            start = opened.readline(_LONGEST_CELL)
            start += opened.read(max(0, _SNIFFED - len(start)))
            opened.seek(0)
            try:
                between = find_separator(start, form, tabs=tabs)
            except ValueError as error:
                raise Invalid(f"{file}: {error}", code="manifest_unreadable") from None
            reader = csv.reader(opened, delimiter=between)
            while True:
                line = reader.line_num + 1
                try:
                    cells = next(reader, None)
                except csv.Error as error:
                    yield line, f"not readable as a row: {error}"
                    continue
                if cells is None:
                    return
                if not cells:  # a blank line
                    continue
                if header is not None and len(cells) != len(header):
                    yield line, f"{len(cells)} cells where there are {len(header)} columns"
                elif between == "\t" and any("\n" in cell and "\t" in cell for cell in cells):
                    yield line, f"a quote opens here and rows up to line {reader.line_num} ran together"
                else:
                    header = header or cells
                    yield line, cells
    finally:
        csv.field_size_limit(limit)


def _read_json_lines(file: Path) -> Iterator[Line]:
    """Read twice: objects need not all have the same keys."""
    keys: dict[str, None] = {}
    for _, found in _read_objects(file):
        if isinstance(found, dict):
            keys |= dict.fromkeys(found)
    yield from _to_lines(list(keys), _read_objects(file))


def _read_objects(file: Path) -> Iterator[tuple[int, Any]]:
    with _open_text(file) as opened:
        for line, written in enumerate(iter(lambda: opened.readline(_LONGEST_CELL), ""), 1):
            if len(written) >= _LONGEST_CELL:
                raise Invalid(f"line {line} of {file} is too long to be a row", code="manifest_unreadable")
            if not written.strip():
                continue
            try:
                found = json.loads(written)
            except (ValueError, RecursionError) as error:
                yield line, f"not JSON: {error}"
            else:
                yield line, found if isinstance(found, dict) else "not a JSON object"


def _read_json(file: Path) -> Iterator[Line]:
    """A list of objects, or objects by their `key`."""
    if file.stat().st_size > _LARGEST_JSON:
        raise Invalid(f"{file} is too large to be read whole; write it as .jsonl", code="manifest_unreadable")
    with _open_text(file) as opened:
        try:
            found = json.load(opened)
        except UnicodeDecodeError:
            raise
        except (ValueError, RecursionError) as error:
            raise Invalid(f"{file} is not JSON: {error}", code="manifest_unreadable") from error
    if isinstance(found, dict):
        found = [{"key": key, **one} if isinstance(one, dict) else one for key, one in found.items()]
    if not isinstance(found, list):
        raise Invalid(f"{file} must be a list of objects, or objects by key", code="manifest_unreadable")
    keys = dict.fromkeys(key for one in found if isinstance(one, dict) for key in one)
    numbered = ((at, one if isinstance(one, dict) else "not a JSON object") for at, one in enumerate(found, 1))
    yield from _to_lines(list(keys), numbered)


def _to_lines(keys: Sequence[str], objects: Iterator[tuple[int, Any]]) -> Iterator[Line]:
    if not keys:
        return
    yield 0, list(keys)
    for line, found in objects:
        yield line, found if isinstance(found, str) else _to_row([found.get(key) for key in keys])


def _to_row(values: Sequence[Any]) -> list[str] | str:
    try:
        return [to_text(value) for value in values]
    except ValueError as error:
        return str(error)


def to_text(value: Any) -> str:
    """A value of JSON or Parquet as a cell. Raises `ValueError` for names that a bar would break.

    >>> to_text(["joy", "love"]), to_text(True), to_text(2.5), to_text(None), to_text(float("nan"))
    ('joy|love', '1', '2.5', '', '')
    """
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, list):
        parts = [to_text(one) for one in value]
        if broken := [part for part in parts if "|" in part]:
            raise ValueError(f"a name in a list contains a bar: {broken[0][:40]!r}")
        return "|".join(parts)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)


def _read_parquet(file: Path) -> Iterator[Line]:
    """Lines are row numbers from 1. Columns of bytes or structures (embedded audio) are not read."""
    arrow, parquet = optional("pyarrow", "reading Parquet"), optional("pyarrow.parquet", "reading Parquet")
    try:
        with parquet.ParquetFile(file, memory_map=True) as opened:
            kinds = ("struct", "map", "binary", "large_binary", "fixed_size_binary")
            unread = [getattr(arrow.types, f"is_{kind}") for kind in kinds]
            kept = [f.name for f in opened.schema_arrow if not any(is_kind(f.type) for is_kind in unread)]
            yield 0, kept
            batches = opened.iter_batches(_AT_ONCE, columns=kept)
            rows = (row for b in batches for row in zip(*(_to_values(arrow, c) for c in b.columns), strict=True))
            yield from ((line, _to_row(values)) for line, values in enumerate(rows, 1))
    except (arrow.ArrowException, OSError) as error:
        raise Invalid(f"{file} is not a readable Parquet file: {error}", code="manifest_unreadable") from error


def _to_values(arrow: Any, column: Any) -> list[Any]:
    """Durations in seconds, other times as they are written."""
    if arrow.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if arrow.types.is_duration(column.type):
        per_s = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[column.type.unit]
        return [None if ticks is None else ticks / per_s for ticks in column.cast(arrow.int64()).to_pylist()]
    if arrow.types.is_temporal(column.type) or arrow.types.is_decimal(column.type):
        column = column.cast(arrow.string())
    return list(column.to_pylist())
