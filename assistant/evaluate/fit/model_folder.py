"""Writing a fitted head as a model folder that `--model` and the server load: graph, card, golden outputs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from assistant.bootstrap import Figure
from assistant.emotion import Baseline
from assistant.errors import Conflict, ModelInvalid, Unavailable
from assistant.evaluate.extras import optional
from assistant.evaluate.fit.features import LOUD
from assistant.evaluate.fit.folds import FLOOR, Protocol
from assistant.evaluate.fit.head import TENSE, Head, TrainingSet
from assistant.evaluate.fit.softmax import Linear
from assistant.evaluate.report.provenance import hash_file
from assistant.inference.card import Card
from assistant.inference.model import golden_error, onnx_session, open_model

MOST_SERVED = Baseline.SIZE - 1
"""Emotions that a server takes: a baseline keeps one number fewer than there are emotions, and two of affect."""
TAKEN_OVER = ("affect", "affect_deviation", "quality")
"""Outputs that stay those of the head it was fitted beside."""
_TOLERANCE = 0.02
_OURS = "fitted"  # the key of the card that says who wrote the folder: only such a folder is ever replaced


def check_folder(folder: Path) -> None:
    """Raise `Conflict` (`model_exists`) unless the folder is new, empty or one that was written here before.

    And `Unavailable` (`extra_missing`) where graphs can't be written: better at once than after an hour.
    """
    optional("onnx", "--save-model")
    if not folder.exists():
        return
    card = folder / "card.toml"
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if not card.is_file() or f"[{_OURS}]" not in card.read_text(encoding="utf-8", errors="replace").splitlines():
        why = f"--save-model {folder} exists and was not written by this command; name a new folder"
        raise Conflict(why, code="model_exists")


def save_model(folder: Path, head: Head, beside: Card, told: Mapping[str, Any]) -> Card:
    """Write model.onnx, card.toml and golden.npz, then load the folder as the server does and compare.

    `beside` is the shipped head whose quality, valence and arousal are taken over. `told` are more keys of the
    card. Raises `Unavailable`: `extra_missing`, `out_unwritable`.
    """
    check_folder(folder)
    content = make_graph(head, beside).SerializeToString(deterministic=True)
    labels, qualities = len(head.labels), int(beside.outputs["quality"].shape[-1])
    states = list(beside.inputs["states"].shape)
    floats: dict[str, Sequence[int]] = {
        "emotions": (labels,), "relative": (labels,), "affect": (2,), "affect_deviation": (2,), "stress": (),
        "quality": (qualities,),
    }  # fmt: skip
    card: dict[str, Any] = {
        "name": folder.resolve().name,
        "kind": "voice",
        "version": "1",
        "licence": f"The emotions are yours: as the data allow that you fitted them on. The rest is {beside.name}: "
        + beside.licence,
        "summary": f"A linear head fitted with `assistant evaluate voice --fit head`. Valence, arousal and when it "
        f"abstains are those of {beside.name}. It is an estimate of expression.",
        "labels": list(head.labels),
        "qualities": list(beside.data["qualities"]),
        "stem": beside.data["stem"],
        "stem_sha256": beside.data["stem_sha256"],
        "golden_tolerance": _TOLERANCE,
        "fine_threshold": beside.data["fine_threshold"],
        "sha256": hashlib.sha256(content).hexdigest(),
        "population": {"center": list(head.center), "spread": list(head.spread)},
        "inputs": {"states": ["float32", *states], "loudness": ["float32", "batch", "frames"]},
        "outputs": {name: ["float32", "batch", *shape] for name, shape in floats.items()},
        **told,
        _OURS: {"beside": beside.name, "beside_sha256": beside.sha256, **told.get(_OURS, {})},
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.onnx").write_bytes(content)
        (folder / "card.toml").write_text(to_toml(card), encoding="utf-8")
        _write_golden(folder, beside, states)
    except OSError as error:
        why = f"can't write into --save-model {folder}: {error.strerror}"
        raise Unavailable(why, code="out_unwritable") from error
    opened = open_model(folder)
    if (apart := golden_error(opened)) > _TOLERANCE:
        raise ModelInvalid(f"{folder} gives different values than when it was written: they differ by {apart:.3g}")
    return opened.card


def make_training_card(
    data: Path, known: TrainingSet, protocol: Protocol, compared: Mapping[str, Mapping[str, Figure]], folds: int
) -> dict[str, Any]:
    """What the card says of its training on the table `data`, and of the folds."""
    uar, floor = compared[f"baseline: {protocol.baseline}"]["uar"], compared[FLOOR]["uar"]
    tested = f"{protocol.column} left out in turn" if protocol.column else f"{folds} folds of speakers"
    figure = {
        "measure": "uar",
        **{name: round(value, 4) for name, value in asdict(uar).items() if np.isfinite(value)},
        "floor": round(floor.value, 4),
        "data": f"{data.name}, {len(known.labels)} classes, {tested}; baseline: {protocol.baseline}",
        "n": len(known.target),
        "command": "assistant evaluate voice --fit head",
    }
    training = {
        "name": data.name,
        "licence": "say it here",
        "rows": len(known.target),
        "note": f"{int(known.who.max()) + 1} speakers; only the emotions were learned from it",
    }
    return {_OURS: {"data_sha256": hash_file(data)}, "training_data": [training], "figures": [figure]}


def find_own_training(card: Card, data: Path) -> list[str]:
    """A note where a fitted head is measured on the very table that it learned from."""
    own = card.data.get(_OURS, {}).get("data_sha256")
    note = (
        f"{card.name} learned from this very table: these figures say nothing of voices that it doesn't know; "
        "those of its folds are on its card and in the report of --fit"
    )
    return [note] if own and own == hash_file(data) else []


def _write_golden(folder: Path, beside: Card, states: Sequence[int | str]) -> None:
    """What the graph gives for the inputs recorded beside the shipped head, or for noise where there are none."""
    try:
        with np.load(beside.folder / "golden.npz", allow_pickle=False) as golden:
            feed = {name: golden[f"input_{name}"] for name in ("states", "loudness")}
    except (OSError, KeyError, ValueError):
        drawn = np.random.default_rng(0)
        sizes = [{"batch": 1, "frames": 50}[size] if isinstance(size, str) else size for size in states]
        drawn_states = drawn.normal(size=sizes).astype(np.float32)
        feed = {"states": drawn_states, "loudness": -drawn.random((1, 50)).astype(np.float32)}
    session = onnx_session(folder / "model.onnx")
    names = [node.name for node in session.get_outputs()]
    given = zip(names, session.run(names, feed), strict=True)
    arrays = {f"input_{name}": value for name, value in feed.items()}
    np.savez_compressed(folder / "golden.npz", **arrays, **{f"output_{name}": value for name, value in given})  # type: ignore[arg-type]


def to_toml(card: Mapping[str, Any]) -> str:
    """A card as TOML: plain values, then tables, then lists of tables.

    >>> print(to_toml({"rows": [{"n": 2}], "name": "a", "in": {"x": ["int64", "batch"]}}), end="")
    name = "a"
    <BLANKLINE>
    [in]
    x = ["int64", "batch"]
    <BLANKLINE>
    [[rows]]
    n = 2
    """
    tables = {key: value for key, value in card.items() if isinstance(value, Mapping)}
    lists = {
        key: value
        for key, value in card.items()
        if isinstance(value, list) and value and all(isinstance(row, Mapping) for row in value)
    }
    blocks = [_to_lines({key: value for key, value in card.items() if key not in tables | lists})]
    blocks += [f"[{key}]\n{_to_lines(value)}" for key, value in tables.items()]
    blocks += [f"[[{key}]]\n{_to_lines(row)}" for key, rows in lists.items() for row in rows]
    return "\n".join(blocks)


def _to_lines(table: Mapping[str, Any]) -> str:
    # TOML's strings, numbers, booleans and flat lists are written as in JSON, but for the delete character
    lines = "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in table.items())
    return lines.replace("\x7f", "\\u007f")


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
    shapes = {"emotions": ["batch", len(head.labels)], "relative": ["batch", len(head.labels)], "stress": ["batch"]}
    for name, shape in shapes.items():
        if name not in kept:
            graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape))
    graph.name, graph.doc_string = "fitted_head", ""
    del cut.metadata_props[:]
    cut.doc_string, cut.producer_name = "", "attune"
    onnx.checker.check_model(cut)
    return cut


class _Nodes:
    """The same steps as `features.summarise` and `head.Head`, as graph operators of opset 18 or later."""

    def __init__(self, onnx: Any, prefix: str, width: int) -> None:
        self._onnx, self._prefix, self._width = onnx, prefix, width
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
        node = self._onnx.helper.make_node(kind, takes, [name], name=f"{self._prefix}_{name}", **settings)
        self.nodes.append(node)
        return name

    def _number(self, value: float) -> str:
        return self._constant(np.asarray(value, dtype=np.float32))

    def _whole(self, values: Sequence[int]) -> str:
        return self._constant(np.asarray(values, dtype=np.int64))

    def _constant(self, value: Any) -> str:
        name = f"{self._prefix}_constant_{len(self.constants)}"
        self.constants.append(self._onnx.numpy_helper.from_array(value, name))
        return name
