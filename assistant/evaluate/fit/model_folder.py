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
from assistant.evaluate.fit.fold_figures import FLOOR, Protocol
from assistant.evaluate.fit.head import Head, TrainingSet
from assistant.evaluate.fit.head_graph import make_graph
from assistant.evaluate.report.provenance import hash_file
from assistant.inference.card import Card
from assistant.inference.model import golden_error, onnx_session, open_model

MOST_SERVED = Baseline.SIZE - 1
"""Emotions that a server takes: a baseline keeps one number fewer than there are emotions, and two of affect."""
_TOLERANCE = 0.02
_OURS = "fitted"
"""The key of the card that says who wrote the folder: only such a folder is ever replaced."""


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
        raise Conflict(
            f"--save-model {folder} exists and was not written by this command; name a new folder",
            code="model_exists",
        )


def save_model(folder: Path, head: Head, beside: Card, told: Mapping[str, Any]) -> Card:
    """Write model.onnx, card.toml and golden.npz, then load the folder as the server does and compare.

    `beside` is the shipped head whose quality, valence and arousal are taken over. `told` are more keys of the
    card. Raises `Unavailable`: `extra_missing`, `out_unwritable`.
    """
    check_folder(folder)
    content = make_graph(head, beside).SerializeToString(deterministic=True)
    labels = len(head.labels)
    states = list(beside.inputs["states"].shape)
    qualities = int(beside.outputs["quality"].shape[-1])
    floats: dict[str, Sequence[int | str]] = {
        "emotions": (labels,),
        "relative": (labels,),
        "affect": (2,),
        "affect_deviation": (2,),
        "stress": (),
        "quality": (qualities,),
    }
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
        raise Unavailable(
            f"can't write into --save-model {folder}: {error.strerror}", code="out_unwritable"
        ) from error
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
    if not own or own != hash_file(data):
        return []
    return [
        f"{card.name} learned from this very table: these figures say nothing of voices that it doesn't know; "
        "those of its folds are on its card and in the report of --fit"
    ]


def _write_golden(folder: Path, beside: Card, states: Sequence[int | str]) -> None:
    """What the graph gives for the inputs recorded beside the shipped head, or for noise where there are none."""
    recorded = beside.folder / "golden.npz"
    try:
        with np.load(recorded, allow_pickle=False) as golden:
            feed = {name: golden[f"input_{name}"] for name in ("states", "loudness")}
    except (OSError, KeyError, ValueError):
        drawn = np.random.default_rng(0)
        sizes = [{"batch": 1, "frames": 50}[size] if isinstance(size, str) else size for size in states]
        feed = {
            "states": drawn.normal(size=sizes).astype(np.float32),
            "loudness": -drawn.random((1, 50)).astype(np.float32),
        }
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
    lists = {key: value for key, value in card.items() if isinstance(value, list) and _are_tables(value)}
    blocks = [_to_lines({key: value for key, value in card.items() if key not in tables | lists})]
    blocks += [f"[{key}]\n{_to_lines(value)}" for key, value in tables.items()]
    blocks += [f"[[{key}]]\n{_to_lines(row)}" for key, rows in lists.items() for row in rows]
    return "\n".join(blocks)


def _are_tables(value: Sequence[Any]) -> bool:
    return bool(value) and all(isinstance(row, Mapping) for row in value)


def _to_lines(table: Mapping[str, Any]) -> str:
    # TOML's strings, numbers, booleans and flat lists are written as in JSON, but for the delete character
    return "".join(
        f"{key} = {json.dumps(value, ensure_ascii=False)}\n".replace("\x7f", "\\u007f")
        for key, value in table.items()
    )
