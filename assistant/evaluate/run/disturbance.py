"""What happens to a voice on its way: noise, telephones, codecs, clipping, gain and rooms, as pure functions.

All take and give samples at 16 kHz, float32 [samples], of the same length. Chance comes from the given generator.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import numpy.typing as npt
import soxr

from assistant.arrays import Floats
from assistant.audio import SAMPLE_RATE
from assistant.audio.pcm import ULAW, Samples
from assistant.errors import Unavailable

FRAME = 320
"""Samples of a frame by which the level of speech is taken: 20 ms."""
ACTIVE_DB = 40.0
"""Frames this far below the loudest one are pauses; they don't count for the level of speech."""
TELEPHONE_RATE = 8_000
TELEPHONE_BAND = (300.0, 3_400.0)
"""Hz; half the amplitude is left at the ends."""
OPUS_RATE = 48_000
"""Hz that decoders of Opus give, whatever was coded."""


def measure_active_power(samples: Samples) -> float:
    """Mean square of the frames in which somebody speaks: those within `ACTIVE_DB` of the loudest one.

    >>> speech = np.concatenate([np.full(1600, 0.5), np.zeros(1600)]).astype(np.float32)
    >>> measure_active_power(speech)
    0.25
    """
    padded = np.pad(samples.astype(np.float64), (0, -len(samples) % FRAME))
    power = np.square(padded).reshape(-1, FRAME).mean(axis=1)
    top = float(power.max(initial=0.0))
    return float(power[power >= top * 10 ** (-ACTIVE_DB / 10)].mean()) if top else 0.0


def add_noise(samples: Samples, noise: Samples, decibels: float) -> Samples:
    """With `noise` [samples] added so that the speech is `decibels` louder than it.

    The level of the speech is that of its active frames, the level of the noise that of the whole stretch.

    >>> tone, noise = np.ones(3200, dtype=np.float32), np.tile(np.float32([1, -1]), 1600)
    >>> float(add_noise(tone, noise, 20.0)[0])
    1.1...
    """
    loud = float(np.mean(np.square(noise, dtype=np.float64))) if len(noise) else 0.0
    if not loud:
        return samples
    scale = np.sqrt(measure_active_power(samples) / loud) * 10 ** (-decibels / 20)
    return np.asarray(samples + scale * noise, dtype=np.float32)


def make_pink_noise(count: int, random: np.random.Generator) -> Samples:
    """Noise whose power falls by 3 dB an octave from 20 Hz on, like that of many rooms and crowds.

    >>> len(make_pink_noise(1000, np.random.default_rng(0)))
    1000
    """
    spectrum = np.fft.rfft(random.standard_normal(count))
    hertz = np.fft.rfftfreq(count, 1 / SAMPLE_RATE)
    return np.fft.irfft(spectrum / np.sqrt(np.maximum(hertz, 20.0)), count).astype(np.float32)


