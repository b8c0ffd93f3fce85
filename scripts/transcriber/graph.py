"""What Whisper base does behind the stem, as two graphs: the rest of the encoder, and one step of the decoder.

The encoder turns the stem's last hidden states into the keys and values that every layer of the decoder attends
to; the decoder takes new tokens and what it remembers of the earlier ones. Weights are int8. Neither graph has a
batch: each run is one utterance's alone, so the activations' scales may be taken from what comes, and no range has
to be measured beforehand.

Source: Radford et al. 2022 (Whisper).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from scripts.voice.stem_graph import halve, strip
from scripts.voice.whisper_encoder import Block, Mlp, Stem

BLOCK = 128
"""Weights that share a scale."""
STRIDE = 10
"""Frames of silence that one stands for."""
_MIDDLE = 128
"""Stands for zero in the stored bytes."""


class Rest(nn.Module):
    """The stem's last states [frames, width] to what the decoder attends to: speech, and silence up to 30 s.

    Whisper was trained on 30 s, with silence behind the speech, and misses words or repeats itself without. Silence
    hardly changes within a fifth of a second: one of STRIDE frames stands for all of them, which adds the logarithm
    of their number to its scores. `silence` [30 s / STRIDE, width] is what the stem makes of such a frame at its
    place, so that the stem need not run over it.

    Keys are [heads, width / heads, padded], values [heads, padded, width / heads]; last comes `log_frames`
    [padded], the logarithm of how many frames each stands for.
    """

    silence: Tensor
    log_stride: Tensor

    def __init__(self, blocks: nn.ModuleList, decoder_layers: int, silence: Tensor) -> None:
        super().__init__()
        self.heads, width = blocks[0].attention.heads, silence.shape[1]
        self.blocks = blocks
        self.norm = nn.LayerNorm(width)
        self.keys = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(decoder_layers))
        self.values = nn.ModuleList(nn.Linear(width, width) for _ in range(decoder_layers))
        self.register_buffer("silence", silence)
        self.register_buffer("log_stride", torch.full((len(silence),), math.log(STRIDE)))

    def forward(self, states: Tensor) -> list[Tensor]:
        frames = states.shape[0]
        behind = (frames + STRIDE - 1) // STRIDE
        x = torch.cat([states, self.silence[behind:]])
        log_frames = torch.cat([states.new_zeros(frames), self.log_stride[behind:]])
        for block in self.blocks:
            x = self.through(block, x, log_frames)
        x = self.norm(x)
        found = []
        for key, value in zip(self.keys, self.values, strict=True):
            found.append(key(x).unflatten(1, (self.heads, -1)).permute(1, 2, 0))
            found.append(split(value(x), self.heads))
        return [*found, log_frames]

    def through(self, block: Block, x: Tensor, log_frames: Tensor) -> Tensor:
        """One layer, in which some frames stand for many."""
        heads, y = block.attention, block.norm1(x)
        query, key, value = (split(product(y), self.heads) for product in (heads.query, heads.key, heads.value))
        scores = query @ key.transpose(1, 2) * key.shape[-1] ** -0.5 + log_frames
        x = x + heads.out((scores.softmax(-1) @ value).transpose(0, 1).flatten(1))
        return x + block.mlp(block.norm2(x))


def split(x: Tensor, heads: int) -> Tensor:
    """[rows, width] to [heads, rows, width / heads]."""
    return x.unflatten(1, (heads, -1)).transpose(0, 1)


class Layer(nn.Module):
    """One decoder layer over new tokens [new, width]."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.joint = nn.Linear(width, 3 * width)  # query, key and value in one product
        self.out = nn.Linear(width, width)
        self.ask, self.answer = nn.Linear(width, width), nn.Linear(width, width)
        self.mlp = Mlp(width, 4 * width)

    def forward(
        self, x: Tensor, past: Sequence[Tensor], cross: Sequence[Tensor], hidden: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """`cross` is key, value and `log_frames` of what was heard; `hidden` bars a token from those behind it."""
        query, key, value = self.joint(self.norm1(x)).chunk(3, dim=1)
        key = torch.cat([past[0], split(key, self.heads)], dim=1)
        value = torch.cat([past[1], split(value, self.heads)], dim=1)
        scores = split(query, self.heads) @ key.transpose(1, 2) + hidden
        x = x + self.out((scores.softmax(-1) @ value).transpose(0, 1).flatten(1))
        scores = split(self.ask(self.norm2(x)), self.heads) @ cross[0] + cross[2]
        x = x + self.answer((scores.softmax(-1) @ cross[1]).transpose(0, 1).flatten(1))
        return x + self.mlp(self.norm3(x)), key, value


class Decoder(nn.Module):
    """Embedded new tokens [new, width] to the last one's final state [1, width], and to what is to be remembered.

    `past` [2 * layers, heads, tokens, width / heads] holds each layer's keys and values of the tokens before.
    """

    positions: Tensor

    def __init__(self, width: int, heads: int, layers: int, positions: Tensor) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.register_buffer("positions", positions)

    def forward(self, x: Tensor, past: Tensor, *cross: Tensor) -> tuple[Tensor, Tensor]:
        before, new = past.shape[2], x.shape[0]
        at = torch.arange(before + new)
        x = x + self.positions[before : before + new]
        hidden = torch.where(at[None] > at[before:, None], -torch.inf, 0.0)
        kept = []
        for index, layer in enumerate(self.layers):
            own = slice(2 * index, 2 * index + 2)
            x, key, value = layer(x, past[own].unbind(), (*cross[own], cross[-1]), hidden)
            kept += [key, value]
        return self.norm(x[-1:]), torch.stack(kept)


def load_rest(variables: dict[str, Tensor], encoder: Stem, first: int, silence: Tensor) -> Rest:
    """The layers of the whole encoder from `first` (counted from 0) on, and what the decoder asks of them."""
    layers, width = _count(variables, "decoder"), silence.shape[1]
    rest = Rest(encoder.blocks[first:], layers, silence)
    weights = {f"blocks.{name}": value for name, value in rest.blocks.state_dict().items()}
    weights |= {"silence": silence, "log_stride": rest.log_stride, **_norm(variables, "norm", "encoder/layer_norm")}
    for layer in range(layers):
        both, biases = (
            variables[f"decoder/layer_{layer}/attention/linear_1/{part}"] for part in ("weight", "bias")
        )
        weights |= {f"keys.{layer}.weight": both[:width], f"values.{layer}.weight": both[width:]}
        weights[f"values.{layer}.bias"] = biases[width:]
    rest.load_state_dict(weights)
    return rest.eval().requires_grad_(False)


def load_decoder(variables: dict[str, Tensor]) -> Decoder:
    positions = variables["decoder/position_encodings/encodings"]
    width, heads = positions.shape[1], int(variables["decoder/num_heads"])
    decoder = Decoder(width, heads, _count(variables, "decoder"), positions)
    weights = {"positions": positions, **_norm(variables, "norm", "decoder/layer_norm")}
    sources = {"joint": "self_attention/linear_0", "out": "self_attention/linear_1", "ask": "attention/linear_0",
               "answer": "attention/linear_2", "mlp.fc1": "ffn/linear_0", "mlp.fc2": "ffn/linear_1"}  # fmt: skip
    norms = {"norm1": "self_attention", "norm2": "attention", "norm3": "ffn"}
    scale = (width // heads) ** -0.5  # of the scores; queries take it, which saves a product at each step
    for index in range(len(decoder.layers)):
        source, target = f"decoder/layer_{index}", f"layers.{index}"
        for ours, theirs in sources.items():
            for part in ("weight", "bias"):
                value = variables[f"{source}/{theirs}/{part}"].clone()
                if ours in ("joint", "ask"):
                    value[:width] *= scale
                weights[f"{target}.{ours}.{part}"] = value
        for ours, theirs in norms.items():
            weights |= _norm(variables, f"{target}.{ours}", f"{source}/{theirs}/layer_norm")
    decoder.load_state_dict(weights)
    return decoder.eval().requires_grad_(False)


def _count(variables: dict[str, Tensor], side: str) -> int:
    return len({name.split("/")[1] for name in variables if name.startswith(f"{side}/layer_") and "ffn" in name})


def _norm(variables: dict[str, Tensor], ours: str, theirs: str) -> dict[str, Tensor]:
    return {f"{ours}.weight": variables[f"{theirs}/gamma"], f"{ours}.bias": variables[f"{theirs}/beta"]}


def cross_names(layers: int) -> list[str]:
    return [*(f"{what}_{layer}" for layer in range(layers) for what in ("key", "value")), "log_frames"]


def export_rest(rest: Rest, path: Path, longest: int) -> None:
    """Write the graph in fp32: `states` [frames, width] -> `key_0`, `value_0`, ..., `log_frames`."""
    frames = torch.export.Dim("frames", min=2, max=longest)
    torch.onnx.export(
        rest,
        (torch.randn(150, rest.norm.normalized_shape[0]),),
        path,
        input_names=["states"],
        output_names=cross_names(len(rest.keys)),
        dynamic_shapes={"states": {0: frames}},
        opset_version=20,
        external_data=False,
        verbose=False,
    )


def export_decoder(decoder: Decoder, path: Path) -> None:
    """Write the graph in fp32 without words: `embedded`, `past`, `key_0`, ... -> `final`, `present`."""
    layers, heads = len(decoder.layers), decoder.layers[0].heads
    width = decoder.norm.normalized_shape[0]
    size, past, new, frames = width // heads, *(torch.export.Dim(name) for name in ("past", "new", "frames"))
    cross = [torch.randn((heads, size, 300) if at % 2 == 0 else (heads, 300, size)) for at in range(2 * layers)]
    cross.append(torch.zeros(300))
    axes = (*({2: frames} if at % 2 == 0 else {1: frames} for at in range(2 * layers)), {0: frames})
    torch.onnx.export(
        decoder,
        (torch.randn(3, width), torch.randn(2 * layers, heads, 5, size), *cross),
        path,
        input_names=["embedded", "past", *cross_names(layers)],
        output_names=["final", "present"],
        dynamic_shapes={"x": {0: new}, "past": {2: past}, "cross": axes},
        opset_version=20,
        external_data=False,
        verbose=False,
    )


def packed(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A product's weight [outputs, inputs] as bytes [outputs, blocks, BLOCK] and scales [outputs, blocks]."""
    blocks = weight.reshape(len(weight), -1, BLOCK)
    scales = np.abs(blocks).max(axis=2) / 127
    steps = np.round(blocks / np.maximum(scales, 1e-12)[..., None])
    return (steps + _MIDDLE).astype(np.uint8), scales.astype(np.float32)


def product(name: str, source: str, target: str, outputs: int, inputs: int, bias: str = "") -> onnx.NodeProto:
    """The node `target = source @ weight.T + bias` for a weight stored as `<name>_bytes` and `<name>_scales`."""
    given = [source, f"{name}_bytes", f"{name}_scales", *(["", "", bias] if bias else [])]
    return helper.make_node(
        "MatMulNBits", given, [target], name=name, domain="com.microsoft",
        N=outputs, K=inputs, bits=8, block_size=BLOCK, accuracy_level=4,
    )  # fmt: skip


def whole_product(name: str, source: str, target: str, bias: str = "") -> onnx.NodeProto:
    """The same with one scale for all activations, taken from what comes: three times as fast over many frames."""
    stored = [f"{name}_{ending}" for ending in ("steps", "scales", "zeros")]
    return helper.make_node(
        "DynamicQuantizeMatMul", [source, *stored, *([bias] if bias else [])], [target],
        name=name, domain="com.microsoft",
    )  # fmt: skip


def shrink(model: onnx.ModelProto, in_blocks: str = "") -> None:
    """Store the weight of every product in int8: in blocks where its name has `in_blocks`, else in channels."""
    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for index, node in enumerate(graph.node):
        if node.op_type not in ("Gemm", "MatMul") or node.input[1] not in stored:
            continue
        tensor = stored[node.input[1]]
        turned = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
        weight = np.ascontiguousarray(numpy_helper.to_array(tensor) if turned else numpy_helper.to_array(tensor).T)
        name, source, target = f"product_{index}", node.input[0], node.output[0]
        bias = node.input[2] if len(node.input) > 2 else ""
        if in_blocks in tensor.name:
            parts = dict(zip(("bytes", "scales"), packed(weight), strict=True))
            replaced = product(name, source, target, weight.shape[0], weight.shape[1], bias)
        else:
            scales = (np.abs(weight).max(axis=1) / 127).astype(np.float32)
            steps = np.ascontiguousarray(np.round(weight / scales[:, None]).astype(np.int8).T)
            parts = {"steps": steps, "scales": scales, "zeros": np.zeros(len(scales), np.int8)}
            replaced = whole_product(name, source, target, bias)
        graph.initializer.extend(
            numpy_helper.from_array(values, f"{name}_{ending}") for ending, values in parts.items()
        )
        graph.initializer.remove(tensor)
        node.CopyFrom(replaced)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def with_words(model: onnx.ModelProto, embeddings: np.ndarray) -> None:
    """Put the embedding before the decoder and the logits behind it; both are one table, and stored once."""
    graph, (words, width) = model.graph, embeddings.shape
    for ending, values in zip(("bytes", "scales"), packed(embeddings), strict=True):
        graph.initializer.append(numpy_helper.from_array(values, f"words_{ending}"))
    for name, numbers in {"middle": np.array(_MIDDLE, np.float32), "rows": np.array([-1, width])}.items():
        graph.initializer.append(numpy_helper.from_array(numbers, name))
    graph.initializer.append(numpy_helper.from_array(np.array([2]), "last_axis"))
    before = [
        helper.make_node("Gather", ["words_bytes", "tokens"], ["token_bytes"]),
        helper.make_node("Gather", ["words_scales", "tokens"], ["token_scales"]),
        helper.make_node("Cast", ["token_bytes"], ["token_steps"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["token_steps", "middle"], ["token_values"]),
        helper.make_node("Unsqueeze", ["token_scales", "last_axis"], ["token_widths"]),
        helper.make_node("Mul", ["token_values", "token_widths"], ["token_blocks"]),
        helper.make_node("Reshape", ["token_blocks", "rows"], ["embedded"]),
    ]
    nodes = [*before, *graph.node, product("words", "final", "logits", words, width)]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.input[0].CopyFrom(helper.make_tensor_value_info("tokens", TensorProto.INT64, ["new"]))
    graph.output[0].CopyFrom(helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, words]))


def name_sizes(model: onnx.ModelProto, names: dict[str, Sequence[str | int]]) -> None:
    """Give the sizes of inputs and outputs that vary the names that the card shows."""
    for port in (*model.graph.input, *model.graph.output):
        for size, name in zip(port.type.tensor_type.shape.dim, names.get(port.name, ()), strict=False):
            if isinstance(name, str):
                size.dim_param = name
            else:
                size.dim_value = name


def finish(model: onnx.ModelProto, path: Path) -> None:
    halve(model)
    strip(model)
    onnx.checker.check_model(model)
    onnx.save(model, path)
