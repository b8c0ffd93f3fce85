"""Opus packets to samples, through PyAV."""

from __future__ import annotations

from typing import Any

import numpy as np

from assistant.audio.pcm import Samples
from assistant.audio.webm import OpusHead, WebmReader
from assistant.errors import Invalid, TooLarge

OPUS_RATE = 48_000
"""Hz: the rate at which Opus is decoded, whatever the recording had."""
_NOTHING: Samples = np.zeros(0, dtype=np.float32)


class OpusInWebm:
    """Decodes a growing WebM file into mono samples at 48 kHz. Gaps in the recording are closed, not filled."""

    def __init__(self, max_seconds: float) -> None:
        import av  # takes 0.1 s and 23 MB: only where a stream needs it

        self._av = av
        self._reader = WebmReader()
        self._codec: Any = None
        self._most = round(max_seconds * OPUS_RATE)

    def decode(self, data: bytes) -> Samples:
        """Decode what is complete so far: float32 [samples].

        Raises `Invalid` (`audio_unreadable`), and `TooLarge` (`audio_too_long`) for more than `max_seconds`.
        """
        heard = [_NOTHING]
        length = 0
        for part in self._reader.feed(data):
            if isinstance(part, OpusHead):
                self._open(part)
                continue
            samples = self._decode_packet(part)
            length += len(samples)
            if length > self._most:
                raise TooLarge(f"a piece may hold at most {self._most // OPUS_RATE} s", code="audio_too_long")
            heard.append(samples)
        return np.concatenate(heard)

    def reset(self) -> None:
        """Forget everything; the next byte starts a new file."""
        self._reader.reset()
        self._codec = None

    def _open(self, head: OpusHead) -> None:
        self._codec = self._av.CodecContext.create("opus", "r")
        self._codec.extradata = head.data

    def _decode_packet(self, packet: bytes) -> Samples:
        try:
            frames = self._codec.decode(self._av.Packet(packet))
        except self._av.error.FFmpegError:
            raise Invalid("an Opus packet can't be decoded", code="audio_unreadable") from None
        return np.concatenate([_NOTHING, *(_mono(frame.to_ndarray()) for frame in frames)])


def _mono(channels: Samples) -> Samples:
    mixed: Samples = channels[0] if len(channels) == 1 else channels.mean(axis=0, dtype=np.float32)
    return mixed
