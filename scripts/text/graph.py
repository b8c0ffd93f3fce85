"""The text model as an ONNX graph, written node by node, so that it holds what the processor runs fast.

Three choices matter for speed: one product for query, key and value; GELU by tanh; and word vectors in int8 that
are widened row by row. Node names say where they stand (`layer3/fc2`), so that a product can be left in fp32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from scripts.text.data import AFFECT, AFFECT_UNIT, EMOTION, LOG_VARIANCE, SENTIMENT, STRESS

OPSET = 20
OUTPUTS = ["emotions", "sentiment", "affect", "affect_deviation", "stress", "embedding"]
SERVED = np.r_[EMOTION, SENTIMENT, AFFECT, STRESS, LOG_VARIANCE]
"""Columns of the raw output that are served, in the order of the graph's last product."""

Weights = Mapping[str, np.ndarray]


class Graph:
    """Nodes and stored tensors, each under a name."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.stored: dict[str, np.ndarray] = {}

    def store(self, name: str, value: npt.ArrayLike) -> str:
        self.stored[name] = np.ascontiguousarray(value)
        return name

    def add(self, kind: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """Append a node with one output, which carries the node's name."""
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def product(self, x: str, name: str, weight: np.ndarray, bias: np.ndarray) -> str:
        """`x @ weight + bias`; weight [in, out]."""
        found = self.add("MatMul", [x, self.store(f"{name}.weight", weight)], name)
        return self.add("Add", [found, self.store(f"{name}.bias", bias)], f"{name}.biased")

    def normalise(self, x: str, name: str, weight: np.ndarray, bias: np.ndarray, epsilon: float) -> str:
        parts = [x, self.store(f"{name}.weight", weight), self.store(f"{name}.bias", bias)]
        return self.add("LayerNormalization", parts, name, axis=-1, epsilon=epsilon)


def write(
    path: Path,
    weights: Weights,
    scale: np.ndarray,
    shift: np.ndarray,
    *,
    heads: int,
    epsilon: float,
    int8_words: bool,
) -> None:
    """Write the graph of a `TextModel` whose encoder is a BERT; raw outputs become `raw * scale + shift`.

    `weights` is the model's state; `heads` is the number of attention heads.
    """
    graph = Graph()
    state = {name.removeprefix("encoder."): value for name, value in weights.items()}
    hidden = _embeddings(graph, state, epsilon, int8_words)
    graph.store("mask.one", np.float32(1))
    graph.store("mask.large", np.float32(-1e9))
    graph.add("Cast", ["attention_mask"], "mask", to=TensorProto.FLOAT)
    graph.add("Sub", ["mask.one", "mask"], "mask.missing")
    graph.add("Mul", ["mask.missing", "mask.large"], "mask.bias")
    graph.add("Unsqueeze", ["mask.bias", graph.store("mask.axes", np.array([1, 2]))], "mask.attention")
    number = 0
    while f"encoder.layer.{number}.output.dense.weight" in state:
        hidden = _layer(graph, state, number, hidden, heads, epsilon)
        number += 1
    _pool(graph, hidden)
    _outputs(graph, state, scale, shift)
    _save(graph, path, width=hidden_size(state))


def hidden_size(state: Weights) -> int:
    return int(state["embeddings.LayerNorm.weight"].shape[0])


def _embeddings(graph: Graph, state: Weights, epsilon: float, int8_words: bool) -> str:
    words = state["embeddings.word_embeddings.weight"]
    if int8_words:
        scale = np.maximum(np.abs(words).max(1, keepdims=True), 1e-9) / 127
        graph.store("words.numbers", np.round(words / scale).astype(np.int8))
        graph.store("words.scales", scale.astype(np.float32))
        graph.add("Gather", ["words.numbers", "input_ids"], "words.found")
        graph.add("Gather", ["words.scales", "input_ids"], "words.scale")
        graph.add("Cast", ["words.found"], "words.wide", to=TensorProto.FLOAT)
        graph.add("Mul", ["words.wide", "words.scale"], "words")
    else:
        graph.add("Gather", [graph.store("words.table", words), "input_ids"], "words")
    # every token is of type 0
    places = state["embeddings.position_embeddings.weight"] + state["embeddings.token_type_embeddings.weight"][0]
    graph.store("places.table", places)
    graph.store("places.zero", np.array([0]))
    graph.add("Shape", ["input_ids"], "places.count", start=1, end=2)
    graph.add("Slice", ["places.table", "places.zero", "places.count", "places.zero"], "places")
    graph.add("Add", ["words", "places"], "embeddings")
    return graph.normalise(
        "embeddings",
        "embeddings/norm",
        state["embeddings.LayerNorm.weight"],
        state["embeddings.LayerNorm.bias"],
        epsilon,
    )


