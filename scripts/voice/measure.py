"""Measure the voice models with the served readers and write the figures on their cards.

    python scripts/voice/measure.py                    # everything, after train_voice.py and export_voice.py
    python scripts/voice/measure.py --only emodb       # one test, printed and put beside the other figures

Both need --folds first. Each test runs the graphs of its folds, every one on speakers (or a corpus) that its heads
never heard, and scores the readings of all folds together, with 95 % bootstrap intervals over speakers, by the
formulas of `assistant evaluate`. The floor beside a figure is what energy, pitch and MFCC statistics reach with a
linear classifier in the same folds; beside a figure with a baseline, with the speaker's mean taken from them too.
"""

from __future__ import annotations

import asyncio
import hashlib
import pickle
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import librosa
import numpy as np
import soundfile
import torch
from sklearn.metrics import recall_score
from tqdm import tqdm

from assistant.audio.voice import VoiceScores, relative_to
from assistant.emotion import NO_BASELINE, Baseline
from assistant.evaluate.figures import metrics
from assistant.evaluate.run.engine import Outcome, read_rows, with_baseline
from assistant.evaluate.tables.manifest import Row
from assistant.inference.model import open_model
from assistant.mood.baseline import blurred, updated, usual
from scripts.cards.card import read_card, write_figures
from scripts.voice.data import COMMON, CORPORA, OPEN, Array, Clips, arguments, list_clips, read_clip, read_manifest
from scripts.voice.export import MODELS
from scripts.voice.export_stem import SHIPPED as STEM_FOLDER
from scripts.voice.head import Task, centred, fit_ridge, fit_softmax
from scripts.voice.quality import NOISES, group_of, noises_of
from scripts.voice.sound import clipped, opus, telephone, with_noise
from scripts.voice.train import Head, Job, jobs, seeds_of
from scripts.voice.whisper_encoder import RATE

Mode = Literal["none", "speaker", "online"]
WITHOUT_AND_WITH: tuple[Mode, Mode] = ("none", "speaker")
Figure = dict[str, object]

HISTORIES = (("history as acted", None), ("history 80 % neutral", 0.8))
STEPS = (0, 3, 6, 12, 24)
"""Utterances known when the baseline's curve is measured."""
THINNED = 3
"""Of the clips under difficult conditions, one in this many is read."""
CONDITIONS: dict[str, Callable[[Array, Array], Array]] = {
    "as recorded": lambda audio, _: audio,
    "telephone (8 kHz, mu-law)": lambda audio, _: telephone(audio),
    "Opus at 16 kbit/s": lambda audio, _: opus(audio),
    "noise, 20 dB": lambda audio, noise: with_noise(audio, noise, 20),
    "noise, 10 dB": lambda audio, noise: with_noise(audio, noise, 10),
    "noise, 5 dB": lambda audio, noise: with_noise(audio, noise, 5),
    "clipping of 2 % of the samples": lambda audio, _: clipped(audio, 0.02),
    "gain +12 dB": lambda audio, _: np.clip(audio * 4, -1, 1),
    "gain -12 dB": lambda audio, _: audio / 4,
}


@dataclass(frozen=True)
class Test:
    """What is asked of which folds. `group` is the name of the folds, before the slash."""

    name: str
    group: str
    task: str
    data: str
    baseline: Mode = "none"
    model: str = "voice"
    """On whose card the figure belongs."""


@dataclass(frozen=True)
class Scored:
    """Readings of all folds of a test: [n] truths and answers, or [n, 2] for affect."""

    truth: Array
    answer: Array
    """Class names, the probability of stress, or affect; empty or NaN where the reader abstained."""
    speaker: Array
    sure: Array
    """The probability of the named class; NaN for affect."""


