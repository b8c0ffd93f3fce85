"""Small ONNX graphs and cards of third-party models, for tests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LABELS = ("ang", "hap", "neu")
MAP = 'label_map = {ang = "anger", hap = "joy", neu = "neutral"}'


def saved(folder: Path, graph: onnx.GraphProto, card: str) -> Path:
    """A model folder with the graph and a card around its hash."""
    folder.mkdir(exist_ok=True)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    digest = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    (folder / "card.toml").write_text(f'name = "{folder.name}"\nlicence = "none"\nsha256 = "{digest}"\n{card}')
    return folder


def constant(name: str, values: Any, kind: type = np.float32) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(values, dtype=kind), name)


def loudness_graph(shape: Sequence[Any], scale: Sequence[float] = (-40.0, 40.0, 0.0)) -> onnx.GraphProto:
    """Logits that follow the mean absolute value of the waveform: quiet is the first label, loud the second."""
    last = len(shape) - 1
    return helper.make_graph(
        [
            helper.make_node("Abs", ["wave"], ["size"]),
            helper.make_node("ReduceMean", ["size"], ["level"], axes=list(range(1, last + 1)), keepdims=0),
            helper.make_node("Sub", ["level", "middle"], ["distance"]),
            helper.make_node("Unsqueeze", ["distance", "axis"], ["column"]),
            helper.make_node("Mul", ["column", "scale"], ["logits"]),
        ],
        "loudness",
        [helper.make_tensor_value_info("wave", TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [shape[0], len(scale)])],
        [constant("middle", 0.2), constant("scale", [list(scale)]), constant("axis", [1], np.int64)],
    )


def voice_card(extra: str = "", *, output: str = "logits", shape: str = '"batch", "samples"', **change: str) -> str:
    labels = change.get("labels", json.dumps(list(LABELS)))
    count = len(json.loads(labels))
    return (
        f'kind = "{change.get("kind", "voice")}"\nlabels = {labels}\n'
        f'[foreign]\noutput = "{output}"\n{extra}\n'
        f'[inputs]\nwave = ["float32", {shape}]\n[outputs]\nlogits = ["float32", "batch", {count}]\n'
    )
