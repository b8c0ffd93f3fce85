"""Measure the voice model through `assistant evaluate` and write the figures on its card.

    python scripts/measure_voice.py                    # everything, after train_voice.py and export_voice.py
    python scripts/measure_voice.py --only emodb       # one test, printed and put beside the other figures

Both need --folds first. Each test runs the graphs of its folds, every one on speakers (or a corpus) that its heads
never heard, and scores the predictions of all folds together, with 95 % bootstrap intervals over speakers. The
floor beside a figure is what energy, pitch and MFCC statistics with the same kind of linear head reach in the same
folds.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import librosa
import numpy as np
import torch
from cards import read_card, write_figures
from export_voice import SHIPPED
from tqdm import tqdm
from train_voice import (
    CORPORA,
    ROOT,
    Array,
    Clips,
    Job,
    Task,
    arguments,
    fit_ridge,
    jobs,
    list_clips,
    read_audio,
)
from whisper import RATE

from assistant.evaluate import metrics


@dataclass(frozen=True)
class Test:
    """What is asked of which folds. `group` is the name of the folds, before the slash."""

    name: str
    group: str
    task: str
    data: str
    baseline: str = "none"


@dataclass(frozen=True)
class Scored:
    """Predictions of all folds of a test: [n] truths and answers, or [n, 2] for affect."""

    truth: Array
    answer: Array
    """Class names, the probability of stress, or affect; empty or NaN where the reader abstained."""
    speaker: Array
    file: Array


def tests() -> list[Test]:
    """Every test, each with the words that the card shows."""
    natives = {
        "ravdess": "RAVDESS, 8 classes (calm apart), 6 folds of actors",
        "emodb": "EmoDB, 7 classes (with boredom), each speaker left out",
        "banglaser": "BanglaSER, 5 classes, 6 folds of speakers",
        "emotale": "EmoTale, 5 classes (with boredom), 10 folds of speakers",
        "ased": "ASED, 5 classes, the two common sentences, 6 folds of speakers",
    }
    multi = "five corpora, 6 folds of speakers"
    found = [Test(name, name, "emotion", words) for name, words in natives.items()]
    found.append(Test("multi", "multi", "emotion", f"shared names, {multi}"))
    found.append(Test("stress", "multi", "stress", f"anger and fear against the rest, {multi}"))
    found.append(Test("affect", "emotale", "affect", "EmoTale's ratings, 10 folds of speakers"))
    for name in CORPORA:
        words = f"anger, joy, neutral, sadness; trained on the other corpora, tested on {name}"
        found.append(Test(f"cross-{name}", f"cross/{name}", "emotion", words))
    for test in list(found):
        if test.name in ("ravdess", "emodb", "stress") or test.name.startswith("cross"):
            for baseline in ("speaker", "online"):
                words = f"{test.data}; baseline: {baseline}"
                found.append(replace(test, name=f"{test.name}-{baseline}", data=words, baseline=baseline))
    words = "RAVDESS actors 16 to 18, the shipped model"
    found.append(Test("shipped", "shipped", "emotion", f"{words}, calm as neutral"))
    found.append(Test("shipped-stress", "shipped", "stress", words))
    return found


def rows_of(test: Test, job: Job, clips: Clips) -> Array:
    """The clips on which a fold is tested: of ASED only the sentences that every emotion shares."""
    if test.task == "affect":
        return job.test & ~np.isnan(clips.affect[:, 0])
    honest = (clips.corpus != "ased") | np.char.startswith(clips.sentence, "common")
    return job.test & honest & (np.isin(job.names, job.labels) | (test.task == "stress"))


def write_manifest(path: Path, test: Test, job: Job, clips: Clips, rows: Array, data: Path) -> None:
    """The manifest of a fold, with absolute paths."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {"emotion": ["emotion"], "stress": ["stress"], "affect": ["valence", "arousal"]}[test.task]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "speaker", "gender", *columns])
        # at random, for a baseline that learns on the way: files are sorted by emotion
        for row in np.random.default_rng(0).permutation(np.flatnonzero(rows)):
            label = {
                "emotion": [job.names[row]],
                "stress": [int(clips.stressed[row])],
                "affect": list(clips.affect[row].round(4)),
            }[test.task]
            audio = (data / "speech" / clips.corpus[row] / clips.file[row]).resolve()
            writer.writerow([audio, clips.who[row], clips.gender[row], *label])