def apply_telephone(samples: Samples) -> Samples:
    """As over a fixed line: 8 kHz, 300 to 3,400 Hz, 8 bits in mu-law (ITU-T G.711), and back.

    A sample becomes the nearest of the 256 values; what is beyond full scale becomes the outermost.
    """
    narrow = soxr.resample(samples, SAMPLE_RATE, TELEPHONE_RATE)
    banded = convolve(narrow, _BAND)[len(_BAND) // 2 :][: len(narrow)]
    coded = _VALUES[np.searchsorted(_BETWEEN, banded)]
    return _fit_length(soxr.resample(coded, TELEPHONE_RATE, SAMPLE_RATE), len(samples))


def _make_band_pass() -> Floats:
    """A windowed sinc (Kaiser): below 200 and above 3,500 Hz 60 dB are taken away."""
    reach = 150
    at = np.arange(-reach, reach + 1)
    low, high = (2 * hertz / TELEPHONE_RATE for hertz in TELEPHONE_BAND)
    return np.asarray((high * np.sinc(high * at) - low * np.sinc(low * at)) * np.kaiser(len(at), 5.65))


_BAND = _make_band_pass()
_VALUES = np.unique(ULAW)
_BETWEEN = (_VALUES[1:] + _VALUES[:-1]) / 2


def apply_opus(samples: Samples, kbit_s: float) -> Samples:
    """Coded with Opus at `kbit_s` (variable within a bound, tuned for speech, frames of 20 ms) and back.

    Raises `Unavailable` (`encoder_missing`) where PyAV comes without libopus.
    """
    header, packets = encode_opus(samples, kbit_s)
    av: Any = importlib.import_module("av")
    decoder = av.CodecContext.create("opus", "r")
    decoder.extradata = header
    frames = [frame.to_ndarray()[0] for packet in packets for frame in decoder.decode(av.Packet(packet))]
    decoded = np.concatenate([np.zeros(0, np.float32), *frames])
    return _fit_length(soxr.resample(decoded, OPUS_RATE, SAMPLE_RATE), len(samples))


def encode_opus(samples: Samples, kbit_s: float) -> tuple[bytes, list[bytes]]:
    """The header (RFC 7845) and the packets of 20 ms; two more than there are samples, to flush the coder."""
    av: Any = importlib.import_module("av")
    try:
        coder = av.CodecContext.create("libopus", "w")
    except ValueError:
        why = "this PyAV can't encode Opus: install the wheel from the package index, or leave the condition out"
        raise Unavailable(why, code="encoder_missing") from None
    coder.sample_rate, coder.layout, coder.format = SAMPLE_RATE, "mono", "flt"
    coder.bit_rate = round(1000 * kbit_s)
    coder.options = {"application": "voip", "vbr": "constrained", "frame_duration": "20"}
    coder.open()
    padded = np.pad(np.clip(samples, -1, 1), (0, 2 * FRAME + -len(samples) % FRAME)).astype(np.float32)
    packets: list[bytes] = []
    for start in range(0, len(padded), FRAME):
        frame = av.AudioFrame.from_ndarray(padded[None, start : start + FRAME], format="flt", layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE, start
        packets += map(bytes, coder.encode(frame))
    packets += map(bytes, coder.encode(None))
    return bytes(coder.extradata), packets


def clip_peaks(samples: Samples, percent: float) -> Samples:
    """With the loudest `percent` of the samples cut off at the level of the quietest of them; zeros don't count.

    >>> clip_peaks(np.float32([0.1, -0.2, 0.3, -0.4, 0.5]), 40.0).round(2).tolist()
    [0.1..., -0.2..., 0.3..., -0.3..., 0.3...]
    """
    loud = np.abs(samples[samples != 0])
    if not len(loud):
        return samples
    top = np.quantile(loud, 1 - percent / 100, method="lower")
    return np.clip(samples, -top, top)


def amplify(samples: Samples, decibels: float) -> Samples:
    """Louder or quieter, as 16 bits hold it: rounded to their steps, cut off beyond full scale.

    >>> amplify(np.float32([0.5, -0.05]), 20.0).round(4).tolist(), amplify(np.float32([1e-4]), -20.0).tolist()
    ([1.0, -0.5], [0.0])
    """
    scaled = np.round(samples * (10 ** (decibels / 20) * 32768.0))
    return (np.clip(scaled, -32768, 32767) / 32768.0).astype(np.float32)


def make_room(seconds: float, random: np.random.Generator) -> Samples:
    """The response of a made-up room: the direct sound, then noise that falls by 60 dB in `seconds`.

    Polack's model of 1988: Gaussian noise under an exponential. The direct sound has as much energy as all of it.
    """
    count = round(seconds * SAMPLE_RATE)
    late = random.standard_normal(count) * 10 ** (-3 * np.arange(count) / count)
    late[0] = 0.0
    response = late / np.sqrt(np.sum(late**2) or 1.0)
    response[0] = 1.0
    return np.asarray(response, dtype=np.float32)


def apply_room(samples: Samples, response: Samples) -> Samples:
    """Heard through `response`, from its loudest sample on, as loud as it was and no longer than it was."""
    direct = int(np.abs(response).argmax())
    heard = convolve(samples, response[direct:])[: len(samples)]
    before, after = (float(np.mean(np.square(x, dtype=np.float64))) for x in (samples, heard))
    return np.asarray(heard * np.sqrt(before / after), dtype=np.float32) if after else samples


def convolve(samples: npt.NDArray[Any], kernel: npt.NDArray[Any]) -> Floats:
    """The full convolution, by way of the spectrum.

    >>> convolve(np.array([1.0, 2.0]), np.array([1.0, 1.0])).round(6).tolist()
    [1.0, 3.0, 2.0]
    """
    count = len(samples) + len(kernel) - 1
    size = 1 << max(1, count - 1).bit_length()
    return np.asarray(np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(kernel, size), size)[:count])


def _fit_length(samples: npt.NDArray[Any], count: int) -> Samples:
    return np.pad(samples[:count], (0, max(0, count - len(samples)))).astype(np.float32)