def tests() -> list[Test]:
    """Every test that asks for an emotion, stress or affect, each with the words that the card shows."""
    multi = "five corpora, 3 folds of speakers"
    found = [
        Test("ravdess", "ravdess", "emotion", "RAVDESS, 8 classes (calm apart), 6 folds of actors"),
        Test("emodb", "emodb", "emotion", "EmoDB, 7 classes (with boredom), each speaker left out"),
        Test("multi", "multi", "emotion", f"shared names, {multi}"),
        Test("stress", "multi", "stress", f"anger and fear against the rest, {multi}"),
        Test("stress-pleasant", "multi", "pleasant", f"anger and fear against joy and surprise, {multi}"),
        Test("affect", "multi", "affect", "EmoTale's ratings, 3 folds of speakers"),
    ]
    four = "anger, joy, neutral, sadness"
    for name in CORPORA:
        words = f"{four}; trained on the other corpora, tested on {name}"
        found.append(Test(f"cross-{name}", f"cross/{name}", "emotion", words))
    found.append(Test("cross", "cross", "emotion", f"{four}; each of five corpora left out as a whole, mean"))
    for test in list(found):
        if test.name != "affect":
            for baseline in ("speaker", "online"):
                words = f"{test.data}; baseline: {baseline}"
                found.append(replace(test, name=f"{test.name}-{baseline}", data=words, baseline=baseline))
    actors = "RAVDESS actors 16 to 18, the shipped model"
    found.append(Test("shipped", "shipped", "emotion", f"{actors}, calm as neutral"))
    found.append(Test("shipped-stress", "shipped", "stress", actors))
    for name in CORPORA:
        kind = "cross/" if name in OPEN else ""
        words = (
            f"{four}; "
            + ("trained on the other free corpora" if kind else "never trained on")
            + f", tested on {name}"
        )
        group = f"open/{name}" if kind else f"open:{name}"
        for baseline in WITHOUT_AND_WITH:
            ending = "" if baseline == "none" else f"; baseline: {baseline}"
            found.append(Test(f"open-{name}" + ("" if baseline == "none" else f"-{baseline}"), group, "emotion",
                              words + ending, baseline, "voice-open"))  # fmt: skip
    return found


@dataclass(frozen=True)
class Lab:
    """What all tests share."""

    clips: Clips
    floor: Array
    """Simple features, [n, width]."""
    every: tuple[Job, ...]
    data: Path
    work: Path

    def jobs(self, group: str) -> list[Job]:
        name = group.split(":")[0]
        found = [
            job for job in self.every if job.name == name or (name != "open" and job.name.startswith(f"{name}/"))
        ]
        if ":" in group:  # a shipped model on a corpus that it never learned from
            common = np.isin(self.clips.shared, COMMON) & (self.clips.corpus == group.split(":")[1])
            found = [replace(job, test=common, names=self.clips.shared, labels=COMMON) for job in found]
        return found

    def rows(self, job: Job, task: str) -> Array:
        """The clips on which a fold is tested: of ASED only the sentences that every emotion shares."""
        if task == "affect":
            return np.flatnonzero(self.rated(job))
        labels = COMMON if job.name.startswith("open/") else job.labels
        named = np.isin(job.names, labels) | (task in ("stress", "pleasant"))
        high = np.isin(self.clips.emotion, ("anger", "fear", "joy", "surprise")) | (task != "pleasant")
        return np.flatnonzero(job.test & self.clips.honest & named & high)

    def rated(self, job: Job) -> Array:
        """All clips with ratings of the tested speakers, also those of emotions that the fold has no name for."""
        tested = np.isin(self.clips.who, self.clips.who[job.test])
        return np.asarray(tested & ~np.isnan(self.clips.affect[:, 0]))

    def folder(self, job: Job) -> Path:
        return {"shipped": MODELS / "voice", "open": MODELS / "voice-open"}.get(
            job.name, self.work / "models" / job.name
        )

    def path(self, row: int | np.integer[Any]) -> Path:
        return self.data / "speech" / self.clips.corpus[row] / self.clips.file[row]


