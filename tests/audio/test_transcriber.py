"""Transcription with the shipped models: what was said, and when to say nothing."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.audio.decode import read_audio
from assistant.audio.encoder import Encoder, States
from assistant.audio.hypothesis import new_final_words
from assistant.audio.pcm import Samples
from assistant.audio.transcribe import Transcriber, Transcript
from assistant.config import shipped_models
from assistant.demo.story import RECORDING
from assistant.errors import Busy, Invalid, ModelInvalid
from assistant.inference.batcher import Batcher
from assistant.inference.card import read_card
from assistant.inference.model import Array, OnnxSession, open_model
from tests.clock import Clock
from tests.conftest import shared_session

MODELS = shipped_models()
SECOND = 16_000
SILENCE = np.zeros(3 * SECOND, np.float32)
NOISE = np.random.default_rng(0).normal(0, 0.02, 3 * SECOND).astype(np.float32)


class Watched:
    """A session that says when it runs, and may say something else than the model does."""

    def __init__(self, session: OnnxSession, before: Callable[[], None], says: int | None = None) -> None:
        self.session, self.before, self.says = session, before, says

    def run(self, outputs: list[str] | None, inputs: dict[str, Array]) -> list[Array]:
        self.before()
        logits, *rest = self.session.run(outputs, inputs)
        if self.says is not None and inputs["past"].shape[2]:  # at the first step it tells the language
            logits = np.where(np.arange(logits.shape[1]) == self.says, np.float32(50), np.float32(0))[None]
        return [logits, *rest]

    def get_inputs(self) -> list[Any]:
        return self.session.get_inputs()

    def get_outputs(self) -> list[Any]:
        return self.session.get_outputs()


class Room:
    """The stem, and transcribers behind it that share a pool."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.pool, self.clock = pool, Clock(0.0)
        self.stem = open_model(MODELS / "stem", shared_session)
        self.ear = Encoder(Batcher(self.stem, pool))
        self.transcriber = self.open()

    def open(
        self, *, before: Callable[[], None] | None = None, says: int | None = None, **options: Any
    ) -> Transcriber:
        def watched(graph: Path) -> OnnxSession:
            return Watched(shared_session(graph), before or (lambda: None), says)

        encoder = open_model(MODELS / "transcriber-encoder", shared_session)
        decoder = open_model(MODELS / "transcriber", watched)
        return Transcriber(self.stem.card, encoder, decoder, self.pool, clock=self.clock, **options)

    async def hear(self, speech: Samples) -> States:
        return await self.ear.encode(speech, budget_s=100)

    async def transcript(self, speech: Samples) -> Transcript:
        return await self.transcriber.transcribe(await self.hear(speech))


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture
async def room(pool: ThreadPoolExecutor) -> Room:
    return Room(pool)


@pytest.fixture(scope="module")
def sentence() -> Samples:
    """Seven seconds of the recording: one sentence."""
    return read_audio(RECORDING, end_s=7.1)


@pytest.fixture(scope="module")
def short(sentence: Samples) -> Samples:
    return sentence[: 2 * SECOND]


async def test_a_recording_gives_its_words(room: Room, sentence: Samples) -> None:
    found = await room.transcript(sentence)
    words = found.text.lower().replace("mr.", "mister").strip(".").split()
    assert " ".join(words) == (
        "and mister john dashwood had then leisure to consider how much there might be prudently in his power to "
        "do for them"
    )
    assert (found.language, found.temperature, found.ended) == ("en", 0, True)
    assert found.language_probability > 0.9
    assert found.no_speech < 0.2
    assert found.log_probability > -0.5


async def test_a_named_language_is_not_detected(room: Room, short: Samples) -> None:
    found = await room.transcriber.transcribe(await room.hear(short), language="en")
    assert (found.language, found.language_probability) == ("en", 1.0)
    assert "dashwood" in found.text.lower()


