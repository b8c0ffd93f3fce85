"""Export the voice's stem: the log-mel and the first three layers of Whisper base's encoder, in int8.

    python -m scripts.voice.export_stem           # models/stem
    python -m scripts.voice.export_stem --fp32    # what it is compared with, to WORK/fp32

Every voice model is a small head behind this graph and names its hash, so after a change here all heads must be
trained anew. It starts from Whisper base as published and is never trained; clips of the corpora, none of them from
the speakers that are held out, only set the ranges of the int8 activations, and the balance with the weights.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from tqdm import tqdm

from scripts.cards.card import write_card, write_golden
from scripts.paths import ROOT
from scripts.voice.data import (
    CORPORA,
    HELD_OUT,
    MAX_SAMPLES,
    MIN_SAMPLES,
    arguments,
    padded,
    read_clip,
    read_manifest,
)
from scripts.voice.sound import Surroundings, disturbed
from scripts.voice.stem_graph import balance, export, quantised
from scripts.voice.whisper_encoder import HOP, RATE, States, load_stem
from scripts.weights.download import whisper_base
from scripts.weights.quantize import Feed

SHIPPED = ROOT / "models" / "stem"
LAYERS = 3
CALIBRATION = 20
"""Clips of each corpus, and as many disturbed ones, that set the ranges of the int8 activations."""
TOLERANCE = 0.1
"""Noise of 1e-5 in the golden audio moves single states by up to 0.05 of the largest, as int8 steps add up (in the
mean square by 8 % of their deviation); so may a processor whose fp32 sums round otherwise."""
CARD = {
    "name": "stem",
    "kind": "stem",
    "version": "1",
    "licence": "MIT: OpenAI's Whisper base, copyright OpenAI.",
    "summary": "From 0.5 to 15 s of speech to the hidden states of the first three layers of Whisper base's "
    "encoder, 50 frames a second, and how loud each frame is: what every voice model starts from. It gives no "
    "estimate by itself.",
    "sample_rate": RATE,
    "frames_per_second": 50,
    "min_samples": MIN_SAMPLES,
    "max_samples": MAX_SAMPLES,
    "golden_tolerance": TOLERANCE,
}
TRAINING = {
    "name": "680,000 hours of speech from the web",
    "licence": "MIT (the weights); the recordings were not published",
    "note": "trained by OpenAI to transcribe and translate (Radford et al. 2022); taken over unchanged, then "
    "quantised",
}


def feeds(data: Path) -> list[Feed]:
    """Clips for calibration, one a feed: the same number from every corpus, half of them disturbed.

    Not even these come from the speakers that are held out.
    """
    random, around, found = np.random.default_rng(0), Surroundings(data), []
    for corpus in CORPORA:
        folder = data / "speech" / corpus
        files = [row["file"] for row in read_manifest(folder) if f"{corpus}/{row['speaker']}" not in HELD_OUT]
        for file in random.choice(files, CALIBRATION, replace=False):
            audio = read_clip(folder / file)
            worse = disturbed(audio, around, random)[:MAX_SAMPLES]
            found += [{"audio": padded(version)[None]} for version in (audio, worse)]
    return found


def golden_audio(seconds: float = 0.6) -> np.ndarray:
    """Two made-up vowels, a calm one and a strained one, in 16-bit steps: [2, samples]."""
    time = np.arange(int(seconds * RATE)) / RATE
    random = np.random.default_rng(0)
    rows = []
    for pitch, swing, loud in ((110, 5, 0.1), (260, 60, 0.4)):
        phase = 2 * np.pi * np.cumsum(pitch + swing * np.sin(2 * np.pi * 3 * time)) / RATE
        voice = sum(np.sin(k * phase) / (1 + abs(k * pitch - 700) / 300) for k in range(1, 20))
        row = voice * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * time)) + random.normal(0, 0.02, len(time))
        rows.append(loud * row / np.abs(row).max())
    return (np.round(np.array(rows) * 32768) / 32768).astype(np.float32)


def name_sizes(path: Path) -> None:
    """Call the sizes that vary `batch`, `samples` and `frames`; the exporter calls some by a formula."""
    model = onnx.load(path)
    for port, names in (("audio", ["batch", "samples"]), ("states", ["batch", "frames"]),
                        ("loudness", ["batch", "frames"])):  # fmt: skip
        found = next(node for node in (*model.graph.input, *model.graph.output) if node.name == port)
        for size, name in zip(found.type.tensor_type.shape.dim, names, strict=False):
            size.dim_param = name
    onnx.save(model, path)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--out", type=Path, default=SHIPPED, help="folder for the model (%(default)s)")
    parser.add_argument("--fp32", action="store_true", help="write the whole encoder and the stem in fp32 instead")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.fp32:
        for layers, folder in ((6, options.work / "fp32/whole"), (LAYERS, options.work / "fp32/stem")):
            folder.mkdir(parents=True, exist_ok=True)
            stem = load_stem(whisper_base(options.cache), layers)
            export(States(stem).eval(), folder / "model.onnx", MIN_SAMPLES, MAX_SAMPLES)
            name_sizes(folder / "model.onnx")
            write_card(folder, CARD)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    graph, draft = options.out / "model.onnx", options.out / "draft.onnx"
    clips = feeds(options.data)
    stem = load_stem(whisper_base(options.cache), LAYERS, frames=MAX_SAMPLES // (2 * HOP))
    balance(stem, tqdm(clips, desc="balance"))
    quantised(States(stem), tqdm(clips, desc="calibration"), draft, MIN_SAMPLES, MAX_SAMPLES)
    name_sizes(draft)
    draft.replace(graph)
    write_card(options.out, {**CARD, "training_data": [TRAINING]})
    write_golden(options.out, {"audio": golden_audio()})
    print(f"{options.out}: {graph.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
