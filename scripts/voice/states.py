"""What the served stem hears in every clip, as it is and disturbed, kept on disk for training and testing heads."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from scripts.voice.data import MAX_SAMPLES, Array, padded, read_clip, read_manifest
from scripts.voice.sound import Surroundings, at_speed, disturbed
from scripts.weights.quantize import open_session

COPIES = ("clean", "speed", "disturbed-1", "disturbed-2")
CHUNK = 64
LAYERS, WIDTH = 3, 512
LOUD = -0.75
"""Frames whose loudest band is 30 dB or more below the clip's loudest are left out; in units of four decades."""


@dataclass(frozen=True)
class Heard:
    """Clips as the stem gives them, at 25 frames a second: pairs of its frames are averaged."""

    states: list[list[Array]]
    """By copy and corpus: [frames of all clips, layers * width] in fp16."""
    loudness: list[list[Array]]
    corpus: Array
    """Which of the corpora a clip is from, [clips]."""
    first: list[Array]
    """By copy: where a clip begins within its corpus, [clips]."""
    frames: list[Array]

    def batch(self, rows: Array, copies: Array) -> tuple[Tensor, Tensor]:
        """States [rows, frames, layers * width] and loudness [rows, frames] of clips, padded with -9."""
        pairs = list(zip(rows, copies, strict=True))
        longest = max(self.frames[copy][row] for row, copy in pairs)
        states = np.zeros((len(pairs), longest, LAYERS * WIDTH), np.float16)
        loudness = np.full((len(pairs), longest), -9.0, np.float32)
        for index, (row, copy) in enumerate(pairs):
            start, size, corpus = self.first[copy][row], self.frames[copy][row], self.corpus[row]
            states[index, :size] = self.states[copy][corpus][start : start + size]
            loudness[index, :size] = self.loudness[copy][corpus][start : start + size]
        return torch.from_numpy(states), torch.from_numpy(loudness)

    def summaries(self) -> Array:
        """Mean and deviation over the loud frames of every copy: [copies, clips, 2 * LAYERS * WIDTH]."""
        found = np.zeros((len(self.states), len(self.corpus), 2 * LAYERS * WIDTH), np.float32)
        for copy, row in np.ndindex(found.shape[:2]):
            start, size, corpus = self.first[copy][row], self.frames[copy][row], self.corpus[row]
            states = self.states[copy][corpus][start : start + size].astype(np.float32)
            weight = (self.loudness[copy][corpus][start : start + size] > LOUD).astype(np.float32)
            found[copy, row] = summary(states, weight)
        return found


def summary(states: Array, weight: Array) -> Array:
    """Weighted mean and deviation over time: [frames, width] and [frames] to [2 * width]."""
    weight = weight / weight.sum()
    mean = weight @ states
    return np.concatenate([mean, np.sqrt(weight @ (states - mean) ** 2 + 1e-6)])


def halved(states: Array, loudness: Array) -> tuple[Array, Array]:
    """Pairs of frames: the mean of their states [frames, layers * width], the louder of both."""
    pairs = len(loudness) // 2
    both = states[: 2 * pairs].reshape(pairs, 2, -1)
    return both.mean(axis=1), loudness[: 2 * pairs].reshape(pairs, 2).max(axis=1)


_around: Surroundings | None = None
_session = None


def _hear(task: tuple[str, Path, Path, str, int, tuple[str, ...]]) -> tuple[Array, Array, Array]:
    """One chunk of clips; runs in a process of its own, which keeps its session."""
    global _around, _session  # a worker process has no other place
    copy, stem, data, corpus, start, files = task
    if _session is None or _around is None:
        _session, _around = open_session(stem), Surroundings(data)
    states, loudness, frames = [], [], []
    for index, file in enumerate(files, start):
        audio = read_clip(data / "speech" / corpus / file)
        random = np.random.default_rng([index, *copy.encode(), *corpus.encode()])
        if copy == "speed":
            audio = at_speed(audio, random.choice([0.86, 0.9, 0.94, 1.06, 1.1, 1.15]))
        elif copy != "clean":
            audio = disturbed(audio, _around, random)
        found = _session.run(None, {"audio": padded(audio[:MAX_SAMPLES])[None]})
        pair = halved(found[0][0].reshape(len(found[0][0]), -1), found[1][0])
        states.append(pair[0].astype(np.float16))
        loudness.append(pair[1])
        frames.append(len(pair[1]))
    return np.concatenate(states), np.concatenate(loudness), np.array(frames)


def _extract(corpus: str, copy: str, stem: Path, data: Path, folder: Path, pool: ProcessPoolExecutor) -> None:
    files = [row["file"] for row in read_manifest(data / "speech" / corpus)]
    tasks = [
        (copy, stem, data, corpus, start, tuple(files[start : start + CHUNK]))
        for start in range(0, len(files), CHUNK)
    ]
    parts = list(tqdm(pool.map(_hear, tasks), total=len(tasks), desc=f"{corpus}, {copy}", leave=False))
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "states.npy", np.concatenate([part[0] for part in parts]))
    np.save(folder / "loudness.npy", np.concatenate([part[1] for part in parts]))
    np.save(folder / "frames.npy", np.concatenate([part[2] for part in parts]))  # last: it says that all is there


def kept_by(stem: Path, work: Path) -> Path:
    """Where what this stem heard is kept; another stem hears everything anew."""
    return work / "states" / hashlib.sha256(stem.read_bytes()).hexdigest()[:8]


def hear(corpora: Sequence[str], stem: Path, data: Path, work: Path) -> Heard:
    """Every clip of the corpora; what is missing under WORK/states is made with the stem, on two processes."""
    kept = kept_by(stem, work)
    folders = [[kept / corpus / copy for corpus in corpora] for copy in COPIES]
    with ProcessPoolExecutor(2) as pool:
        for copy, row in zip(COPIES, folders, strict=True):
            for corpus, folder in zip(corpora, row, strict=True):
                if not (folder / "frames.npy").exists():
                    _extract(corpus, copy, stem, data, folder, pool)
    frames = [[np.load(folder / "frames.npy") for folder in row] for row in folders]
    return Heard(
        [[np.load(folder / "states.npy", mmap_mode="r") for folder in row] for row in folders],
        [[np.load(folder / "loudness.npy") for folder in row] for row in folders],
        np.repeat(np.arange(len(corpora)), [len(part) for part in frames[0]]),
        [np.concatenate([np.cumsum(part) - part for part in row]) for row in frames],
        [np.concatenate(row) for row in frames],
    )
