"""Measure the voice models with the served readers and write the figures on their cards.

    python -m scripts.voice.measure                    # everything, after train.py and export.py
    python -m scripts.voice.measure --only emodb       # one test, printed and put beside the other figures

Both need --folds first. Each test runs the graphs of its folds, every one on speakers (or a corpus) that its heads
never heard, and scores the readings of all folds together, with 95 % bootstrap intervals over speakers, by the
formulas of `assistant evaluate`. The floor beside a figure is what energy, pitch and MFCC statistics reach with a
linear classifier in the same folds; beside a figure with a baseline, with the speaker's mean taken from them too.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import librosa
import numpy as np
import torch
from sklearn.metrics import recall_score
from tqdm import tqdm

from assistant import bootstrap
from assistant.evaluate.figures import metrics
from scripts.cards.card import read_card, write_figures
from scripts.voice.baselines import curve, identification
from scripts.voice.conditions import abstentions, conditions
from scripts.voice.data import CORPORA, Array, Clips, arguments, list_clips, read_clip
from scripts.voice.export import MODELS
from scripts.voice.head import Task, centred, fit_ridge, fit_softmax
from scripts.voice.lab import Figure, Lab, Scored, Test, join, measured, named, read, score, tests
from scripts.voice.train import Head, Job, jobs, seeds_of
from scripts.voice.whisper_encoder import RATE


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
        clusters, names = metrics.number_clusters(list(both[0].speaker)), np.unique(both[0].truth)
        served, exact_ = (
            metrics.sum_by_cluster(
                metrics.count_hits(one.truth[:, None] == names, one.answer[:, None] == names), clusters, metrics.uar
            )
            for one in both
        )
        statistics = {"uar_int8_less_fp32": lambda w, a=served, b=exact_: a(w) - b(w)}
        figure = bootstrap.compute_figures(statistics, int(clusters.max()) + 1)["uar_int8_less_fp32"]
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
    command = f"python -m scripts.voice.measure --only {name}"
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
