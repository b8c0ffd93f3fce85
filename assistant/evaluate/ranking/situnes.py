"""SiTunes (Grigorev et al. 2024, CHIIR): songs rated in the field, with mood, wrist, weather and time.

The folder has the second stage as published: the files `stage2_interactions.csv`, `stage2_env.json`,
`stage2_wrist.npz` or `.npy`, and `music_info.csv`, gzipped or not. The task and the ten splits are the authors':
rating 3 or more is liked; for the seeds 101 to 110 each person's rows are shuffled and cut at 70, 10 and 20 %.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assistant.arrays import Bools, Floats, Ints
from assistant.errors import Invalid, NotFound
from assistant.evaluate.extras import optional

SEEDS = tuple(range(101, 111))
LIKED = 3.0
"""Ratings from here are liked, as in the authors' configuration."""

_SONG = (
    "popularity", "loudness", "danceability", "energy", "speechiness", "acousticness", "instrumentalness",
    "valence", "tempo", "duration", "F0final_sma_amean", "F0final_sma_stddev", "audspec_lengthL1norm_sma_stddev",
    "pcm_RMSenergy_sma_stddev", "pcm_fftMag_psySharpness_sma_amean", "pcm_fftMag_psySharpness_sma_stddev",
    "pcm_zcr_sma_amean", "pcm_zcr_sma_stddev",
)  # fmt: skip

SITUATION = ("activity", "pulse_and_steps", "weather_and_time", "place")
"""What the authors call the situation: everything but the mood."""

SETS: Mapping[str, tuple[str, ...]] = {
    "without_situation": ("base",),
    "with_situation": ("base", *SITUATION),
    "with_situation_and_mood": ("base", *SITUATION, "mood"),
    "mood_alone": ("base", "mood"),
    "wrist_alone": ("base", "activity", "pulse_and_steps"),
    "weather_and_time_alone": ("base", "weather_and_time"),
    "activity_alone": ("base", "activity"),
    "situation_without_activity": ("base", "pulse_and_steps", "weather_and_time", "place"),
}
"""Which blocks each model sees."""


@dataclass(frozen=True, slots=True, eq=False)
class Interactions:
    """One row for each distinct interaction, ordered by person."""

    ids: tuple[str, ...]
    people: tuple[int, ...]
    songs: tuple[int, ...]
    genres: tuple[str, ...]
    rating: Floats
    """1 to 5."""
    song: Floats
    """[rows, 18]: what the song is like, raw."""
    mood: Floats
    """[rows, 2]: valence and arousal before listening, in [-1, 1]."""
    activity: Ints
    """[rows]: 0 still, 1 coming to rest, 2 walking, 3 unknown, 4 lying, 5 running; the commonest of 30."""
    wrist: Floats
    """[rows, 6]: mean and deviation of heart rate, intensity and steps."""
    time: Ints
    """[rows]: 1 morning, 2 afternoon, 3 evening."""
    weather: Floats
    """[rows, 4]: kind (0 sunny, 1 cloudy, 2 rainy), pressure, temperature, humidity."""
    place: Floats
    """[rows, 4]: two coordinates as published (moved), speed, and the moment in Unix seconds."""

    @property
    def liked(self) -> Bools:
        """[rows]."""
        return self.rating >= LIKED


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Rows for fitting, for choosing the penalty, and for the figures."""

    train: Ints
    valid: Ints
    test: Ints


def read_situnes(folder: Path) -> Interactions:
    """Read the second stage. Raises `NotFound` (`file_missing`) or `Invalid` (`situnes_shape`)."""
    try:
        with _open_text(folder, "stage2_interactions.csv") as file:
            rows = list(csv.DictReader(file))
        with _open_text(folder, "stage2_env.json") as file:
            surroundings = json.load(file)
        with _open_text(folder, "music_info.csv") as file:
            music = {int(float(song["item_id"])): song for song in csv.DictReader(file)}
        return _make_interactions(rows, [surroundings[row["inter_id"]] for row in rows], _read_wrist(folder), music)
    except (KeyError, ValueError, IndexError, TypeError) as error:
        words = f"{folder} doesn't look like SiTunes, stage 2: {type(error).__name__}"
        raise Invalid(words, code="situnes_shape") from error


def _find_file(folder: Path, name: str, other: str) -> Path:
    for file in (folder / name, folder / other):
        if file.is_file():
            return file
    raise NotFound(f"there is no {name} in {folder}", code="file_missing")


def _open_text(folder: Path, name: str) -> Any:
    file = _find_file(folder, name, f"{name}.gz")
    return gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else file.open(encoding="utf-8")


def _read_wrist(folder: Path) -> Floats:
    file = _find_file(folder, "stage2_wrist.npz", "stage2_wrist.npy")
    loaded = np.load(file, allow_pickle=False)
    return np.asarray(loaded[loaded.files[0]] if file.suffix == ".npz" else loaded, dtype=np.float64)


def _make_interactions(
    rows: Sequence[Mapping[str, str]], around: Sequence[Any], wrist: Floats, music: Mapping[int, Any]
) -> Interactions:
    if len(wrist) != len(rows) or wrist.shape[1:] != (30, 4):
        raise ValueError("the wrist array has another shape")
    seen: set[object] = set()
    keep: list[int] = []
    for at, (row, there) in enumerate(zip(rows, around, strict=True)):
        names = ("user_id", "item_id", "timestamp", "rating")
        key = (*(row[name] for name in names), json.dumps(there, sort_keys=True), wrist[at].tobytes())
        if key not in seen:  # the authors drop rows that differ in the mood only
            seen.add(key)
            keep.append(at)
    keep.sort(key=lambda at: int(rows[at]["user_id"]))
    signals = wrist[keep]
    songs = [int(rows[at]["item_id"]) for at in keep]

    def column(name: str) -> list[float]:
        return [float(rows[at][name]) for at in keep]

    return Interactions(
        ids=tuple(rows[at]["inter_id"] for at in keep),
        people=tuple(int(rows[at]["user_id"]) for at in keep),
        songs=tuple(songs),
        genres=tuple(music[song]["general_genre"] for song in songs),
        rating=np.array(column("rating")),
        song=np.array([[float(music[song][name]) for name in _SONG] for song in songs]),
        mood=np.array([column("emo_pre_valence"), column("emo_pre_arousal")]).T,
        activity=np.array([np.bincount(one[:, 3].astype(np.int64)).argmax() for one in signals]),
        wrist=np.concatenate([signals[:, :, :3].mean(axis=1), signals[:, :, :3].std(axis=1, ddof=1)], axis=1),
        time=np.array([int(around[at]["time"]) for at in keep]),
        weather=np.array([around[at]["weather"] for at in keep], dtype=np.float64),
        place=np.array([[*around[at]["GPS"], float(rows[at]["timestamp"])] for at in keep], dtype=np.float64),
    )


def split_rows(people: Sequence[int], seed: int) -> Split:
    """The authors' split of one seed: `people` in their order, each shuffled and cut at 70 and 80 %."""
    random = np.random.RandomState(seed)
    owner = np.array(people)
    parts: tuple[list[Ints], list[Ints], list[Ints]] = ([], [], [])
    for person in sorted(set(people)):
        own = np.flatnonzero(owner == person)
        own = own[random.permutation(len(own))]
        first, second = int(len(own) * 0.7), int(len(own) * (0.7 + 0.1))
        for part, some in zip(parts, (own[:first], own[first:second], own[second:]), strict=True):
            part.append(some)
    train, valid, test = (np.concatenate(part) for part in parts)
    return Split(train, valid, test)