def evaluate(test: Test, job: Job, clips: Clips, data: Path, work: Path) -> Path:
    """Run `assistant evaluate` on one fold, unless its report is there for the same graph. Returns its folder."""
    rows = rows_of(test, job, clips)
    place = f"{test.name}/{job.name.replace('/', '-')}"
    manifest, out = work / "manifests" / f"{place}.csv", work / "reports" / place
    model = SHIPPED if job.name == "shipped" else work / "models" / job.name
    report = out / "report.json"
    if report.exists() and json.loads(report.read_text())["model"]["sha256"] == read_card(model)["sha256"]:
        return out
    write_manifest(manifest, test, job, clips, rows, data)
    command = [sys.executable, "-m", "assistant", "evaluate", "voice", "--task", test.task, "--bootstrap", "0"]
    command += ["--data", str(manifest), "--model", str(model), "--out", str(out), "--baseline", test.baseline]
    command += ["--scale=-1,1"] if test.task == "affect" else []
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return out


def read_predictions(folders: Sequence[Path], task: str) -> Scored:
    """The predictions of all folds, one after another."""
    rows = []
    for folder in folders:
        with (folder / "predictions.csv").open(newline="") as file:
            rows += list(csv.DictReader(file))

    def numbers(column: str) -> Array:
        return np.array([float(row[column]) if row[column] else np.nan for row in rows])

    if task == "affect":
        truth = np.stack([numbers("label_valence"), numbers("label_arousal")], axis=1)
        answer = np.stack([numbers("mean_valence"), numbers("mean_arousal")], axis=1)
    elif task == "stress":
        truth, answer = numbers("label"), numbers("p_1")
    else:
        truth = np.array([row["label"] for row in rows])
        answer = np.array([row["prediction"] if not row["abstained"] else "" for row in rows])
    speakers, files = (np.array([row[name] for row in rows]) for name in ("speaker", "file"))
    return Scored(truth, answer, speakers, files)


def calmer_pairs(scored: Scored) -> tuple[float, int]:
    """Share of (anger, calm) pairs of one RAVDESS actor and sentence in which anger is the more stressed."""
    parts = [Path(file).stem.split("-") for file in scored.file]
    chosen: dict[tuple[str, str, str], list[float]] = {}
    for part, answer in zip(parts, scored.answer, strict=True):
        chosen.setdefault((part[6], part[4], part[2]), []).append(float(answer))
    wins = [
        angry > calm
        for (actor, sentence, emotion), angries in chosen.items()
        if emotion == "05"
        for angry in angries
        for calm in chosen[actor, sentence, "02"]
    ]
    return float(np.mean(wins)), len(wins)


def measured(scored: Scored, task: str) -> dict[str, metrics.Figure]:
    """The figures of a task with their intervals, by the formulas of `assistant evaluate`.

    Stress and affect are scored over the clips that were answered; an emotion that was not given is wrong.
    """
    clusters = metrics.cluster_numbers(list(scored.speaker))
    if task == "affect":
        statistics = {
            f"ccc_{name}": metrics.summed(metrics.moments(given, truth), clusters, metrics.ccc)
            for name, given, truth in zip(("valence", "arousal"), scored.answer.T, scored.truth.T, strict=True)
        }
    elif task == "stress":
        known = ~np.isnan(scored.answer)
        answer, stressed, rows = scored.answer[known], scored.truth[known] > 0, clusters[known]
        statistics = {"auc": lambda weights: metrics.auc(answer, stressed, weights[:, rows])}
    else:
        names = np.unique(scored.truth)
        counts = metrics.tallies(scored.truth[:, None] == names, scored.answer[:, None] == names)
        statistics = {"uar": metrics.summed(counts, clusters, metrics.uar)}
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
    """The simple features [n, 2, width] of every clip, kept in WORK."""
    path = work / "floor.npy"
    if not path.exists():
        found = []
        for corpus, file in tqdm(list(zip(clips.corpus, clips.file, strict=True)), desc="floor"):
            found.append(describe(read_audio(data / "speech" / corpus / file)))
        np.save(path, np.stack(found))
    return np.repeat(np.load(path)[:, None], 2, axis=1)


