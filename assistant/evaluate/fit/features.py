"""What a linear head reads of a clip: what the frozen stem hears, and its floor, energy and pitch; kept on disk."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from assistant.arrays import Floats, Floats32
from assistant.audio import SAMPLE_RATE
from assistant.audio.encoder import Encoder, States
from assistant.audio.pcm import Samples
from assistant.audio.voice import VoiceReader, VoiceScores
from assistant.consent.grant import EvaluationGate
from assistant.emotion import Abstention
from assistant.errors import AssistantError, Busy, ConsentRequired, Invalid, ModelInvalid, Unavailable
from assistant.evaluate.tables.rows import BadRow, Row, read_clip
from assistant.inference.batcher import Batcher
from assistant.inference.model import Model

LOUD = -0.75
"""Frames whose loudest band is 30 dB or more below the clip's loudest are left out; in units of four decades."""
_VERSION = 1  # of what is kept; anything older is heard anew
_AT_ONCE = 4
_NO_LIMIT = float("inf")
_SHARD = 256  # clips in a kept file: what an interruption costs at most
_FRAME, _HOP = 640, 160  # 40 ms, every 10 ms
_LOWEST_HZ, _HIGHEST_HZ = 60.0, 500.0
_VOICED = 0.5  # autocorrelation, as a share of the energy, above which a frame has a pitch (as in Boersma 1993)
_SIZE = 2048
_BLOCK = 1000  # frames transformed at once
_LONGEST = 60 * SAMPLE_RATE
NAMES = (
    "level", "level_deviation", "level_range", "level_slope",
    "pitch", "pitch_deviation", "pitch_range", "pitch_slope", "voiced", "seconds",
)  # fmt: skip


def summarise(states: Floats32, loudness: Floats32) -> Floats32:
    """Mean and deviation over the loud frames, [frames, layers, width] and [frames] -> [2 * layers * width].

    Frames are first averaged in pairs, as the shipped heads do; of a pair the louder counts.

    >>> summarise(np.array([[[1.0]], [[3.0]], [[4.0]], [[4.0]], [[9.0]]]), np.zeros(5)).round(3).tolist()
    [3.0, 1.0]
    """
    pairs = len(loudness) // 2
    both = states[: 2 * pairs].reshape(pairs, 2, -1).mean(axis=1)
    loud = loudness[: 2 * pairs].reshape(pairs, 2).max(axis=1) > LOUD
    share = loud.astype(np.float32) / np.float32(loud.sum())
    mean = share @ both
    deviation = np.sqrt(np.maximum(share @ (both * both) - mean * mean, 0) + 1e-6)
    return np.concatenate([mean, deviation]).astype(np.float32)


async def hear_rows(
    rows: Sequence[Row], stem: Model, head: Model, kept: Path, *, quiet: bool = False
) -> tuple[list[tuple[Row, Clip]], list[BadRow]]:
    """Hear every clip once, in the order of `rows`, with those that can't be read.

    The served reader decides what is read: `head` is a shipped head, which abstains as it would for a person and
    whose valence and arousal are kept. What was heard lies in `kept` under the hashes of both graphs and of the
    file's content, so that a second run hears only what is new. About 12 kB a clip.
    """
    with ThreadPoolExecutor(2, thread_name_prefix="hear") as pool:
        ear = _Ear(stem, head, pool)
        found: list[Clip | BadRow | None] = [None] * len(rows)
        shelf = FeatureCache(kept / f"{stem.card.fingerprint}-{head.card.fingerprint}-{_VERSION}")
        waiting = iter(enumerate(rows))
        every = 0.2 if sys.stderr.isatty() else 15.0
        with tqdm(total=len(rows), unit="clip", desc="hear", disable=quiet, mininterval=every) as bar:

            async def work() -> None:
                for at, row in waiting:
                    found[at] = await ear.listen(row, shelf)
                    bar.update()

            workers = [asyncio.create_task(work()) for _ in range(_AT_ONCE)]
            try:
                await asyncio.gather(*workers)
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)
                await ear.close()
                shelf.keep()
    read = [(row, met) for row, met in zip(rows, found, strict=True) if isinstance(met, Clip)]
    return read, [met for met in found if isinstance(met, BadRow)]


