"""The card of a model folder: inputs, outputs, training data and measured quality of the graph."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.errors import ModelInvalid


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of a graph."""

    dtype: str
    """NumPy's name, such as `float32`."""
    shape: tuple[int | str, ...]
    """Sizes; a name for a size that may vary, `batch` for the axis along which rows are stacked."""

    @property
    def batch_axis(self) -> int | None:
        """The axis along which rows are stacked; None for an input that all rows share."""
        return self.shape.index("batch") if "batch" in self.shape else None


@dataclass(frozen=True, slots=True)
class Card:
    """`card.toml`, parsed. `data` is the whole file, for people and reports."""

    folder: Path
    name: str
    kind: str
    sha256: str
    licence: str
    labels: tuple[str, ...]
    inputs: Mapping[str, Port]
    outputs: Mapping[str, Port]
    data: Mapping[str, Any]

    @property
    def fingerprint(self) -> str:
        """The first 12 digits of the hash, which identify the graph."""
        return self.sha256[:12]

    @property
    def graph(self) -> Path:
        """Path of the ONNX file."""
        return self.folder / "model.onnx"


def read_card(folder: Path) -> Card:
    """Read `card.toml`. Raises `ModelInvalid` (`model_missing` if the file is missing)."""
    file = folder / "card.toml"
    if not file.is_file():
        raise ModelInvalid(f"no model in {folder}: card.toml is missing", code="model_missing")
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
        return Card(
            folder=folder,
            name=data["name"],
            kind=data["kind"],
            sha256=data["sha256"],
            licence=data["licence"],
            labels=tuple(data.get("labels", ())),
            inputs={name: Port(str(spec[0]), tuple(spec[1:])) for name, spec in data["inputs"].items()},
            outputs={name: Port(str(spec[0]), tuple(spec[1:])) for name, spec in data["outputs"].items()},
            data=data,
        )
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise ModelInvalid(f"{file} is not a valid card: {error!r}") from error


def stem_of(card: Card) -> tuple[str, str]:
    """Name and hash of the stem that a head was trained on. Raises `ModelInvalid` if its card names none."""
    name, sha256 = card.data.get("stem"), card.data.get("stem_sha256")
    if not (isinstance(name, str) and isinstance(sha256, str) and Path(name).name == name):
        raise ModelInvalid(f"{card.folder} is not a voice model: its card names no stem")
    return name, sha256


def check_stem(head: Card, stem: Card) -> None:
    """Raise `ModelInvalid` unless the head was trained on this stem."""
    name, sha256 = stem_of(head)
    if sha256 != stem.sha256:
        raise ModelInvalid(
            f"{head.name} ({head.folder}) was trained on the stem {name} with sha256 {sha256}, not on {stem.name} "
            f"({stem.folder}) with {stem.sha256}"
        )


def check_hash(card: Card) -> None:
    """Raise `ModelInvalid` unless the graph is the one that the card describes."""
    try:
        with card.graph.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelInvalid(f"can't read {card.graph}: {error.strerror}", code="model_missing") from error
    if found != card.sha256:
        raise ModelInvalid(f"{card.graph} is not the file its card describes: sha256 {found}")
