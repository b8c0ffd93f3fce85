"""The stem and its head: what belongs together, who shares a run, and how long both may take."""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from assistant.audio.encoder import Encoder
from assistant.audio.pcm import Samples
from assistant.audio.voice import VoiceReader, VoiceScores, check_baseline
from assistant.config import Settings, shipped_models
from assistant.consent.grant import EvaluationGate
from assistant.consent.legal_rules import Subject
from assistant.emotion import Abstention
from assistant.errors import Busy, ConsentRequired, Invalid, ModelInvalid
from assistant.inference.batcher import Batcher
from assistant.inference.card import Card, Port, read_card
from assistant.inference.model import Array, Model, open_model
from assistant.services import open_services
from tests.clock import Clock
from tests.conftest import House, OpenHouse, shared_session

WORRY = "Three deadlines tomorrow, I can't sleep and I'm terrified I will mess it all up."
STATES = {"states": Port("float32", ("batch", "frames", 1, 1)), "loudness": Port("float32", ("batch", "frames"))}
AUDIO = {"audio": Port("float32", ("batch", "samples"))}
QUALITIES = ("fine", "too_noisy", "several_speakers", "not_speech")
SCORES = {
    "emotions": Port("float32", ("batch", 2)),
    "relative": Port("float32", ("batch", 2)),
    "affect": Port("float32", ("batch", 2)),
    "affect_deviation": Port("float32", ("batch", 2)),
    "stress": Port("float32", ("batch",)),
    "quality": Port("float32", ("batch", 4)),
}
STEM = Card(Path("here/stem"), "stem", "stem", "abc", "none", (), AUDIO, STATES,
            {"min_samples": 100, "max_samples": 1000})  # fmt: skip
HEAD = Card(Path("here/voice"), "voice", "voice", "def", "none", ("anger", "joy"), STATES, SCORES,
            {"stem": "stem", "stem_sha256": "abc", "qualities": list(QUALITIES),
             "fine_threshold": 0.5})  # fmt: skip


def speech(samples: int, level: float = 0.1) -> Samples:
    """A rising tone that isn't clipped, whose loudest sample is the level."""
    return (level * np.linspace(-1, 1, samples)).astype(np.float32)


SPEECH = speech(500)


class Stage:
    """A session that takes some seconds of a clock that stands still otherwise."""

    def __init__(self, clock: Clock, ports: dict[str, Port], takes_s: float = 0.0) -> None:
        self.clock, self.ports, self.takes_s, self.runs = clock, ports, takes_s, 0

    def run(self, outputs: list[str] | None, inputs: dict[str, Array]) -> list[Array]:
        self.clock.now += self.takes_s
        self.runs += 1
        batch = len(next(iter(inputs.values())))
        sizes = [(batch, *(3 if isinstance(n, str) else n for n in p.shape[1:])) for p in self.ports.values()]
        return [np.full(size, 0.5, dtype=np.float32) for size in sizes]

    def get_inputs(self) -> list[Any]:
        return []

    def get_outputs(self) -> list[Any]:
        return []


class Ear(Stage):
    """A stem that hears nothing but the loudest sample of a clip."""

    def run(self, outputs: list[str] | None, inputs: dict[str, Array]) -> list[Array]:
        super().run(outputs, inputs)
        loudest = np.abs(inputs["audio"]).max(axis=1)
        return [np.tile(loudest[:, None, None, None], (1, 3, 1, 1)), np.zeros((len(loudest), 3), np.float32)]


class Told(Stage):
    """A head that says of a clip what the test tells it to, by the clip's loudest sample in tenths."""

    tells: Mapping[int, Mapping[str, Any]]

    def run(self, outputs: list[str] | None, inputs: dict[str, Array]) -> list[Array]:
        said = dict(zip(self.ports, super().run(outputs, inputs), strict=True))
        (states,) = inputs["states"]
        told = self.tells[round(10 * float(states.max()))]
        said |= {name: np.array([value], dtype=np.float32) for name, value in told.items()}
        return list(said.values())


class Desk:
    """A reader over two stages, and the gate that its grants come from."""

    def __init__(
        self,
        pool: ThreadPoolExecutor,
        stem_takes_s: float = 0,
        gate: Any = None,
        head: Card = HEAD,
        tells: Mapping[int, Mapping[str, Any]] | None = None,
    ) -> None:
        clock = Clock(0.0)
        self.stem, self.head = Ear(clock, STATES, stem_takes_s), Told(clock, SCORES)
        self.head.tells = tells or {1: {}}
        self.gate = gate or EvaluationGate()
        self.reader = VoiceReader(
            Encoder(Batcher(Model(STEM, self.stem), pool, clock=clock)),
            Batcher(Model(head, self.head), pool, max_elements=1, clock=clock),
            self.gate,
            clock=clock,
        )

    async def read(self, *clips: Samples) -> VoiceScores | Abstention:
        return await self.reader.read(self.gate.issue("voice"), np.concatenate(clips))


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as opened:
        yield opened


