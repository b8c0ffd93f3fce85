"""Copies are found after what people do to recordings and texts; what only sounds alike is not one."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import soxr
from msgspec import UNSET

from assistant.audio.decode import read_audio
from assistant.audio.pcm import Samples
from assistant.evaluate.leakage.check import Overlap, find_leakage, find_shared, read_against, write_verdict
from assistant.evaluate.leakage.fingerprint import Prints, make_fingerprint, measure_difference
from assistant.evaluate.leakage.shingles import Texts, make_signature, measure_similarity, normalise_text
from assistant.evaluate.tables.manifest import Row
from tests.conftest import DATA

SPEECH = DATA / "speech"
RATE = 16_000


def melody(seed: int, seconds: float = 3.0) -> Samples:
    """Sounds that change as often as speech does: a harmonic tone with another pitch and colour every 120 ms."""
    random = np.random.default_rng(seed)
    parts = []
    for _ in range(int(seconds / 0.12)):
        t = np.arange(int(0.12 * RATE)) / RATE
        pitch, colour = random.uniform(90, 250), random.uniform(0.2, 1.0, 14)
        parts.append(sum(c * np.sin(2 * np.pi * pitch * (h + 1) * t) for h, c in enumerate(colour)))
    noise = random.standard_normal(sum(map(len, parts))) * 0.01
    return ((np.concatenate(parts) + noise) / 20).astype(np.float32)


def through(samples: Samples, rate: int) -> Samples:
    there = soxr.resample(samples, RATE, rate)
    return np.asarray(soxr.resample(there, rate, RATE), dtype=np.float32)


def opus(samples: Samples, bits_per_s: int = 24_000) -> Samples:
    memory = io.BytesIO()
    with av.open(memory, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=48_000, layout="mono")
        stream.bit_rate = bits_per_s
        frame = av.AudioFrame.from_ndarray(soxr.resample(samples, RATE, 48_000)[None], format="flt", layout="mono")
        frame.sample_rate, frame.pts = 48_000, 0
        waiting = av.AudioFifo()
        for ready in av.AudioResampler(format=stream.format, layout="mono", rate=48_000).resample(frame):
            waiting.write(ready)
        while (part := waiting.read(960, partial=True)) is not None:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    memory.seek(0)
    read, _ = soundfile.read(memory, dtype="float32")
    return np.asarray(soxr.resample(read, 48_000, RATE), dtype=np.float32)


def noisy(samples: Samples) -> Samples:
    """At 20 dB."""
    noise = np.random.default_rng(1).standard_normal(len(samples))
    return np.asarray(samples + noise * samples.std() / 10, np.float32)


CHANGES: dict[str, Callable[[Samples], Samples]] = {
    "quieter": lambda x: x * np.float32(0.05),
    "8 kHz": lambda x: through(x, 8_000),
    "44.1 kHz": lambda x: through(x, 44_100),
    "Opus": opus,
    "trimmed": lambda x: x[4_321:],
    "trimmed at both ends": lambda x: x[len(x) // 6 : -len(x) // 6],
    "silence before": lambda x: np.concatenate([np.zeros(5_000, np.float32), x]),
    "noise": noisy,
    "trimmed and Opus": lambda x: opus(x[3_210:]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found_among_others(change: str) -> None:
    known = Prints([make_fingerprint(melody(seed)) for seed in range(20)])
    found = known.find(make_fingerprint(CHANGES[change](melody(7))))
    assert found is not None
    assert found.theirs == 7
    assert 0 < found.error <= 0.25


def test_the_same_samples_are_the_same_and_others_are_not() -> None:
    known = Prints([make_fingerprint(melody(seed)) for seed in range(20)])
    same = known.find(make_fingerprint(melody(3)))
    assert same is not None
    assert (same.theirs, same.error) == (3, 0.0)
    assert all(known.find(make_fingerprint(melody(seed))) is None for seed in range(20, 40))


def test_unrelated_sound_differs_in_about_half_of_the_bits() -> None:
    error, frames = measure_difference(make_fingerprint(melody(1)), make_fingerprint(melody(2)), 0)
    assert 0.4 < error < 0.6
    assert frames > 100


def test_silence_and_what_is_too_short_match_nothing_but_themselves() -> None:
    silence = np.zeros(32_000, dtype=np.float32)
    known = Prints(
        [make_fingerprint(silence), make_fingerprint(melody(1)[:2_000]), make_fingerprint(np.empty(0, np.float32))]
    )
    assert known.find(make_fingerprint(np.zeros(30_000, dtype=np.float32))) is None
    assert known.find(make_fingerprint(melody(1)[:1_999])) is None
    assert Prints([]).find(make_fingerprint(melody(1))) is None


def test_texts_are_the_same_without_case_marks_and_addresses() -> None:
    known = Texts(["What a lovely day this has been!", "I can't believe they did that to us", "ok"])
    assert known.find("@you WHAT a lovely day, this has been... https://x.org/1") == (0, 1.0)
    near = known.find("I can't believe they did that to us :( today")
    assert near is not None
    assert near[0] == 1
    assert known.find("I can't believe what the weather is like") is None
    assert known.find("ok") is None  # too short to be anybody's


def test_similarity_is_that_of_their_runs_of_characters() -> None:
    one, other = (
        normalise_text("the quick brown fox jumps over the lazy dog"),
        normalise_text("the quick brown cat jumps over a dog"),
    )
    runs = [{text[at : at + 5] for at in range(len(text) - 4)} for text in (one, other)]
    exact = len(runs[0] & runs[1]) / len(runs[0] | runs[1])
    assert measure_similarity(make_signature(one), make_signature(other)) == pytest.approx(exact, abs=0.2)


def rows(folder: Path, clips: dict[str, tuple[str, Samples]]) -> list[Row]:
    made: list[Row] = []
    for name, (speaker, samples) in clips.items():
        soundfile.write(folder / name, samples, RATE)
        made.append(Row(len(made) + 2, name, file=folder / name, speaker=speaker))
    return made


def test_folds_share_a_speaker_or_a_copy(tmp_path: Path) -> None:
    clips = {
        "a.wav": ("x", melody(1)),
        "b.flac": ("y", melody(1) * np.float32(0.5)),
        "c.wav": ("z", melody(2)),
        "d.wav": ("z", melody(3)),
    }
    made = rows(tmp_path, clips)
    apart = find_shared(made, [0, 1, 0, 1], quiet=True)
    assert apart.speakers == Overlap(shared=1, of=3, first=["z"])
    assert apart.audio
    assert apart.audio.shared == 2  # each of the two has its copy in the other fold
    together = find_shared(made, [0, 0, 1, 1], quiet=True)
    assert together.verdict == "no leakage found"


def test_what_cant_be_read_is_counted_and_ends_nothing(tmp_path: Path) -> None:
    made = rows(tmp_path, {"a.wav": ("", melody(1))})
    (tmp_path / "b.wav").write_bytes(b"no audio")
    found = find_leakage(made, [Row(2, "b.wav", file=tmp_path / "b.wav")], against="t.csv", quiet=True)
    assert found.audio == Overlap(shared=0, exact=0, of=1, first=[], unread=1)
    assert found.speakers is UNSET
    assert found.verdict == "no leakage found; 1 recording could not be read"
    assert write_verdict() == "nothing to compare"


def test_texts_of_the_training_are_found(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text(
        'words\n"Honestly, the best concert I have ever been to"\nunrelated words that are long enough\n'
    )
    trained = read_against(file, "text", {"text": "words", "emotion": "label"})
    asked = [Row(2, "", text="honestly the best concert i have ever been to!!"), Row(3, "", text="something else")]
    found = find_leakage(asked, trained, against="t.csv", quiet=True)
    pair = {"ours": "line 2", "theirs": "line 2"}
    assert found.text == Overlap(shared=1, exact=1, of=2, first=[pair])


@pytest.mark.skipif(not (SPEECH / "ravdess").is_dir(), reason="RAVDESS is not beside the project")
def test_two_takes_of_one_sentence_are_no_copies_and_a_re_encoded_take_is() -> None:
    with (SPEECH / "ravdess" / "manifest.csv").open() as file:
        clips = [row["file"] for row in csv.DictReader(file) if row["speaker"] == "02"]
    audio = [read_audio(SPEECH / "ravdess" / clip) for clip in clips]
    prints = [make_fingerprint(samples) for samples in audio]
    known = Prints(prints)
    for at, one in enumerate(prints):
        others = np.ones(len(prints), dtype=bool)
        others[at] = False
        assert known.find(one, others) is None, clips[at]
    for at in range(0, len(audio), 12):
        found = known.find(make_fingerprint(opus(audio[at][3_000:])))
        assert found is not None, clips[at]
        assert found.theirs == at
