"""Teach the head when to abstain: what one voice sounds like, and noise, a murmur, two voices at once.

The examples are made: clips of speech as they are, disturbed and beside some sound, the same buried in noise, two
speakers laid over each other, and recordings without any speech. A linear classifier reads the mean and deviation
of the stem's states over all frames, quiet ones too, and of their loudness.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from scripts.voice.data import CORPORA, MAX_SAMPLES, Array, Clips, list_clips, padded, read_clip, read_manifest
from scripts.voice.head import Linear, Task, fit_softmax
from scripts.voice.sound import Surroundings, disturbed, with_noise
from scripts.voice.states import halved, kept_by, summary
from scripts.voice.whisper_encoder import RATE
from scripts.weights.quantize import open_session

QUALITIES = ("fine", "too_noisy", "several_speakers", "not_speech")
"""What a clip can be; all but the first are reasons to abstain."""
NOISES = ("esc10", "nonspeech100")
PENALTY = 30.0
EACH = 1_200
"""Examples of each kind of speech."""
BESIDE = 2
"""Of three examples of fine speech, the one with a sound that is no speech beside it."""
WINDOWS = 3
"""Cuts of each recording without speech, 1 to 5 s long."""


@dataclass(frozen=True)
class Examples:
    """Made clips, and what the stem heard in them."""

    kind: Array
    """[n], of QUALITIES."""
    source: Array
    """[n, 2]: who speaks or which kind of noise it is, and who or what is laid over it; empty for nothing."""
    features: Array
    """[n, width]."""


def described(states: Array, loudness: Array) -> Array:
    """Over all frames: mean and deviation of the states [frames, layers * width] and of the loudness [frames]."""
    every = np.ones(len(loudness), np.float32)
    return np.concatenate([summary(states, every), summary(loudness[:, None], every)])


def group_of(name: str, row: dict[str, str]) -> str:
    """The kind of a noise: recordings of one kind must not be on both sides of a fold."""
    if name == "esc10":
        return f"esc10/{row['note'][:3]}"
    return f"nonspeech100/{int(Path(row['file']).stem[1:]) // 5}"  # neighbours in that collection are of a kind


def noises_of(fold: int, count: int = 3) -> Array:
    """The kinds of noise that a fold leaves out."""
    kinds = [*(f"esc10/{number:03d}" for number in range(1, 11)), *(f"nonspeech100/{part}" for part in range(21))]
    return np.array(kinds[fold::count])


def _plan(data: Path) -> Iterator[tuple[str, tuple[str, str], tuple[Path, ...], int]]:
    """(kind, sources, files, number) of every example."""
    clips = list_clips(CORPORA, data)
    random = np.random.default_rng(7)
    rows = random.permutation(np.flatnonzero(~clips.held))
    sounds = [
        (group_of(name, row), data / "noise" / name / row["file"])
        for name in NOISES
        for row in read_manifest(data / "noise" / name)
    ]

    def path(row: int) -> Path:
        return data / "speech" / clips.corpus[row] / clips.file[row]

    for number in range(EACH):
        row = rows[number]
        same = rows[(clips.corpus[rows] == clips.corpus[row]) & (clips.who[rows] != clips.who[row])]
        other = random.choice(same)  # of the same corpus, so that one licence covers both
        who = str(clips.who[row])
        sound, file = sounds[random.integers(len(sounds))]
        yield "fine", (who, sound if number % 3 == BESIDE else ""), (path(row), file), number
        yield "too_noisy", (who, ""), (path(row),), number
        yield "several_speakers", (who, str(clips.who[other])), (path(row), path(other)), number
    for sound, file in sounds:
        for number in range(WINDOWS):
            yield "not_speech", (sound, ""), (file,), number
    for number in range(100):
        yield "not_speech", ("", ""), (), number


_tools: tuple[object, Surroundings] | None = None


def _make(kind: str, files: tuple[Path, ...], number: int, around: Surroundings) -> Array:
    random = np.random.default_rng([number, *kind.encode(), len(files)])
    if kind == "not_speech":
        length = int(random.uniform(1, 5) * RATE)
        whole = soundfile.read(files[0], dtype="float32")[0] if files else around.quiet(5 * RATE, random)
        start = random.integers(0, max(1, len(whole) - length))
        return np.asarray(whole[start : start + length])
    audio = read_clip(files[0])
    if kind == "fine":
        if number % 3 == BESIDE:
            return with_noise(audio, np.resize(read_clip(files[1]), len(audio)), random.uniform(5, 20))
        return audio if number % 3 else disturbed(audio, around, random)
    if kind == "too_noisy":
        noise = around.take(len(audio), random)
        return with_noise(audio, noise, random.uniform(-15, -3))
    other = read_clip(files[1])
    length = max(RATE, min(len(audio), len(other)))
    mixed = np.zeros(length)
    for voice, level in ((audio, 1.0), (other, 10 ** (random.uniform(-4, 4) / 20))):
        part = voice[:length] / (np.std(voice) + 1e-6) * level
        start = random.integers(0, length - len(part) + 1)
        mixed[start : start + len(part)] += part
    mixed *= 0.1
    return mixed if number % 2 else disturbed(mixed, around, random)


def _hear(task: tuple[Path, Path, str, tuple[Path, ...], int]) -> Array:
    global _tools  # a worker process has no other place
    stem, data, kind, files, number = task
    if _tools is None:
        _tools = open_session(stem), Surroundings(data)
    session, around = _tools
    audio = padded(_make(kind, files, number, around)[:MAX_SAMPLES])
    states, loudness = session.run(None, {"audio": audio[None]})  # type: ignore[attr-defined]
    return described(*halved(states[0].reshape(len(states[0]), -1), loudness[0]))


def examples(stem: Path, data: Path, work: Path) -> Examples:
    """All examples, made anew only where WORK has none."""
    path = kept_by(stem, work) / "quality.npz"
    if not path.exists():
        plan = list(_plan(data))
        tasks = [(stem, data, kind, files, number) for kind, _, files, number in plan]
        with ProcessPoolExecutor(2) as pool:
            found = list(tqdm(pool.map(_hear, tasks, chunksize=32), total=len(tasks), desc="quality"))
        np.savez(path, kind=[row[0] for row in plan], source=[row[1] for row in plan], features=np.stack(found))
    kept = np.load(path)
    return Examples(kept["kind"], kept["source"], kept["features"].astype(np.float32))


def fit_quality(have: Examples, without: Array) -> Linear:
    """Logits of QUALITIES, learned from all examples without a source that is named in `without`."""
    rows = ~np.isin(have.source, without).any(axis=1)
    target = np.array([QUALITIES.index(kind) for kind in have.kind[rows]])
    count = len(target)
    nobody = np.full(count, "")
    clips = Clips(nobody, nobody, nobody, nobody, nobody, nobody, np.zeros((count, 2)))
    soft = np.eye(len(QUALITIES))[target]
    return fit_softmax(have.features[rows], Task(clips, target, len(QUALITIES), soft), PENALTY)
