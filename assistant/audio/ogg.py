"""Reads Opus in Ogg as Firefox's MediaRecorder writes it: one growing file that arrives in pieces.

The first Opus stream is read, others beside it are passed over. It stores at most one page and one packet. Formats:
RFC 3533 (Ogg), RFC 7845 (Opus in it).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from assistant.audio.recording import MAX_PACKET, CodecHead, RecordingReader, opus_head

_MAGIC = b"OggS"
_HEADER = 27
"""Bytes of a page before the table of its segments."""
_CONTINUED, _FIRST = 0x01, 0x02
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_CHECKSUM = slice(22, 26)


class OggReader(RecordingReader):
    """Takes pieces of an Ogg file, returns Opus packets. A new file may start wherever a page may."""

    container = "Ogg"
    hint = "audio/ogg;codecs=opus"

    def _begin(self) -> None:
        self._serial: bytes | None = None
        """That of the chosen stream."""
        self._heads = True
        """Only first pages came so far: streams that are played together all begin before anything else."""
        self._before = 0
        """Packets that came: the first is the head, the second has the tags."""
        self._packet: bytearray | None = None
        """What came of a packet that goes on in the next page."""

    def _parse(self, rest: bytearray) -> Iterator[CodecHead | bytes]:
        at = 0
        while len(rest) - at >= _HEADER:
            if rest[at : at + 4] != _MAGIC or rest[at + 4]:
                raise self.unreadable("a page is broken")
            body = at + _HEADER + rest[at + _HEADER - 1]
            end = body + sum(rest[at + _HEADER : body])
            if end > len(rest):
                break
            page = bytes(rest[at:end])
            if checksum(page) != int.from_bytes(page[_CHECKSUM], "little"):
                raise self.unreadable("the checksum of a page is wrong")
            yield from self._read_page(page[5], page[14:18], page[_HEADER : body - at], page[body - at :])
            at = end
        del rest[:at]

    def _read_page(self, flags: int, serial: bytes, sizes: bytes, body: bytes) -> Iterator[CodecHead | bytes]:
        if flags & _FIRST:
            if not self._heads:  # another file, or a chained stream
                self._begin()
            if self._serial is not None or not body.startswith(b"OpusHead"):
                return
            self._serial = serial
        else:
            self._heads = False
            if self._serial is None:
                raise self.unreadable("it has no Opus stream")
        if serial != self._serial:
            return
        if bool(flags & _CONTINUED) != (self._packet is not None):
            raise self.unreadable("a page is missing")
        at = 0
        packet = bytearray() if self._packet is None else self._packet
        for size in sizes:
            if self._before != 1:
                packet += body[at : at + size]
            at += size
            if len(packet) > MAX_PACKET:
                raise self.unreadable("a packet is too long")
            if size < 255:
                if packet:
                    yield from self._take(bytes(packet))
                self._before = min(self._before + 1, 2)
                packet = bytearray()
        self._packet = packet if sizes and sizes[-1] == 255 else None

    def _take(self, packet: bytes) -> Iterator[CodecHead | bytes]:
        if self._before:
            yield packet
            return
        head = opus_head(packet)
        if head is None:
            raise self.unreadable("its Opus stream has no header for mono or stereo")
        yield head


def checksum(page: bytes) -> int:
    r"""The checksum of a page: CRC-32 with the highest bit first, beginning at 0.

    zlib's has the lowest bit first and inverts at both ends, which is undone here.

    >>> hex(checksum(bytes(26) + b"\x01")), hex(checksum(bytes(22) + b"1234" + bytes(1)))
    ('0x4c11db7', '0x0')
    """
    blank = page[:22] + bytes(4) + page[26:]
    crc = zlib.crc32(blank.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{crc:032b}"[::-1], 2)
