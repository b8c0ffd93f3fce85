"""Real acted speech through the whole server, from people whom the voice model never heard in training."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from assistant.audio.decode import read_audio
from assistant.config import shipped_models
from assistant.evaluate.run.engine import read_rows
from assistant.evaluate.tables.manifest import Row
from assistant.inference.card import read_card
from assistant.inference.model import open_model
from tests.conftest import House, OpenHouse, shared_session

HELD_OUT = ("16", "17", "18")
FREE = {"emodb", "banglaser", "emogator", "esc10", "picovoice_kitchen", "picovoice_s2i"}


async def _abstained(files: list[Path], model: str = "voice") -> list[str | None]:
    """Why each file was not read; None where it was."""
    opened, stem = (open_model(shipped_models() / name, shared_session) for name in (model, "stem"))
    rows = [Row(line, str(file), file=file) for line, file in enumerate(files, 1)]
    outcomes, bad = await read_rows(opened, "voice", rows, quiet=True, stem=stem)
    assert not bad
    return [outcome.abstained for outcome in outcomes]


def _pairs(folder: Path) -> list[tuple[Path, Path]]:
    """Angry and calm clips of the same person, sentence, intensity and repetition."""
    clips: dict[tuple[str, ...], dict[str, Path]] = {}
    with (folder / "manifest.csv").open() as file:
        for row in csv.DictReader(file):
            if row["speaker"] in HELD_OUT and row["emotion"] in ("anger", "calm"):
                said = (row["speaker"], row["sentence_id"], row["intensity"], row["note"])
                clips.setdefault(said, {})[row["emotion"]] = folder / row["file"]
    return [(pair["anger"], pair["calm"]) for pair in clips.values() if len(pair) == 2]


async def _stress(house: House, file: Path, name: str) -> float:
    await house.person(name)
    await house.consent("voice", "tone", name=name)
    microphone = await house.stream(name)
    await microphone.acknowledge()
    # voice activity detection does not take three of the screams for speech; here the client says where they end
    await microphone.send({"type": "session.update", "session": {"audio": {"input": {"turn_detection": None}}}})
    await microphone.play(read_audio(file), quiet_s=0)
    await microphone.send({"type": "input_audio_buffer.commit"})
    await microphone.settle()
    await microphone.socket.close()
    results = [event for event in microphone.of("affect.result") if event["final"]]
    assert results, f"{file.name} was not heard"
    return float(results[0]["reading"]["stress"])


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_an_angry_clip_reads_more_stressed_than_the_same_persons_calm_one(house: House, data: Path) -> None:
    pairs = _pairs(data / "speech" / "ravdess")
    assert len(pairs) >= 20
    right = 0
    for number, (angry, calm) in enumerate(pairs):
        right += await _stress(house, angry, f"a{number}") > await _stress(house, calm, f"c{number}")
    assert right >= 0.9 * len(pairs), f"{right} of {len(pairs)} pairs"


@pytest.mark.parametrize("model", ["voice", "voice-open"])
async def test_sounds_without_speech_are_not_read_and_speech_is(data: Path, model: str) -> None:
    noise = sorted((data / "noise" / "esc10" / "audio").rglob("*.ogg"))[::20]
    folder = data / "speech" / "ravdess"
    with (folder / "manifest.csv").open() as file:
        speech = [folder / row["file"] for row in csv.DictReader(file) if row["speaker"] in HELD_OUT][::6]
    silent, heard = await _abstained(noise, model), await _abstained(speech, model)
    assert sum(reason is not None for reason in silent) >= 0.9 * len(noise) > 15
    assert sum(reason is not None for reason in heard) <= 0.1 * len(speech)


def test_the_open_voice_learned_only_from_free_corpora_and_shares_the_stem() -> None:
    voice, free = (read_card(shipped_models() / name) for name in ("voice", "voice-open"))
    assert {row["name"] for row in free.data["training_data"]} <= FREE
    assert {"ravdess", "emotale", "ased"} <= {row["name"] for row in voice.data["training_data"]}
    assert "non-commercial" in voice.licence
    assert "non-commercial" not in free.licence
    assert free.data["stem_sha256"] == voice.data["stem_sha256"] == read_card(shipped_models() / "stem").sha256


async def test_the_setting_chooses_the_voice_and_the_server_tells_its_licence(open_house: OpenHouse) -> None:
    house = await open_house(voice_model="voice-open")
    told = await house.call("GET", "/v1/models")
    (voice,) = [reader for reader in told["readers"] if reader["kind"] == "voice"]
    assert (voice["id"], voice["licence"]) == ("voice-open", read_card(shipped_models() / "voice-open").licence)
