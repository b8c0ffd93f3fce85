"""Train the voice heads on the frozen stem: quantise it, extract features once, then fit linear heads.

    python scripts/train_voice.py                      # the shipped heads
    python scripts/train_voice.py --folds              # and the heads of every fold over speakers or corpora

Features are kept per corpus in WORK/features, 64 clips a file, and each set of heads in WORK/heads, so a run that
was stopped goes on where it was. Heads are plain numbers (.npz) that export_voice.py puts behind the stem.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from quantize import Feed, open_session
from sklearn.metrics import recall_score
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm
from weights import CACHE, whisper_base
from whisper import RATE, Features, load_stem, quantised

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("ATTUNE_DATA", ROOT.parent / "shared" / "data"))
WORK = ROOT / "build" / "voice"

LAYERS = (2, 3)
EMOTIONS = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
COMMON = ("anger", "joy", "neutral", "sadness")
SHARED = {"happiness": "joy", "calm": "neutral", "boredom": ""}
STRESS = ("anger", "fear")
CORPORA = ("ravdess", "emodb", "emotale", "banglaser", "ased")
HELD_OUT = ("ravdess/16", "ravdess/17", "ravdess/18")
FOLDS = {"ravdess": 6, "emodb": 10, "emotale": 10, "banglaser": 6, "ased": 6, "multi": 6}
PENALTY = 350.0
"""The L2 penalty of every classifier, over its number of clips: chosen once over all corpora, speakers left out."""
RIDGE = 1.0
"""The same for affect, of 0.3, 1 and 3."""
ANCHOR = 0.3
"""Weight of all clips that have an emotion but no ratings, where the rated clips weigh 1."""
USUAL = {"fear": (-0.64, 0.6), "disgust": (-0.6, 0.35), "surprise": (0.4, 0.67)}
"""Valence and arousal of emotions that EmoTale lacks: Russell & Mehrabian 1977."""
NEUTRAL = 0.35
"""Share of neutral speech in the mean speaker's usual: between acted corpora (0.2) and daily life (0.8), so that a
baseline around it helps speakers of both kinds."""
INNER = 3
"""Folds over the training speakers that calibrate a set of heads."""
MIN_SAMPLES, MAX_SAMPLES, CHUNK = 8_000, 240_000, 64
CALIBRATION = 20
"""Clips of each corpus, and as many disturbed ones, that set the ranges of the int8 activations."""

Array = np.ndarray


@dataclass(frozen=True)
class Clips:
    """Rows of one or more corpora; `affect` is [n, 2] (valence, arousal in [-1, 1]), NaN where nobody rated."""

    file: Array
    corpus: Array
    speaker: Array
    gender: Array
    emotion: Array
    sentence: Array
    affect: Array
    features: Array
    """[n, 2, width]: the clip as it is, and a disturbed copy of it."""

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
        """The speakers that the shipped model never trains on."""
        return np.isin(self.who, HELD_OUT)

    @property
    def stressed(self) -> Array:
        return np.isin(self.emotion, STRESS)


def read_manifest(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def read_audio(path: Path) -> Array:
    """The clip as float32, padded with silence or cut to what the graph takes."""
    audio = soundfile.read(path, dtype="float32")[0][:MAX_SAMPLES]
    return np.pad(audio, (0, max(0, MIN_SAMPLES - len(audio))))


def read_ratings(folder: Path) -> dict[str, tuple[float, float]]:
    """EmoTale's mean valence and arousal by file stem, from 1..5 to [-1, 1]."""
    with (folder / "annotations.csv").open(newline="") as file:
        return {
            Path(row["file"]).stem: (_mean_rating(row, "V"), _mean_rating(row, "A")) for row in csv.DictReader(file)
        }


def _mean_rating(row: dict[str, str], letter: str) -> float:
    return (float(np.mean([float(row[f"a{rater}_{letter}"]) for rater in (1, 2, 3)])) - 3) / 2


def load_noise(data: Path) -> Array:
    """Two minutes of kitchen noise; the other noises are kept for testing."""
    return np.asarray(soundfile.read(data / "noise/picovoice_kitchen/audio/kitchen.ogg", dtype="float32")[0])