async def test_the_time_that_the_stem_took_is_gone_for_the_head(pool: ThreadPoolExecutor) -> None:
    quick, slow = Desk(pool, stem_takes_s=3), Desk(pool, stem_takes_s=5)
    scores = await quick.reader.read(quick.gate.issue("voice"), SPEECH, budget_s=4)
    assert isinstance(scores, VoiceScores)
    assert scores.emotions.tolist() == [0.5, 0.5]
    with pytest.raises(Busy) as late:
        await slow.reader.read(slow.gate.issue("voice"), SPEECH, budget_s=4)
    assert late.value.code == "late"
    assert (slow.stem.runs, slow.head.runs) == (1, 0)


async def test_long_speech_is_encoded_in_windows_and_each_gets_its_head(pool: ThreadPoolExecutor) -> None:
    desk = Desk(pool)
    await desk.read(SPEECH, SPEECH, SPEECH, SPEECH, SPEECH)
    assert desk.head.runs == 3


async def test_a_grant_that_ends_while_the_stem_runs_keeps_the_head_from_running(pool: ThreadPoolExecutor) -> None:
    class Leaving(EvaluationGate):
        asked = 0

        def check(self, *args: Any) -> None:
            self.asked += 1
            if self.asked > 1:
                raise ConsentRequired("withdrawn")

    desk = Desk(pool, gate=Leaving())
    with pytest.raises(ConsentRequired):
        await desk.reader.read(desk.gate.issue("voice"), SPEECH)
    assert (desk.stem.runs, desk.head.runs) == (1, 0)


def test_a_head_behind_another_stem_is_refused_and_both_are_named(pool: ThreadPoolExecutor) -> None:
    other = dataclasses.replace(HEAD, data={**HEAD.data, "stem_sha256": "f00"})
    with pytest.raises(ModelInvalid, match=r"voice .* stem with sha256 f00, not on stem .* with abc"):
        Desk(pool, head=other)
    for data in ({}, {"stem": "../stem", "stem_sha256": "abc"}, {"stem": "stem"}):
        with pytest.raises(ModelInvalid, match="names no stem"):
            Desk(pool, head=dataclasses.replace(HEAD, data=data))


def test_an_encoder_takes_nothing_but_a_stem(pool: ThreadPoolExecutor) -> None:
    for card in (dataclasses.replace(STEM, data={}), dataclasses.replace(STEM, outputs=SCORES)):
        with pytest.raises(ModelInvalid, match="is not a stem"):
            Encoder(Batcher(Model(card, Stage(Clock(0.0), STATES)), pool))


def test_a_head_whose_observation_no_baseline_can_hold_is_refused_for_serving() -> None:
    check_baseline(read_card(shipped_models() / "voice"))
    with pytest.raises(ModelInvalid, match="9 numbers"):
        check_baseline(dataclasses.replace(HEAD, labels=tuple("abcdefgh")))
    with pytest.raises(ModelInvalid, match=r"3 numbers of a person; its population\.center has 8"):
        check_baseline(dataclasses.replace(HEAD, data={**HEAD.data, "population": {"center": [0.0] * 8}}))
    check_baseline(HEAD)


