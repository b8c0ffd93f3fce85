"""The journal of a run: what was read so far, in pieces, so that a run that was cut off can go on."""

from __future__ import annotations

import json
import os
import struct
import tempfile
import threading
import time
import weakref
import zlib
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assistant.errors import Conflict, Unavailable

SCHEMA = "attune-journal/1"
_PIECE = struct.Struct("<qII")
"""Before each piece: its number, its length in bytes, and the CRC-32 of number and bytes."""
_HEAD = -1
"""The number of the first piece, which says what run this is."""
_FLUSH_S = 10.0
"""Seconds after which what was written is forced onto the disk: a crash of the machine costs no more."""


class Journal:
    """Numbered pieces of bytes in a file that only grows. A piece that comes again replaces the older one.

    Each piece is handed to the operating system before `add` returns, so that killing the process loses none. Half
    a piece at the end, or damage, is cut off when the file is opened again. Only the places of the pieces are kept
    in memory, 8 bytes for each. Threads may add and get at once.
    """

    def __init__(self, descriptor: int) -> None:
        """Owns the open file `descriptor`."""
        self._file = descriptor
        self.close = weakref.finalize(self, os.close, descriptor)
        """Closes the file, at the latest when the journal is forgotten; what was written stays."""
        self._places = array("q")
        self._end = 0
        self._count = 0
        self._flushed = time.monotonic()
        self._lock = threading.Lock()

    @classmethod
    def temporary(cls, folder: Path | None = None) -> Journal:
        """One without a name in `folder`, gone when it is closed."""
        descriptor, name = tempfile.mkstemp(prefix=".attune-", dir=folder)
        Path(name).unlink()
        return cls(descriptor)

    @classmethod
    def start(cls, file: Path, key: Mapping[str, Any]) -> Journal:
        """An empty one for the run that `key` describes. Raises `Unavailable` (`out_unwritable`)."""
        return cls._of(file, key, resume=False)

    @classmethod
    def resume(cls, file: Path, key: Mapping[str, Any]) -> Journal:
        """The one in `file`, or an empty one where there is none.

        Raises `Conflict` (`journal_other`) where it belongs to a run that `key` doesn't describe.
        """
        return cls._of(file, key, resume=True)

    @classmethod
    def _of(cls, file: Path, key: Mapping[str, Any], *, resume: bool) -> Journal:
        try:
            journal = cls(os.open(file, os.O_RDWR | os.O_CREAT | (0 if resume else os.O_TRUNC), 0o666))
        except OSError as error:
            raise Unavailable(f"can't write {file}: {error.strerror}", code="out_unwritable") from error
        wanted = {"schema": SCHEMA, **key}
        try:
            found = journal._recover()
            if found is None:
                journal.add(_HEAD, json.dumps(wanted, sort_keys=True).encode())
            elif differing := sorted(n for n in {*wanted, *found} if wanted.get(n) != found.get(n)):
                raise Conflict(
                    f"{file} was written by a run with another {', '.join(differing)}; leave out --resume to start "
                    "afresh, or name another --out",
                    code="journal_other",
                )
        except BaseException:
            journal.close()
            raise
        return journal

    def _recover(self) -> dict[str, Any] | None:
        """Find the pieces that are whole, cut off the rest, and say what the first one tells of the run."""
        size = os.fstat(self._file).st_size
        head: dict[str, Any] | None = None
        while (piece := self._piece(self._end, size)) is not None:
            number, data = piece
            if (self._end == 0) != (number == _HEAD):
                break
            if number == _HEAD:
                head = json.loads(data)
            self._note(number, len(data))
        if head is None:
            self._end = 0
        os.ftruncate(self._file, self._end)
        return head

    def _piece(self, place: int, size: int) -> tuple[int, bytes] | None:
        written = os.pread(self._file, _PIECE.size, place)
        if len(written) < _PIECE.size:
            return None
        number, length, crc = _PIECE.unpack(written)
        if number < _HEAD or place + _PIECE.size + length > size:
            return None
        data = os.pread(self._file, length, place + _PIECE.size)
        return (number, data) if len(data) == length and _crc(number, data) == crc else None

    def _note(self, number: int, length: int) -> None:
        if number >= 0:
            if number >= len(self._places):
                self._places.extend([-1] * (number + 1 - len(self._places)))
            self._count += self._places[number] < 0
            self._places[number] = self._end
        self._end += _PIECE.size + length

    def add(self, number: int, data: bytes) -> None:
        """Write one piece. Raises `Unavailable` (`out_unwritable`), as when the disk is full."""
        whole = _PIECE.pack(number, len(data), _crc(number, data)) + data
        with self._lock:
            try:
                done = 0
                while done < len(whole):
                    done += os.pwrite(self._file, whole[done:], self._end + done)
                if (now := time.monotonic()) > self._flushed + _FLUSH_S:
                    os.fsync(self._file)
                    self._flushed = now
            except OSError as error:
                raise Unavailable(
                    f"the journal can't be written: {error.strerror}; what was read so far is kept: make room and "
                    "run the same command again with --resume",
                    code="out_unwritable",
                ) from error
            self._note(number, len(data))

    def get(self, number: int) -> bytes | None:
        """One piece; None where there is none."""
        place = self._places[number] if 0 <= number < len(self._places) else -1
        if place < 0:
            return None
        piece = self._piece(place, self._end)
        return None if piece is None else piece[1]

    def __len__(self) -> int:
        """How many pieces there are."""
        return self._count


def _crc(number: int, data: bytes) -> int:
    return zlib.crc32(data, number & 0xFFFFFFFF)
