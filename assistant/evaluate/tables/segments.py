"""Which part of its file a row is about: the columns that say it, under the names that they usually have."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assistant.errors import Invalid
from assistant.evaluate.tables.numbers import Decimal, parse_time

HINT = "name the columns, as in --columns trim_start_ms=start, or ignore them with --whole-files"
_KINDS = {
    "start": "start|begin|beginning|onset|tmin|xmin",
    "end": "end|stop|finish|tmax|xmax",
    "length": "duration|dur|length",
    "offset": "offset",
}
_ABOUT = "(?:trim|seg|segment|clip|utt|utterance|turn|speech|audio)?"
_UNITS = {
    **dict.fromkeys(("", "s", "sec", "secs", "second", "seconds", "ins", "insec", "inseconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "msecs", "milli", "millis", "millisecond", "milliseconds", "inms"), 0.001),
    **dict.fromkeys(("sample", "samples", "frame", "frames"), 0.0),
}
"""Seconds to a unit; 0 for those whose length the column doesn't tell."""
_NAMES = {
    kind: re.compile(f"{_ABOUT}(?:{words})(?:time|timestamp|at|position|pos)?({'|'.join(_UNITS)})")
    for kind, words in _KINDS.items()
}
_NOT_KEPT = re.compile(r"[^a-z0-9]")


@dataclass(frozen=True, slots=True)
class Bound:
    """A column with a time."""

    column: str
    unit_s: float = 1.0
    """Seconds to a unit."""


@dataclass(frozen=True, slots=True)
class Segment:
    """The columns of a table that say which part of a file a row is about; without any it is the whole file."""

    start: Bound | None = None
    end: Bound | None = None
    length: Bound | None = None
    unused: tuple[str, ...] = ()
    """Columns that look as if they said so, and are not used."""

    def read(self, cells: Mapping[str, str], decimal: Decimal | None = None) -> tuple[float, float | None]:
        """Start and end in seconds, None for the end of the file. Raises `ValueError` for a part that is empty."""
        start = _read(self.start, cells, decimal) or 0.0
        end, length = _read(self.end, cells, decimal), _read(self.length, cells, decimal)
        if end is None and length is not None:
            end = start + length
        if start < 0 or (end is not None and end <= start):
            told = "the end" if end is None else f"{end:g} s"
            raise ValueError(f"the part is empty or begins before the file: it goes from {start:g} s to {told}")
        return start, end

    def describe(self) -> list[str]:
        """What a report says of them."""
        used = [f"`{one.column}`" for one in (self.start, self.end, self.length) if one is not None]
        notes = []
        if used:
            notes.append(f"a row is the part of its file that {' and '.join(used)} tell{'s' * (len(used) == 1)}")
        if self.unused:
            names = " and ".join(f"`{name}`" for name in self.unused)
            notes.append(f"{names} looks like a part of a file and is not used: {HINT}")
        return notes


def _read(bound: Bound | None, cells: Mapping[str, str], decimal: Decimal | None) -> float | None:
    if bound is None:
        return None
    try:
        return parse_time(cells.get(bound.column, ""), unit_s=bound.unit_s, decimal=decimal)
    except ValueError as error:
        raise ValueError(f"{bound.column}: {error}") from None


def find_segment(columns: Sequence[str]) -> Segment:
    """The columns that say which part of its file a row is. Raises `Invalid` (`columns_invalid`) where several may.

    An `offset` is an end beside an onset, as in tables of events, and a start beside a duration, as in NeMo's.

    >>> find_segment(["file", "start", "end"])
    Segment(start=Bound(column='start', unit_s=1.0), end=Bound(column='end', unit_s=1.0), length=None, unused=())
    >>> found = find_segment(["Begin Time (ms)", "duration_ms"])
    >>> found.start, found.length
    (Bound(column='Begin Time (ms)', unit_s=0.001), Bound(column='duration_ms', unit_s=0.001))
    >>> find_segment(["file", "duration", "start_frame"]).unused
    ('duration', 'start_frame')
    """
    found: dict[str, list[Bound]] = {kind: [] for kind in _KINDS}
    unused: list[str] = []
    for column in columns:
        plain = _NOT_KEPT.sub("", column.casefold())
        for kind, pattern in _NAMES.items():
            if told := pattern.fullmatch(plain):
                if unit_s := _UNITS[told[1]]:
                    found[kind].append(Bound(column, unit_s))
                else:
                    unused.append(column)
    for kind in ("start", "end"):  # ours go before any other
        if ours := [one for one in found[kind] if one.column.startswith("trim_")]:
            unused += [one.column for one in found[kind] if one not in ours]
            found[kind] = ours
    offsets = found.pop("offset")
    place = "end" if found["start"] else "start" if found["length"] or found["end"] else ""
    if place and not found[place]:
        found[place] = offsets
    else:
        unused += [one.column for one in offsets]
    if found["end"]:  # then a duration only says once more what start and end tell
        found["length"] = []
    elif not found["start"]:  # perhaps how long the whole file is
        unused += [one.column for one in found["length"]]
        found["length"] = []
    for kind, bounds in found.items():
        if len(bounds) > 1:
            names = ", ".join(one.column for one in bounds)
            why = f"several columns may be the {kind} of a row's part of its file: {names}; {HINT}"
            raise Invalid(why, code="columns_invalid")
    start, end, length = (found[kind][0] if found[kind] else None for kind in ("start", "end", "length"))
    return Segment(start, end, length, tuple(name for name in columns if name in unused))