def read(
    folder: Path, files: Sequence[Path], speakers: Sequence[str], keep: Path, stem: Path = STEM_FOLDER
) -> list[Outcome]:
    """The served reader's outcome of each file, kept in `keep` for this graph and stem."""
    key = hashlib.sha256(
        "".join([read_card(folder)["sha256"], read_card(stem)["sha256"], *map(str, files)]).encode()
    ).hexdigest()[:16]
    path = keep / f"{key}.pkl"
    if not path.exists():
        rows = [Row(line, str(file), file=file, speaker=who)
                for line, (file, who) in enumerate(zip(files, speakers, strict=True), 1)]  # fmt: skip
        outcomes, bad = asyncio.run(read_rows(open_model(folder), "voice", rows, stem=open_model(stem), quiet=True))
        if bad:
            raise ValueError(f"{len(bad)} clips can't be read, the first: {bad[0]}")
        keep.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(outcomes))
    return list(pickle.loads(path.read_bytes()))


def outcomes_of(lab: Lab, job: Job, rows: Array, mode: Mode = "none") -> list[Outcome]:
    """Outcomes in the order of `rows`. All that is tested is read once; a baseline sees only `rows`, shuffled."""
    whole = np.flatnonzero((job.test & lab.clips.honest & (lab.clips.emotion != "")) | lab.rated(job))
    found = read(
        lab.folder(job), [lab.path(row) for row in whole], list(lab.clips.who[whole]), lab.work / "readings"
    )
    at = {row: index for index, row in enumerate(whole)}
    chosen = [found[at[row]] for row in rows]
    if mode == "none":
        return chosen
    order = np.random.default_rng(0).permutation(len(rows))
    population = read_card(lab.folder(job))["population"]["center"]
    moved = with_baseline([chosen[index] for index in order], mode, population)
    back = np.argsort(order)
    return [moved[index] for index in back]


def closed(scores: VoiceScores, names: Array) -> Array:
    """Probabilities of these classes alone, [names]."""
    own = dict(zip(scores.card.labels, scores.emotions, strict=True))
    given = np.array([own.get(name, 0.0) for name in names]) + 1e-12
    return np.asarray(given / given.sum())


def named(outcomes: Sequence[Outcome], names: Array, truth: Array, speaker: Array) -> Scored:
    """The likeliest of these classes for each outcome."""
    answers, sure = [], []
    for outcome in outcomes:
        given = closed(outcome.scores, names) if isinstance(outcome.scores, VoiceScores) else None
        answers.append("" if given is None else names[given.argmax()])
        sure.append(np.nan if given is None else given.max())
    return Scored(truth, np.array(answers), speaker, np.array(sure))


def score(lab: Lab, test: Test, job: Job) -> Scored:
    """The readings of one fold."""
    rows = lab.rows(job, test.task)
    outcomes = outcomes_of(lab, job, rows, test.baseline)
    if test.task == "emotion":
        return named(outcomes, np.unique(job.names[rows]), job.names[rows], lab.clips.who[rows])
    known = [o.scores for o in outcomes]
    nothing = np.full(len(rows), np.nan)
    if test.task == "affect":
        answer = np.array([s.affect if isinstance(s, VoiceScores) else (np.nan, np.nan) for s in known])
        return Scored(lab.clips.affect[rows], answer, lab.clips.who[rows], nothing)
    stress = np.array([s.stress if isinstance(s, VoiceScores) else np.nan for s in known])
    return Scored(lab.clips.stressed[rows].astype(float), stress, lab.clips.who[rows], stress)


def join(parts: Sequence[Scored]) -> Scored:
    return Scored(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in Scored.__dataclass_fields__)
    )


def mean_of(statistics: Sequence[metrics.Statistic], weights: Array) -> Array:
    """The mean of several, in each replicate."""
    return np.mean([one(weights) for one in statistics], axis=0)


