"""How well voices are read over a telephone, through a codec and in noise, and what is abstained from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from assistant import bootstrap
from assistant.evaluate.figures import metrics
from scripts.voice.data import Array, read_clip, read_manifest
from scripts.voice.export import MODELS
from scripts.voice.lab import Figure, Lab, join, measured, named, outcomes_of, read, tests
from scripts.voice.quality import NOISES, group_of, noises_of
from scripts.voice.sound import clipped, opus, telephone, with_noise
from scripts.voice.whisper_encoder import RATE

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
    clusters = metrics.number_clusters(list(names))
    sums = np.stack([np.ones(len(hits)), np.array(hits, float)], axis=1)
    statistics = {"abstained": metrics.sum_by_cluster(sums, clusters, metrics.share)}
    figure = bootstrap.compute_figures(statistics, int(clusters.max()) + 1)["abstained"]
    return {"measure": "abstained", **asdict(figure), "data": words, "n": len(hits)}