def floor(test: Test, chosen: Sequence[Job], clips: Clips) -> Scored:
    """The same test with heads on the simple features."""
    truth, answer, speaker, files = [], [], [], []
    for job in chosen:
        rows = rows_of(test, job, clips)
        part, tested = clips.where(job.train), clips.features[rows, 0]
        if test.task == "affect":
            rated = ~np.isnan(part.affect[:, 0])
            fit = fit_ridge(part.features[rated, 0], part.affect[rated], np.ones(rated.sum()), 0.1)
            truth.append(clips.affect[rows])
            answer.append(fit(tested))
        elif test.task == "stress":
            logits = Task(part, part.stressed.astype(int), 2).fit(30.0)(tested)
            truth.append(clips.stressed[rows].astype(float))
            answer.append(logits[:, 1] - logits[:, 0])
        else:
            target = np.array([job.labels.index(name) for name in job.names[job.train]])
            best = Task(part, target, len(job.labels)).fit(30.0)(tested).argmax(axis=1)
            truth.append(job.names[rows])
            answer.append(np.array(job.labels)[best])
        speaker.append(clips.who[rows])
        files.append(clips.file[rows])
    return Scored(*(np.concatenate(part) for part in (truth, answer, speaker, files)))


def figures(test: Test, chosen: Sequence[Job], clips: Clips, data: Path, work: Path) -> list[dict[str, object]]:
    """The card's entries for one test."""
    folders = [evaluate(test, job, clips, data, work) for job in tqdm(chosen, desc=test.name, leave=False)]
    scored, simple = read_predictions(folders, test.task), floor(test, chosen, clips)
    common = {"data": test.data, "n": len(scored.truth), "command": f"scripts/measure_voice.py --only {test.name}"}
    found: list[dict[str, object]] = []
    lowest = measured(simple, test.task)
    for name, figure in measured(scored, test.task).items():
        found.append({"measure": name, **asdict(figure), "floor": lowest[name].value, **common})
    if test.name == "shipped-stress":
        (value, pairs), (least, _) = calmer_pairs(scored), calmer_pairs(simple)
        words = "RAVDESS actors 16 to 18: an angry clip scores above a calm one of the same actor and sentence"
        found.append({"measure": "share", "value": value, "floor": least, **common, "data": words, "n": pairs})
    rounded = [{key: _rounded(value) for key, value in figure.items()} for figure in found]
    for figure in rounded:
        print("  ".join(f"{key} {value}" for key, value in figure.items() if key != "command"), flush=True)
    return rounded


def _rounded(value: object) -> object:
    return round(value, 4) if isinstance(value, float) else value


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--only", nargs="*", metavar="TEST", help=", ".join(test.name for test in tests()))
    options = parser.parse_args()
    torch.set_num_threads(1)
    clips = list_clips(CORPORA, options.data)
    clips = replace(clips, features=floor_features(clips, options.data, options.work))
    every = list(jobs(clips, True))
    for test in [test for test in tests() if not options.only or test.name in options.only]:
        chosen = [job for job in every if job.name == test.group or job.name.startswith(f"{test.group}/")]
        found = figures(test, chosen, clips, options.data.resolve(), options.work.resolve())
        kept = [row for row in read_card(SHIPPED).get("figures", []) if row["command"] != found[0]["command"]]
        write_figures(SHIPPED, [*kept, *found])


if __name__ == "__main__":
    main()
