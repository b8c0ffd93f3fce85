"""What the frozen stem hears in every clip, as the numbers a linear head reads; kept on disk for the next run."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from assistant.arrays import Floats32
from assistant.audio.decode import read_audio
from assistant.audio.encoder import Encoder, States
from assistant.audio.pcm import Samples
from assistant.audio.voice import VoiceReader, VoiceScores
from assistant.consent.grant import EvaluationGate
from assistant.emotion import Abstention
from assistant.errors import AssistantError, Busy, ConsentRequired, ModelInvalid
from assistant.evaluate.fit.feature_cache import Clip, FeatureCache, make_content_key
from assistant.evaluate.fit.prosody import measure_prosody
from assistant.evaluate.tables.manifest import BadRow, Row
from assistant.inference.batcher import Batcher
from assistant.inference.model import Model

LOUD = -0.75
"""Frames whose loudest band is 30 dB or more below the clip's loudest are left out; in units of four decades."""
_VERSION = 1
"""Of what is kept; anything older is heard anew."""
_AT_ONCE = 4
_NO_LIMIT = float("inf")


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
    whose valence and arousal are kept. What was heard lies in `kept`, under the hashes of both graphs and of the
    file's content, so that a second run, or one that was interrupted, hears only what is new. About 12 kB a clip.
    """
    folder = kept / f"{stem.card.fingerprint}-{head.card.fingerprint}-{_VERSION}"
    with ThreadPoolExecutor(2, thread_name_prefix="hear") as pool:
        ear = _Ear(stem, head, pool)
        found: list[tuple[str, Clip] | BadRow | None] = [None] * len(rows)
        shelf = FeatureCache(folder)
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
    pairs = zip(rows, found, strict=True)
    read = [(row, met[1]) for row, met in pairs if isinstance(met, tuple)]
    return read, [met for met in found if isinstance(met, BadRow)]


class _Ear:
    """The served reader, which also tells what its head was given."""

    def __init__(self, stem: Model, head: Model, pool: ThreadPoolExecutor) -> None:
        gate = EvaluationGate()
        self._grant = gate.issue("voice")
        self._pool = pool
        self._batchers = (
            Batcher(stem, pool, max_waiting=sys.maxsize, max_elements=1),
            Batcher(head, pool, max_waiting=sys.maxsize, max_elements=1),
        )
        self._encoder = Encoder(self._batchers[0])
        self._reader = VoiceReader(self._encoder, self._batchers[1], gate)

    async def listen(self, row: Row, shelf: FeatureCache) -> tuple[str, Clip] | BadRow:
        loop = asyncio.get_running_loop()
        try:
            key = await loop.run_in_executor(self._pool, make_content_key, row)
            if (known := shelf.known.get(key)) is not None:
                return key, known
            assert row.file is not None
            file, start, end = row.file, row.start_s, row.end_s
            speech = await loop.run_in_executor(self._pool, lambda: read_audio(file, start_s=start, end_s=end))
            clip = await self._clip(speech)
        except (ModelInvalid, ConsentRequired, Busy):
            raise
        except AssistantError as error:
            return BadRow(row.line, error.message)
        except Exception as error:  # whatever one row does to the runtime must not end a long run
            return BadRow(row.line, f"the model failed on this row: {type(error).__name__}: {error}"[:300])
        shelf.add(key, clip)
        return key, clip

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
        affect = np.array([*scores.affect, *scores.affect_deviation, scores.stress])
        return Clip(features, affect, told)

    async def _fine(self, speech: Samples, window: States) -> bool:
        one = await self._reader.read(self._grant, speech, heard=[window], budget_s=_NO_LIMIT)
        return isinstance(one, VoiceScores)

    async def close(self) -> None:
        for batcher in self._batchers:
            await batcher.close()
