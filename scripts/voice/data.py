"""The corpora of acted speech: who says what with which emotion, what their names share, and folds by speaker."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from scripts.paths import DATA, ROOT
from scripts.weights.download import CACHE

WORK = ROOT / "build" / "voice"

EMOTIONS = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
NATIVE = tuple(sorted((*EMOTIONS, "boredom", "calm")))
COMMON = ("anger", "joy", "neutral", "sadness")
SHARED = {"calm": "neutral", "boredom": ""}
THEIRS = {"happiness": "joy", "amusement": "joy", "surprise_negative": "surprise", "surprise_positive": "surprise"}
"""Names of single corpora for what others call otherwise."""
STRESS = ("anger", "fear")
CORPORA = ("ravdess", "emodb", "emotale", "banglaser", "ased")
LEVELS = ("baved",)
"""Three levels of arousal, and no emotions."""
OPEN = ("emodb", "banglaser")
"""Licensed freely; so are the bursts of emogator."""
BURSTS = "emogator"
HELD_OUT = ("ravdess/16", "ravdess/17", "ravdess/18")
FOLDS = {"ravdess": 6, "emodb": 10, "multi": 3}
"""Folds by speaker: within one corpus, and over all of them."""
AROUSAL = {"low": -0.6, "neutral": -0.1, "high": 0.6}
"""What BAVED's levels are taken for."""
MIN_SAMPLES, MAX_SAMPLES = 8_000, 240_000

Array = np.ndarray


@dataclass(frozen=True)
class Clips:
    """Rows of one or more corpora; `affect` is [n, 2] (valence, arousal in [-1, 1]), NaN where nobody rated."""

    file: Array
    corpus: Array
    speaker: Array
    gender: Array
    emotion: Array
    """Its name in the corpus, but for spelling; empty where it has none."""
    sentence: Array
    affect: Array

    def __len__(self) -> int:
        return len(self.file)

    def where(self, rows: Array) -> Clips:
        return Clips(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    @property
    def who(self) -> Array:
        """The speaker, told apart over corpora."""
        return np.char.add(np.char.add(self.corpus, "/"), self.speaker)

    @property
    def shared(self) -> Array:
        """The emotion under its shared name; empty where it has none."""
        return np.array([SHARED.get(name, name) for name in self.emotion])

    @property
    def held(self) -> Array:
        """The speakers that the shipped models never train on."""
        return np.isin(self.who, HELD_OUT)

    @property
    def honest(self) -> Array:
        """Clips fit for testing: ASED's other sentences differ by emotion, so that words alone would tell it."""
        return (self.corpus != "ased") | np.char.startswith(self.sentence, "common")

    @property
    def stressed(self) -> Array:
        return np.isin(self.emotion, STRESS)


def read_manifest(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def read_clip(path: Path) -> Array:
    """The clip as float32 at 16 kHz, cut to what the stem takes."""
    return np.asarray(soundfile.read(path, dtype="float32")[0][:MAX_SAMPLES])


def padded(audio: Array) -> Array:
    """With silence around where it is too short for the stem."""
    lack = max(0, MIN_SAMPLES - len(audio))
    return np.pad(audio, (lack // 2, lack - lack // 2)).astype(np.float32)


def read_ratings(folder: Path) -> dict[str, tuple[float, float]]:
    """EmoTale's mean valence and arousal by file stem, from 1..5 to [-1, 1]."""
    with (folder / "annotations.csv").open(newline="") as file:
        return {
            Path(row["file"]).stem: (_mean_rating(row, "V"), _mean_rating(row, "A")) for row in csv.DictReader(file)
        }


def _mean_rating(row: dict[str, str], letter: str) -> float:
    return (float(np.mean([float(row[f"a{rater}_{letter}"]) for rater in (1, 2, 3)])) - 3) / 2


def list_clips(names: Sequence[str], data: Path) -> Clips:
    """Every clip of the corpora."""
    columns: list[list[object]] = [[] for _ in range(7)]
    for name in names:
        folder = data / "speech" / name
        ratings = read_ratings(folder) if name == "emotale" else {}
        for row in read_manifest(folder):
            affect = ratings.get(Path(row["file"]).stem, (np.nan, np.nan))
            emotion = THEIRS.get(row["emotion"], row["emotion"])
            if name in LEVELS:
                emotion, affect = "", (np.nan, AROUSAL[row["emotion"]])
            elif emotion not in NATIVE:
                emotion = ""
            values = [row["file"], name, row["speaker"], row["gender"], emotion, row["sentence_id"], affect]
            for column, value in zip(columns, values, strict=True):
                column.append(value)
    return Clips(*(np.array(column) for column in columns))


def folds(clips: Clips, count: int) -> Array:
    """A fold number for each clip: speakers in turn, each gender and corpus on its own, so that folds are alike."""
    order = sorted(set(zip(clips.corpus, clips.gender, clips.who, strict=True)))
    place: dict[str, int] = {}
    for _, _, who in order:
        place.setdefault(who, len(place) % count)
    return np.array([place[who] for who in clips.who])


def places(clips: Clips, rows: Array, count: int) -> Array:
    """Fold numbers of the chosen rows; -1 elsewhere."""
    place = np.full(len(clips), -1)
    place[rows] = folds(clips.where(rows), count)
    return place


def read_votes(clips: Clips, data: Path) -> Array:
    """The share of listeners who heard the emotion that was meant, [n]; NaN where no corpus tells."""
    shares: dict[str, float] = {}
    for line in (data / "speech/emodb/erkennung.txt").read_text(encoding="utf-8").splitlines()[1:]:
        _, name, heard, *_ = (field.strip() for field in line.split("\t"))
        shares[f"emodb/{Path(name).stem}"] = float(heard.replace(",", ".")) / 100
    with (data / "speech/emotale/annotations.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            agreed = [row[f"a{rater}_cat"] == row["gt_emotion"] for rater in (1, 2, 3)]
            shares[f"emotale/{Path(row['file']).stem}"] = float(np.mean(agreed))
    keys = (f"{corpus}/{Path(file).stem}" for corpus, file in zip(clips.corpus, clips.file, strict=True))
    return np.array([shares.get(key, np.nan) for key in keys])


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The options that the voice scripts share."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, default=DATA, help="folder with speech/ and noise/ (ATTUNE_DATA or %(default)s)")
    add("--work", type=Path, default=WORK, help="folder for caches (%(default)s)")
    add("--cache", type=Path, default=CACHE, help="folder of pretrained weights (%(default)s)")
    return parser
