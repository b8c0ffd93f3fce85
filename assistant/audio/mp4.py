"""Reads AAC or Opus in fragmented MP4 as Safari's MediaRecorder writes it: one growing file that arrives in pieces.

It stores the description of the tracks and of one fragment (`moov`, `moof`) and at most one packet, and skips all
else. Formats: ISO 14496-12 (boxes), 14496-14 and 14496-1 (AAC in them), "Encapsulation of Opus in ISO BMFF".
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from assistant.audio.recording import MAX_PACKET, CodecHead, RecordingReader, opus_head
from assistant.errors import Invalid

_MAX_BOX = 256 * 1024
"""Largest `moov` or `moof`, in bytes."""
_MAX_PACKETS = 30_000
"""Most packets in one fragment: ten minutes of Opus."""
_MAX_STEPS = 2 * _MAX_PACKETS
"""Most boxes and packets in one piece."""
_AAC = (0x40, 0x66, 0x67, 0x68)
"""The object types of AAC: MPEG-4's and the profiles of MPEG-2's."""
_ENTRY = 28
"""Bytes of a description of sound before its boxes."""
_BASE, _BASE_IS_MOOF = 0x1, 0x020000
"""Where the data of a track in a fragment (`tfhd`) is counted from: told there, or the fragment's begin."""
_DEFAULT_SIZE = 0x10
_BEFORE_DEFAULT_SIZE = (0x2, 0x8)
"""What a `tfhd` may hold: 4 bytes each."""
_OFFSET, _FIRST_FLAGS, _SIZES = 0x1, 0x4, 0x200
"""What a `trun` may hold before its packets, and their sizes."""
_PER_PACKET = (0x100, 0x200, 0x400, 0x800)
"""What a `trun` may hold for each packet, 4 bytes each: duration, size, flags, time of composition."""


@dataclass(frozen=True, slots=True)
class _Track:
    number: int
    head: CodecHead
    sizes: Mapping[int, int]
    """Bytes of a packet where a fragment does not say it, of every track."""


class Mp4Reader(RecordingReader):
    """Takes pieces of a fragmented MP4 file, returns packets. A new file may start wherever a box may."""

    container = "MP4"
    hint = "audio/mp4"

    def _begin(self) -> None:
        self._at = self._until = 0
        """Where in the file the rest begins, and where the box ends that is being passed over."""
        self._in_data = False
        """It is a box that holds packets."""
        self._track: _Track | None = None
        self._awaited: deque[tuple[int, int]] = deque()
        """Where the packets of this fragment begin and end."""

    def _parse(self, rest: bytearray) -> Iterator[CodecHead | bytes]:
        for _ in range(_MAX_STEPS):
            start, end = self._find_packet()
            self._pass(rest, min(start - self._at, len(rest)))
            if self._at < start or len(rest) < end - start:
                return
            if start < end:
                self._awaited.popleft()
                yield self._pass(rest, end - start)
            elif (box := _box_at(rest, 0)) is None:
                return
            elif box[0] in (b"moov", b"moof"):
                kind, header, size = box
                if size > _MAX_BOX:
                    raise _unreadable(f"a description may have at most {_MAX_BOX} bytes")
                if len(rest) < size:
                    return
                yield from self._describe(kind, bytes(rest[header:size]))
                self._pass(rest, size)
                self._until = self._at
            else:
                self._enter(box[0], box[2])
        raise _unreadable(f"a piece may have at most {_MAX_STEPS} boxes and packets")

    def _find_packet(self) -> tuple[int, int]:
        """Where the next packet in this box begins and ends; where there is none, the end of the box, twice."""
        if not (self._in_data and self._awaited) or (place := self._awaited[0])[0] >= self._until:
            return self._until, self._until
        if place[0] < self._at or place[1] > self._until:
            raise _unreadable("a packet is not where its fragment says")
        return place

    def _pass(self, rest: bytearray, count: int) -> bytes:
        passed = bytes(rest[:count])
        del rest[:count]
        self._at += count
        return passed

    def _enter(self, kind: bytes, size: int) -> None:
        if kind == b"ftyp":
            self._begin()
        self._in_data = kind == b"mdat"
        if self._in_data and self._track is None:
            raise _unreadable("its sound comes before its description; record in fragments")
        self._until = self._at + size

    def _describe(self, kind: bytes, content: bytes) -> Iterator[CodecHead]:
        try:
            if kind == b"moov":
                self._track = _track_of(content)
                yield self._track.head
            elif self._track is None:
                raise _unreadable("a fragment comes before the description of the tracks")
            elif self._awaited:
                raise _unreadable("packets of a fragment are missing")
            else:
                self._awaited.extend(_packets_of(content, self._at, self._track))
        except (struct.error, IndexError):
            raise _unreadable("a box is too short") from None


def _track_of(moov: bytes) -> _Track:
    """The first track of sound. Raises `Invalid`."""
    extends = _child(moov, b"mvex")
    if extends is None:
        raise _unreadable("it is not fragmented; record with MediaRecorder, or mux with `empty_moov`")
    sizes = {}
    for kind, content in _boxes(extends):
        if kind == b"trex":
            _, number, _, _, sizes[number] = struct.unpack_from(">5I", content)
    for kind, trak in _boxes(moov):
        if kind == b"trak" and (_child(trak, b"mdia", b"hdlr") or b"")[8:12] == b"soun":
            head = _child(trak, b"tkhd") or b""
            (number,) = struct.unpack_from(">I", head, 20 if head[0] else 12)
            described = _child(trak, b"mdia", b"minf", b"stbl", b"stsd") or b""
            return _Track(number, _head_of(described), sizes)
    raise _unreadable("it has no track of sound")


