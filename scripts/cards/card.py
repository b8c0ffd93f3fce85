"""Write what travels with a model's graph: its card (`card.toml`) and golden outputs (`golden.npz`)."""

from __future__ import annotations

import argparse
import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from assistant.inference.model import onnx_session

Table = Mapping[str, Any]

TYPES = {
    "tensor(float)": "float32",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(uint8)": "uint8",
}


def write_card(folder: Path, card: Table) -> None:
    """Write `card.toml`; the graph itself gives the hash, the inputs and the outputs.

    `card` holds the other keys in their order: plain values, tables, and lists of tables.
    """
    session = onnx_session(folder / "model.onnx")
    found = {
        "sha256": hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest(),
        "inputs": {node.name: [TYPES[node.type], *node.shape] for node in session.get_inputs()},
        "outputs": {node.name: [TYPES[node.type], *node.shape] for node in session.get_outputs()},
    }
    (folder / "card.toml").write_text(toml({**card, **found}), encoding="utf-8")


def read_card(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "card.toml").read_text(encoding="utf-8"))


def write_figures(folder: Path, figures: Sequence[Table]) -> None:
    """Put these figures in the place of those on the card."""
    write_card(folder, {**read_card(folder), "figures": list(figures)})


def write_behaviour(folder: Path, kind: str, entries: Sequence[Table], kinds: Sequence[str]) -> None:
    """Put these entries in the place of those of their kind on the card; the kinds stand in the order given."""
    card = read_card(folder)
    kept = [entry for entry in card.get("behaviour", []) if entry["kind"] != kind]
    found = sorted([*kept, *entries], key=lambda entry: kinds.index(entry["kind"]))
    write_card(folder, {**card, "behaviour": found})


def write_golden(folder: Path, feed: Mapping[str, np.ndarray]) -> None:
    """Run the graph on these inputs and keep both: `input_<name>` and `output_<name>`."""
    session = onnx_session(folder / "model.onnx")
    names = [node.name for node in session.get_outputs()]
    arrays = {f"input_{name}": value for name, value in feed.items()}
    arrays |= {f"output_{name}": value for name, value in zip(names, session.run(names, dict(feed)), strict=True)}
    np.savez_compressed(folder / "golden.npz", allow_pickle=False, **arrays)


def toml(card: Table) -> str:
    """Write a card as TOML: plain values first, then tables, then lists of tables.

    >>> print(toml({"rows": [{"n": 2}], "name": "a", "in": {"x": ["int64", "batch"]}, "ok": True}))
    name = "a"
    ok = true
    <BLANKLINE>
    [in]
    x = ["int64", "batch"]
    <BLANKLINE>
    [[rows]]
    n = 2
    <BLANKLINE>
    """
    tables = {key: value for key, value in card.items() if isinstance(value, Mapping)}
    lists = {key: value for key, value in card.items() if _is_tables(value)}
    blocks = [_lines({key: value for key, value in card.items() if key not in tables | lists})]
    blocks += [f"[{key}]\n{_lines(value)}" for key, value in tables.items()]
    blocks += [f"[[{key}]]\n{_lines(row)}" for key, rows in lists.items() for row in rows]
    return "\n".join(blocks)


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, Mapping) for row in value)


def _lines(table: Table) -> str:
    return "".join(f"{key} = {_value(value)}\n" for key, value in table.items())


def _value(value: object) -> str:
    # TOML's strings, numbers, booleans and flat lists are written as in JSON.
    if isinstance(value, float) and value.is_integer():
        return f"{value:.1f}"
    return json.dumps(value, ensure_ascii=False, default=float)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a model's card anew, for its graph as it is.")
    parser.add_argument("folder", type=Path, help="models/<name>, with model.onnx and card.toml")
    folder = parser.parse_args().folder
    write_card(folder, read_card(folder))


if __name__ == "__main__":
    main()