@pytest.mark.parametrize("lacking", SCORES)
def test_a_head_without_one_of_its_outputs_is_refused_and_the_output_is_named(
    pool: ThreadPoolExecutor, lacking: str
) -> None:
    outputs = {name: port for name, port in SCORES.items() if name != lacking}
    with pytest.raises(ModelInvalid, match=f"not a voice model: it has no output {lacking}$"):
        Desk(pool, head=dataclasses.replace(HEAD, outputs=outputs))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"qualities": None}, "lacks a list of qualities"),
        ({"qualities": "fine"}, "lacks a list of qualities"),
        ({"qualities": ["fine", 1, 2, 3]}, "lacks a list of qualities"),
        ({"qualities": ["fine"]}, "each once"),
        ({"qualities": ["good", "too_noisy", "several_speakers", "not_speech"]}, "each once"),
        ({"qualities": ["fine", "fine", "several_speakers", "not_speech"]}, "each once"),
        ({"qualities": ["fine", "not_speech"]}, r"quality has the shape \[4\] a row, not \[2\]"),
        ({"fine_threshold": None}, "fine_threshold must be a number"),
        ({"fine_threshold": "0.5"}, "fine_threshold must be a number"),
        ({"fine_threshold": True}, "fine_threshold must be a number"),
        ({"fine_threshold": 1.5}, "fine_threshold must be a number"),
        ({"fine_threshold": float("nan")}, "fine_threshold must be a number"),
    ],
)
def test_a_head_whose_card_does_not_say_when_to_abstain_is_refused(
    pool: ThreadPoolExecutor, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(ModelInvalid, match=said):
        Desk(pool, head=dataclasses.replace(HEAD, data={**HEAD.data, **change}))


@pytest.mark.parametrize("name", ["emotions", "relative", "affect", "affect_deviation", "stress"])
def test_a_head_whose_output_has_another_shape_is_refused(pool: ThreadPoolExecutor, name: str) -> None:
    outputs = {**SCORES, name: Port("float32", ("batch", 3))}
    with pytest.raises(ModelInvalid, match=f"{name} has the shape"):
        Desk(pool, head=dataclasses.replace(HEAD, outputs=outputs))


# When the reader abstains


@pytest.mark.parametrize(
    ("clip", "reason"),
    [
        (speech(99), "too_short"),
        (speech(0), "too_short"),
        (np.zeros(500, dtype=np.float32), "too_quiet"),
        (speech(500, level=0.0003), "too_quiet"),
        (np.sign(speech(500)), "clipped"),
        (np.clip(speech(500), -0.05, 0.05), "clipped"),
    ],
)
async def test_what_no_model_needs_to_hear_is_abstained_from_without_a_run(
    pool: ThreadPoolExecutor, clip: Samples, reason: str
) -> None:
    desk = Desk(pool)
    assert await desk.read(clip) == Abstention("voice", reason)
    assert (desk.stem.runs, desk.head.runs) == (0, 0)


@pytest.mark.parametrize("clip", [speech(100), speech(500, level=0.05), np.clip(speech(500), -0.08, 0.08)])
async def test_what_is_just_long_loud_and_clean_enough_is_read(pool: ThreadPoolExecutor, clip: Samples) -> None:
    desk = Desk(pool, tells={0: {}, 1: {}})
    assert isinstance(await desk.read(clip), VoiceScores)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
async def test_samples_that_are_no_numbers_are_refused(pool: ThreadPoolExecutor, wrong: float) -> None:
    desk, clip = Desk(pool), SPEECH.copy()
    clip[7] = wrong
    with pytest.raises(Invalid) as refused:
        await desk.read(clip)
    assert refused.value.code == "audio_not_finite"
    assert desk.stem.runs == 0


@pytest.mark.parametrize(
    ("quality", "reason"),
    [
        ([0.5, 0.5, 0.0, 0.0], None),  # on the threshold it is fine
        ([0.499, 0.5, 0.001, 0.0], "too_noisy"),
        ([0.4, 0.1, 0.3, 0.2], "several_speakers"),  # `fine` is likelier, and not likely enough
        ([0.1, 0.2, 0.3, 0.4], "not_speech"),
        ([0.0, 0.0, 0.0, 0.0], "too_noisy"),  # never `fine`
        ([1.0, 0.0, 0.0, 0.0], None),
    ],
)
async def test_what_is_not_fine_gives_the_likeliest_reason(
    pool: ThreadPoolExecutor, quality: list[float], reason: str | None
) -> None:
    said = await Desk(pool, tells={1: {"quality": quality}}).read(SPEECH)
    assert (said.reason if isinstance(said, Abstention) else None) == reason


async def test_the_order_of_the_qualities_is_the_cards(pool: ThreadPoolExecutor) -> None:
    head = dataclasses.replace(HEAD, data={**HEAD.data, "qualities": list(reversed(QUALITIES))})
    said = await Desk(pool, head=head, tells={1: {"quality": [0.6, 0.1, 0.1, 0.2]}}).read(SPEECH)
    assert said == Abstention("voice", "not_speech")


FINE, NOISE, CROWD = [0.9, 0.1, 0.0, 0.0], [0.1, 0.9, 0.0, 0.0], [0.0, 0.1, 0.9, 0.0]
WINDOWS = {
    1: {"quality": FINE, "emotions": [0.8, 0.2]},
    2: {"quality": NOISE, "emotions": [0.0, 1.0]},
    3: {"quality": CROWD, "emotions": [0.0, 1.0]},
}


@pytest.mark.parametrize(
    ("levels", "reason"),
    [
        ((1, 1, 2), None),
        ((1, 3), None),
        ((1, 2, 2), "too_noisy"),
        ((1, 2, 3, 3), "several_speakers"),
        ((2,), "too_noisy"),
    ],
)
async def test_a_long_recording_is_read_where_it_is_fine_if_that_is_half_of_it(
    pool: ThreadPoolExecutor, levels: tuple[int, ...], reason: str | None
) -> None:
    said = await Desk(pool, tells=WINDOWS).read(*(speech(1_000, level / 10) for level in levels))
    if reason is None:
        assert isinstance(said, VoiceScores)
        assert said.emotions == pytest.approx([0.8, 0.2])
    else:
        assert said == Abstention("voice", reason)


@pytest.mark.parametrize("name", SCORES)
async def test_a_head_that_gives_no_number_raises_before_a_baseline_could_learn_from_it(
    pool: ThreadPoolExecutor, name: str
) -> None:
    shape = SCORES[name].shape[1:]
    tells = {1: {name: np.full([size for size in shape if isinstance(size, int)], np.nan)}}
    with pytest.raises(FloatingPointError):
        await Desk(pool, tells=tells).read(SPEECH)


def _models(tmp_path: Path, change: dict[str, str]) -> Path:
    """The shipped models, with some text of the voice's card replaced."""
    models = tmp_path / "models"
    shutil.copytree(shipped_models(), models)
    card = models / "voice" / "card.toml"
    text = card.read_text()
    for old, new in change.items():
        assert old in text
        text = text.replace(old, new)
    card.write_text(text)
    return models


async def test_a_server_with_the_wrong_stem_says_so_and_reads_texts(
    open_house: OpenHouse, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shipped = read_card(shipped_models() / "stem").sha256
    house = await open_house(models=_models(tmp_path, {shipped: "0" * 64}))
    assert house.services.health() == {
        "storage": "ready",
        "vad": "ready",
        "text": "ready",
        "voice": "unavailable",
        "transcription": "absent",
    }
    assert shipped in caplog.text
    assert "0" * 64 in caplog.text
    assert [reader["id"] for reader in (await house.call("GET", "/v1/models"))["readers"]] == ["text"]
    await house.person()
    await house.consent("text", "tone")
    assert (await house.message(WORRY))["mood"]["abstained"] is None


@pytest.mark.parametrize(
    ("line", "said"), [("qualities", "list of qualities"), ("fine_threshold", "fine_threshold")]
)
async def test_a_server_says_what_its_voices_card_lacks_and_reads_texts(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture, line: str, said: str
) -> None:
    models = _models(tmp_path, {f"\n{line} =": f"\nold_{line} ="})
    async with open_services(dataclasses.replace(settings, models=models)) as services:
        assert services.health() == {
            "storage": "ready",
            "vad": "ready",
            "text": "ready",
            "voice": "unavailable",
            "transcription": "absent",
        }
    assert said in caplog.text


class Wider:
    """The shipped head, saying that it gives eight emotions."""

    def __init__(self, graph: Path) -> None:
        self._real = shared_session(graph)

    def run(self, outputs: Any, inputs: Any) -> Any:
        raise AssertionError("it must not be served")

    def get_inputs(self) -> list[Any]:
        return self._real.get_inputs()

    def get_outputs(self) -> list[Any]:
        nodes = [SimpleNamespace(name=node.name, shape=list(node.shape)) for node in self._real.get_outputs()]
        next(node for node in nodes if node.name == "emotions").shape[-1] = 8
        return nodes


async def test_a_server_refuses_a_head_of_eight_classes(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seven = 'emotions = ["float32", "batch", 7]'
    models = _models(tmp_path, {'"surprise"]': '"surprise", "calm"]', seven: seven.replace("7", "8")})

    def session(graph: Path) -> Any:
        return Wider(graph) if graph.parent.name == "voice" else shared_session(graph)

    opener = partial(open_model, session=session)
    async with open_services(dataclasses.replace(settings, models=models), open_model=opener) as services:
        assert services.health() == {
            "storage": "ready",
            "vad": "ready",
            "text": "ready",
            "voice": "unavailable",
            "transcription": "absent",
        }
    assert "can be evaluated but not served" in caplog.text


async def test_batch_mates_do_not_change_a_reading_by_one_bit(house: House, recording: Samples) -> None:
    await house.person()
    await house.consent("voice", "tone")
    tools = house.services.conversations
    person = await house.known("ada")
    (grant,) = await tools.ledger.grants(Subject(person.pseudonym))
    clips = [recording[8_000:56_000], recording[64_000:112_000], recording[40_000:72_000]]
    assert isinstance(tools.voice, VoiceReader)
    together = await asyncio.gather(*(tools.voice.read(grant, clip, budget_s=60) for clip in clips))
    assert house.spy.runs["stem"] == 2, "the two of equal length shared a run"
    assert house.spy.runs["voice"] == 3
    for clip, mixed in zip(clips, together, strict=True):
        alone = await tools.voice.read(grant, clip, budget_s=60)
        assert isinstance(alone, VoiceScores)
        assert isinstance(mixed, VoiceScores)
        assert alone.emotions.tobytes() == mixed.emotions.tobytes()
        assert alone.affect.tobytes() == mixed.affect.tobytes()
        assert alone.affect_deviation.tobytes() == mixed.affect_deviation.tobytes()
        assert (alone.stress, alone.observation) == (mixed.stress, mixed.observation)