def _head_of(stsd: bytes) -> CodecHead:
    box = _box_at(stsd, 8)
    if box is None:
        raise _unreadable("its track is not described")
    codec, header, size = box
    entry = stsd[8 + header : 8 + size]
    if codec == b"enca":
        raise _unreadable("it is encrypted")
    if codec == b"Opus":
        version, *fields, family = struct.unpack_from(">BBHIhB", _child(entry[_ENTRY:], b"dOps") or b"")
        head = None if version else opus_head(b"OpusHead" + struct.pack("<BBHIhB", 1, *fields, family))
        if head is None:
            raise _unreadable("its Opus track is not mono or stereo")
        return head
    if codec == b"mp4a" and entry[8:10] == bytes(2):  # the layout of MP4, not those of QuickTime
        config = _aac_config(_child(entry[_ENTRY:], b"esds") or b"")
        if config:
            return CodecHead("aac", config)
    raise _unreadable("its sound is neither AAC nor Opus")


def _aac_config(esds: bytes) -> bytes:
    """The AudioSpecificConfig; empty where the codec is another one."""
    stream = _descriptor(esds[4:], 0x03)
    flags, at = stream[2], 3
    at += 2 if flags & 0x80 else 0
    at += 1 + stream[at] if flags & 0x40 else 0
    at += 2 if flags & 0x20 else 0
    decoder = _descriptor(stream[at:], 0x04)
    return _descriptor(decoder[13:], 0x05) if decoder[0] in _AAC else b""


def _packets_of(moof: bytes, begins: int, track: _Track) -> list[tuple[int, int]]:
    """Where the packets of the track begin and end. `begins`: where the fragment does."""
    places: list[tuple[int, int]] = []
    left = _MAX_PACKETS
    at: int | None = None
    for kind, traf in _boxes(moof):
        if kind != b"traf":
            continue
        header = _child(traf, b"tfhd") or b""
        flags, number = struct.unpack_from(">II", header)
        base = begins if at is None or flags & _BASE_IS_MOOF else at
        field = 8
        if flags & _BASE:
            (base,) = struct.unpack_from(">Q", header, field)
            field += 8
        size = track.sizes.get(number, 0)
        if flags & _DEFAULT_SIZE:
            (size,) = struct.unpack_from(">I", header, field + _length(flags, _BEFORE_DEFAULT_SIZE))
        at = base
        for run in (content for kind, content in _boxes(traf) if kind == b"trun"):
            offset, sizes = _run(run, size, left)
            left -= len(sizes)
            at = at if offset is None else base + offset
            for length in sizes:
                if number == track.number and length:
                    places.append((at, at + length))
                at += length
    if any(end - start > MAX_PACKET for start, end in places):
        raise _unreadable("a packet is too long")
    return places


def _run(trun: bytes, size: int, most: int) -> tuple[int | None, list[int]]:
    """Where the data of a run begins, if it says so, and the sizes of its packets, at most so many."""
    flags, count = struct.unpack_from(">II", trun)
    if count > most:
        raise _unreadable(f"a fragment may have at most {_MAX_PACKETS} packets")
    offset = struct.unpack_from(">i", trun, 8)[0] if flags & _OFFSET else None
    if not flags & _SIZES:
        return offset, [size] * count
    first = 8 + _length(flags, (_OFFSET, _FIRST_FLAGS)) + _length(flags, _PER_PACKET[:1])
    step = _length(flags, _PER_PACKET)
    return offset, [struct.unpack_from(">I", trun, first + step * each)[0] for each in range(count)]


def _length(flags: int, fields: tuple[int, ...]) -> int:
    """Bytes of those fields that there are."""
    return sum(4 for field in fields if flags & field)


def _child(data: bytes, *path: bytes) -> bytes | None:
    """The content of the first box of each name, one inside the other; None where there is none."""
    for name in path:
        found = next((content for kind, content in _boxes(data) if kind == name), None)
        if found is None:
            return None
        data = found
    return data


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The name and the content of each box."""
    at = 0
    while (box := _box_at(data, at)) is not None:
        kind, header, size = box
        if at + size > len(data):
            raise _unreadable("a box is larger than what it is in")
        yield kind, data[at + header : at + size]
        at += size


def _box_at(data: bytes | bytearray, at: int) -> tuple[bytes, int, int] | None:
    """Its name, the length of its header, and its whole size; None if the header is incomplete.

    >>> _box_at(bytes.fromhex("0000000c 66726565 00000000"), 0)
    (b'free', 8, 12)
    >>> _box_at(bytes.fromhex("00000001 6d646174 0000000100000000"), 0)
    (b'mdat', 16, 4294967296)
    """
    if len(data) < at + 8:
        return None
    size, kind = struct.unpack_from(">I4s", data, at)
    header = 8
    if size == 1:
        if len(data) < at + 16:
            return None
        (size,) = struct.unpack_from(">Q", data, at + 8)
        header = 16
    if size < header:
        raise _unreadable("a box has no valid size")
    return kind, header, size


def _descriptor(data: bytes, wanted: int) -> bytes:
    """The content of the first MPEG-4 descriptor with this tag; empty where there is none.

    >>> _descriptor(bytes.fromhex("06 01 02 05 8002 1210"), 0x05).hex()
    '1210'
    """
    at = 0
    while at < len(data):
        tag, size, more = data[at], 0, True
        while more:
            at += 1
            size, more = size << 7 | data[at] & 0x7F, bool(data[at] & 0x80)
        at += 1
        if tag == wanted:
            return data[at : at + size]
        at += size
    return b""


def _unreadable(why: str) -> Invalid:
    return Invalid(f"cannot read this MP4: {why}", code="audio_unreadable")
