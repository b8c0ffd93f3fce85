"""Put Silero VAD into models/vad, unchanged, with a card and golden outputs.

The graph takes 512 new samples at 16 kHz behind the last 64 of the frame before, and a state that it returns
renewed; rows are streams of their own.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
from cards import write_card, write_golden
from weights import CACHE, silero_vad

FOLDER = Path(__file__).resolve().parents[1] / "models" / "vad"
RATE, CONTEXT, FRAME, STATE = 16_000, 64, 512, 128

CARD = {
    "name": "vad",
    "kind": "vad",
    "version": "6.2.3",
    "licence": "MIT: Silero VAD, copyright Silero Team.",
    "summary": "The probability that a 32 ms frame holds speech.",
    "sample_rate": RATE,
    "frame_samples": FRAME,
    "context_samples": CONTEXT,
    "golden_tolerance": 0.01,
    "training_data": [
        {"name": "not published", "licence": "MIT (the weights)", "note": "trained by Silero; taken over unchanged"}
    ],
}


def golden() -> dict[str, np.ndarray]:
    """One step of two streams: faint noise, and a loud hum in the middle of something."""
    random = np.random.default_rng(0)
    time = np.arange(CONTEXT + FRAME) / RATE
    hum = sum(np.sin(2 * np.pi * 120 * k * time) / k for k in range(1, 12)) / 4
    frames = np.stack([random.normal(0, 0.003, len(time)), hum])
    state = random.normal(0, 0.3, (2, 2, STATE))
    return {"input": frames.astype(np.float32), "state": state.astype(np.float32), "sr": np.array(RATE, np.int64)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder of pretrained weights (%(default)s)")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write (%(default)s)")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(silero_vad(options.cache), options.out / "model.onnx")
    write_card(options.out, CARD)
    write_golden(options.out, golden())


if __name__ == "__main__":
    main()