def measured(parts: Sequence[Scored], task: str, *, apart: bool) -> dict[str, metrics.Figure]:
    """The figures of a task with their intervals, by the formulas of `assistant evaluate`.

    Stress and affect are scored over the clips that were answered; an emotion that was not given is wrong. Where
    the parts are corpora, they count `apart`: the figure is the mean of theirs.
    """
    scored = join(parts)
    clusters = metrics.cluster_numbers(list(scored.speaker))
    part = (
        np.repeat(np.arange(len(parts)), [len(one.truth) for one in parts])
        if apart
        else np.zeros(len(scored.truth), int)
    )
    statistics: dict[str, metrics.Statistic] = {}
    if task == "affect":
        for name, given, truth in zip(("valence", "arousal"), scored.answer.T, scored.truth.T, strict=True):
            statistics[f"ccc_{name}"] = metrics.summed(metrics.moments(given, truth), clusters, metrics.ccc)
    elif task in ("stress", "pleasant"):
        known = ~np.isnan(scored.answer)
        answer, stressed, rows = scored.answer[known], scored.truth[known] > 0, clusters[known]
        statistics["auc"] = lambda weights: metrics.auc(answer, stressed, weights[:, rows])
        if task == "stress":
            bins = metrics.calibration(answer, stressed.astype(float), np.flatnonzero(known), len(known))
            statistics["ece"] = metrics.summed(bins, clusters, metrics.ece)
    else:
        names, known = np.unique(scored.truth), ~np.isnan(scored.sure)
        counts = metrics.tallies(scored.truth[:, None] == names, scored.answer[:, None] == names)
        hit = (scored.answer == scored.truth)[known].astype(float)
        bins = metrics.calibration(scored.sure[known], hit, np.flatnonzero(known), len(known))
        for name, values, formula in (("uar", counts, metrics.uar), ("ece", bins, metrics.ece)):
            each = [
                metrics.summed(values * (part == one).reshape(-1, *[1] * (values.ndim - 1)), clusters, formula)
                for one in np.unique(part)
            ]
            statistics[name] = partial(mean_of, each)
    return metrics.figures(statistics, int(clusters.max()) + 1)


def describe(audio: Array) -> Array:
    """Means and deviations of energy, pitch and 20 MFCCs and their slopes: what simple tools hear in a clip."""
    energy = librosa.feature.rms(y=audio, hop_length=256)
    pitch = np.log(librosa.yin(audio, fmin=60, fmax=500, sr=RATE, frame_length=1024, hop_length=512))
    cepstrum = librosa.feature.mfcc(y=audio, sr=RATE, n_mfcc=20, hop_length=256)
    slope = np.diff(cepstrum, axis=1)
    level = np.log(energy + 1e-6)
    parts = [level, pitch[None], np.diff(pitch)[None], cepstrum, slope]
    return np.concatenate([value for part in parts for value in (part.mean(axis=1), part.std(axis=1))])


def floor_features(clips: Clips, data: Path, work: Path) -> Array:
    """The simple features [n, width] of every clip, kept in WORK."""
    path = work / "floor.npy"
    if not path.exists():
        pairs = list(zip(clips.corpus, clips.file, strict=True))
        found = [describe(read_clip(data / "speech" / corpus / file)) for corpus, file in tqdm(pairs, desc="floor")]
        np.save(path, np.stack(found))
    return np.asarray(np.load(path))


def floor(lab: Lab, test: Test, job: Job) -> Scored:
    """The same test with a linear reading of the simple features."""
    rows, clips = lab.rows(job, test.task), lab.clips
    simple = lab.floor if test.baseline == "none" else centred(lab.floor, clips.who)
    if test.task == "affect":
        rated = job.train & ~np.isnan(clips.affect[:, 0])
        answer = fit_ridge(simple[rated], clips.affect[rated], np.ones(rated.sum()), 0.1)(simple[rows])
        return Scored(clips.affect[rows], answer, clips.who[rows], np.full(len(rows), np.nan))
    trained = np.flatnonzero(job.train & np.isin(clips.corpus, CORPORA))
    labels = tuple(np.unique(job.names[trained]))
    target = np.array([labels.index(name) for name in job.names[trained]])
    task = Task(clips.where(trained), target, len(labels), np.eye(len(labels))[target])
    logits = fit_softmax(simple[trained], task, 30.0)(simple[rows])
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    if test.task != "emotion":
        tense = shares[:, [index for index, name in enumerate(labels) if name in ("anger", "fear")]].sum(axis=1)
        return Scored(clips.stressed[rows].astype(float), tense, clips.who[rows], tense)
    names = np.unique(job.names[rows])
    given = np.stack([shares[:, labels.index(n)] if n in labels else np.zeros(len(rows)) for n in names], axis=1)
    best = given.argmax(axis=1)
    return Scored(job.names[rows], names[best], clips.who[rows], given.max(axis=1))