async def test_an_unknown_language_is_refused(room: Room, short: Samples) -> None:
    with pytest.raises(Invalid) as refused:
        await room.transcriber.transcribe(await room.hear(short), language="tlh")
    assert refused.value.code == "unknown_language"
    assert "en" in room.transcriber.languages
    assert len(room.transcriber.languages) == 99


@pytest.mark.parametrize("sound", [SILENCE, NOISE, 10 * NOISE], ids=["silence", "noise", "loud noise"])
async def test_where_nobody_speaks_there_are_no_words(room: Room, sound: Samples) -> None:
    found = await room.transcript(sound)
    assert found.text == ""
    assert found.no_speech > 0.6


@pytest.mark.parametrize("seconds", [0.5, 0.8, 1.3, 2.1])
async def test_speech_cut_short_does_not_loop(room: Room, sentence: Samples, seconds: float) -> None:
    found = await room.transcript(sentence[: int(seconds * SECOND)])
    assert len(found.text.split()) <= 3 + 5 * seconds


async def test_a_decoder_that_repeats_itself_is_stopped(room: Room, short: Samples) -> None:
    runs: list[int] = []
    stuck = room.open(before=lambda: runs.append(1), says=2221)
    found = await stuck.transcribe(await room.hear(short), partial=True)
    assert not found.ended
    assert len(found.text.split()) <= 1
    assert len(runs) < 20


async def test_a_transcript_does_not_depend_on_what_runs_beside_it(room: Room, short: Samples) -> None:
    heard, other = await room.hear(short), await room.hear(NOISE)
    alone = await room.transcriber.transcribe(heard)
    beside = await asyncio.gather(*(room.transcriber.transcribe(states) for states in (heard, other, heard)))
    assert beside[0] == alone == beside[2]


async def test_where_the_time_has_passed_there_is_no_transcript(room: Room, short: Samples) -> None:
    runs: list[int] = []

    def slow() -> None:
        room.clock.now += 1.0
        runs.append(1)

    with pytest.raises(Busy) as late:
        await room.open(before=slow).transcribe(await room.hear(short), budget_s=4.5)
    assert late.value.code == "late"
    assert len(runs) == 5


async def test_a_poor_transcript_is_better_than_none_when_time_runs_out(room: Room) -> None:
    def slow() -> None:
        room.clock.now += 1.0

    heard = await room.hear(NOISE)
    whole = await room.open(before=slow).transcribe(heard, partial=True, budget_s=1000)
    needed, room.clock.now = room.clock.now, 0.0
    found = await room.open(before=slow).transcribe(heard, budget_s=needed + 0.5)
    assert found == whole


async def test_too_many_at_once_are_refused(room: Room, short: Samples) -> None:
    heard = await room.hear(short)
    full = room.open(max_waiting=1)
    first, second = await asyncio.gather(*(full.transcribe(heard) for _ in range(2)), return_exceptions=True)
    assert isinstance(first, Transcript)
    assert isinstance(second, Busy)
    assert second.code == "busy"


async def test_one_who_goes_away_is_not_decoded_further(room: Room, sentence: Samples) -> None:
    started, go_on, runs = threading.Event(), threading.Event(), []

    def held() -> None:
        runs.append(1)
        started.set()
        assert go_on.wait(60)

    transcriber = room.open(before=held)
    task = asyncio.create_task(transcriber.transcribe(await room.hear(sentence)))
    await asyncio.to_thread(started.wait, 60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    room.pool.shutdown(wait=True)
    assert len(runs) == 1


async def test_what_is_told_while_somebody_speaks_is_not_taken_back(room: Room, sentence: Samples) -> None:
    said: tuple[str, ...] = ()
    before = ""
    for seconds in (2.0, 3.0, 4.0, 5.0, 6.0):
        heard = await room.hear(sentence[: int(seconds * SECOND)])
        now = (await room.transcriber.transcribe(heard, partial=True)).text
        said += new_final_words(said, before, now)
        before = now
    whole = (await room.transcript(sentence)).text.split()
    assert len(said) >= 6
    assert tuple(whole[: len(said)]) == said


GUESSES = st.lists(st.lists(st.sampled_from(["a", "b", "a.", "c"]), max_size=6).map(" ".join), max_size=8)


@given(GUESSES)
def test_settled_words_stand_in_two_guesses_at_their_place(guesses: list[str]) -> None:
    said: tuple[str, ...] = ()
    for before, now in itertools.pairwise(guesses):
        more = new_final_words(said, before, now)
        place = slice(len(said), len(said) + len(more))
        assert list(more) == before.split()[place] == now.split()[place]
        said += more


def test_a_missing_model_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ModelInvalid) as missing:
        open_model(tmp_path / "transcriber", shared_session)
    assert missing.value.code == "model_missing"


