"""Clips a second from a table of files to figures: ours beside openSMILE, Whisper in transformers, and nkululeko.

Each contestant is a process of its own that gets the same clips and starts cold; start, decoding, features, folds
and figures all count, and each may use every core in its own way. All but the first train on the clips themselves
and test on speakers left out, so their UAR can be compared; the shipped model has seen most public corpora, and its
UAR is not shown. Machines differ and so do their neighbours: read the ratios, and where others share the machine
the ratios of CPU seconds, which are those of all cores together.

    python -m venv bench && bench/bin/pip install opensmile scikit-learn torch transformers nkululeko soundfile
    bench/bin/python -m scripts.bench.evaluate --data emodb/manifest.csv --attune .venv/bin/python --whisper FOLDER

Whatever isn't installed is left out and said so. --whisper is a folder with Whisper base as `save_pretrained`
writes it. openSMILE's licence allows research only: it is compared with, and no part of this project.
"""

from __future__ import annotations

import argparse
import configparser
import csv
import importlib.util
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scripts.paths import ROOT

_STRENGTHS = (1e-3, 1e-2, 1e-1)
"""C of the linear models; chosen on inner folds of the training speakers."""


@dataclass(frozen=True)
class Clips:
    """What every contestant gets."""

    files: list[str]
    speakers: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Contestant:
    """A name, what it needs to be installed, and the command that reads a manifest."""

    name: str
    needs: tuple[str, ...]
    command: Callable[[Path, argparse.Namespace], list[str]]
    uar: Callable[[str, Path], float | None]
    """From what it printed and the folder it wrote to."""


def read(manifest: Path) -> Clips:
    """The manifest as `main` wrote it."""
    with manifest.open(newline="") as file:
        rows = list(csv.DictReader(file))
    speakers, labels = (np.array([row[name] for row in rows]) for name in ("speaker", "emotion"))
    return Clips([row["file"] for row in rows], speakers, labels)


def opensmile_svm(clips: Clips, args: argparse.Namespace) -> np.ndarray:
    """The 88 functionals of eGeMAPS v02 (Eyben et al. 2016)."""
    import opensmile

    smile = opensmile.Smile(
        feature_set=opensmile.FeatureSet.eGeMAPSv02,
        feature_level=opensmile.FeatureLevel.Functionals,
        num_workers=args.cores,
        multiprocessing=True,
    )
    return np.asarray(smile.process_files(clips.files))


def whisper_encoder(clips: Clips, args: argparse.Namespace) -> np.ndarray:
    """Mean and deviation over time of the last hidden states, of the part of the 30 s that holds the clip."""
    import soundfile
    import torch
    from transformers import WhisperFeatureExtractor, WhisperModel

    torch.set_num_threads(args.cores)
    encoder = WhisperModel.from_pretrained(args.whisper, dtype=torch.float32).get_encoder().eval()
    extractor = WhisperFeatureExtractor(feature_size=80)
    found = []
    with torch.inference_mode():
        for start in range(0, len(clips.files), 8):
            audio = [soundfile.read(file, dtype="float32")[0] for file in clips.files[start : start + 8]]
            mel = extractor(audio, sampling_rate=16_000, return_tensors="pt").input_features
            states = encoder(mel).last_hidden_state.numpy()
            for row, samples in zip(states, audio, strict=True):
                part = row[: max(2, round(len(samples) / 320))]
                found.append(np.concatenate([part.mean(axis=0), part.std(axis=0)]))
    return np.array(found)


