"""Whisper's encoder as a torch module with the log-mel spectrogram inside, read from a CTranslate2 file.

The waveform goes in and the hidden states of the first few encoder layers come out, so one graph holds everything
between the microphone and the heads. Nothing is padded to 30 s: positions are cut to the length of the audio.

Sources: Radford et al. 2022 (Whisper); the CTranslate2 binary model format, version 6.
"""

from __future__ import annotations

import math
import struct
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from quantize import Feed, candidates, prepare, quantize
from torch import Tensor, nn
from torch.nn import functional

RATE = 16_000
WINDOW, HOP, MELS = 400, 160, 80
PEAK = 1.5
"""The log10 mel power that a levelled clip's loudest cell gets: the median over the training clips."""

_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}


class _Reader:
    """Reads little-endian fields from a byte string, one after another."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def number(self, code: str) -> int:
        (value,) = struct.unpack_from("<" + code, self.data, self.at)
        self.at += struct.calcsize(code)
        return int(value)

    def text(self) -> str:
        length = self.number("H")  # counts the closing zero
        value = self.data[self.at : self.at + length - 1].decode()
        self.at += length
        return value

    def array(self) -> np.ndarray:
        shape = [self.number("I") for _ in range(self.number("B"))]
        kind = np.dtype(_TYPES[self.number("B")])
        size = self.number("I")
        value = np.frombuffer(self.data, kind, size // kind.itemsize, self.at).reshape(shape)
        self.at += size
        return value


def read_variables(path: Path) -> dict[str, Tensor]:
    """Every weight of a CTranslate2 `model.bin` (format 4 and later), as float32, by name."""
    reader = _Reader(path.read_bytes())
    version = reader.number("I")
    if version < 4:
        raise ValueError(f"{path}: CTranslate2 format {version} is too old")
    reader.text()  # the name of the specification
    reader.number("I")  # its revision
    found = {}
    for _ in range(reader.number("I")):
        name = reader.text()
        found[name] = torch.from_numpy(reader.array().astype(np.float32))
    return found


def mel_filters(bands: int = MELS, window: int = WINDOW, rate: int = RATE) -> np.ndarray:
    """Slaney's mel filterbank, area-normalised: [window // 2 + 1, bands]."""

    def hertz(mel: np.ndarray) -> np.ndarray:
        return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * math.log(6.4) / 27))

    top = 15 + 27 * math.log(rate / 2 / 1000) / math.log(6.4)
    edges = hertz(np.linspace(0, top, bands + 2))
    bins = np.linspace(0, rate / 2, window // 2 + 1)[:, None]
    rise = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.asarray(np.maximum(0, np.minimum(rise, fall)) * 2 / (edges[2:] - edges[:-2]), np.float32)


def fourier_kernels(window: int = WINDOW) -> np.ndarray:
    """Hann-windowed cosines, then sines, as convolution kernels: [2 * (window // 2 + 1), 1, window]."""
    time = np.arange(window)
    angle = 2 * np.pi * np.outer(np.arange(window // 2 + 1), time) / window
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * time / window)
    return np.asarray(np.concatenate([np.cos(angle), np.sin(angle)])[:, None] * hann, np.float32)


class LogMel(nn.Module):
    """Whisper's log-mel: [batch, samples] to [batch, 80, samples // 160].

    The floor of 8 decades under the peak is taken per row, so a clip never feels its batch-mates. With `level`
    the peak is also moved to one fixed height, which makes the result independent of the microphone's gain.
    """

    fourier: Tensor
    filters: Tensor

    def __init__(self, level: bool) -> None:
        super().__init__()
        self.level = level
        self.register_buffer("fourier", torch.from_numpy(fourier_kernels()))
        self.register_buffer("filters", torch.from_numpy(mel_filters().T.copy()))

    def forward(self, audio: Tensor) -> Tensor:
        padded = functional.pad(audio[:, None], (WINDOW // 2, WINDOW // 2), mode="reflect")
        cosine, sine = functional.conv1d(padded, self.fourier, stride=HOP)[:, :, :-1].chunk(2, dim=1)
        mel = (self.filters @ (cosine * cosine + sine * sine)).clamp(min=1e-10).log10()
        peak = mel.amax(dim=(1, 2), keepdim=True)
        mel = torch.maximum(mel, peak - 8)
        if self.level:
            mel = mel - peak + PEAK
        return (mel + 4) / 4


class Attention(nn.Module):
    """Plain multi-head self-attention (Whisper's keys have no bias)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        def split(y: Tensor) -> Tensor:
            return y.unflatten(-1, (self.heads, -1)).transpose(1, 2)

        query, key, value = split(self.query(x)), split(self.key(x)), split(self.value(x))
        scores = query @ key.transpose(2, 3) * key.shape[-1] ** -0.5
        return self.out((scores.softmax(-1) @ value).transpose(1, 2).flatten(2))


class Block(nn.Module):
    """One pre-norm transformer layer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.fc2(functional.gelu(self.fc1(self.norm2(x))))


class Stem(nn.Module):
    """Waveform [batch, samples] to the hidden states [batch, frames, width] of each layer; 50 frames a second."""

    positions: Tensor

    def __init__(self, layers: int, width: int, heads: int, level: bool, frames: int = 1500) -> None:
        super().__init__()
        self.mel = LogMel(level)
        self.conv1 = nn.Conv1d(MELS, width, 3, padding=1)
        self.conv2 = nn.Linear(3 * width, width)  # kernel 3, stride 2, written as a product so that it quantises
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.register_buffer("positions", torch.zeros(frames, width))

    def forward(self, audio: Tensor) -> list[Tensor]:
        return self.encode(self.mel(audio))

    def encode(self, mel: Tensor) -> list[Tensor]:
        x = functional.gelu(self.conv1(mel)).transpose(1, 2)
        x = functional.pad(x, (0, 0, 1, 1)).unfold(1, 3, 2).flatten(2)
        x = functional.gelu(self.conv2(x)) + self.positions[: x.shape[1]]
        states = []
        for block in self.blocks:
            x = block(x)
            states.append(x)
        return states


class Features(nn.Module):
    """Waveform [batch, samples] to one vector a clip: mean and deviation over time of the chosen layers.

    Frames whose loudest band is 30 dB or more below the clip's loudest are left out, so that the silence around the
    words does not count. Returns [batch, 2 * width * len(layers)].
    """

    def __init__(self, stem: Stem, layers: tuple[int, ...]) -> None:
        super().__init__()
        self.stem, self.layers = stem, layers

    def forward(self, audio: Tensor) -> Tensor:
        mel = self.stem.mel(audio)
        loud = functional.pad(mel.amax(dim=1), (1, 1), value=-9.0).unfold(1, 3, 2).amax(dim=2)[:, :, None]
        weight = (loud > loud.amax(dim=1, keepdim=True) - 0.75).to(mel.dtype)  # mel is in units of four decades
        weight = weight / weight.sum(dim=1, keepdim=True)
        states = self.stem.encode(mel)
        parts = []
        for layer in self.layers:
            state = states[layer - 1]
            mean = (weight * state).sum(dim=1, keepdim=True)
            deviation = ((weight * (state - mean) ** 2).sum(dim=1) + 1e-8).sqrt()
            parts += [mean.flatten(1), deviation]
        return torch.cat(parts, dim=1)


def _block_weights(variables: dict[str, Tensor], layer: int) -> dict[str, Tensor]:
    """The weights of one encoder layer under this module's names."""
    source = f"encoder/layer_{layer}"
    packed, biases = (variables[f"{source}/self_attention/linear_0/{part}"] for part in ("weight", "bias"))
    width = packed.shape[1]
    if biases[width : 2 * width].abs().max() > 0:
        raise ValueError(f"{source}: Whisper's keys have no bias, so the file's layout is not what was expected")
    found = {}
    for index, name in enumerate(("query", "key", "value")):
        rows = slice(index * width, (index + 1) * width)
        found[f"attention.{name}.weight"] = packed[rows]
        if name != "key":
            found[f"attention.{name}.bias"] = biases[rows]
    for ours, theirs in {
        "norm1": "self_attention/layer_norm",
        "attention.out": "self_attention/linear_1",
        "norm2": "ffn/layer_norm",
        "fc1": "ffn/linear_0",
        "fc2": "ffn/linear_1",
    }.items():
        scale = "gamma" if "norm" in ours else "weight"
        found[f"{ours}.weight"] = variables[f"{source}/{theirs}/{scale}"]
        found[f"{ours}.bias"] = variables[f"{source}/{theirs}/{'beta' if 'norm' in ours else 'bias'}"]
    return found


def load_stem(path: Path, layers: int = 3, level: bool = True) -> Stem:
    """The first `layers` encoder layers of the Whisper model in a CTranslate2 file, frozen."""
    variables = read_variables(path)
    width = variables["encoder/conv1/bias"].shape[0]
    stem = Stem(layers, width, int(variables["encoder/num_heads"]), level)
    weights = {
        "positions": variables["encoder/position_encodings/encodings"],
        "conv1.weight": variables["encoder/conv1/weight"],
        "conv1.bias": variables["encoder/conv1/bias"],
        "conv2.weight": variables["encoder/conv2/weight"].flatten(1),
        "conv2.bias": variables["encoder/conv2/bias"],
        "mel.fourier": stem.mel.fourier,
        "mel.filters": stem.mel.filters,
    }
    for layer in range(layers):
        weights |= {f"blocks.{layer}.{name}": value for name, value in _block_weights(variables, layer).items()}
    stem.load_state_dict(weights)
    stem.eval().requires_grad_(False)
    return stem


def export(features: Features, path: Path, shortest: int, longest: int) -> None:
    """Write the graph in fp32: `audio` [batch, samples] -> `features` [batch, width]."""
    batch, samples = torch.export.Dim("batch"), torch.export.Dim("samples", min=shortest, max=longest)
    torch.onnx.export(
        features,
        (torch.randn(2, 3 * RATE + 77) / 10,),
        path,
        input_names=["audio"],
        output_names=["features"],
        dynamic_shapes={"audio": {0: batch, 1: samples}},
        opset_version=20,
        external_data=False,
        verbose=False,
    )


def sensitive(source: Path, scratch: Path) -> list[str]:
    """The products that stay fp32: both convolutions (spectrum, first layer) and the last one of all."""
    prepare(source, scratch)
    kinds = {node.name: node.op_type for node in onnx.load(scratch).graph.node}
    names = candidates(scratch)
    return [name for name in names if kinds[name] == "Conv"] + names[-1:]


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


def quantised(features: Features, samples: Iterable[Feed], target: Path, shortest: int, longest: int) -> None:
    """Write the features' graph in int8, `samples` setting the ranges of the activations."""
    with tempfile.TemporaryDirectory() as folder:
        source, draft = Path(folder) / "fp32.onnx", Path(folder) / "int8.onnx"
        export(features.eval(), source, shortest, longest)
        quantize(source, draft, samples, sensitive(source, Path(folder) / "prepared.onnx"))
        model = onnx.load(draft)
    halve(model)
    strip(model)
    onnx.save(model, target)