def altered(folder: Path, name: str, change: Callable[[str], str] = str) -> Path:
    """A model's folder with another card, without its tokenizer."""
    (folder / name).mkdir()
    (folder / name / "model.onnx").symlink_to(MODELS / name / "model.onnx")
    card = (MODELS / name / "card.toml").read_text(encoding="utf-8")
    (folder / name / "card.toml").write_text(change(card), encoding="utf-8")
    return folder / name


@pytest.mark.parametrize(("content", "code"), [(None, "model_missing"), ("{}", "model_missing")])
def test_a_transcriber_without_its_tokenizer_is_refused(
    pool: ThreadPoolExecutor, tmp_path: Path, content: str | None, code: str
) -> None:
    folder = altered(tmp_path, "transcriber")
    if content is not None:
        (folder / "tokenizer.json").write_text(content)
    encoder = open_model(MODELS / "transcriber-encoder", shared_session)
    with pytest.raises(ModelInvalid) as refused:
        Transcriber(read_card(MODELS / "stem"), encoder, open_model(folder, shared_session), pool)
    assert refused.value.code == code


def test_the_tokenizer_of_another_model_is_refused(pool: ThreadPoolExecutor, tmp_path: Path) -> None:
    folder = altered(tmp_path, "transcriber")
    shutil.copyfile(MODELS / "text" / "tokenizer.json", folder / "tokenizer.json")
    encoder = open_model(MODELS / "transcriber-encoder", shared_session)
    with pytest.raises(ModelInvalid, match="not Whisper's"):
        Transcriber(read_card(MODELS / "stem"), encoder, open_model(folder, shared_session), pool)


def test_models_that_do_not_belong_together_are_refused(pool: ThreadPoolExecutor, tmp_path: Path) -> None:
    decoder = open_model(MODELS / "transcriber", shared_session)
    encoder = open_model(MODELS / "transcriber-encoder", shared_session)
    with pytest.raises(ModelInvalid, match="stem"):
        Transcriber(read_card(MODELS / "vad"), encoder, decoder, pool)
    other = altered(tmp_path, "transcriber", lambda card: card.replace(encoder.card.sha256, "0" * 64))
    with pytest.raises(ModelInvalid, match="belongs to an encoder"):
        Transcriber(read_card(MODELS / "stem"), encoder, open_model(other, shared_session), pool)
    with pytest.raises(ModelInvalid, match="not a transcriber"):
        Transcriber(read_card(MODELS / "stem"), encoder, encoder, pool)


def test_both_models_fit_in_80_megabytes_with_the_stem() -> None:
    folders = [MODELS / name for name in ("stem", "transcriber-encoder", "transcriber")]
    files = [file for folder in folders for file in folder.iterdir() if file.suffix in (".onnx", ".json")]
    assert sum(file.stat().st_size for file in files) < 80e6


def test_the_tokenizer_is_only_for_reading() -> None:
    tokenizer = json.loads((MODELS / "transcriber" / "tokenizer.json").read_text(encoding="utf-8"))
    assert tokenizer["model"]["merges"] == []