def left_out(features: np.ndarray, clips: Clips, kind: str) -> float:
    """UAR over clips of which no speaker was trained on: each speaker is left out once; C by inner folds."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import recall_score
    from sklearn.model_selection import GridSearchCV, GroupKFold, LeaveOneGroupOut
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    linear: Any = LinearSVC(class_weight="balanced", max_iter=20_000)
    if kind == "logistic":
        linear = LogisticRegression(class_weight="balanced", max_iter=1000)
    key = "linearsvc__C" if kind == "svm" else "logisticregression__C"
    said = np.empty_like(clips.labels)
    for train, test in LeaveOneGroupOut().split(features, clips.labels, clips.speakers):
        search = GridSearchCV(
            make_pipeline(StandardScaler(), linear), {key: list(_STRENGTHS)}, scoring="recall_macro",
            cv=GroupKFold(3), n_jobs=-1,
        )  # fmt: skip
        search.fit(features[train], clips.labels[train], groups=clips.speakers[train])
        said[test] = search.predict(features[test])
    return float(recall_score(clips.labels, said, average="macro"))


CHILDREN: dict[str, tuple[Callable[[Clips, argparse.Namespace], np.ndarray], str]] = {
    "opensmile": (opensmile_svm, "svm"),
    "whisper": (whisper_encoder, "logistic"),
}


def as_child(args: argparse.Namespace) -> None:
    """Be one of the contestants, and print what came of it."""
    clips = read(args.data)
    features, kind = CHILDREN[args.child][0], CHILDREN[args.child][1]
    began = time.perf_counter()
    found = features(clips, args)
    told = {"features_s": time.perf_counter() - began, "uar": left_out(found, clips, kind)}
    print("RESULT " + json.dumps(told))


def _child(name: str) -> Callable[[Path, argparse.Namespace], list[str]]:
    def command(work: Path, args: argparse.Namespace) -> list[str]:
        more = ["--whisper", str(args.whisper)] if args.whisper else []
        return [sys.executable, __file__, "--child", name, "--data", str(work / "clips.csv"),
                "--cores", str(args.cores), *more]  # fmt: skip

    return command


def _ours(*more: str, out: str) -> Callable[[Path, argparse.Namespace], list[str]]:
    def command(work: Path, args: argparse.Namespace) -> list[str]:
        label_map = [] if "--fit" in more else ["--label-map", str(work / "map.json")]
        return [str(args.attune), "-m", "assistant", "evaluate", "voice", "--data", str(work / "clips.csv"),
                *label_map, *[m.replace("SPEAKERS", str(args.speakers)) for m in more],
                "--out", str(work / out)]  # fmt: skip

    return command


def _nkululeko(work: Path, args: argparse.Namespace) -> list[str]:
    labels = sorted(set(read(work / "clips.csv").labels))
    ini = configparser.ConfigParser()
    ini["EXP"] = {"root": f"{work}/", "name": "nkululeko", "runs": "1", "epochs": "1"}
    ini["DATA"] = {
        "databases": "['clips']", "clips": str(work / "clips.csv"), "clips.type": "csv",
        "clips.absolute_path": "True", "clips.split_strategy": "speaker_split", "clips.test_size": "30",
        "target": "emotion", "labels": repr([str(label) for label in labels]),
    }  # fmt: skip
    ini["FEATS"] = {"type": "['os']", "set": "eGeMAPSv02", "scale": "standard"}
    ini["MODEL"] = {"type": "svm", "logo": str(args.speakers), "C_val": "0.01", "kernel": "linear"}
    with (work / "nkululeko.ini").open("w") as file:
        ini.write(file)
    return [sys.executable, "-m", "nkululeko.nkululeko", "--config", str(work / "nkululeko.ini")]


def _printed(printed: str, _: Path) -> float | None:
    found = re.findall(r"^RESULT (.*)$", printed, re.M)
    return json.loads(found[-1])["uar"] if found else None


def _reported(out: str) -> Callable[[str, Path], float | None]:
    def uar(_: str, work: Path) -> float | None:
        value: float | None = json.loads((work / out / "report.json").read_text())["metrics"]["uar"]["value"]
        return value

    return uar


def _mean_of_folds(printed: str, _: Path) -> float | None:
    """The mean over the speakers' own recalls, as nkululeko prints it: not pooled, so not quite the same figure."""
    found = re.findall(r"LOGO: \d+ folds: mean (\d\.\d+)", printed)
    return float(found[-1]) if found else None


CONTESTANTS = (
    Contestant("ours, the shipped model", (), _ours(out="served"), lambda *_: None),
    Contestant("ours, --fit head", (), _ours("--fit", "head", "--folds", "SPEAKERS", out="fit"), _reported("fit")),
    Contestant("openSMILE eGeMAPS + SVM", ("opensmile", "sklearn"), _child("opensmile"), _printed),
    Contestant("Whisper base encoder", ("transformers", "torch", "sklearn"), _child("whisper"), _printed),
    Contestant("nkululeko, eGeMAPS + SVM", ("nkululeko",), _nkululeko, _mean_of_folds),
)


