"""Opens models: one ONNX graph each, called like a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from assistant.errors import ModelInvalid
from assistant.inference.card import Card, Port, check_hash, read_card
from assistant.inference.runtime import onnxruntime

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]


class OnnxSession(Protocol):
    """The part of `onnxruntime.InferenceSession` that is used."""

    def run(self, outputs: list[str] | None, inputs: dict[str, Array]) -> list[Array]:
        """Run the graph; `outputs` None: all outputs."""

    def get_inputs(self) -> list[Any]:
        """The graph's inputs, each with a name and a shape."""

    def get_outputs(self) -> list[Any]:
        """The graph's outputs, each with a name and a shape."""


SessionFactory = Callable[[Path], OnnxSession]


def session_options() -> onnxruntime.SessionOptions:
    """Options for one thread per session; parallelism comes from running several batches at once."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # an arena would keep the largest batch ever seen
    options.enable_cpu_mem_arena = False
    # the fused kernel for `x + y` and its normalisation is several times slower than the two apart
    options.add_session_config_entry("optimization.disable_specified_optimizers", "SkipLayerNormFusion")
    return options


def onnx_session(graph: Path) -> OnnxSession:
    """Open a graph on the CPU, with one thread."""
    session: OnnxSession = onnxruntime.InferenceSession(
        str(graph), sess_options=session_options(), providers=["CPUExecutionProvider"]
    )
    return session


class Model:
    """A loaded graph whose hash, names and shapes match its card."""

    def __init__(self, card: Card, session: OnnxSession) -> None:
        self.card, self._session = card, session

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """Run one batch. Raises `ModelInvalid` for inputs that don't fit the card."""
        for name, port in self.card.inputs.items():
            _check(name, port, inputs)
        names = list(self.card.outputs)
        return dict(zip(names, self._session.run(names, dict(inputs)), strict=True))


def open_model(folder: Path, session: SessionFactory = onnx_session) -> Model:
    """Load the model in `folder` and check its hash, names and shapes against the card. Raises `ModelInvalid`."""
    card = read_card(folder)
    check_hash(card)
    try:
        opened = session(card.graph)
    except Exception as error:  # the runtime raises many kinds; to us they all mean that the file is no good
        raise ModelInvalid(f"{card.graph} can't be loaded: {type(error).__name__}") from error
    for what, ports, found in (
        ("inputs", card.inputs, opened.get_inputs()),
        ("outputs", card.outputs, opened.get_outputs()),
    ):
        _check_names(card, what, ports, {node.name: list(node.shape) for node in found})
    width = card.outputs["emotions"].shape[-1] if "emotions" in card.outputs else len(card.labels)
    if width != len(card.labels):
        raise ModelInvalid(f"{card.name} names {len(card.labels)} labels for {width} emotions")
    return Model(card, opened)


ModelOpener = Callable[[Path], Model]


def _check_names(card: Card, what: str, ports: Mapping[str, Port], found: dict[str, list[Any]]) -> None:
    if what == "inputs" and set(found) != set(ports):
        raise ModelInvalid(f"{card.name} takes {sorted(found)}, its card says {sorted(ports)}")
    for name, port in ports.items():
        if name not in found:
            raise ModelInvalid(f"{card.name} has no output {name!r}")
        sizes = found[name]
        fixed = [
            (a, b) for a, b in zip(port.shape, sizes, strict=False) if isinstance(a, int) and isinstance(b, int)
        ]
        if len(sizes) != len(port.shape) or any(a != b for a, b in fixed):
            raise ModelInvalid(f"{card.name}: {name} has shape {sizes}, its card says {list(port.shape)}")


def _check(name: str, port: Port, inputs: Arrays) -> None:
    if name not in inputs:
        raise ModelInvalid(f"input {name!r} is missing")
    array = inputs[name]
    fits = array.ndim == len(port.shape) and all(
        not isinstance(want, int) or want == have for want, have in zip(port.shape, array.shape, strict=True)
    )
    if not fits or array.dtype != np.dtype(port.dtype):
        raise ModelInvalid(
            f"input {name!r} is {array.dtype}{list(array.shape)}, the card says {port.dtype}{list(port.shape)}"
        )


def golden_error(model: Model) -> float:
    """Largest difference from the outputs recorded in `golden.npz`, relative to an output's largest value.

    For outputs below 1 (probabilities, affect) the difference is absolute, so that one limit fits all. Raises
    `ModelInvalid` if the file is missing or unreadable. It is never unpickled.
    """
    file = model.card.folder / "golden.npz"
    try:
        with np.load(file, allow_pickle=False) as golden:
            inputs = {name: golden[f"input_{name}"] for name in model.card.inputs}
            wanted = {name: golden[f"output_{name}"] for name in model.card.outputs}
    except (OSError, KeyError, ValueError) as error:
        raise ModelInvalid(f"{file} can't be used: {error!r}", code="model_missing") from error
    given = model.run(inputs)
    return max(
        float(np.max(np.abs(given[name] - wanted[name])) / max(1, np.max(np.abs(wanted[name])))) for name in wanted
    )