def disturb(audio: Array, noise: Array, random: np.random.Generator) -> Array:
    """A copy as a worse microphone would hear it: silence around, telephone band, noise, clipping."""
    before, after = random.integers(0, 4_000), random.integers(0, 6_000)
    audio = np.pad(audio, (before, after))
    if random.random() < 0.3:
        spectrum, pitch = np.fft.rfft(audio), np.fft.rfftfreq(len(audio), 1 / RATE)
        spectrum[(pitch < 300) | (pitch > 3_400)] = 0
        audio = np.fft.irfft(spectrum, len(audio))
    if random.random() < 0.8:
        start = random.integers(0, len(noise) - len(audio))
        added = noise[start : start + len(audio)] if random.random() < 0.5 else pink(len(audio), random)
        ratio = 10 ** (random.uniform(5, 30) / 20)
        audio = audio + added * (np.std(audio) / (np.std(added) + 1e-9) / ratio)
    if random.random() < 0.15:
        top = np.quantile(np.abs(audio), 0.99)
        audio = np.clip(audio, -top, top)
    return np.asarray(audio[:MAX_SAMPLES], np.float32)


def pink(samples: int, random: np.random.Generator) -> Array:
    """Noise whose power falls with frequency, like a room's."""
    spectrum = np.fft.rfft(random.normal(size=samples))
    return np.asarray(np.fft.irfft(spectrum / np.sqrt(np.arange(len(spectrum)) + 1), samples))


def feeds(data: Path) -> list[Feed]:
    """Clips for calibration, one a feed: the same number from every corpus, half of them disturbed.

    Not even these come from the speakers that are held out.
    """
    random, noise, found = np.random.default_rng(0), load_noise(data), []
    for corpus in CORPORA:
        folder = data / "speech" / corpus
        files = [row["file"] for row in read_manifest(folder) if f"{corpus}/{row['speaker']}" not in HELD_OUT]
        for file in random.choice(files, CALIBRATION, replace=False):
            audio = read_audio(folder / file)
            found += [{"audio": audio[None]}, {"audio": disturb(audio, noise, random)[None]}]
    return found


def stem_graph(data: Path, work: Path, cache: Path) -> Path:
    """WORK/stem.onnx: audio to features in int8, made where it is missing."""
    target = work / "stem.onnx"
    if not target.exists():
        work.mkdir(parents=True, exist_ok=True)
        draft = work / "stem_draft.onnx"
        features = Features(load_stem(whisper_base(cache), max(LAYERS)), LAYERS)
        quantised(features, tqdm(feeds(data), desc="calibration"), draft, MIN_SAMPLES, MAX_SAMPLES)
        draft.replace(target)
    return target


def extract(name: str, data: Path, work: Path, stem: Path) -> Array:
    """The features [n, 2, width] of a corpus as the served stem gives them, kept in WORK."""
    folder = data / "speech" / name
    files = [row["file"] for row in read_manifest(folder)]
    session, noise, copies = open_session(stem), load_noise(data), []
    version = hashlib.sha256(stem.read_bytes()).hexdigest()[:8]
    for copy in ("clean", "disturbed"):
        kept = work / "features" / version / name / copy
        kept.mkdir(parents=True, exist_ok=True)
        chunks = []
        for start in tqdm(range(0, len(files), CHUNK), desc=f"{name}, {copy}", leave=False):
            path = kept / f"{start:05d}.npy"
            if not path.exists():
                found = []
                for index, file in enumerate(files[start : start + CHUNK], start):
                    audio = read_audio(folder / file)
                    if copy == "disturbed":
                        audio = disturb(audio, noise, np.random.default_rng([index, len(files)]))
                    found.append(session.run(None, {"audio": audio[None]})[0][0])
                draft = path.with_suffix(".draft.npy")
                np.save(draft, np.stack(found))
                draft.replace(path)
            chunks.append(np.load(path))
        copies.append(np.concatenate(chunks))
    return np.stack(copies, axis=1)


def list_clips(names: Sequence[str], data: Path) -> Clips:
    """Every clip of the corpora, without features."""
    columns: list[list[object]] = [[] for _ in range(7)]
    for name in names:
        folder = data / "speech" / name
        ratings = read_ratings(folder) if name == "emotale" else {}
        for row in read_manifest(folder):
            affect = ratings.get(Path(row["file"]).stem, (np.nan, np.nan))
            keys = ("speaker", "gender", "emotion", "sentence_id")
            values = [row["file"], name, *(row[key] for key in keys), affect]
            for column, value in zip(columns, values, strict=True):
                column.append(value)
    return Clips(*(np.array(column) for column in columns), np.zeros((len(columns[0]), 2, 0)))


def load_clips(names: Sequence[str], data: Path, work: Path, cache: Path) -> Clips:
    """Every clip of the corpora with its features."""
    stem = stem_graph(data, work, cache)
    features = np.concatenate([extract(name, data, work, stem) for name in names])
    return replace(list_clips(names, data), features=features)


