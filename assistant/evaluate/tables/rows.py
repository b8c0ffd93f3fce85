"""One row of a researcher's table: its text or its file, which part and channel of it, and who speaks."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from assistant.audio import SAMPLE_RATE
from assistant.audio.channels import parse_channel
from assistant.audio.decode import read_audio
from assistant.audio.pcm import Samples
from assistant.errors import Invalid
from assistant.evaluate.tables.paths import FileFinder
from assistant.evaluate.tables.segments import HINT, Segment, find_segment
from assistant.evaluate.tables.tables import Cells, TextTable

_BEYOND_S = 0.1
"""Seconds that a part may reach beyond the end of its file: times are rounded, and encoders add or cut a frame."""
_NOTHING: Mapping[str, str] = {}
NO_AFFECT: Mapping[str, float] = {}


@dataclass(frozen=True, slots=True)
class Row:
    """One row to score."""

    line: int
    """Line of the manifest on which it begins, from 1; its number, from 1, where rows are no lines."""
    name: str
    """`file` as written, or the `id` of a text where there is one."""
    file: Path | None = None
    text: str = ""
    start_s: float = 0.0
    end_s: float | None = None
    """None for the end of the file."""
    speaker: str = ""
    group: str = ""
    gender: str = ""
    labels: tuple[str, ...] = ()
    """One for a class task, any number for `labels`, none for affect."""
    affect: Mapping[str, float] = field(default_factory=lambda: NO_AFFECT)
    """Affect labels, on the manifest's scale; only those that the row has."""
    more: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    """Further columns that were asked for, such as `corpus`."""
    channel: int | None = None
    """From 1 (left); None for the mix of all."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that can't be scored, and why."""

    line: int
    reason: str
    name: str = ""
    """The `file` or `id` of the row, where it could be read."""


class RowReader:
    """Reads the rows of one table, without their labels."""

    def __init__(self, table: TextTable, modality: Literal["voice", "text"], more: Sequence[str] = ()) -> None:
        """Raises `Invalid` (`columns_invalid`) where it is unclear which part of its file a row is about."""
        self._modality, self._more, self._form = modality, more, table.form
        self._finder = FileFinder(table.folders)
        parts = modality == "voice" and not table.form.whole_files
        self.segment = find_segment(table.columns) if parts else Segment()
        """Which part of its file a row is about."""

    def read(self, line: int, cells: Cells) -> Row:
        """One row. Raises `ValueError` with the reason when it can't be scored."""
        name, text, file, channel = get_name(cells, self._modality), "", None, None
        start_s, end_s = 0.0, None
        if self._modality == "text":
            text = cells["text"]
        else:
            if not name:
                raise ValueError("the row names no file")
            start_s, end_s = self.segment.read(cells, self._form.decimal)
            file, channel = self._finder.find(name), self._read_channel(cells)
        kept = {column: get_cell(cells, column) for column in self._more} if self._more else _NOTHING
        who = (get_cell(cells, "speaker"), get_cell(cells, "group"), get_cell(cells, "gender"))
        return Row(line, name, file, text, start_s, end_s, *who, (), NO_AFFECT, kept, channel)

    def _read_channel(self, cells: Cells) -> int | None:
        written = get_cell(cells, "channel")
        if not written:
            return self._form.channel
        if written in ("0", "0.0"):  # then 1 is not the left one either, and every row would be wrong
            why = "the column `channel` has 0, but channels are counted from 1 (left): write 1 for the first one"
            raise Invalid(why, code="columns_invalid")
        try:
            return parse_channel(written)
        except ValueError as error:
            raise ValueError(
                f"{error}; a column of that name that says something else can be renamed, as in "
                "--columns medium=channel"
            ) from None


def get_name(cells: Cells, modality: str) -> str:
    """The `file` of a row as it is written, or the `id` of a text."""
    return cells.get("file" if modality == "voice" else "id", "").strip()


def get_cell(cells: Cells, column: str) -> str:
    """One string in memory however many rows have it."""
    return sys.intern(cells.get(column, "").strip())


def read_clip(row: Row) -> Samples:
    """The samples that a row is about. Raises `Invalid`: those of `read_audio`, and `segment_outside`."""
    assert row.file is not None
    try:
        samples = read_audio(row.file, start_s=row.start_s, end_s=row.end_s, channel=row.channel)
    except Invalid as error:
        if error.code == "audio_empty" and row.start_s > 0:
            raise Invalid(f"{error.message}; if these are no seconds, {HINT}", code="segment_outside") from error
        raise
    ends_s = row.start_s + len(samples) / SAMPLE_RATE
    if row.end_s is not None and row.end_s > ends_s + _BEYOND_S:
        part = f"the part from {row.start_s:g} s to {row.end_s:g} s reaches beyond {row.file}"
        why = f"{part}, which ends at {ends_s:.3f} s; if these are no seconds, {HINT}"
        raise Invalid(why, code="segment_outside")
    return samples
