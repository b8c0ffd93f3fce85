"""Real acted speech through the whole server, from people whom the voice model never heard in training."""

from __future__ import annotations

import csv

import pytest

from assistant.audio.decode import read_audio

HELD_OUT = ("16", "17", "18")


def _pairs(folder):
    """Angry and calm clips of the same person, sentence, intensity and repetition."""
    clips = {}
    with (folder / "manifest.csv").open() as file:
        for row in csv.DictReader(file):
            if row["speaker"] in HELD_OUT and row["emotion"] in ("anger", "calm"):
                said = (row["speaker"], row["sentence_id"], row["intensity"], row["note"])
                clips.setdefault(said, {})[row["emotion"]] = folder / row["file"]
    return [(pair["anger"], pair["calm"]) for pair in clips.values() if len(pair) == 2]


async def _stress(house, file, name: str) -> float:
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
    return results[0]["reading"]["stress"]


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_an_angry_clip_reads_more_stressed_than_the_same_persons_calm_one(house, data):
    pairs = _pairs(data / "speech" / "ravdess")
    assert len(pairs) >= 20
    right = 0
    for number, (angry, calm) in enumerate(pairs):
        right += await _stress(house, angry, f"a{number}") > await _stress(house, calm, f"c{number}")
    assert right >= 0.9 * len(pairs), f"{right} of {len(pairs)} pairs"
