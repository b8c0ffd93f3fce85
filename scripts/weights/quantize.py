"""Store an ONNX graph's matrix products in int8, with scales fixed beforehand (static quantisation).

Activations are U8 with one scale per tensor, weights S8 with one scale per output channel. As no scale
depends on the batch, neither does a row's result; dynamic quantisation would let one row change its neighbours.
On processors without VNNI or AMX, U8 x S8 sums may saturate: the golden outputs of a model card show it.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from tqdm import tqdm

from assistant.inference.runtime import onnxruntime

# isort: split
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

Feed = dict[str, np.ndarray]

OPERATORS = ["MatMul", "Gemm", "Conv"]


class Samples(CalibrationDataReader):
    """Feeds for calibration, in the shape that onnxruntime asks for."""

    def __init__(self, feeds: Iterable[Feed]) -> None:
        self.feeds: Iterator[Feed] = iter(feeds)

    def get_next(self) -> Feed | None:
        return next(self.feeds, None)


def prepare(source: Path, target: Path) -> None:
    """Fold constants and infer shapes. Node names of `keep_fp32` are those of the graph written here."""
    quant_pre_process(source, target, skip_symbolic_shape=True)


def candidates(prepared: Path) -> list[str]:
    """Names of the nodes that can be quantised: products of an activation with a stored weight."""
    graph = onnx.load(prepared).graph
    stored = {tensor.name for tensor in graph.initializer}
    return [node.name for node in graph.node if node.op_type in OPERATORS and node.input[1] in stored]


def quantize(
    source: Path,
    target: Path,
    samples: Iterable[Feed],
    keep_fp32: Sequence[str] = (),
    method: CalibrationMethod = CalibrationMethod.MinMax,
) -> None:
    """Write `source` to `target` with all products by stored weights in int8, but for nodes in `keep_fp32`.

    `samples` are feeds of the graph (name -> array); a hundred typical ones do.
    """
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        prepare(source, prepared)
        names = candidates(prepared)
        unknown = set(keep_fp32) - set(names)
        if unknown:
            raise ValueError(f"no such nodes to keep in fp32: {sorted(unknown)}")
        _quantize(prepared, target, samples, [name for name in names if name not in keep_fp32], method)


def sensitivity(
    source: Path, samples: Sequence[Feed], error: Callable[[Feed, Feed], float] | None = None
) -> dict[str, float]:
    """Quantise one node at a time and measure what it does to the outputs; the worst node comes first.

    `error(before, after)` takes the outputs by name; by default it is the largest root mean square change of
    an output, relative to the output's deviation. The names can go into `keep_fp32`.
    """
    measure = error or relative_error
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        prepared, trial = Path(folder) / "prepared.onnx", Path(folder) / "trial.onnx"
        prepare(source, prepared)
        before = [run(prepared, feed) for feed in samples]
        for name in tqdm(candidates(prepared), desc="sensitivity", unit="node"):
            _quantize(prepared, trial, samples, [name], CalibrationMethod.MinMax)
            session = open_session(trial)
            after = [run(session, feed) for feed in samples]
            found[name] = float(np.mean([measure(*pair) for pair in zip(before, after, strict=True)]))
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def relative_error(before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]) -> float:
    """The largest root mean square change of an output, in deviations of that output."""
    return max(
        float(np.sqrt(np.mean((after[name] - value) ** 2)) / (np.std(value) + 1e-9))
        for name, value in before.items()
    )


def open_session(model: Path, threads: int = 1) -> onnxruntime.InferenceSession:
    """Open a graph on the CPU, whole or in the making, with onnxruntime's own optimisations."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run(model: Path | onnxruntime.InferenceSession, feed: Feed) -> Feed:
    """The outputs by name."""
    session = open_session(model) if isinstance(model, Path) else model
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feed), strict=True))


def _quantize(
    prepared: Path, target: Path, samples: Iterable[Feed], names: list[str], method: CalibrationMethod
) -> None:
    quantize_static(
        prepared,
        target,
        Samples(samples),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=OPERATORS,
        nodes_to_quantize=names,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=method,
        # A product's output stays fp32: what follows (bias, softmax, normalisation) needs its precision.
        extra_options={"OpTypesToExcludeOutputQuantization": OPERATORS},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="ONNX graph in fp32")
    parser.add_argument("target", type=Path, nargs="?", help="graph to write in int8; without it, rank the nodes")
    parser.add_argument(
        "--samples", type=Path, nargs="+", required=True, help="NPZ files, one feed each: an array per input"
    )
    parser.add_argument("--keep-fp32", nargs="*", default=[], metavar="NODE", help="nodes to leave alone")
    arguments = parser.parse_args()
    feeds = [dict(np.load(path)) for path in arguments.samples]
    if arguments.target:
        quantize(arguments.source, arguments.target, feeds, arguments.keep_fp32)
        return
    for name, error in sensitivity(arguments.source, feeds).items():
        print(f"{error:.5f} {name}")


if __name__ == "__main__":
    main()
