"""Build models/vad from Silero VAD: the same weights in a graph that takes many chunks of many streams at once.

Silero's own graph takes one chunk of 512 samples, and spends most of its time between small operators. Here the
STFT and the convolutions, which know nothing of the past, are products over all chunks of all rows, and the LSTM
takes the chunks of a row one after the other. It is checked against the original on a recording.

The samples of a row are 64 that were heard before, then any number of whole chunks; the state comes back renewed.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from assistant.audio.decode import read_audio
from assistant.inference.model import onnx_session
from scripts.cards.card import write_card, write_golden
from scripts.paths import ROOT
from scripts.weights.download import CACHE, silero_vad

FOLDER = ROOT / "models" / "vad"
RATE, CONTEXT, FRAME, STATE = 16_000, 64, 512, 128
WINDOW, HOP, BINS = 256, 128, 129
TOLERANCE = 1e-4

CARD = {
    "name": "vad",
    "kind": "vad",
    "version": "6.2.3",
    "licence": "MIT: Silero VAD, copyright Silero Team.",
    "summary": "The probability that each 32 ms chunk holds speech.",
    "sample_rate": RATE,
    "frame_samples": FRAME,
    "context_samples": CONTEXT,
    "golden_tolerance": 0.01,
    "training_data": [
        {
            "name": "not published",
            "licence": "MIT (the weights)",
            "note": "trained by Silero; the weights are unchanged, the graph around them is new",
        }
    ],
}


class Graph:
    """Nodes and constants on their way into a model."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """A node; gives the name of its first output."""
        name = f"{kind.lower()}{len(self.nodes)}"
        names = [name, *(f"{name}_{number}" for number in range(1, outputs))]
        self.nodes.append(helper.make_node(kind, inputs, names, name=name, **attributes))
        return name

    def constant(self, value: np.ndarray | list[int]) -> str:
        array = np.asarray(value, dtype=np.int64 if isinstance(value, list) else np.float32)
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def cut(self, data: str, start: int, end: int, axis: int) -> str:
        return self.add("Slice", data, *(self.constant([number]) for number in (start, end, axis)))

    def shaped(self, data: str, *sizes: int) -> str:
        return self.add("Reshape", data, self.constant(list(sizes)))

    def dense(self, data: str, weights: np.ndarray, bias: np.ndarray) -> str:
        """`data` times `weights` [in, out], plus `bias`, above zero."""
        product = self.add("MatMul", data, self.constant(weights))
        return self.add("Relu", self.add("Add", product, self.constant(bias)))


def rebuilt(original: onnx.ModelProto) -> onnx.ModelProto:
    """The weights of Silero's graph in ours."""
    w = {tensor.name: numpy_helper.to_array(tensor) for tensor in original.graph.initializer}

    def layer(number: int) -> tuple[np.ndarray, np.ndarray]:
        """Taps [tap, in, out] and bias of a convolution of width 3."""
        name = f"model.encoder.{number}.reparam_conv"
        return w[f"{name}.weight"].transpose(2, 1, 0), w[f"{name}.bias"]

    g = Graph()
    # chunks with their context: [rows, chunks, 576]
    context = g.cut(g.shaped(g.cut("samples", 0, -CONTEXT, 1), 0, -1, FRAME), 0, CONTEXT, 2)
    chunks = g.add("Concat", context, g.shaped(g.cut("samples", CONTEXT, 1 << 60, 1), 0, -1, FRAME), axis=2)

    # four windows of a chunk whose end is mirrored: [all chunks, 4, 256]
    mirrored = np.pad(np.arange(CONTEXT + FRAME), (0, CONTEXT), mode="reflect")
    windows = [int(mirrored[HOP * window + sample]) for window in range(4) for sample in range(WINDOW)]
    framed = g.shaped(g.add("Gather", chunks, g.constant(windows), axis=2), -1, 4, WINDOW)
    basis = w["model.stft.forward_basis_buffer"][:, 0].T
    parts = [g.add("MatMul", framed, g.constant(part)) for part in (basis[:, :BINS], basis[:, BINS:])]
    power = g.add("Add", *(g.add("Mul", part, part) for part in parts))
    magnitude = g.add("Sqrt", power)

    # four convolutions over 4, 4, 2 and 1 moments, as products
    taps, bias = layer(0)
    wide = g.add("Pad", magnitude, g.constant([0, 1, 0, 0, 1, 0]))
    shifted = g.add("Concat", *(g.cut(wide, tap, tap + 4, 1) for tap in range(3)), axis=2)
    hidden = g.shaped(g.dense(shifted, taps.reshape(3 * BINS, -1), bias), -1, 4 * taps.shape[2])
    for number, (moments, stride) in enumerate(((4, 2), (2, 2), (1, 1)), start=1):
        taps, bias = layer(number)
        outs = range(-(-moments // stride))
        whole = np.zeros((moments, taps.shape[1], len(outs), taps.shape[2]), dtype=np.float32)
        for out in outs:
            for tap in range(3):
                if 0 <= (moment := stride * out + tap - 1) < moments:
                    whole[moment, :, out] = taps[tap]
        hidden = g.dense(hidden, whole.reshape(moments * taps.shape[1], -1), np.tile(bias, len(outs)))

    # the LSTM along the chunks of each row; ONNX orders its gates input, output, forget, cell
    shape = g.add("Shape", chunks)
    rows = g.add("Reshape", hidden, g.add("Concat", g.cut(shape, 0, 2, 0), g.constant([STATE]), axis=0))
    order = [0, 3, 1, 2]

    def gates(weights: np.ndarray) -> np.ndarray:
        return weights.reshape(4, STATE, -1)[order].reshape(4 * STATE, -1)

    rnn = "model.decoder.rnn"
    biases = np.concatenate([gates(w[f"{rnn}.bias_{kind}"]) for kind in ("ih", "hh")])[:, 0]
    said = g.add(
        "LSTM",
        g.add("Transpose", rows, perm=[1, 0, 2]),
        g.constant(gates(w[f"{rnn}.weight_ih"])[None]),
        g.constant(gates(w[f"{rnn}.weight_hh"])[None]),
        g.constant(biases[None]),
        "",
        g.cut("state", 0, 1, 0),
        g.cut("state", 1, 2, 0),
        outputs=3,
        hidden_size=STATE,
    )
    renewed = helper.make_node("Concat", [f"{said}_1", f"{said}_2"], ["renewed"], axis=0)
    weights, shift = w["model.decoder.decoder.2.weight"], w["model.decoder.decoder.2.bias"]
    voiced = g.add("MatMul", g.add("Relu", said), g.constant(weights.reshape(STATE, 1)))
    spoken = g.add("Sigmoid", g.add("Add", voiced, g.constant(shift)))  # [chunks, 1, rows, 1]
    flat = g.add("Squeeze", spoken, g.constant([1, 3]))
    probabilities = helper.make_node("Transpose", [flat], ["probabilities"], perm=[1, 0])

    floats = TensorProto.FLOAT
    state: list[str | int | None] = [2, "batch", STATE]
    graph = helper.make_graph(
        [*g.nodes, renewed, probabilities],
        "vad",
        [
            helper.make_tensor_value_info("samples", floats, ["batch", "samples"]),
            helper.make_tensor_value_info("state", floats, state),
        ],
        [
            helper.make_tensor_value_info("probabilities", floats, ["batch", "chunks"]),
            helper.make_tensor_value_info("renewed", floats, state),
        ],
        g.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model


def compare(ours: Path, theirs: Path) -> float:
    """The largest difference of a probability from Silero's own graph, over a recording and faint noise."""
    speech = read_audio(ROOT / "assistant" / "demo" / "reading.flac")
    noise = np.random.default_rng(0).normal(0, 0.01, len(speech)).astype(np.float32)
    heard = np.stack([speech, noise])[:, : CONTEXT + FRAME * ((len(speech) - CONTEXT) // FRAME)]
    state = np.zeros((2, 2, STATE), dtype=np.float32)
    session, original = onnx_session(ours), onnx_session(theirs)
    found, _ = session.run(None, {"samples": heard, "state": state})
    wanted = []
    for start in range(0, heard.shape[1] - CONTEXT, FRAME):
        chunk = np.ascontiguousarray(heard[:, start : start + CONTEXT + FRAME])
        said, state = original.run(None, {"input": chunk, "state": state, "sr": np.array(RATE)})
        wanted.append(said[:, 0])
    return float(np.max(np.abs(found - np.stack(wanted, axis=1))))


def golden() -> dict[str, np.ndarray]:
    """Two streams: faint noise, and a loud hum in the middle of something."""
    random = np.random.default_rng(0)
    time = np.arange(CONTEXT + 2 * FRAME) / RATE
    hum = sum(np.sin(2 * np.pi * 120 * k * time) / k for k in range(1, 12)) / 4
    samples = np.stack([random.normal(0, 0.003, len(time)), hum])
    state = random.normal(0, 0.3, (2, 2, STATE))
    return {"samples": samples.astype(np.float32), "state": state.astype(np.float32)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder of pretrained weights (%(default)s)")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write (%(default)s)")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    source = silero_vad(options.cache)
    onnx.save(rebuilt(onnx.load(source)), options.out / "model.onnx")
    write_card(options.out, CARD)
    write_golden(options.out, golden())
    difference = compare(options.out / "model.onnx", source)
    print(f"largest difference from Silero's graph: {difference:.2g}")
    if difference > TOLERANCE:
        raise SystemExit(f"more than {TOLERANCE:g}: the graphs don't agree")


if __name__ == "__main__":
    main()
