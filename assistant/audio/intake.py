"""Decodes audio as clients send it, in pieces of any size, into what the models work on: 16 kHz, mono, float32."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

import numpy as np
import soxr

from assistant.audio import SAMPLE_RATE
from assistant.audio.mp4 import Mp4Reader
from assistant.audio.ogg import OggReader
from assistant.audio.pcm import ALAW, ULAW, Samples, Table, expand, from_pcm16
from assistant.audio.recording import Recording, RecordingReader, container_of
from assistant.audio.webm import WebmReader
from assistant.errors import Invalid, TooLarge

_REACH = 16
"""Samples on each side from which a new one is computed."""
_AWAY = np.arange(_REACH, -_REACH, -1) - 0.5
"""Distance of each of them, in samples."""
_KERNEL = np.sinc(_AWAY) * np.i0(5.65 * np.sqrt(1 - (_AWAY / _REACH) ** 2))
_TAPS = (_KERNEL / _KERNEL.sum()).astype(np.float32)
_SILENCE: Samples = np.zeros(_REACH - 1, dtype=np.float32)
"""Stands before the first sample."""


class Doubler:
    """Adds a sample between each two with a windowed sinc (Kaiser, 60 dB); the given samples stay as they are.

    The delay is 16 samples: 2 ms at 8 kHz. A stream of soxr, which has the same methods, delays up to 115 ms there.
    At 8 kHz the band up to 3.5 kHz is unchanged, which is more than telephones transmit.

    >>> doubler, ones = Doubler(), np.ones(40, dtype=np.float32)
    >>> first, rest = doubler.resample_chunk(ones), doubler.resample_chunk(ones[:0], last=True)
    >>> len(first), len(rest), first[40:48].round(2).tolist()
    (48, 32, [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    """

    def __init__(self) -> None:
        self._known = _SILENCE

    def resample_chunk(self, samples: Samples, last: bool = False) -> Samples:
        """Twice as many samples, without those that wait for the next chunk; with `last` all of them."""
        after = np.zeros(_REACH if last else 0, dtype=np.float32)
        known = np.concatenate([self._known, samples, after])
        count = max(0, len(known) - 2 * _REACH + 1)
        doubled = np.empty(2 * count, dtype=np.float32)
        if count:
            doubled[0::2] = known[_REACH - 1 : _REACH - 1 + count]
            doubled[1::2] = np.convolve(known, _TAPS, "valid")
        self._known = known[count:]
        return doubled

    def clear(self) -> None:
        """Forget all samples; the next one starts a new stream."""
        self._known = _SILENCE


Kind = Literal["audio/pcm", "audio/pcmu", "audio/pcma", "audio/webm", "audio/ogg", "audio/mp4"]

SUPPORTED = (
    "audio/pcm at 8000 to 48000 Hz, audio/pcmu, audio/pcma, audio/webm or audio/ogg with Opus, "
    "or audio/mp4 in fragments with AAC or Opus"
)
MAX_SECONDS = 60
"""Longest audio in one piece. A few bytes of Opus can claim to be very long."""
_READERS: dict[str, type[RecordingReader]] = {
    "audio/webm": WebmReader, "audio/ogg": OggReader, "audio/mp4": Mp4Reader,
}  # fmt: skip
_CODECS = {
    "audio/webm": re.compile("opus"), "audio/ogg": re.compile("opus"),
    "audio/mp4": re.compile(r"opus|mp4a|mp4a\.40(\.\d+)?|mp4a\.6[678]"),
}  # fmt: skip
"""What may stand behind `codecs=`."""

_RATES: dict[str, tuple[int, range]] = {
    "audio/pcm": (24_000, range(8_000, 48_001)),
    "audio/pcmu": (8_000, range(8_000, 8_001)),
    "audio/pcma": (8_000, range(8_000, 8_001)),
    **dict.fromkeys(_READERS, (48_000, range(48_000, 48_001))),
}
"""Hz: what is meant where none is named, and what there may be. A recording says its rate itself."""
_OLD_NAMES: dict[str, Kind] = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """The format in which a client sends audio. Raises `Invalid` (`unsupported_audio_format`)."""

    type: Kind = "audio/pcm"
    rate: int = SAMPLE_RATE
    """Hz, as the client sends it."""

    def __post_init__(self) -> None:
        if self.type not in get_args(Kind) or self.rate not in _RATES[self.type][1]:
            raise _unsupported()

    @staticmethod
    def parse(given: Any) -> AudioFormat:
        """The format that a client named: as `{"type", "rate"}`, as a media type, or by its beta name.

        Without a rate PCM is at 24 kHz, as in the OpenAI Realtime API.

        >>> AudioFormat.parse({"type": "audio/pcm", "rate": 48000})
        AudioFormat(type='audio/pcm', rate=48000)
        >>> AudioFormat.parse("pcm16").rate, AudioFormat.parse("g711_ulaw").type
        (24000, 'audio/pcmu')
        >>> AudioFormat.parse("audio/webm;codecs=opus").type, AudioFormat.parse("audio/pcm; rate=44100").rate
        ('audio/webm', 44100)
        >>> AudioFormat.parse('audio/mp4; codecs="mp4a.40.2"').type
        'audio/mp4'
        >>> AudioFormat.parse({"type": "audio/mpeg"})
        Traceback (most recent call last):
        assistant.errors.Invalid: audio must be audio/pcm at 8000 to 48000 Hz, audio/pcmu, audio/pcma, ...
        """
        name, rate = (given.get("type"), given.get("rate")) if isinstance(given, Mapping) else (given, None)
        if not isinstance(name, str):
            raise _unsupported()
        media, *parameters = name.replace(" ", "").replace('"', "").lower().split(";")
        kind = _OLD_NAMES.get(media, media)
        for parameter in parameters:
            if rate is None and parameter.startswith("rate=") and parameter[5:].isdecimal():
                rate = int(parameter[5:])
            elif not (
                parameter.startswith("codecs=") and kind in _CODECS and _CODECS[kind].fullmatch(parameter[7:])
            ):
                raise _unsupported()
        if kind not in _RATES or not (rate is None or (isinstance(rate, int | float) and rate == int(rate))):
            raise _unsupported()
        return AudioFormat(kind, _RATES[kind][0] if rate is None else int(rate))  # type: ignore[arg-type]


class _Decoder(Protocol):
    """Decodes bytes into mono samples."""

    def decode(self, data: bytes) -> Samples:
        """Decode what is complete so far. Raises `Invalid`."""

    def flush(self) -> Samples:
        """What was still waiting and can be heard; the next byte starts a new stream."""


class Intake:
    """Decodes one stream of audio: `decode` and `flush` return samples. It keeps a bounded state between calls.

    The first one for a recording imports PyAV, which takes 0.1 s.
    """

    def __init__(self, form: AudioFormat) -> None:
        self.format = form
        reader = _READERS[form.type]() if form.type in _READERS else None
        self._container = None if reader is None else reader.container
        self._decoder: _Decoder
        if reader is not None:
            self._decoder = Recording(reader, MAX_SECONDS)
        elif form.type == "audio/pcm":
            self._decoder = _Resampled(_Pcm(), form.rate)
        else:
            self._decoder = _Resampled(_Companded(ULAW if form.type == "audio/pcmu" else ALAW), form.rate)
        self._began = False

    def decode(self, data: bytes) -> Samples:
        """Decode one piece: float32 [samples] at 16 kHz. Up to 40 ms of audio wait for the next piece.

        Raises `Invalid` (`audio_unreadable`) and `TooLarge` (`audio_too_long`); the audio of that piece is then
        lost. Raises `Invalid` (`audio_container`) where it begins as a file of another format does.
        """
        if not self._began and (name := container_of(data)) not in (None, self._container):
            raise Invalid(
                f"this looks like {name}, not like {self._container or 'raw samples'}; "
                f"set the session's `format` to what you send: {SUPPORTED}",
                code="audio_container",
            )
        self._began = self._began or len(data) > 0
        return self._decoder.decode(data)

    def flush(self) -> Samples:
        """The samples that were still waiting. The next byte starts a new stream of the same format.

        A recording may also go on where it was.
        """
        self._began = False
        return self._decoder.flush()


class _Resampled:
    """Raw samples, brought to 16 kHz."""

    def __init__(self, decoder: _Pcm | _Companded, rate: int) -> None:
        self._decoder = decoder
        self._longest = MAX_SECONDS * rate
        self._resampler: Any = None
        if rate == SAMPLE_RATE // 2:
            self._resampler = Doubler()
        elif rate != SAMPLE_RATE:
            self._resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1)

    def decode(self, data: bytes) -> Samples:
        samples = self._decoder.decode(data)
        if len(samples) > self._longest:
            raise TooLarge(f"one piece may hold at most {MAX_SECONDS} s of audio", code="audio_too_long")
        return self._resample(samples, last=False)

    def flush(self) -> Samples:
        self._decoder.reset()
        rest = self._resample(np.zeros(0, dtype=np.float32), last=True)
        if self._resampler is not None:
            self._resampler.clear()
        return rest

    def _resample(self, samples: Samples, *, last: bool) -> Samples:
        if self._resampler is None:
            return samples
        return np.asarray(self._resampler.resample_chunk(samples, last=last), dtype=np.float32)


class _Pcm:
    """Little-endian 16-bit samples; a single byte at the end waits for the next piece."""

    def __init__(self) -> None:
        self._odd = b""

    def decode(self, data: bytes) -> Samples:
        data = self._odd + data
        whole = len(data) // 2 * 2
        self._odd = data[whole:]
        return from_pcm16(data[:whole])

    def reset(self) -> None:
        self._odd = b""


class _Companded:
    """G.711: mu-law or A-law, one byte per sample."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def decode(self, data: bytes) -> Samples:
        return expand(data, self._table)

    def reset(self) -> None:
        pass


def _unsupported() -> Invalid:
    return Invalid(f"audio must be {SUPPORTED}", code="unsupported_audio_format")
