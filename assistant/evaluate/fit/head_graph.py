"""A fitted head as an ONNX graph: the steps done in numpy, as operators, beside what a shipped head gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from assistant.evaluate.extras import optional
from assistant.evaluate.fit.features import LOUD
from assistant.evaluate.fit.head import TENSE, Head
from assistant.evaluate.fit.softmax import Linear
from assistant.inference.card import Card

TAKEN_OVER = ("affect", "affect_deviation", "quality")
"""Outputs that stay those of the head it was fitted beside."""


def make_graph(head: Head, beside: Card) -> Any:
    """The fitted readings beside what is taken over from the graph of `beside`, cut out of it.

    Raises `Unavailable` (`extra_missing`).
    """
    onnx = optional("onnx", "--save-model")
    tense = [head.labels.index(name) for name in TENSE if name in head.labels]
    kept = [*TAKEN_OVER, *(() if tense else ("stress",))]
    whole = onnx.load(str(beside.graph))
    cut = optional("onnx.utils", "--save-model").Extractor(whole).extract_model(["states", "loudness"], kept)
    graph = cut.graph
    taken = {name for node in graph.node for name in (node.name, *node.input, *node.output)}
    prefix = "head"
    while any(name.startswith(prefix) for name in taken):
        prefix += "_"
    ours = {name: f"{prefix}_beside_{name}" for name in ("emotions", "relative", "stress") if name not in kept}
    for node in graph.node:  # its stress may come of its own emotions
        node.input[:] = [ours.get(name, name) for name in node.input]
        node.output[:] = [ours.get(name, name) for name in node.output]
    del graph.value_info[:]
    make = _Nodes(onnx, prefix, int(np.prod(beside.inputs["states"].shape[2:])))  # type: ignore[arg-type]
    make.readings(head, tense)
    graph.node.extend(make.nodes)
    graph.initializer.extend(make.constants)
    float32 = onnx.TensorProto.FLOAT
    labels = len(head.labels)
    graph.output.extend(
        [onnx.helper.make_tensor_value_info(name, float32, ["batch", labels]) for name in ("emotions", "relative")]
    )
    if tense:
        graph.output.append(onnx.helper.make_tensor_value_info("stress", float32, ["batch"]))
    graph.name, graph.doc_string = "fitted_head", ""
    del cut.metadata_props[:]
    cut.doc_string, cut.producer_name = "", "attune"
    onnx.checker.check_model(cut)
    return cut


class _Nodes:
    """The same steps as `features.summarise` and `head.Head`, as graph operators of opset 18 or later."""

    def __init__(self, onnx: Any, prefix: str, width: int) -> None:
        self._onnx = onnx
        self._prefix = prefix
        self._width = width
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def readings(self, head: Head, tense: Sequence[int]) -> None:
        """From `states` and `loudness` to `emotions`, `relative` and perhaps `stress`."""
        both = self._pairs("states", [0, -1, 2, self._width], "ReduceMean")
        loud = self._pairs("loudness", [0, -1, 2], "ReduceMax")
        words = self._add("Cast", self._add("Greater", loud, self._number(LOUD)), to=self._onnx.TensorProto.FLOAT)
        share = self._add("Div", words, self._add("ReduceSum", words, self._whole([1]), keepdims=1))
        share = self._add("Unsqueeze", share, self._whole([1]))
        mean = self._add("MatMul", share, both)
        square = self._add("MatMul", share, self._add("Mul", both, both))
        variance = self._add("Sub", square, self._add("Mul", mean, mean))
        variance = self._add("Add", self._add("Max", variance, self._number(0.0)), self._number(1e-6))
        features = self._add("Concat", mean, self._add("Sqrt", variance), axis=2)
        features = self._add("Squeeze", features, self._whole([1]))
        self._add("Softmax", self._linear(features, head.raw), axis=1, gives="emotions")
        relative = self._linear(features, head.relative)
        middle = self._add("ReduceMean", relative, self._whole([1]), keepdims=1)
        self._add("Sub", relative, middle, gives="relative")
        if tense:
            chosen = self._add("Gather", "emotions", self._whole(tense), axis=1)
            self._add("ReduceSum", chosen, self._whole([1]), keepdims=0, gives="stress")

    def _pairs(self, of: str, shape: Sequence[int], reduce: str) -> str:
        """Frames in pairs, one value each; an odd last frame is left out."""
        frames = self._add("Gather", self._add("Shape", of), self._whole([1]), axis=0)
        even = self._add("Mul", self._add("Div", frames, self._whole([2])), self._whole([2]))
        cut = self._add("Slice", of, self._whole([0]), even, self._whole([1]))
        return self._add(reduce, self._add("Reshape", cut, self._whole(shape)), self._whole([2]), keepdims=0)

    def _linear(self, features: str, linear: Linear) -> str:
        weight = self._constant(linear.weight.astype(np.float32))
        return self._add("Gemm", features, weight, self._constant(linear.bias.astype(np.float32)), transB=1)

    def _add(self, kind: str, *takes: str, gives: str = "", **settings: Any) -> str:
        name = gives or f"{self._prefix}{len(self.nodes)}_{kind.lower()}"
        self.nodes.append(
            self._onnx.helper.make_node(kind, list(takes), [name], name=f"{self._prefix}_{name}", **settings)
        )
        return name

    def _number(self, value: float) -> str:
        return self._constant(np.asarray(value, dtype=np.float32))

    def _whole(self, values: Sequence[int]) -> str:
        return self._constant(np.asarray(values, dtype=np.int64))

    def _constant(self, value: Any) -> str:
        name = f"{self._prefix}_constant_{len(self.constants)}"
        self.constants.append(self._onnx.numpy_helper.from_array(value, name))
        return name