def of_seeds(lab: Lab, test: Test, chosen: Sequence[Job]) -> list[float]:
    """UAR of the heads of each seed alone, before they were joined; without a baseline."""
    found = []
    for seed in seeds_of(chosen[0]):
        recalls = []
        for job in chosen:
            head = Head.load(lab.work / "heads" / job.name / f"{seed}.pt").test
            fair = lab.clips.honest[head["rows"]]
            recalls.append((job.names[head["rows"]][fair], np.array(job.labels)[head["raw"].argmax(axis=1)][fair]))
        if test.name != "cross":
            recalls = [
                (np.concatenate([truth for truth, _ in recalls]), np.concatenate([guess for _, guess in recalls]))
            ]
        values = [recall_score(truth, guess, average="macro") for truth, guess in recalls]
        found.append(round(float(np.mean(values)), 4))
    return found


def asked(lab: Lab, test: Test) -> list[Figure]:
    """The card's entries for one test."""
    chosen = lab.jobs(test.group)
    apart = test.name.split("-")[0] == "cross" and test.group == "cross"
    parts = [score(lab, test, job) for job in tqdm(chosen, desc=test.name, leave=False)]
    lowest = measured([floor(lab, test, job) for job in chosen], test.task, apart=apart)
    scored = join(parts)
    given = np.isnan(scored.answer).any(axis=-1) if test.task == "affect" else np.isnan(scored.sure)
    common: Figure = {"data": test.data, "n": len(scored.truth), "abstained": int(given.sum())}
    found: list[Figure] = []
    for name, figure in measured(parts, test.task, apart=apart).items():
        row: Figure = {"measure": name, **asdict(figure), "floor": lowest[name].value, **common}
        if name == "ece":
            row.pop("floor")
        if name == "uar" and test.baseline == "none" and test.group in ("ravdess", "emodb", "multi", "cross"):
            row["seeds"] = of_seeds(lab, test, chosen)
        found.append(row)
    if test.name == "shipped-stress":
        (value, pairs), (least, _) = (calmer_pairs(lab, test, source) for source in (score, floor))
        words = "RAVDESS actors 16 to 18: an angry clip scores above a calm one of the same actor and sentence"
        found.append({"measure": "share", "value": value, "floor": least, **common, "data": words, "n": pairs})
    return found


def calmer_pairs(lab: Lab, test: Test, source: Callable[[Lab, Test, Job], Scored]) -> tuple[float, int]:
    """Share of (anger, calm) pairs of one RAVDESS actor and sentence in which anger is the more stressed."""
    (job,) = lab.jobs(test.group)
    rows = lab.rows(job, test.task)
    chosen: dict[tuple[str, str, str], list[float]] = {}
    for row, answer in zip(rows, source(lab, test, job).answer, strict=True):
        key = (str(lab.clips.who[row]), str(lab.clips.sentence[row]), str(lab.clips.emotion[row]))
        chosen.setdefault(key, []).append(float(answer))
    wins = [
        angry > calm
        for (who, sentence, emotion), angries in chosen.items()
        if emotion == "anger"
        for angry in angries
        for calm in chosen.get((who, sentence, "calm"), [])
    ]
    return float(np.mean(wins)), len(wins)