class _Ear:
    """The served reader, which also tells what its head was given."""

    def __init__(self, stem: Model, head: Model, pool: ThreadPoolExecutor) -> None:
        gate = EvaluationGate()
        self._grant = gate.issue("voice")
        self._pool = pool
        self._batchers = [Batcher(one, pool, max_waiting=sys.maxsize, max_elements=1) for one in (stem, head)]
        self._encoder = Encoder(self._batchers[0])
        self._reader = VoiceReader(self._encoder, self._batchers[1], gate)

    async def listen(self, row: Row, shelf: FeatureCache) -> Clip | BadRow:
        loop = asyncio.get_running_loop()
        try:
            key = await loop.run_in_executor(self._pool, make_content_key, row)
            if (known := shelf.known.get(key)) is not None:
                return known
            speech = await loop.run_in_executor(self._pool, read_clip, row)
            clip = await self._clip(speech)
        except (ModelInvalid, ConsentRequired, Busy):
            raise
        except AssistantError as error:
            return BadRow(row.line, error.message)
        except Exception as error:  # whatever one row does to the runtime must not end a long run
            return BadRow(row.line, f"the model failed on this row: {type(error).__name__}: {error}"[:300])
        shelf.add(key, clip)
        return clip

    async def _clip(self, speech: Samples) -> Clip:
        simple = asyncio.get_running_loop().run_in_executor(self._pool, measure_prosody, speech)
        heard: list[States] = []
        if len(speech) >= self._encoder.shortest and np.isfinite(speech).all():
            windows = np.array_split(speech, -(-len(speech) // self._encoder.longest))
            heard = [await self._encoder.encode(window, budget_s=_NO_LIMIT) for window in windows]
        scores = await self._reader.read(self._grant, speech, heard=heard, budget_s=_NO_LIMIT)
        told = await simple
        if isinstance(scores, Abstention):
            return Clip(np.empty((0, 0), np.float32), np.zeros(5), told, scores.reason)
        fine = heard if len(heard) == 1 else [one for one in heard if await self._fine(speech, one)]
        features = np.stack([summarise(one.states, one.loudness) for one in fine])
        if not np.isfinite(features).all():
            raise FloatingPointError("the stem gave values that are not numbers")
        return Clip(features, np.array([*scores.affect, *scores.affect_deviation, scores.stress]), told)

    async def _fine(self, speech: Samples, window: States) -> bool:
        one = await self._reader.read(self._grant, speech, heard=[window], budget_s=_NO_LIMIT)
        return isinstance(one, VoiceScores)

    async def close(self) -> None:
        for batcher in self._batchers:
            await batcher.close()


def measure_prosody(speech: Samples) -> Floats32:
    """Level (log power), pitch (log Hz), share of voiced frames and log seconds of up to a minute, [len(NAMES)].

    Ranges are from the 5th to the 95th percentile; slopes are mean absolute changes from frame to frame.

    >>> t = np.arange(16_000) / 16_000
    >>> found = dict(zip(NAMES, measure_prosody(np.sin(2 * np.pi * 200 * t).astype(np.float32)), strict=True))
    >>> round(float(np.exp(found["pitch"]))), float(found["voiced"])
    (200, 1.0)
    """
    speech = np.asarray(speech[:_LONGEST], dtype=np.float32)
    if len(speech) < _FRAME:
        speech = np.pad(speech, (0, _FRAME - len(speech)))
    frames = np.lib.stride_tricks.sliding_window_view(speech, _FRAME)[::_HOP]
    pieces = [_measured(frames[at : at + _BLOCK]) for at in range(0, len(frames), _BLOCK)]
    level, pitch, strength = (np.concatenate(part) for part in zip(*pieces, strict=True))
    loud = level > level.max() - 7.0  # 30 dB of power
    voiced = loud & (strength > _VOICED)
    told = [*_summary(level[loud]), *_summary(pitch[voiced]), voiced.sum() / loud.sum()]
    return np.array([*told, np.log(len(speech) / SAMPLE_RATE)], dtype=np.float32)


def _measured(frames: Floats32) -> tuple[Floats32, Floats32, Floats32]:
    """Log power, log pitch and its strength of each frame."""
    window = np.hanning(_FRAME).astype(np.float32)
    centred = (frames - frames.mean(axis=1, keepdims=True)) * window
    power = np.abs(np.fft.rfft(centred, _SIZE, axis=1)) ** 2
    first, last = int(SAMPLE_RATE / _HIGHEST_HZ), int(SAMPLE_RATE / _LOWEST_HZ)
    echo = np.fft.irfft(power, axis=1)[:, : last + 2]
    fade = np.fft.irfft(np.abs(np.fft.rfft(window, _SIZE)) ** 2)[: last + 2]
    echo = echo / (fade / fade[0]) / (echo[:, :1] + 1e-9)
    lags = echo[:, first : last + 1]
    # the shortest lag that is nearly as good as the best: twice a period is as good as the period
    good = lags >= 0.9 * lags.max(axis=1, keepdims=True)
    peak = good & (lags >= echo[:, first - 1 : last]) & (lags >= echo[:, first + 1 : last + 2])
    best = np.where(peak.any(axis=1), peak.argmax(axis=1), lags.argmax(axis=1))
    strength = lags[np.arange(len(lags)), best]
    level = np.log((frames.astype(np.float64) ** 2).mean(axis=1) + 1e-10)
    return level, np.log(SAMPLE_RATE / (best + first)), strength


def _summary(values: Floats32) -> tuple[float, float, float, float]:
    if len(values) < 2:
        return (float(values.mean()) if len(values) else 0.0), 0.0, 0.0, 0.0
    low, high = np.percentile(values, [5, 95])
    slope = np.abs(np.diff(values)).mean()
    return float(values.mean()), float(values.std()), float(high - low), float(slope)


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """One clip as heard; of its windows only those that the reader would read."""

    windows: Floats32
    """[windows, width]; none where the reader abstains."""
    affect: Floats
    """Valence, arousal, both deviations and stress, as the shipped head gives them, [5]."""
    prosody: Floats32
    abstained: str = ""
    """Why the reader abstained; empty where it did not."""


def make_content_key(row: Row) -> str:
    """A hash of the file's bytes and of the part and channel that are read."""
    assert row.file is not None
    channel = "" if row.channel is None else f"{row.channel} "
    digest = hashlib.sha256(f"{row.start_s!r} {row.end_s!r} {channel}".encode())
    try:
        with row.file.open("rb") as file:
            hashlib.file_digest(file, lambda: digest)
    except OSError as error:
        raise Invalid(f"can't read {row.name}: {error.strerror}", code="file_missing") from error
    return digest.hexdigest()


class FeatureCache:
    """Clips on disk, many to a file; files that can't be read are passed over and their clips heard again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fresh: dict[str, Clip] = {}
        self.known: dict[str, Clip] = {}
        for file in sorted(folder.glob("*.npz")):
            try:
                self.known |= _load(file)
            except (OSError, KeyError, ValueError, EOFError):
                continue

    def add(self, key: str, clip: Clip) -> None:
        """Keep one more clip, now or a little later."""
        self.known[key] = clip
        self._fresh[key] = clip
        if len(self._fresh) >= _SHARD:
            self.keep()

    def keep(self) -> None:
        """Write what is new. Raises `Unavailable` (`out_unwritable`)."""
        if not self._fresh:
            return
        keys, clips = list(self._fresh), list(self._fresh.values())
        width = max((clip.windows.shape[1] for clip in clips), default=0)
        file = self._folder / f"{hashlib.sha256(''.join(keys).encode()).hexdigest()[:16]}.npz"
        beside = file.with_suffix(".part")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with beside.open("wb") as opened:
                np.savez(
                    opened,
                    keys=np.array(keys),
                    windows=np.concatenate([clip.windows.reshape(len(clip.windows), width) for clip in clips]),
                    ends=np.cumsum([len(clip.windows) for clip in clips]),
                    affect=np.stack([clip.affect for clip in clips]),
                    prosody=np.stack([clip.prosody for clip in clips]),
                    abstained=np.array([clip.abstained for clip in clips]),
                )
            beside.replace(file)
        except OSError as error:
            why = f"can't write into {self._folder}: {error.strerror}"
            raise Unavailable(why, code="out_unwritable") from error
        self._fresh = {}


def _load(file: Path) -> dict[str, Clip]:
    with np.load(file, allow_pickle=False) as kept:
        windows = np.split(kept["windows"], kept["ends"][:-1])
        clips = zip(windows, kept["affect"], kept["prosody"], kept["abstained"].tolist(), strict=True)
        return {key: Clip(*clip) for key, clip in zip(kept["keys"].tolist(), clips, strict=True)}