def folds(clips: Clips, count: int) -> Array:
    """A fold number for each clip: speakers in turn, each gender and corpus on its own, so that folds are alike."""
    order = sorted(set(zip(clips.corpus, clips.gender, clips.who, strict=True)))
    place: dict[str, int] = {}
    for _, _, who in order:
        place.setdefault(who, len(place) % count)
    return np.array([place[who] for who in clips.who])


@dataclass(frozen=True)
class Linear:
    """logits = features @ weight.T + bias; weight is [outputs, width]."""

    weight: Array
    bias: Array

    def __call__(self, features: Array) -> Array:
        return np.asarray(features @ self.weight.T + self.bias)

    def scaled(self, slope: Array | float, shift: Array | float = 0.0) -> Linear:
        """The same, with outputs * slope + shift."""
        slopes = np.broadcast_to(np.asarray(slope, float), self.bias.shape)
        return Linear(self.weight * slopes[:, None], self.bias * slopes + shift)


def fit_softmax(features: Array, target: Array, allowed: Array, weight: Array, strength: float) -> Linear:
    """Multinomial logistic regression with an L2 penalty on standardised features.

    `allowed` [n, classes] says which classes compete for a row: a clip of a corpus without surprise says nothing
    about surprise.
    """
    center, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
    x = torch.from_numpy(((features - center) / spread).astype(np.float32))
    y, mask = torch.from_numpy(target), torch.from_numpy(~allowed)
    w = torch.from_numpy((weight / weight.sum()).astype(np.float32))
    slopes = torch.zeros(allowed.shape[1], x.shape[1], requires_grad=True)
    bias = torch.zeros(allowed.shape[1], requires_grad=True)
    optimizer = torch.optim.LBFGS([slopes, bias], max_iter=80, history_size=10, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        logits = (x @ slopes.T + bias).masked_fill(mask, -1e9)
        value = (w * functional.cross_entropy(logits, y, reduction="none")).sum() + strength / 2 * (slopes**2).sum()
        value.backward()
        return value

    optimizer.step(loss)
    final = slopes.detach().double().numpy() / spread
    return Linear(final, bias.detach().double().numpy() - final @ center)


def fit_ridge(features: Array, target: Array, weight: Array, strength: float) -> Linear:
    """Weighted ridge regression [n, width] -> [n, outputs] on standardised features."""
    w = (weight / weight.sum()).astype(np.float32)
    center = w @ features
    spread = np.sqrt(w @ (features - center) ** 2) + 1e-6
    x, middle = (features - center) / spread, w @ target
    moments, products = (x * w[:, None]).T @ x, (x * w[:, None]).T @ (target - middle)
    final = np.linalg.solve(moments.astype(float) + strength * np.eye(len(moments)), products).T / spread
    return Linear(final, middle - final @ center)


@dataclass(frozen=True)
class Task:
    """Rows with a class each: what a softmax head learns."""

    clips: Clips
    target: Array
    classes: int

    def where(self, rows: Array) -> Task:
        return Task(self.clips.where(rows), self.target[rows], self.classes)

    def fit(self, penalty: float = PENALTY) -> Linear:
        """Both copies of each clip, each class as heavy as the others, corpora by the root of their size."""
        keys = np.char.add(np.char.add(self.clips.corpus, "/"), self.target.astype(str))
        _, cell, sizes = np.unique(keys, return_inverse=True, return_counts=True)
        weight = 1 / np.sqrt(sizes[cell])
        weight /= np.bincount(self.target, weight, self.classes)[self.target]
        allowed = np.zeros((len(self.clips), self.classes), bool)
        for corpus in set(self.clips.corpus):
            rows = self.clips.corpus == corpus
            allowed[np.ix_(rows, np.unique(self.target[rows]))] = True
        features = self.clips.features
        return fit_softmax(
            features.reshape(-1, features.shape[-1]),
            np.repeat(self.target, 2),
            np.repeat(allowed, 2, axis=0),
            np.repeat(weight, 2),
            penalty / len(self.clips),
        )

    def out_of_fold(self, count: int = INNER) -> Array:
        """Logits of heads that never heard the clip's speaker."""
        logits = np.zeros((len(self.clips), self.classes))
        place = folds(self.clips, count)
        for fold in range(count):
            rows = place == fold
            logits[rows] = self.where(~rows).fit()(self.clips.features[rows, 0])
        return logits


def temperature(logits: Array, target: Array) -> float:
    """The slope that makes softmax(slope * logits) the most likely."""
    slopes = np.geomspace(0.2, 5, 120)
    return float(min(slopes, key=lambda slope: _surprise(logits * slope, target)))


def _surprise(logits: Array, target: Array) -> float:
    top = logits.max(axis=1, keepdims=True)
    chosen = logits[np.arange(len(target)), target]
    return float(np.mean(np.log(np.exp(logits - top).sum(axis=1)) + top[:, 0] - chosen))


def platt(logit: Array, target: Array) -> tuple[float, float]:
    """Slope and shift that make sigmoid(slope * logit + shift) the most likely."""
    both = np.stack([np.zeros_like(logit), logit], axis=1)
    shifts = np.linspace(-2, 2, 81)
    options = [(slope, shift) for slope in np.geomspace(0.2, 5, 60) for shift in shifts]
    return min(options, key=lambda option: _surprise(both * option[0] + [0, option[1]], target))


@dataclass(frozen=True)
class Heads:
    """Everything behind the stem, calibrated; `center` is the mean speaker's baseline vector."""

    labels: tuple[str, ...]
    emotions: Linear
    affect: Linear
    deviation: Linear
    stress: Linear
    center: Array

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, Any] = {"labels": np.array(self.labels), "center": self.center}
        for name in ("emotions", "affect", "deviation", "stress"):
            part = getattr(self, name)
            arrays |= {f"{name}_weight": part.weight, f"{name}_bias": part.bias}
        draft = path.with_suffix(".draft.npz")
        np.savez(draft, **arrays)
        draft.replace(path)

    @staticmethod
    def load(path: Path) -> Heads:
        found = np.load(path)
        parts = {
            name: Linear(found[f"{name}_weight"], found[f"{name}_bias"])
            for name in ("emotions", "affect", "deviation", "stress")
        }
        return Heads(tuple(str(name) for name in found["labels"]), center=found["center"], **parts)