def conditions(lab: Lab) -> list[Figure]:
    """Emotions of the same clips as a worse line or place would give them, and how many are still answered."""
    found = []
    test = next(test for test in tests() if test.name == "multi")
    for name, change in tqdm(CONDITIONS.items(), desc="conditions", leave=False):
        parts = []
        for job in lab.jobs("multi"):
            fold = int(job.name.split("/")[1])
            noises = [
                path for path, kind in noise_files(lab.data) if kind in noises_of(fold) and "nonspeech" in kind
            ]
            rows = np.random.default_rng(0).permutation(lab.rows(job, "emotion"))[::THINNED]
            folder = lab.work / "conditions" / name / str(fold)
            files = [folder / f"{row}.wav" for row in rows]
            for row, file in zip(rows, files, strict=True):
                if not file.exists():
                    file.parent.mkdir(parents=True, exist_ok=True)
                    random = np.random.default_rng(int(row))
                    audio, noise = read_clip(lab.path(row)), read_clip(noises[random.integers(len(noises))])
                    soundfile.write(file, change(audio, np.resize(noise, len(audio))), RATE, subtype="FLOAT")
            outcomes = read(lab.folder(job), files, list(lab.clips.who[rows]), lab.work / "readings")
            names = np.unique(lab.clips.shared[lab.rows(job, "emotion")])
            parts.append(named(outcomes, names, job.names[rows], lab.clips.who[rows]))
        scored = join(parts)
        figure = measured(parts, "emotion", apart=False)["uar"]
        found.append({"measure": "uar", **asdict(figure), "data": f"{test.data}, one clip in {THINNED}: {name}",
                      "n": len(scored.truth), "abstained": int(np.isnan(scored.sure).sum())})  # fmt: skip
    return found


def noise_files(data: Path) -> list[tuple[Path, str]]:
    """Every recording without speech, and its kind."""
    return [
        (data / "noise" / name / row["file"], group_of(name, row))
        for name in NOISES
        for row in read_manifest(data / "noise" / name)
    ]


def abstentions(lab: Lab) -> list[Figure]:
    """The share of clips that are not read: much of what is no speech, little of what is."""
    found = []
    for name in NOISES:
        silent, speakers = [], []
        for job in lab.jobs("multi"):
            left_out = noises_of(int(job.name.split("/")[1]))
            files = [
                (path, kind) for path, kind in noise_files(lab.data) if kind in left_out and kind.startswith(name)
            ]
            outcomes = read(lab.folder(job), [path for path, _ in files], [""] * len(files), lab.work / "readings")
            silent += [outcome.scores is None for outcome in outcomes]
            speakers += [kind for _, kind in files]
        found.append(_share(silent, speakers, f"{name}: no speech, the kinds of noise left out in 3 folds"))
    silent, speakers = [], []
    for job in lab.jobs("multi"):
        rows = lab.rows(job, "stress")
        silent += [outcome.scores is None for outcome in outcomes_of(lab, job, rows)]
        speakers += list(lab.clips.who[rows])
    found.append(_share(silent, speakers, "acted speech of five corpora, 3 folds of speakers"))
    folder = lab.data / "speech/picovoice_s2i"
    commands = [folder / row["file"] for row in read_manifest(folder)]
    outcomes = read(MODELS / "voice", commands, [""] * len(commands), lab.work / "readings")
    words = "commands spoken to a device (picovoice_s2i), the shipped model"
    found.append(_share([outcome.scores is None for outcome in outcomes], [""] * len(commands), words))
    return found


def _share(hits: Sequence[bool], names: Sequence[str], words: str) -> Figure:
    clusters = metrics.cluster_numbers(list(names))
    sums = np.stack([np.ones(len(hits)), np.array(hits, float)], axis=1)
    statistics = {"abstained": metrics.summed(sums, clusters, metrics.share)}
    figure = metrics.figures(statistics, int(clusters.max()) + 1)["abstained"]
    return {"measure": "abstained", **asdict(figure), "data": words, "n": len(hits)}