def prepare(args: argparse.Namespace, work: Path) -> None:
    """Write the manifest of the clips, each with an absolute path."""
    with args.data.open(newline="") as file:
        rows = list(csv.DictReader(file))
    picked = [rows[at] for at in np.random.default_rng(0).permutation(len(rows))[: args.clips]]
    picked.sort(key=lambda row: row["file"])
    args.speakers = len({row["speaker"] for row in picked})
    with (work / "clips.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", "speaker", "emotion"])
        for row in picked:
            writer.writerow([(args.data.parent / row["file"]).resolve(), row["speaker"], row["emotion"]])
    (work / "map.json").write_text(json.dumps(dict.fromkeys({row["emotion"] for row in picked}, "neutral")))
    args.clips = len(picked)
    args.audio_s = sum(float(row.get("duration_s") or 0) for row in picked)


def cpu_seconds() -> float:
    """CPU seconds of all children that have ended, and theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Run the contestants in turn and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="CSV with file, speaker and emotion")
    add("--clips", type=int, default=500, help="drawn from it (%(default)s)")
    add("--attune", type=Path, default=ROOT / ".venv/bin/python", help="Python that has the project (%(default)s)")
    add("--whisper", type=Path, help="folder with Whisper base; without it, it is left out")
    add("--cores", type=int, default=os.cpu_count() or 1, help="(%(default)s)")
    add("--rounds", type=int, default=1, help="in turn; the median counts (%(default)s)")
    add("--only", help="a part of the name of a contestant")
    add("--out", type=Path, help="also write the figures as JSON here")
    add("--child", choices=CHILDREN, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        as_child(args)
        return
    taken: dict[str, list[tuple[float, float]]] = {}
    uars: dict[str, float | None] = {}
    for _ in range(args.rounds):
        for one in CONTESTANTS:
            if args.only and args.only not in one.name:
                continue
            lacking = [name for name in one.needs if importlib.util.find_spec(name) is None]
            if "transformers" in one.needs and args.whisper is None:
                lacking.append("--whisper")
            if lacking:
                print(f"{one.name}: left out, without {', '.join(lacking)}")
                continue
            with tempfile.TemporaryDirectory() as folder:  # a new one each time: nobody may keep features
                work = Path(folder)
                asked = argparse.Namespace(**vars(args))
                prepare(asked, work)
                command = one.command(work, asked)
                began, spent = time.perf_counter(), cpu_seconds()
                done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
                seconds, spent = time.perf_counter() - began, cpu_seconds() - spent
                if done.returncode:
                    print(f"{one.name}: failed\n{(done.stdout + done.stderr)[-1500:]}")
                    continue
                taken.setdefault(one.name, []).append((seconds, spent))
                uars[one.name] = one.uar(done.stdout + done.stderr, work)
                print(f"{one.name}: {seconds:.1f} s, {spent:.1f} s of CPU", flush=True)
    if not taken:
        sys.exit(1)
    times = {name: np.median(each, axis=0).tolist() for name, each in taken.items()}
    first = next(iter(times.values()))
    print(f"\n{asked.clips} clips, {asked.audio_s:.0f} s of audio, {asked.speakers} speakers, {args.cores} cores")
    print(f"{'':<28}{'seconds':>9}{'clips/s':>9}{'ratio':>7}{'CPU s':>9}{'ratio':>7}{'UAR':>7}")
    for name, (seconds, spent) in times.items():
        uar = uars[name]
        told = "" if uar is None else f"{uar:7.3f}"
        print(
            f"{name:<28}{seconds:>9.1f}{asked.clips / seconds:>9.1f}{seconds / first[0]:>7.1f}{spent:>9.1f}"
            f"{spent / first[1]:>7.1f}{told:>7}"
        )
    if args.out:
        figures = {
            name: {"seconds": s, "cpu_s": spent, "clips_per_s": asked.clips / s, "uar": uars[name]}
            for name, (s, spent) in times.items()
        }
        args.out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
