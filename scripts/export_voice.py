"""Put trained voice heads behind the quantised stem: models/voice, and a folder per fold for measuring.

    python scripts/export_voice.py                     # WORK/heads/shipped.npz -> models/voice
    python scripts/export_voice.py --folds             # every other WORK/heads/... -> WORK/models/...

The stem is exported and quantised once (WORK/stem.onnx); heads are a few products in fp32 after it. What is left in
fp32 is stored as fp16, which is how Whisper's weights were published, and widened when the graph is loaded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from cards import write_card, write_golden
from onnx import TensorProto, helper, numpy_helper
from tqdm import tqdm
from train_voice import (
    MAX_SAMPLES,
    MIN_SAMPLES,
    ROOT,
    Array,
    Heads,
    arguments,
    stem_graph,
)
from whisper import RATE

SHIPPED = ROOT / "models" / "voice"
LICENCE = (
    "The encoder is OpenAI's Whisper base (MIT); the heads were trained on corpora of which some are "
    "non-commercial (RAVDESS: CC BY-NC-SA 4.0) or state no open licence (EmoTale, ASED): ask their authors "
    "before commercial use."
)
SUMMARY = (
    "Emotion, valence, arousal and stress from 0.5 to 15 s of speech: an estimate of expression, learned from "
    "actors. Stress is how much it sounds like anger or fear. The penalty, the layers and the centre of the "
    "baseline were chosen on the same folds of speakers whose figures are shown, so these are a little optimistic."
)
TRAINING = [
    ("ravdess", "CC BY-NC-SA 4.0", 899, "English, acted; actors 16, 17 and 18 left out"),
    ("emodb", "free of charge, cite", 454, "German, acted; boredom left out of the emotions"),
    (
        "emotale",
        "no open licence, cite",
        640,
        "Danish and English, acted; all 800 clips, with three raters each, for valence and arousal",
    ),
    ("banglaser", "CC BY 4.0", 1464, "Bangla, acted"),
    ("ased", "none stated, cite", 2470, "Amharic, acted, validated by judges"),
]


def attach(stem: onnx.ModelProto, heads: Heads) -> onnx.ModelProto:
    """The stem with these heads behind it, in fp32."""
    model = onnx.ModelProto()
    model.CopyFrom(stem)
    graph = model.graph

    def constant(name: str, value: Array | float) -> str:
        array = value if isinstance(value, np.ndarray) else np.array(value, np.float32)
        graph.initializer.append(numpy_helper.from_array(array, name))
        return name

    def node(kind: str, inputs: Sequence[str], output: str, **attributes: int) -> str:
        graph.node.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    for name in ("emotions", "affect", "deviation", "stress"):
        part = getattr(heads, name)
        weight = constant(f"{name}_weight", part.weight.astype(np.float32))
        bias = constant(f"{name}_bias", part.bias.astype(np.float32))
        node("Gemm", ["features", weight, bias], f"{name}_raw", transB=1)
    node("Softmax", ["emotions_raw"], "emotions", axis=-1)
    ends = [constant("minus_one", -1.0), constant("one", 1.0)]
    node("Clip", ["affect_raw", *ends], "affect")
    bounds = [constant(name, math.log(value)) for name, value in (("least", 0.1), ("most", 1.0))]
    node("Exp", [node("Clip", ["deviation_raw", *bounds], "deviation_log")], "affect_deviation")
    node("Squeeze", [node("Sigmoid", ["stress_raw"], "stress_column"), constant("column", np.array([1]))], "stress")
    del graph.output[:]
    shapes = {"emotions": [len(heads.labels)], "affect": [2], "affect_deviation": [2], "stress": []}
    for name, shape in shapes.items():
        graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape]))
    onnx.checker.check_model(model)
    return model


def golden_audio() -> Array:
    """Two made-up vowels, a calm one and a strained one, 1.2 s long, in 16-bit steps: [2, samples]."""
    time = np.arange(int(1.2 * RATE)) / RATE
    random = np.random.default_rng(0)
    rows = []
    for pitch, swing, loud in ((110, 5, 0.1), (260, 60, 0.4)):
        phase = 2 * np.pi * np.cumsum(pitch + swing * np.sin(2 * np.pi * 3 * time)) / RATE
        voice = sum(np.sin(k * phase) / (1 + abs(k * pitch - 700) / 300) for k in range(1, 20))
        row = voice * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * time)) + random.normal(0, 0.02, len(time))
        rows.append(loud * row / np.abs(row).max())
    return (np.round(np.array(rows) * 32768) / 32768).astype(np.float32)


def write_folder(folder: Path, name: str, stem: onnx.ModelProto, heads: Heads) -> None:
    """model.onnx, card.toml and golden.npz."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(attach(stem, heads), folder / "model.onnx")
    card: dict[str, object] = {
        "name": name,
        "kind": "voice",
        "version": "1",
        "licence": LICENCE,
        "summary": SUMMARY,
        "labels": list(heads.labels),
        "sample_rate": RATE,
        "min_samples": MIN_SAMPLES,
        "max_samples": MAX_SAMPLES,
        "golden_tolerance": 0.02,
        "population": {"center": [round(float(value), 4) for value in heads.center]},
    }
    if name == "voice":
        keys = ("name", "licence", "rows", "note")
        card["training_data"] = [dict(zip(keys, row, strict=True)) for row in TRAINING]
    write_card(folder, card)
    write_golden(folder, {"audio": golden_audio()})


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--folds", action="store_true", help="write the fold heads' folders to WORK/models instead")
    parser.add_argument("--out", type=Path, default=SHIPPED, help="folder for the shipped model (%(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    stem = onnx.load(stem_graph(options.data, options.work, options.cache))
    shipped = options.work / "heads" / "shipped.npz"
    if not options.folds:
        write_folder(options.out, "voice", stem, Heads.load(shipped))
        print(f"{options.out}: {(options.out / 'model.onnx').stat().st_size / 1e6:.1f} MB")
        return
    for path in tqdm(sorted((options.work / "heads").glob("*/*.npz")), desc="folds"):
        name = f"{path.parent.name}/{path.stem}"
        heads = Heads.load(path)
        write_folder(options.work / "models" / name, f"voice-{path.parent.name}-{path.stem}", stem, heads)


if __name__ == "__main__":
    main()