def curve(lab: Lab) -> list[Figure]:
    """UAR after some utterances without labels, of histories as acted and of such that are mostly neutral."""
    found, draw = [], np.random.default_rng(1)
    histories = [(words, share, known, False) for words, share in HISTORIES for known in STEPS]
    histories += [(f"{words}, then stored", share, STEPS[-1], True) for words, share in HISTORIES]
    for words, share, known, stored in histories:
        parts = []
        for job in lab.jobs("multi"):
            rows = lab.rows(job, "emotion")
            outcomes = outcomes_of(lab, job, rows)
            population, spread = (read_card(lab.folder(job))["population"][key] for key in ("center", "spread"))
            names, who = np.unique(job.names[rows]), lab.clips.who[rows]
            random = np.random.default_rng(0)
            moved = []
            for index, outcome in enumerate(outcomes):
                others = np.flatnonzero((who == who[index]) & (np.arange(len(rows)) != index))
                history = _history(others, job.names[rows] == "neutral", known, share, random)
                baseline = NO_BASELINE
                for heard in (outcomes[other].scores for other in history):
                    baseline = updated(baseline, heard.observation) if isinstance(heard, VoiceScores) else baseline
                if stored:
                    baseline = blurred(baseline, spread, lambda: float(draw.normal()))
                habit = usual(baseline, population)
                if habit is not None and isinstance(outcome.scores, VoiceScores):
                    outcome = replace(outcome, scores=relative_to(habit, outcome.scores))
                moved.append(outcome)
            parts.append(named(moved, names, job.names[rows], who))
        figure = measured(parts, "emotion", apart=False)["uar"]
        n = sum(len(part.truth) for part in parts)
        text = f"shared names, five corpora, 3 folds of speakers, {words}; baseline: after {known} utterances"
        found.append({"measure": "uar", **asdict(figure), "data": text, "n": n})
    return found


def _history(others: Array, neutral: Array, count: int, share: float | None, random: np.random.Generator) -> Array:
    if share is None:
        return random.choice(others, min(count, len(others)), replace=False)
    calm, rest = others[neutral[others]], others[~neutral[others]]
    if not len(calm) or not len(rest):
        return random.choice(others, min(count, len(others)), replace=False)
    quiet = round(share * count)
    return np.concatenate([random.choice(calm, quiet), random.choice(rest, count - quiet)]).astype(int)


def identification(lab: Lab) -> list[Figure]:
    """How often a baseline of 24 utterances picks its speaker among 18 by that of 24 others of each.

    The speakers are RAVDESS's and the model is voice-open, which learned from none of them; apart also among those
    of one gender, as a voice gives the gender away. A stored baseline is blurred: it is compared with others that
    are, and with what somebody could learn who has recordings of all 18.
    """
    rows = np.flatnonzero(lab.clips.corpus == "ravdess")
    files, speakers = [lab.path(row) for row in rows], list(lab.clips.who[rows])
    scores = [outcome.scores for outcome in read(MODELS / "voice-open", files, speakers, lab.work / "readings")]
    known = np.array([isinstance(s, VoiceScores) for s in scores])
    seen = np.array([s.observation for s in scores if isinstance(s, VoiceScores)])
    who, spread = lab.clips.who[rows][known], read_card(MODELS / "voice-open")["population"]["spread"]
    people, at = np.unique(who, return_index=True)
    gender = lab.clips.gender[rows][known][at]
    same, random = gender[:, None] == gender[None], np.random.default_rng(0)
    groups = {"among all 18": np.ones_like(same), "among those of one gender": same}

    def vague(center: Array) -> Array:
        kept = blurred(Baseline(24, tuple(center), "session"), spread, lambda: float(random.normal()))
        return np.array(kept.center)

    def exact(center: Array) -> Array:
        return center

    pairs: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
        "stored, by stored ones": (vague, vague),
        "stored, by recordings": (vague, exact),
        "in memory, by recordings": (exact, exact),
    }
    hits: dict[tuple[str, str], list[tuple[bool, str, float]]] = {
        (kind, group): [] for kind in pairs for group in groups
    }
    for _ in range(200):
        halves: tuple[list[Array], list[Array]] = ([], [])
        for name in people:
            order = random.permutation(np.flatnonzero(who == name))
            halves[0].append(seen[order[:24]].mean(axis=0))
            halves[1].append(seen[order[24:48]].mean(axis=0))
        for kind, (left, right) in pairs.items():
            first, second = np.array([left(x) for x in halves[0]]), np.array([right(x) for x in halves[1]])
            apart = np.linalg.norm((first[:, None] - second[None]) / np.array(spread), axis=2)
            for group, mask in groups.items():
                best = np.where(mask, apart, np.inf).argmin(axis=1)
                hits[kind, group] += [
                    (best[index] == index, str(name), 1 / mask[index].sum()) for index, name in enumerate(people)
                ]
    found = []
    for (kind, group), tries in hits.items():
        words = f"RAVDESS, voice-open, 24 utterances {kind} of 24 others, {group}"
        figure = _share([hit for hit, _, _ in tries], [name for _, name, _ in tries], words)
        found.append({**figure, "measure": "speaker_identified", "n": len(people),
                      "floor": float(np.mean([chance for _, _, chance in tries]))})  # fmt: skip
    return found