def fit_affect(rated: Clips, unrated: Clips) -> tuple[Linear, Linear]:
    """Valence and arousal, and the log of their deviations: larger where speakers left out were misjudged.

    Clips that nobody rated get what is usual for their emotion, and ANCHOR times the weight of the rated ones. That
    costs a little on the rated corpus and tells joy from anger better on corpora that were not trained on.
    """
    place, clean = folds(rated, 5), rated.features[:, 0]
    guess = np.zeros_like(rated.affect)
    for fold in range(5):
        guess[place == fold] = _fit_affect(rated.where(place != fold), unrated)(clean[place == fold])
    residual = np.abs(guess - rated.affect)
    spread = fit_ridge(clean, np.log(residual + 0.05), np.ones(len(rated)), 10.0)
    scale = np.sqrt(np.mean((residual / np.exp(spread(clean))) ** 2, axis=0))
    return _fit_affect(rated, unrated), spread.scaled(1.0, np.log(scale))


def _fit_affect(rated: Clips, unrated: Clips) -> Linear:
    usual = USUAL | {name: rated.affect[rated.shared == name].mean(axis=0) for name in set(rated.shared)}
    targets = np.concatenate([rated.affect, [usual[name] for name in unrated.shared]])
    weight = np.repeat([1 / len(rated), ANCHOR / len(unrated)], [len(rated), len(unrated)])
    features = np.concatenate([rated.features, unrated.features])
    both = features.reshape(-1, features.shape[-1])
    return fit_ridge(both, np.repeat(targets, 2, axis=0), np.repeat(weight, 2), RIDGE)


def baseline_vector(logits: Array, affect: Array) -> Array:
    """What the personal baseline follows: six centred log-probabilities, then valence and arousal."""
    centred = logits - logits.mean(axis=1, keepdims=True)
    return np.concatenate([centred[:, :-1], affect], axis=1)


def mean_speaker(vectors: Array, clips: Clips) -> Array:
    """The mean over speakers of their baseline vectors, neutral speech counting by its usual share."""
    neutral = clips.shared == "neutral"

    def mean(rows: Array) -> Array:
        kept = [vectors[rows & (clips.who == who)] for who in sorted(set(clips.who[rows]))]
        return np.asarray(np.mean([part.mean(axis=0) for part in kept], axis=0))

    return np.asarray(NEUTRAL * mean(neutral) + (1 - NEUTRAL) * mean(~neutral))


