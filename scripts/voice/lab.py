"""The folds that voice models are tested on, what the served reader said of their clips, and its scores."""

from __future__ import annotations

import asyncio
import hashlib
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from assistant import bootstrap
from assistant.audio.voice import VoiceScores
from assistant.evaluate.figures import metrics
from assistant.evaluate.run.baseline import subtract_baselines
from assistant.evaluate.run.engine import read_rows
from assistant.evaluate.run.outcomes import RowOutcome
from assistant.evaluate.tables.manifest import Row
from assistant.inference.model import open_model
from scripts.cards.card import read_card
from scripts.voice.data import COMMON, CORPORA, OPEN, Array, Clips
from scripts.voice.export import MODELS
from scripts.voice.export_stem import SHIPPED as STEM_FOLDER
from scripts.voice.train import Job

Mode = Literal["none", "speaker", "online"]
WITHOUT_AND_WITH: tuple[Mode, Mode] = ("none", "speaker")
Figure = dict[str, object]


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
) -> list[RowOutcome]:
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


def outcomes_of(lab: Lab, job: Job, rows: Array, mode: Mode = "none") -> list[RowOutcome]:
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
    moved = subtract_baselines([chosen[index] for index in order], mode, population)
    back = np.argsort(order)
    return [moved[index] for index in back]


def closed(scores: VoiceScores, names: Array) -> Array:
    """Probabilities of these classes alone, [names]."""
    own = dict(zip(scores.card.labels, scores.emotions, strict=True))
    given = np.array([own.get(name, 0.0) for name in names]) + 1e-12
    return np.asarray(given / given.sum())


def named(outcomes: Sequence[RowOutcome], names: Array, truth: Array, speaker: Array) -> Scored:
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


def mean_of(statistics: Sequence[bootstrap.Statistic], weights: Array) -> Array:
    """The mean of several, in each replicate."""
    return np.mean([one(weights) for one in statistics], axis=0)


def measured(parts: Sequence[Scored], task: str, *, apart: bool) -> dict[str, bootstrap.Figure]:
    """The figures of a task with their intervals, by the formulas of `assistant evaluate`.

    Stress and affect are scored over the clips that were answered; an emotion that was not given is wrong. Where
    the parts are corpora, they count `apart`: the figure is the mean of theirs.
    """
    scored = join(parts)
    clusters = metrics.number_clusters(list(scored.speaker))
    part = (
        np.repeat(np.arange(len(parts)), [len(one.truth) for one in parts])
        if apart
        else np.zeros(len(scored.truth), int)
    )
    statistics: dict[str, bootstrap.Statistic] = {}
    if task == "affect":
        for name, given, truth in zip(("valence", "arousal"), scored.answer.T, scored.truth.T, strict=True):
            statistics[f"ccc_{name}"] = metrics.sum_by_cluster(metrics.moments(given, truth), clusters, metrics.ccc)
    elif task in ("stress", "pleasant"):
        known = ~np.isnan(scored.answer)
        answer, stressed, rows = scored.answer[known], scored.truth[known] > 0, clusters[known]
        statistics["auc"] = lambda weights: metrics.auc(answer, stressed, weights[:, rows])
        if task == "stress":
            bins = metrics.bin_calibration(answer, stressed.astype(float), np.flatnonzero(known), len(known))
            statistics["ece"] = metrics.sum_by_cluster(bins, clusters, metrics.ece)
    else:
        names, known = np.unique(scored.truth), ~np.isnan(scored.sure)
        counts = metrics.count_hits(scored.truth[:, None] == names, scored.answer[:, None] == names)
        hit = (scored.answer == scored.truth)[known].astype(float)
        bins = metrics.bin_calibration(scored.sure[known], hit, np.flatnonzero(known), len(known))
        for name, values, formula in (("uar", counts, metrics.uar), ("ece", bins, metrics.ece)):
            each = [
                metrics.sum_by_cluster(
                    values * (part == one).reshape(-1, *[1] * (values.ndim - 1)), clusters, formula
                )
                for one in np.unique(part)
            ]
            statistics[name] = partial(mean_of, each)
    return bootstrap.compute_figures(statistics, int(clusters.max()) + 1)
