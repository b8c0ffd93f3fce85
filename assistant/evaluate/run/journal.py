"""The journal of a run, so that a run that was cut off can go on; and rows kept in one, out of memory."""

from __future__ import annotations

import json
import sqlite3
import struct
import threading
import time
import weakref
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, overload

import msgspec

from assistant.errors import Conflict, Unavailable
from assistant.evaluate.tables.manifest import Row

_KEY = -1  # the number of the piece that says what run this is
_SYNC_S = 10.0  # seconds after which what was written is forced onto the disk: a crash of the machine costs no more
_VERSION_1 = struct.Struct("<qII")
"""Before each piece in the files of version 1: its number, its length in bytes, and the CRC-32 of both."""
_TABLE = "CREATE TABLE IF NOT EXISTS pieces (number INTEGER PRIMARY KEY, crc INTEGER NOT NULL, data BLOB NOT NULL)"
_TOGETHER = 256  # rows written and read at once
_ENCODER = msgspec.msgpack.Encoder(enc_hook=str)
_DECODER = msgspec.msgpack.Decoder(list[Row], dec_hook=lambda kind, written: kind(written))
_BESIDE = ("-wal", "-shm")  # endings of what SQLite keeps beside a file that was not closed


class Journal:
    """Numbered pieces of bytes in an SQLite file. A piece that comes again replaces the older one.

    Each piece is handed to the operating system before `add` returns, so that killing the process loses none. A
    piece that is damaged counts as missing. Threads may add and get at once.
    """

    def __init__(self, file: Path | None) -> None:
        """Open `file`, or without one a file that has no name and is gone when it is closed."""
        self._database = sqlite3.connect(file or "", isolation_level=None, check_same_thread=False)
        self.close = weakref.finalize(self, self._database.close)
        """Closes the file, at the latest when the journal is forgotten; what was written stays."""
        self._database.execute(f"PRAGMA journal_mode={'OFF' if file is None else 'WAL'}")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute(_TABLE)
        self._synced = time.monotonic()
        self._lock = threading.Lock()

    @classmethod
    def temporary(cls) -> Journal:
        """One in a file without a name."""
        return cls(None)

    @classmethod
    def start(cls, file: Path, key: Mapping[str, Any]) -> Journal:
        """An empty one for the run that `key` describes. Raises `Unavailable` (`out_unwritable`)."""
        try:
            _remove(file)
            return cls._open(file, file, key)
        except (OSError, sqlite3.Error) as error:
            raise _make_error(file, error) from error

    @classmethod
    def resume(cls, file: Path, key: Mapping[str, Any]) -> Journal:
        """The one in `file`, or an empty one where there is none.

        Of a file that is damaged, or of version 1, what can be read is kept. Raises `Conflict` (`journal_other`)
        where it belongs to a run that `key` doesn't describe, and `Unavailable` (`out_unwritable`).
        """
        try:
            if file.exists() and not _is_whole(file):
                cls._restore(file, key)
            return cls._open(file, file, key)
        except (OSError, sqlite3.Error) as error:
            raise _make_error(file, error) from error

    @classmethod
    def _restore(cls, file: Path, key: Mapping[str, Any]) -> None:
        """Put what can be read of `file` in its place, if it is of the run that `key` describes."""
        part = file.with_name(f"{file.name}.part")
        try:
            _remove(part)
            journal = cls(part)
            for number, data in _read_pieces(file):
                journal.add(number, data)
            journal.close()
            cls._open(part, file, key).close()
            _remove(file, _BESIDE)
            part.replace(file)
        finally:
            _remove(part)

    @classmethod
    def _open(cls, file: Path, name: Path, key: Mapping[str, Any]) -> Journal:
        """The one in `file`, which messages call `name`, if it is of the run that `key` describes, or empty."""
        journal = cls(file)
        try:
            written = journal.get(_KEY)
            found = key if written is None else json.loads(written)
            if differing := sorted(n for n in {*key, *found} - {"schema"} if key.get(n) != found.get(n)):
                raise Conflict(
                    f"{name} belongs to a run with a different {', '.join(differing)}; leave out --resume to start "
                    "again, or name another --out",
                    code="journal_other",
                )
            if written is None:
                journal.add(_KEY, json.dumps(key, sort_keys=True).encode())
        except BaseException:
            journal.close()
            raise
        return journal

    def add(self, number: int, data: bytes) -> None:
        """Write one piece. Raises `Unavailable` (`out_unwritable`), as when the disk is full."""
        with self._lock:
            try:
                row = number, zlib.crc32(data), data
                self._database.execute("INSERT OR REPLACE INTO pieces VALUES (?, ?, ?)", row)
                if (now := time.monotonic()) > self._synced + _SYNC_S:
                    self._database.execute("PRAGMA wal_checkpoint(PASSIVE)")
                    self._synced = now
            except sqlite3.Error as error:
                raise Unavailable(
                    f"the journal can't be written: {error}; what was read so far is kept: free some space and run "
                    "the same command again with --resume",
                    code="out_unwritable",
                ) from error

    def get(self, number: int) -> bytes | None:
        """One piece; None where there is none, or it is damaged."""
        with self._lock:
            row = self._database.execute("SELECT crc, data FROM pieces WHERE number = ?", (number,)).fetchone()
        return row[1] if row is not None and zlib.crc32(row[1]) == row[0] else None


def _make_error(file: Path, error: Exception) -> Unavailable:
    return Unavailable(f"can't write {file}: {getattr(error, 'strerror', None) or error}", code="out_unwritable")


def _remove(file: Path, endings: Sequence[str] = ("", *_BESIDE)) -> None:
    for ending in endings:
        file.with_name(file.name + ending).unlink(missing_ok=True)


def _is_whole(file: Path) -> bool:
    """Whether this is an SQLite file, and SQLite finds nothing wrong with it."""
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(file)) as database:
        return bool(database.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    return False


def _read_pieces(file: Path) -> Iterator[tuple[int, bytes]]:
    """The pieces of a damaged file, or of one of version 1, up to the first that can't be read."""
    with file.open("rb") as opened:
        if opened.read(6) != b"SQLite":
            yield from _read_version_1(file)
            return
    with closing(sqlite3.connect(file)) as database, suppress(sqlite3.DatabaseError):
        database.execute("PRAGMA writable_schema=ON")  # else SQLite opens no file that was cut short
        for number, crc, data in database.execute("SELECT number, crc, data FROM pieces ORDER BY number"):
            if zlib.crc32(data) == crc:
                yield number, data


def _read_version_1(file: Path) -> Iterator[tuple[int, bytes]]:
    size = file.stat().st_size
    with file.open("rb") as opened:
        while len(head := opened.read(_VERSION_1.size)) == _VERSION_1.size:
            number, length, crc = _VERSION_1.unpack(head)
            data = opened.read(length) if length <= size else b""
            if len(data) < length or zlib.crc32(data, number & 0xFFFFFFFF) != crc:
                return
            yield number, data


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
        if part != self._known[0]:
            self._known = part, self._read(part)
        return self._known[1]

    def _read(self, part: int) -> list[Row]:
        data = self._journal.get(part)
        assert data is not None
        return unpack_rows(data)

    def close(self) -> None:
        """Give the disk space back."""
        self._journal.close()
