"""Write the stem as an ONNX graph, balanced and quantised so that a batch changes nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from scripts.voice.whisper_encoder import RATE, States, Stem
from scripts.weights.quantize import Feed, candidates, prepare, quantize


def export(graph: States, path: Path, shortest: int, longest: int) -> None:
    """Write the graph in fp32: `audio` [batch, samples] -> the module's `outputs`."""
    batch, samples = torch.export.Dim("batch"), torch.export.Dim("samples", min=shortest, max=longest)
    torch.onnx.export(
        graph,
        (torch.randn(2, 3 * RATE + 77) / 10,),
        path,
        input_names=["audio"],
        output_names=list(graph.outputs),
        dynamic_shapes={"audio": {0: batch, 1: samples}},
        opset_version=20,
        external_data=False,
        verbose=False,
    )


def input_ranges(stem: Stem, samples: Iterable[Feed]) -> dict[str, Tensor]:
    """For each product the largest magnitude of every channel of its input over the samples."""
    found: dict[str, Tensor] = {}
    hooks = []
    for name, module in stem.named_modules():
        if isinstance(module, nn.Linear):

            def note(_: nn.Module, inputs: tuple[Tensor], name: str = name) -> None:
                largest = inputs[0].abs().amax(dim=0)
                found[name] = torch.maximum(found.get(name, largest), largest)

            hooks.append(module.register_forward_pre_hook(note))
    for sample in samples:
        stem(torch.from_numpy(sample["audio"]))
    for hook in hooks:
        hook.remove()
    return found


def balance(stem: Stem, samples: Iterable[Feed], outliers: int = 64, share: float = 0.75) -> None:
    """Make the stem fit for int8; what it computes stays the same.

    Channels of a product's input are scaled towards one range, and the weights behind them the other way, `share`
    of the difference being taken from the activations: SmoothQuant (Xiao et al. 2023). Where a GELU stands in
    between, this can't be done; there, the last layer's `outliers` are parted.
    """
    ranges = input_ranges(stem, samples)

    def move(before: Iterable[Tensor], after: list[nn.Linear], name: str) -> None:
        weight = torch.cat([product.weight for product in after]).abs().amax(dim=0)
        scale = ranges[name] ** share / weight ** (1 - share)
        for tensor in before:
            tensor.div_(scale if tensor.dim() == 1 else scale[:, None])
        for product in after:
            product.weight.mul_(scale)

    for index, block in enumerate(stem.blocks):
        heads, mlp, name = block.attention, block.mlp, f"blocks.{index}"
        move(block.norm1.parameters(), [heads.query, heads.key, heads.value], f"{name}.attention.query")
        move(heads.value.parameters(), [heads.out], f"{name}.attention.out")
        move(block.norm2.parameters(), [mlp.fc1], f"{name}.mlp.fc1")
    if outliers:
        last = len(stem.blocks) - 1
        largest = ranges[f"blocks.{last}.mlp.fc2"]
        stem.blocks[last].part(largest >= largest.sort(descending=True).values[outliers - 1])


def sensitive(source: Path, scratch: Path) -> list[str]:
    """The products that stay fp32: spectrum and mel bands, whose power spans 8 decades, and the outliers'."""
    prepare(source, scratch)
    weights = {node.name: node.input[1] for node in onnx.load(scratch).graph.node if len(node.input) > 1}
    return [name for name in candidates(scratch) if ".mel." in weights[name] or "outliers.fc2" in weights[name]]


def halve(model: onnx.ModelProto, smallest: int = 20_000) -> None:
    """Store large fp32 weights as fp16 where that loses nothing that matters, and widen them in the graph."""
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < smallest:
            continue
        half = values.astype(np.float16)
        if np.abs(half.astype(np.float32) - values).max() > 1e-6:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}_half"))
        model.graph.node.insert(0, helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))


def strip(model: onnx.ModelProto) -> None:
    """Forget where the graph was traced (file names of this machine) and the shapes in between."""
    model.metadata_props.clear()
    model.graph.metadata_props.clear()
    for node in model.graph.node:
        node.metadata_props.clear()
        node.doc_string = ""
    model.graph.value_info.clear()


def quantised(graph: States, samples: Iterable[Feed], target: Path, shortest: int, longest: int) -> None:
    """Write the graph in int8, `samples` setting the ranges of the activations."""
    with tempfile.TemporaryDirectory() as folder:
        source, draft = Path(folder) / "fp32.onnx", Path(folder) / "int8.onnx"
        export(graph.eval(), source, shortest, longest)
        quantize(source, draft, samples, sensitive(source, Path(folder) / "prepared.onnx"))
        model = onnx.load(draft)
    halve(model)
    strip(model)
    onnx.save(model, target)