def rounding(lab: Lab) -> list[Figure]:
    """What the stem's int8 costs: UAR less that of the same heads behind the stem in fp32, on the same clips."""
    stem = lab.work / "fp32/stem"
    sha = read_card(stem)["sha256"]
    found = []
    for test in (test for test in tests() if test.name in ("ravdess", "emodb")):
        parts: list[tuple[Scored, Scored]] = []
        for job in lab.jobs(test.group):
            twin = lab.work / "fp32/heads" / job.name
            shutil.copytree(lab.folder(job), twin, dirs_exist_ok=True)
            card = read_card(twin)
            card_text = (twin / "card.toml").read_text().replace(card["stem_sha256"], sha)
            (twin / "card.toml").write_text(card_text)
            rows = lab.rows(job, test.task)
            files, who = [lab.path(row) for row in rows], list(lab.clips.who[rows])
            exact = read(twin, files, who, lab.work / "readings", stem)
            names = np.unique(job.names[rows])
            parts.append((score(lab, test, job), named(exact, names, job.names[rows], lab.clips.who[rows])))
        both = [join([pair[index] for pair in parts]) for index in (0, 1)]
        clusters, names = metrics.cluster_numbers(list(both[0].speaker)), np.unique(both[0].truth)
        served, exact_ = (
            metrics.summed(
                metrics.tallies(one.truth[:, None] == names, one.answer[:, None] == names), clusters, metrics.uar
            )
            for one in both
        )
        statistics = {"uar_int8_less_fp32": lambda w, a=served, b=exact_: a(w) - b(w)}
        figure = metrics.figures(statistics, int(clusters.max()) + 1)["uar_int8_less_fp32"]
        found.append(
            {"measure": "uar_int8_less_fp32", **asdict(figure), "data": test.data, "n": len(both[0].truth)}
        )
    return found


EXTRA: dict[str, Callable[[Lab], list[Figure]]] = {
    "conditions": conditions,
    "abstentions": abstentions,
    "curve": curve,
    "identification": identification,
    "rounding": rounding,
}


def write(model: str, name: str, found: Sequence[Figure]) -> None:
    """Put the figures of one test on the card, in the place of the old ones."""
    command = f"scripts/voice/measure.py --only {name}"
    rows = [{key: _rounded(value) for key, value in figure.items()} | {"command": command} for figure in found]
    for row in rows:
        print("  ".join(f"{key} {value}" for key, value in row.items() if key != "command"), flush=True)
    folder = MODELS / model
    kept = [row for row in read_card(folder).get("figures", []) if row["command"] != command]
    write_figures(folder, [*kept, *rows])


def _rounded(value: object) -> object:
    return round(value, 4) if isinstance(value, float) else value


def main() -> None:
    parser = arguments(__doc__)
    names = [*(test.name for test in tests()), *EXTRA]
    parser.add_argument("--only", nargs="*", metavar="TEST", help=", ".join(names))
    options = parser.parse_args()
    torch.set_num_threads(1)
    clips = list_clips(CORPORA, options.data)
    simple = floor_features(clips, options.data, options.work)
    lab = Lab(clips, simple, tuple(jobs(clips, True)), options.data.resolve(), options.work.resolve())
    for test in [test for test in tests() if not options.only or test.name in options.only]:
        write(test.model, test.name, asked(lab, test))
    for name, measure in EXTRA.items():
        if not options.only or name in options.only:
            write("voice", name, measure(lab))


if __name__ == "__main__":
    main()
