"""What the readers of a browser's recordings share. MediaRecorder writes one growing file, which arrives in pieces.

A reader takes a container apart into packets (`webm`, `ogg`, `mp4`); FFmpeg's decoders make samples of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import soxr

from assistant.audio import SAMPLE_RATE
from assistant.audio.pcm import Samples
from assistant.errors import Invalid, TooLarge

_MAGICS = {
    "WebM": (0, b"\x1a\x45\xdf\xa3"), "Ogg": (0, b"OggS"), "WAV": (0, b"RIFF"), "FLAC": (0, b"fLaC"),
    "MP3": (0, b"ID3"), "MP4": (4, b"ftyp"),
}  # fmt: skip
"""Where each format has the bytes by which it is known."""
_KNOWN_BY = 8
"""Bytes by which each of them is known."""
MAX_PACKET = 64 * 1024
"""Largest packet, in bytes; one of Opus has at most 61 440."""
_NOTHING: Samples = np.zeros(0, dtype=np.float32)


def container_of(data: bytes) -> str | None:
    """The format of a file that begins with `data`; None if it is not a known one.

    >>> container_of(b"OggS"), container_of(bytes(12))
    ('Ogg', None)
    """
    return next((name for name, (at, magic) in _MAGICS.items() if data.startswith(magic, at)), None)


@dataclass(frozen=True, slots=True)
class CodecHead:
    """A track begins: packets of this codec follow."""

    codec: Literal["opus", "aac"]
    """As FFmpeg names it."""
    data: bytes
    """Its header as decoders expect it: an `OpusHead` (RFC 7845), or an AudioSpecificConfig (ISO 14496-3)."""


class RecordingReader(ABC):
    """Takes pieces of one container, returns packets. It stores at most what is not complete yet, which is bounded.

    After an error only the start of a new file is read; after a pause a new file may start in the middle of one.
    """

    container: ClassVar[str]
    """As `container_of` names it."""
    hint: ClassVar[str]
    """The media type to set a MediaRecorder to."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._first = b""
        self._state: Literal["reading", "paused", "broken"] = "reading"
        self._empty = True
        self._begin()

    def feed(self, data: bytes) -> list[CodecHead | bytes]:
        """The heads and packets that are complete so far, in order. Raises `Invalid` (`audio_unreadable`)."""
        if self._state != "reading":
            data, self._first = self._first + data, b""
            if len(data) < _KNOWN_BY:
                self._first = data
                return []
            if container_of(data) == self.container:
                self.reset()
            elif self._state == "broken":
                raise self.unreadable("an earlier piece could not be read; start a new recording")
            self._state = "reading"
        self._rest += data
        try:
            if self._empty and len(self._rest) < _KNOWN_BY:
                return []
            if self._empty:
                self._empty = False
                self._check_start()
            return list(self._parse(self._rest))
        except Invalid:
            self.reset()
            self._state = "broken"
            raise

    def pause(self) -> None:
        """The next piece goes on, or starts a new file, whatever is incomplete here."""
        if self._state == "reading":
            self._state = "paused"

    def reset(self) -> None:
        """Forget everything; the next piece starts a new file."""
        self._rest.clear()
        self._first, self._state, self._empty = b"", "reading", True
        self._begin()

    def unreadable(self, why: str) -> Invalid:
        """What is wrong with the file."""
        return Invalid(f"cannot read this {self.container}: {why}", code="audio_unreadable")

    def _check_start(self) -> None:
        found = container_of(bytes(self._rest[:_KNOWN_BY])) or "another format"
        if found != self.container:
            raise self.unreadable(f"it is {found}; set MediaRecorder to '{self.hint}'")

    @abstractmethod
    def _begin(self) -> None:
        """A new file begins."""

    @abstractmethod
    def _parse(self, rest: bytearray) -> Iterator[CodecHead | bytes]:
        """Take what is complete from the front of `rest`."""


def opus_head(data: bytes) -> CodecHead | None:
    """The head of an Opus track that is mono or stereo; None if `data` is none.

    >>> opus_head(b"OpusHead" + bytes([1, 1, 56, 1, 128, 187, 0, 0, 0, 0, 0])).codec
    'opus'
    """
    good = len(data) >= 19 and data.startswith(b"OpusHead") and not data[8] >> 4
    return CodecHead("opus", data) if good and data[9] in (1, 2) and data[18] == 0 else None


class Recording:
    """Decodes a growing file into mono samples at 16 kHz. Gaps in the recording are closed, not filled."""

    def __init__(self, reader: RecordingReader, max_seconds: float) -> None:
        import av  # takes 0.1 s and 23 MB: only where a stream needs it

        self._av = av
        self._reader = reader
        self._longest_s = max_seconds
        self._codec: Any = None
        self._rate = SAMPLE_RATE
        self._resampler: soxr.ResampleStream | None = None

    def decode(self, data: bytes) -> Samples:
        """Decode what is complete so far: float32 [samples]. Up to 40 ms of audio wait for the next piece.

        Raises `Invalid` (`audio_unreadable`), and `TooLarge` (`audio_too_long`) for more than `max_seconds`.
        """
        heard = [_NOTHING]
        left_s = self._longest_s
        for part in self._reader.feed(data):
            if isinstance(part, CodecHead):
                self._codec = self._av.CodecContext.create(part.codec, "r")
                self._codec.extradata = part.data
                continue
            for rate, samples in self._decode_packet(part):
                left_s -= len(samples) / rate
                if left_s < 0:
                    raise TooLarge(f"a piece may hold at most {self._longest_s:g} s", code="audio_too_long")
                heard.extend(self._resample(rate, samples))
        return np.concatenate(heard)

    def flush(self) -> Samples:
        """The samples that were still waiting. The next piece goes on, or starts a new file."""
        self._reader.pause()
        return self._drain()

    def _decode_packet(self, packet: bytes) -> Iterator[tuple[int, Samples]]:
        """The rate in Hz and mono samples."""
        try:
            frames = self._codec.decode(self._av.Packet(packet)) if len(packet) <= MAX_PACKET else None
        except self._av.error.FFmpegError:
            frames = None
        if frames is None:
            raise Invalid("a packet of the recording can't be decoded", code="audio_unreadable")
        for frame in frames:
            samples = _mono(frame.to_ndarray())
            if not np.isfinite(samples).all():
                raise Invalid("the recording holds samples that are not numbers", code="audio_unreadable")
            yield frame.sample_rate, samples

    def _resample(self, rate: int, samples: Samples) -> Iterator[Samples]:
        if rate != self._rate:  # that of AAC stands in its packets, and may change
            yield self._drain()
            self._rate = rate
            self._resampler = None if rate == SAMPLE_RATE else soxr.ResampleStream(rate, SAMPLE_RATE, 1)
        yield samples if self._resampler is None else self._resampler.resample_chunk(samples)

    def _drain(self) -> Samples:
        if self._resampler is None:
            return _NOTHING
        rest: Samples = self._resampler.resample_chunk(_NOTHING, last=True)
        self._resampler.clear()
        return rest


def _mono(channels: Samples) -> Samples:
    mixed: Samples = channels[0] if len(channels) == 1 else channels.mean(axis=0, dtype=np.float32)
    return mixed
