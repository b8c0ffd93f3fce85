"""Rows of a manifest that lie on the disk: a million of them cost a few megabytes of memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import msgspec

from assistant.evaluate.run.journal import Journal
from assistant.evaluate.tables.manifest import Row

_TOGETHER = 256
"""Rows written and read at once."""
_ENCODER = msgspec.msgpack.Encoder(enc_hook=str)
_DECODER = msgspec.msgpack.Decoder(list[Row], dec_hook=lambda kind, written: kind(written))


def pack_rows(rows: Sequence[Row]) -> bytes:
    """Rows as bytes, for a file or another process."""
    return _ENCODER.encode(list(rows))


def unpack_rows(data: bytes) -> list[Row]:
    """What `pack_rows` made of rows.

    >>> from pathlib import Path
    >>> row = Row(2, "a.flac", Path("x/a.flac"), labels=("joy",), affect={"valence": 0.1})
    >>> unpack_rows(pack_rows([row])) == [row]
    True
    """
    return _DECODER.decode(data)


class Rows(Sequence[Row]):
    """A sequence of rows in a file without a name. It grows by `append`; what is in it never changes."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self._journal = Journal.temporary()
        self._newest: list[Row] = []
        self._full = 0
        self._known: tuple[int, list[Row]] = (-1, [])
        for row in rows:
            self.append(row)

    def append(self, row: Row) -> None:
        """Add one row."""
        self._newest.append(row)
        if len(self._newest) == _TOGETHER:
            self._journal.add(self._full, pack_rows(self._newest))
            self._newest = []
            self._full += 1

    def __len__(self) -> int:
        """How many rows there are."""
        return self._full * _TOGETHER + len(self._newest)

    @overload
    def __getitem__(self, at: int) -> Row: ...
    @overload
    def __getitem__(self, at: slice) -> list[Row]: ...
    def __getitem__(self, at: int | slice) -> Row | list[Row]:
        """One row, or a list of some."""
        if isinstance(at, slice):
            return [self[index] for index in range(*at.indices(len(self)))]
        if not -len(self) <= at < len(self):
            raise IndexError(at)
        part, within = divmod(at % len(self), _TOGETHER)
        return self._part(part)[within]

    def __iter__(self) -> Iterator[Row]:
        """The rows in their order."""
        for part in range(self._full):
            yield from self._read(part)
        yield from self._newest

    def _part(self, part: int) -> list[Row]:
        if part == self._full:
            return self._newest
        known, rows = self._known
        if part != known:
            rows = self._read(part)
            self._known = part, rows
        return rows

    def _read(self, part: int) -> list[Row]:
        data = self._journal.get(part)
        assert data is not None
        return unpack_rows(data)

    def close(self) -> None:
        """Give the disk space back."""
        self._journal.close()