def make_blocks(heard: Interactions) -> dict[str, Floats]:
    """The columns by what they are about; activity is also crossed with what the song is like.

    Columns are standardised over all rows: that uses no rating.
    """
    song = standardise(heard.song)
    activity = encode_one_hot(heard.activity.tolist())
    who, what, genre, time, sky = (
        encode_one_hot(values)
        for values in (heard.people, heard.songs, heard.genres, heard.time.tolist(), heard.weather[:, 0].tolist())
    )
    return {
        "base": np.hstack([who, what, song, genre]),
        "activity": np.hstack([activity, cross_columns(activity, song / 2)]),
        "pulse_and_steps": standardise(heard.wrist),
        "weather_and_time": np.hstack([sky, standardise(heard.weather[:, 1:]), time]),
        "place": standardise(heard.place),
        "mood": heard.mood,
    }


def encode_one_hot(values: Sequence[object]) -> Floats:
    """[rows, distinct values], in their sorted order.

    >>> encode_one_hot(["b", "a"]).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    names = sorted(set(values), key=str)
    return np.array([[float(value == name) for name in names] for value in values]).reshape(len(values), len(names))


def cross_columns(one: Floats, other: Floats) -> Floats:
    """All products, [rows, a] and [rows, b] -> [rows, a b]."""
    return (one[:, :, None] * other[:, None, :]).reshape(len(one), -1)


def standardise(columns: Floats) -> Floats:
    """Columns with mean 0 and deviation 1; a constant one becomes 0."""
    deviation = columns.std(axis=0)
    return np.asarray((columns - columns.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0))


@dataclass(frozen=True, slots=True, eq=False)
class Logistic:
    """A fitted model."""

    weights: Floats
    """[features]."""
    intercept: float

    def logits(self, rows: Floats) -> Floats:
        """[rows, features] -> [rows]."""
        return np.asarray(rows @ self.weights + self.intercept)


def fit_logistic(rows: Floats, positive: Bools, *, ridge: float) -> Logistic:
    """Minimise the log loss plus ridge/2 times the squared weights, by L-BFGS; the intercept is free.

    `rows` [rows, features], `positive` [rows]. Raises `Unavailable` (`extra_missing`) without SciPy.

    >>> x = np.array([[-1.0], [-0.5], [0.5], [1.0]])
    >>> bool(fit_logistic(x, np.array([False, False, True, True]), ridge=1.0).weights[0] > 0.5)
    True
    """
    sign = np.where(positive, 1.0, -1.0)

    def loss(point: Floats) -> tuple[float, Floats]:
        weights, intercept = point[:-1], point[-1]
        margin = sign * (rows @ weights + intercept)
        value = np.logaddexp(0, -margin).sum() + ridge / 2 * (weights @ weights)
        slope = -sign * np.exp(-np.logaddexp(0, margin))
        return float(value), np.append(rows.T @ slope + ridge * weights, slope.sum())

    optimize = optional("scipy.optimize", "fitting recommendations")
    start, ends = np.zeros(rows.shape[1] + 1), {"maxiter": 1000, "gtol": 1e-7, "ftol": 0.0}
    point: Floats = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options=ends).x
    return Logistic(point[:-1], float(point[-1]))
