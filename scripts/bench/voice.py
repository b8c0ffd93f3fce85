"""Milliseconds of a window of speech: the shipped stem and head beside Whisper base's whole encoder in fp32.

The graphs run in turn on one thread, with the session options of the server, so that a noisy machine slows all of
them. scripts/voice/export_stem.py --fp32 makes the encoder.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from assistant.inference.model import onnx_session
from scripts.paths import ROOT

RATE = 16_000


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--model", type=Path, default=ROOT / "models/voice", help="the head (%(default)s)")
    add("--stem", type=Path, default=ROOT / "models/stem", help="(%(default)s)")
    add("--whole", type=Path, default=ROOT / "build/voice/fp32/whole", help="the encoder in fp32 (%(default)s)")
    add("--seconds", type=float, default=3.0, help="length of the window (%(default)s)")
    add("--runs", type=int, default=60, help="rounds (%(default)s)")
    args = parser.parse_args()
    if not args.whole.is_dir():
        parser.error(f"{args.whole} is missing: scripts/voice/export_stem.py --fp32 makes it (--work says where)")
    whole, stem, head = (onnx_session(folder / "model.onnx") for folder in (args.whole, args.stem, args.model))
    random = np.random.default_rng(0)
    audio = (random.normal(size=(1, round(args.seconds * RATE))) / 10).astype(np.float32)
    states, loudness = stem.run(None, {"audio": audio})
    calls: dict[str, Callable[[], object]] = {
        "whole encoder, fp32": lambda: whole.run(None, {"audio": audio}),
        "stem, int8": lambda: stem.run(None, {"audio": audio}),
        "head": lambda: head.run(None, {"states": states, "loudness": loudness}),
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for run in tqdm(range(args.runs + 3), leave=False, unit="round"):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            if run >= 3:
                times[name].append(1000 * (time.perf_counter() - began))
    print(f"{args.seconds:g} s of audio, one thread, {args.runs} rounds in turn")
    print(f"{'':<22}{'median ms':>10}{'least ms':>10}")
    for name, each in times.items():
        print(f"{name:<22}{statistics.median(each):>10.1f}{min(each):>10.1f}")
    ratios = [a / (b + c) for a, b, c in zip(*times.values(), strict=True)]
    print(f"whole / (stem + head): {statistics.median(ratios):.2f} (median of the rounds)")
    sizes = [(folder / "model.onnx").stat().st_size / 1e6 for folder in (args.stem, args.model)]
    print(f"stem and head: {sum(sizes):.1f} MB ({sizes[0]:.1f} + {sizes[1]:.1f})")


if __name__ == "__main__":
    main()
