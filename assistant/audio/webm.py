"""Reads Opus in WebM as a browser's MediaRecorder writes it: one growing file that arrives in pieces.

The reader is flat: it enters the elements that can contain packets, skips all others without storing them, and
never relies on the size of a parent, which a live recording leaves unknown. It stores at most one block. Formats:
RFC 8794 (EBML), RFC 9559 (Matroska), RFC 7845 section 5.1 (the header of an Opus stream).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from assistant.audio.recording import CodecHead, RecordingReader, opus_head
from assistant.errors import Invalid

_EBML = 0x1A45DFA3
_DOC_TYPE = 0x4282
_SEGMENT = 0x18538067
_TRACKS, _TRACK = 0x1654AE6B, 0xAE
_TRACK_NUMBER, _TRACK_TYPE = 0xD7, 0x83
_CODEC, _CODEC_PRIVATE, _ENCODINGS = 0x86, 0x63A2, 0x6D80
_CLUSTER, _BLOCK_GROUP, _BLOCK, _SIMPLE_BLOCK = 0x1F43B675, 0xA0, 0xA1, 0xA3
_ENTERED = frozenset({_EBML, _SEGMENT, _TRACKS, _TRACK, _CLUSTER, _BLOCK_GROUP})
_KEPT = frozenset(
    {_DOC_TYPE, _TRACK_NUMBER, _TRACK_TYPE, _CODEC, _CODEC_PRIVATE, _ENCODINGS, _BLOCK, _SIMPLE_BLOCK}
)
_LACED = 0x06
_AUDIO = 2

_MAX_KEPT = 64 * 1024
"""Largest element that is stored, in bytes; an Opus packet has at most 61 440."""
_MAX_ELEMENTS = 30_000
"""Most elements in one piece: ten minutes of packets."""


@dataclass(slots=True)
class _Track:
    number: int = 0
    kind: int = 0
    codec: bytes = b""
    private: bytes = b""
    encoded: bool = False


class WebmReader(RecordingReader):
    """Takes pieces of a WebM file, returns Opus packets. A new file may start wherever an element may."""

    container = "WebM"
    hint = "audio/webm;codecs=opus"

    def _begin(self) -> None:
        self._skip = 0
        self._track = _Track()
        self._chosen: _Track | None = None

    def _parse(self, rest: bytearray) -> Iterator[CodecHead | bytes]:
        at = 0
        for _ in range(_MAX_ELEMENTS):
            skipped = min(self._skip, len(rest) - at)
            at, self._skip = at + skipped, self._skip - skipped
            header = None if self._skip else _header(rest, at)
            if header is None:
                break
            name, size, start = header
            if name in _ENTERED:
                at = start
                yield from self._enter(name)
            elif size is None:
                raise _unreadable("an element has no size")
            elif name not in _KEPT or size > _MAX_KEPT:
                at, self._skip = start, size
            elif start + size > len(rest):
                break
            else:
                at = start + size
                packet = self._store(name, bytes(rest[start:at]))
                if packet:
                    yield packet
        else:
            raise _unreadable(f"a piece may have at most {_MAX_ELEMENTS} elements")
        del rest[:at]

    def _enter(self, name: int) -> Iterator[CodecHead]:
        if name == _EBML:
            self._begin()
        elif name in (_TRACK, _CLUSTER):
            track, self._track = self._track, _Track()
            if self._chosen is None and track.kind == _AUDIO and track.codec == b"A_OPUS":
                self._chosen = track
                yield _head(track)
            if self._chosen is None and name == _CLUSTER:
                raise _unreadable("it has no Opus track")

    def _store(self, name: int, data: bytes) -> bytes:
        """Store one element; returns a packet of the chosen track, or nothing."""
        if name in (_BLOCK, _SIMPLE_BLOCK):
            return self._packet(data)
        if name == _DOC_TYPE and data.rstrip(b"\0") not in (b"webm", b"matroska"):
            raise _unreadable("it is another type of EBML file")
        if name == _TRACK_NUMBER:
            self._track.number = int.from_bytes(data)
        elif name == _TRACK_TYPE:
            self._track.kind = int.from_bytes(data)
        elif name == _CODEC:
            self._track.codec = data.rstrip(b"\0")
        elif name == _CODEC_PRIVATE:
            self._track.private = data
        elif name == _ENCODINGS:
            self._track.encoded = True
        return b""

    def _packet(self, block: bytes) -> bytes:
        number = _number(block, 0, 8)
        if number is None or len(block) < number[1] + 3 or self._chosen is None:
            raise _unreadable("a block is broken")
        track, start = number
        if track != self._chosen.number:
            return b""
        if block[start + 2] & _LACED:
            raise _unreadable("its blocks use lacing, which browsers do not")
        return block[start + 3 :]


def _head(track: _Track) -> CodecHead:
    if track.encoded:
        raise _unreadable("its packets are compressed or encrypted")
    head = opus_head(track.private)
    if head is None:
        raise _unreadable("its Opus track has no header for mono or stereo")
    return head


def _header(data: bytes | bytearray, at: int) -> tuple[int, int | None, int] | None:
    """Name, size (None: unknown) and start of the content of the element at `at`; None if it is incomplete.

    >>> _header(bytes.fromhex("a3 83 810000"), 0)
    (163, 3, 2)
    >>> _header(bytes.fromhex("18538067 01ffffffffffffff"), 0)
    (408125543, None, 12)
    """
    name = _number(data, at, 4)
    size = None if name is None else _number(data, name[1], 8)
    if name is None or size is None:
        return None
    unknown = size[0] == (1 << 7 * (size[1] - name[1])) - 1
    return int.from_bytes(data[at : name[1]]), None if unknown else size[0], size[1]


def _number(data: bytes | bytearray, at: int, longest: int) -> tuple[int, int] | None:
    """A variable-length number of at most `longest` bytes, and where it ends; None if it is incomplete.

    >>> _number(bytes([0x40, 0x02]), 0, 8), _number(bytes([0x40]), 0, 8)
    ((2, 2), None)
    """
    if at >= len(data):
        return None
    length = 9 - data[at].bit_length()
    if length > longest:
        raise _unreadable("an element has an invalid header")
    if at + length > len(data):
        return None
    return int.from_bytes(data[at : at + length]) & ((1 << 7 * length) - 1), at + length


def _unreadable(why: str) -> Invalid:
    return Invalid(f"cannot read this WebM: {why}", code="audio_unreadable")
