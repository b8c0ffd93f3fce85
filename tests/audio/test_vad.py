"""Voice activity detection: what it hears doesn't depend on how the audio comes, or on who else speaks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from assistant.audio.pcm import Samples
from assistant.audio.vad import CHUNK, Vad, VadState
from assistant.config import shipped_models
from assistant.inference.batcher import Batcher
from assistant.inference.model import Model, open_model
from tests.conftest import shared_session


@pytest.fixture(scope="module")
def model() -> Model:
    return open_model(shipped_models() / "vad", shared_session)


@pytest.fixture
async def vad(model: Model) -> AsyncIterator[Vad]:
    with ThreadPoolExecutor(1) as pool:
        batcher = Batcher(model, pool, workers=1)
        yield Vad(batcher)
        await batcher.close()


async def heard(vad: Vad, samples: Samples, piece: int) -> list[float]:
    state, said = VadState(), []
    for start in range(0, len(samples), piece):
        said += await vad.probabilities(state, samples[start : start + piece])
    return said


@pytest.mark.parametrize("piece", [1, 160, 511, 1600, 3 * CHUNK, 7777])
async def test_pieces_of_any_length_say_the_same(vad: Vad, recording: Samples, piece: int) -> None:
    speech = recording[: 16_000 if piece < 100 else 64_000]
    assert await heard(vad, speech, piece) == pytest.approx(await heard(vad, speech, CHUNK), abs=1e-5)


async def test_speech_is_told_from_a_quiet_room(vad: Vad, recording: Samples) -> None:
    room = np.random.default_rng(0).normal(0, 3e-4, 64_000).astype(np.float32)
    assert np.mean(await heard(vad, recording[:64_000], 1600)) > 0.7
    assert max(await heard(vad, room, 1600)) < 0.3


def test_other_streams_change_nothing(model: Model, recording: Samples) -> None:
    length = 64 + 3 * CHUNK
    rows = np.stack([recording[start : start + length] for start in range(0, 64_000, 4_000)])
    state = np.random.default_rng(0).normal(0, 0.3, (2, len(rows), 128)).astype(np.float32)
    together = model.run({"samples": rows, "state": state})["probabilities"]
    for number, row in enumerate(rows):
        alone = model.run({"samples": row[None], "state": state[:, number : number + 1].copy()})["probabilities"]
        assert together[number] == pytest.approx(alone[0], abs=1e-5)
