"""How long `assistant evaluate voice` takes for many clips, and in how much memory.

    python -m scripts.bench.clips ravdess/manifest.csv emodb/manifest.csv --clips 10000

The clips are cut from those of the manifests (columns `file`, `speaker`, `emotion`), no two of them alike: 70 %
FLAC and 10 % Opus at 16 kHz, 20 % WAV at 44.1 kHz. Making them isn't part of the time.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import soxr
from tqdm import tqdm

from assistant.audio import SAMPLE_RATE
from assistant.audio.decode import read_audio
from assistant.emotion import EMOTIONS

_LABELS = {"happiness": "joy", "happy": "joy", "angry": "anger", "sad": "sadness", "calm": "neutral"}
_CD = 44_100


def sources(manifests: list[Path]) -> list[tuple[Path, str, str]]:
    """File, speaker and emotion of every clip whose emotion is one of the shared names."""
    found = []
    for manifest in manifests:
        with manifest.open(newline="") as file:
            for row in csv.DictReader(file):
                emotion = _LABELS.get(row["emotion"], row["emotion"])
                if emotion in EMOTIONS:
                    speaker = f"{manifest.parent.name} {row['speaker']}"
                    found.append((manifest.parent / row["file"], speaker, emotion))
    return found


def make(folder: Path, manifests: list[Path], count: int, seconds: float) -> Path:
    """Write the clips, each a stretch of a source repeated from another point on, and the table that names them."""
    known, length = sources(manifests), round(seconds * SAMPLE_RATE)
    table = folder / "clips.csv"
    with table.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["file", "speaker", "emotion"])
        for number in tqdm(range(count), unit="clip", desc="making"):
            source, speaker, emotion = known[number % len(known)]
            samples = read_audio(source)
            samples = np.roll(np.resize(samples, length), 1600 * (number // len(known)))
            match number % 10:
                case 7 | 8:
                    name = f"{number}.wav"
                    soundfile.write(folder / name, soxr.resample(samples, SAMPLE_RATE, _CD), _CD)
                case 9:
                    name = f"{number}.ogg"
                    soundfile.write(folder / name, samples, SAMPLE_RATE, format="OGG", subtype="OPUS")
                case _:
                    name = f"{number}.flac"
                    soundfile.write(folder / name, samples, SAMPLE_RATE)
            out.writerow([name, speaker, emotion])
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifests", type=Path, nargs="+")
    parser.add_argument("--clips", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a clip (default 3)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        table, out = make(Path(folder), args.manifests, args.clips, args.seconds), Path(folder) / "out"
        began = time.monotonic()
        command = [sys.executable, "-m", "assistant", "evaluate", "voice", "--data", str(table), "--out", str(out)]
        subprocess.run(command, check=True)
        spent = time.monotonic() - began
        cost = json.loads((out / "report.json").read_text())["cost"]
    print(f"{args.clips} clips of {args.seconds:g} s in {spent:.0f} s on {os.cpu_count()} cores, all counted: "
          f"{args.clips / spent:.0f} a second; at most {cost['peak_rss_mb']:.0f} MB")  # fmt: skip


if __name__ == "__main__":
    main()