def fit_heads(clips: Clips, labels: tuple[str, ...], names: Array, affect: tuple[Linear, Linear]) -> Heads:
    """Heads for clips whose class is `names`, calibrated on speakers left out."""
    emotions = Task(clips, np.array([labels.index(name) for name in names]), len(labels))
    logits = emotions.out_of_fold()
    slope = temperature(logits, emotions.target)
    stress = Task(clips, clips.stressed.astype(int), 2)
    pairs, both = stress.out_of_fold(), stress.fit()
    score = Linear(both.weight[1:] - both.weight[:1], both.bias[1:] - both.bias[:1])
    vectors = baseline_vector(logits * slope, np.clip(affect[0](clips.features[:, 0]), -1, 1))
    return Heads(
        labels,
        emotions.fit().scaled(slope),
        *affect,
        score.scaled(*platt(pairs[:, 1] - pairs[:, 0], stress.target)),
        mean_speaker(vectors, clips),
    )


@dataclass(frozen=True)
class Job:
    """One set of heads: which rows train it, which rows it is tested on, under which class names."""

    name: str
    labels: tuple[str, ...]
    train: Array
    test: Array
    names: Array


def jobs(clips: Clips, with_folds: bool) -> Iterator[Job]:
    """The shipped heads; then, for measuring, folds within a corpus, over all of them, and one corpus left out."""
    held, shared = clips.held, clips.shared
    usable = ~held & (shared != "")
    yield Job("shipped", EMOTIONS, usable, held, shared)
    if not with_folds:
        return
    native = np.where(clips.emotion == "happiness", "joy", clips.emotion)
    for corpus in CORPORA:
        inside = clips.corpus == corpus
        place = _places(clips, inside, FOLDS[corpus])
        for fold in range(FOLDS[corpus]):
            labels = tuple(sorted(set(native[inside])))
            yield Job(f"{corpus}/{fold}", labels, inside & (place != fold), inside & (place == fold), native)
    place = _places(clips, usable, FOLDS["multi"])
    for fold in range(FOLDS["multi"]):
        yield Job(f"multi/{fold}", EMOTIONS, usable & (place != fold), usable & (place == fold), shared)
    common = np.isin(shared, COMMON)
    for corpus in CORPORA:
        inside = clips.corpus == corpus
        yield Job(f"cross/{corpus}", COMMON, common & ~inside, common & inside, shared)


def _places(clips: Clips, rows: Array, count: int) -> Array:
    """Fold numbers of the chosen rows; -1 elsewhere."""
    place = np.full(len(clips), -1)
    place[rows] = folds(clips.where(rows), count)
    return place


def train(job: Job, clips: Clips, work: Path, known: dict[bytes, tuple[Linear, Linear]]) -> Heads:
    """Fit a job's heads, or load them where they are there already. `known` keeps affect heads for the next job.

    Affect learns from every rated clip whose speaker isn't tested; where that leaves none (EmoTale left out as a
    whole), from all of them, and then affect must not be scored.
    """
    path = work / "heads" / f"{job.name}.npz"
    if not path.exists():
        rated = ~np.isnan(clips.affect[:, 0])
        apart = rated & ~np.isin(clips.who, clips.who[job.test])
        rows = apart if apart.any() else rated
        others = ~rated & ~clips.held & (clips.shared != "")
        if rows.tobytes() not in known:
            known[rows.tobytes()] = fit_affect(clips.where(rows), clips.where(others))
        heads = fit_heads(clips.where(job.train), job.labels, job.names[job.train], known[rows.tobytes()])
        heads.save(path)
    return Heads.load(path)


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The options that the voice scripts share."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, default=DATA, help="folder with speech/ and noise/ (ATTUNE_DATA or %(default)s)")
    add("--work", type=Path, default=WORK, help="folder for caches (%(default)s)")
    add("--cache", type=Path, default=CACHE, help="folder of pretrained weights (%(default)s)")
    return parser


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--folds", action="store_true", help="also train the heads that figures are measured with")
    parser.add_argument("--threads", type=int, default=1, help="threads for torch (%(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    clips = load_clips(CORPORA, options.data, options.work, options.cache)
    recalls: dict[str, tuple[list[str], list[str]]] = {}
    known: dict[bytes, tuple[Linear, Linear]] = {}
    bar = tqdm(list(jobs(clips, options.folds)), desc="heads")
    for job in bar:
        bar.set_postfix_str(job.name)
        heads = train(job, clips, options.work, known)
        test = job.test & np.isin(job.names, job.labels)
        group = job.name if job.name.startswith("cross") else job.name.split("/")[0]
        told, guessed = recalls.setdefault(group, ([], []))
        told += list(job.names[test])
        guessed += [job.labels[index] for index in heads.emotions(clips.features[test, 0]).argmax(axis=1)]
    for name, (told, guessed) in recalls.items():
        print(f"{name}: UAR {recall_score(told, guessed, average='macro'):.3f} over {len(told)} clips")


if __name__ == "__main__":
    main()