def _layer(graph: Graph, state: Weights, number: int, x: str, heads: int, epsilon: float) -> str:
    def of(part: str) -> tuple[np.ndarray, np.ndarray]:
        """Weight [in, out] and bias of a linear layer."""
        start = f"encoder.layer.{number}.{part}"
        return state[f"{start}.weight"].T, state[f"{start}.bias"]

    at = f"layer{number}"
    width = hidden_size(state)
    size = width // heads
    query, key, value = (of(f"attention.self.{part}") for part in ("query", "key", "value"))
    scaled = (query[0] / np.sqrt(size), query[1] / np.sqrt(size))
    weight = np.concatenate([scaled[0], key[0], value[0]], 1).astype(np.float32)
    bias = np.concatenate([scaled[1], key[1], value[1]]).astype(np.float32)
    together = graph.product(x, f"{at}/qkv", weight, bias)
    graph.nodes.append(
        helper.make_node(
            "Split", [together], [f"{at}/q", f"{at}/k", f"{at}/v"], name=f"{at}/split", axis=-1, num_outputs=3
        )
    )
    shape = graph.store(f"{at}/shape", np.array([0, 0, heads, size]))
    for part, order in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
        graph.add("Reshape", [f"{at}/{part}", shape], f"{at}/{part}.heads")
        graph.add("Transpose", [f"{at}/{part}.heads"], f"{at}/{part}.turned", perm=order)
    graph.add("MatMul", [f"{at}/q.turned", f"{at}/k.turned"], f"{at}/scores")
    graph.add("Add", [f"{at}/scores", "mask.attention"], f"{at}/masked")
    graph.add("Softmax", [f"{at}/masked"], f"{at}/attention", axis=-1)
    graph.add("MatMul", [f"{at}/attention", f"{at}/v.turned"], f"{at}/mixed")
    graph.add("Transpose", [f"{at}/mixed"], f"{at}/mixed.turned", perm=[0, 2, 1, 3])
    graph.add(
        "Reshape", [f"{at}/mixed.turned", graph.store(f"{at}/flat", np.array([0, 0, width]))], f"{at}/context"
    )
    found = graph.product(f"{at}/context", f"{at}/out", *of("attention.output.dense"))
    graph.add("Add", [found, x], f"{at}/attended")
    norm = f"encoder.layer.{number}.attention.output.LayerNorm"
    x = graph.normalise(f"{at}/attended", f"{at}/norm1", state[f"{norm}.weight"], state[f"{norm}.bias"], epsilon)
    wide = graph.product(x, f"{at}/fc1", *of("intermediate.dense"))
    graph.add("Gelu", [wide], f"{at}/gelu", approximate="tanh")
    found = graph.product(f"{at}/gelu", f"{at}/fc2", *of("output.dense"))
    graph.add("Add", [found, x], f"{at}/fed")
    norm = f"encoder.layer.{number}.output.LayerNorm"
    return graph.normalise(f"{at}/fed", f"{at}/norm2", state[f"{norm}.weight"], state[f"{norm}.bias"], epsilon)


def _pool(graph: Graph, hidden: str) -> None:
    """The mean over the tokens that are there."""
    graph.add("Unsqueeze", ["mask", graph.store("pool.last", np.array([2]))], "pool.mask")
    graph.add("Mul", [hidden, "pool.mask"], "pool.kept")
    axis = graph.store("pool.axis", np.array([1]))
    graph.add("ReduceSum", ["pool.kept", axis], "pool.sum", keepdims=0)
    graph.add("ReduceSum", ["mask", axis], "pool.count", keepdims=1)
    graph.add("Div", ["pool.sum", "pool.count"], "embedding")


def _outputs(graph: Graph, state: Weights, scale: np.ndarray, shift: np.ndarray) -> None:
    """Calibrated estimates: the calibration is folded into the last product."""
    weight = (state["heads.weight"] * scale[:, None])[SERVED].T.astype(np.float32)
    bias = (state["heads.bias"] * scale + shift)[SERVED].astype(np.float32)
    raw = graph.product("embedding", "heads", weight, bias)
    names = ["raw.emotions", "raw.sentiment", "raw.affect", "raw.stress", "raw.log_variance"]
    sizes = graph.store("heads.sizes", np.array([28, 3, 3, 1, 3]))
    graph.nodes.append(helper.make_node("Split", [raw, sizes], names, name="heads/split", axis=1))
    graph.add("Sigmoid", ["raw.emotions"], "emotions")
    graph.add("Softmax", ["raw.sentiment"], "sentiment", axis=-1)
    unit, low, high = (
        graph.store(f"affect.{n}", np.float32(v)) for n, v in (("unit", AFFECT_UNIT), ("low", -1), ("high", 1))
    )
    graph.add("Mul", ["raw.affect", unit], "affect.scaled")
    graph.add("Clip", ["affect.scaled", low, high], "affect")
    six = [graph.store("deviation.low", np.float32(-6)), graph.store("deviation.high", np.float32(6))]
    graph.add("Clip", ["raw.log_variance", *six], "deviation.clipped")
    graph.add("Mul", ["deviation.clipped", graph.store("deviation.half", np.float32(0.5))], "deviation.log")
    graph.add("Exp", ["deviation.log"], "deviation")
    graph.add("Mul", ["deviation", unit], "affect_deviation")
    graph.add("Sigmoid", ["raw.stress"], "stress.column")
    graph.add("Squeeze", ["stress.column", graph.store("stress.axis", np.array([1]))], "stress")


def _save(graph: Graph, path: Path, width: int) -> None:
    sizes = {
        "emotions": [28],
        "sentiment": [3],
        "affect": [3],
        "affect_deviation": [3],
        "stress": [],
        "embedding": [width],
    }
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
        for name in ("input_ids", "attention_mask")
    ]
    outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", *sizes[n]]) for n in OUTPUTS]
    stored = [numpy_helper.from_array(value, name) for name, value in graph.stored.items()]
    body = helper.make_graph(graph.nodes, "text", inputs, outputs, stored)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)
