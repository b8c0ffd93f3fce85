"""Whisper's encoder as a torch module with the log-mel spectrogram inside, read from a CTranslate2 file.

The waveform goes in and the hidden states of the first few encoder layers come out, so one graph holds everything
between the microphone and the heads. Nothing is padded to 30 s: positions are cut to the length of the audio.

Sources: Radford et al. 2022 (Whisper); the CTranslate2 binary model format, version 6.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
import torch
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


def fourier_matrix(window: int = WINDOW) -> np.ndarray:
    """Hann-windowed cosines, then sines, as the columns of a matrix: [window, 2 * (window // 2 + 1)]."""
    time = np.arange(window)
    angle = 2 * np.pi * np.outer(time, np.arange(window // 2 + 1)) / window
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * time / window)
    return np.asarray(np.concatenate([np.cos(angle), np.sin(angle)], axis=1) * hann[:, None], np.float32)


def windows(audio: Tensor, step: int = math.gcd(WINDOW, HOP)) -> Tensor:
    """All whole windows, one every HOP samples: [batch, windows, WINDOW].

    It is `audio.unfold(1, WINDOW, HOP)`, from slices of steps that fit both, as copying sample by sample is slow.
    """
    count, skip, length = (audio.shape[1] - WINDOW) // HOP + 1, HOP // step, WINDOW // step
    steps = audio[:, : (count - 1) * HOP + WINDOW].unflatten(1, (-1, step))
    return torch.cat([steps[:, start : start + skip * (count - 1) + 1 : skip] for start in range(length)], dim=2)


class LogMel(nn.Module):
    """Whisper's log-mel: [batch, samples] to [batch, samples // 160, 80].

    The floor of 8 decades under the peak is taken per row, so a clip never feels its batch-mates. With `level`
    the peak is also moved to one fixed height, which makes the result independent of the microphone's gain.
    """

    fourier: Tensor
    filters: Tensor

    def __init__(self, level: bool) -> None:
        super().__init__()
        self.level = level
        self.register_buffer("fourier", torch.from_numpy(fourier_matrix()))
        self.register_buffer("filters", torch.from_numpy(mel_filters()).repeat(2, 1))  # cosines, sines

    def forward(self, audio: Tensor) -> Tensor:
        # Whisper pads 200 samples at the end too, and then drops the last window
        padded = functional.pad(audio[:, None], (WINDOW // 2, WINDOW // 2 - HOP), mode="reflect").squeeze(1)
        spectrum = windows(padded) @ self.fourier
        mel = (spectrum * spectrum @ self.filters).clamp(min=1e-10).log10()
        peak = mel.amax(dim=(1, 2), keepdim=True)
        mel = torch.maximum(mel, peak - 8)
        if self.level:
            mel = mel - peak + PEAK
        return (mel + 4) / 4


def neighbours(x: Tensor, stride: int = 1, value: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
    """Every `stride`-th frame of [batch, frames, ...] with the one before and the one after it."""
    x = functional.pad(x, (0, 0, 1, 1), value=value)
    return x[:, :-2:stride], x[:, 1:-1:stride], x[:, 2::stride]


class Attention(nn.Module):
    """Plain multi-head self-attention over the rows [batch * frames, width] of each clip."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)  # as in Whisper
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, batch: int) -> Tensor:
        def split(y: Tensor) -> Tensor:
            return y.unflatten(0, (batch, -1)).unflatten(-1, (self.heads, -1)).transpose(1, 2)

        query, key, value = split(self.query(x)), split(self.key(x)), split(self.value(x))
        scores = query @ key.transpose(2, 3) * key.shape[-1] ** -0.5
        return self.out((scores.softmax(-1) @ value).transpose(1, 2).flatten(2).flatten(0, 1))


class Mlp(nn.Module):
    """Two products around a GELU."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(functional.gelu(self.fc1(x)))


class Block(nn.Module):
    """One pre-norm transformer layer, on rows [batch * frames, width].

    Products of plain matrices take their bias along when they are quantised; stacks of matrices don't.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.norm2, self.mlp = nn.LayerNorm(width), Mlp(width, 4 * width)
        self.outliers: Mlp | None = None

    def forward(self, x: Tensor, batch: int) -> Tensor:
        x = x + self.attention(self.norm1(x), batch)
        y = self.norm2(x)
        x = x + self.mlp(y)
        return x if self.outliers is None else x + self.outliers(y)

    def part(self, outlying: Tensor) -> None:
        """Give the hidden units in the boolean mask a network of their own; the sum of the two stays the same.

        In the manner of LLM.int8() (Dettmers et al. 2022): without the few units of large activations, the range
        of the others is narrow enough for int8.
        """
        whole, parts = self.mlp, []
        for units, bias in ((~outlying, whole.fc2.bias), (outlying, torch.zeros_like(whole.fc2.bias))):
            weights = {
                "fc1.weight": whole.fc1.weight[units],
                "fc1.bias": whole.fc1.bias[units],
                "fc2.weight": whole.fc2.weight[:, units],
                "fc2.bias": bias,
            }
            part = Mlp(len(bias), int(units.sum()))
            part.load_state_dict(weights)
            parts.append(part.eval().requires_grad_(False))
        self.mlp, self.outliers = parts


class Stem(nn.Module):
    """Waveform [batch, samples] to the hidden states [batch, frames, width] of each layer; 50 frames a second."""

    positions: Tensor

    def __init__(self, layers: int, width: int, heads: int, level: bool, frames: int = 1500) -> None:
        super().__init__()
        self.mel = LogMel(level)
        self.conv1 = nn.Linear(3 * MELS, width)  # convolutions of three frames, the second one of stride 2,
        self.conv2 = nn.Linear(3 * width, width)  # written as products so that they quantise
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.register_buffer("positions", torch.zeros(frames, width))

    def forward(self, audio: Tensor) -> list[Tensor]:
        return self.encode(self.mel(audio))

    def encode(self, mel: Tensor) -> list[Tensor]:
        batch = mel.shape[0]
        x = torch.cat(neighbours(mel), dim=2).flatten(0, 1)
        x = functional.gelu(self.conv1(x)).unflatten(0, (batch, -1))
        x = torch.cat(neighbours(x, 2), dim=2).flatten(0, 1)
        x = functional.gelu(self.conv2(x)).unflatten(0, (batch, -1))
        x = (x + self.positions[: x.shape[1]]).flatten(0, 1)
        states = []
        for block in self.blocks:
            x = block(x, batch)
            states.append(x.unflatten(0, (batch, -1)))
        return states


def frame_loudness(mel: Tensor) -> Tensor:
    """The loudest band of the three mel frames that a frame of the encoder hears: [batch, frames]."""
    return torch.cat(neighbours(mel.amax(dim=2, keepdim=True), 2, -9.0), dim=2).amax(dim=2)


class States(nn.Module):
    """Waveform [batch, samples] to what every reader of the voice starts from, 50 frames a second.

    `states` [batch, frames, layers, width] are the hidden states of all layers of the stem. `loudness`
    [batch, frames] is the frame's loudest mel band less the clip's loudest, at most 0, in mel units (one is four
    decades of power); a frame hears two mel frames and one neighbour.
    """

    outputs = ("states", "loudness")

    def __init__(self, stem: Stem) -> None:
        super().__init__()
        self.stem = stem

    def forward(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        mel = self.stem.mel(audio)
        loud = frame_loudness(mel)
        return torch.stack(self.stem.encode(mel), dim=2), loud - loud.amax(dim=1, keepdim=True)


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
        "mlp.fc1": "ffn/linear_0",
        "mlp.fc2": "ffn/linear_1",
    }.items():
        scale = "gamma" if "norm" in ours else "weight"
        found[f"{ours}.weight"] = variables[f"{source}/{theirs}/{scale}"]
        found[f"{ours}.bias"] = variables[f"{source}/{theirs}/{'beta' if 'norm' in ours else 'bias'}"]
    return found


def load_stem(path: Path, layers: int = 3, level: bool = True, frames: int = 1500) -> Stem:
    """The first `layers` encoder layers of the Whisper model in a CTranslate2 file, frozen, for up to `frames`."""
    variables = read_variables(path)
    width = variables["encoder/conv1/bias"].shape[0]
    stem = Stem(layers, width, int(variables["encoder/num_heads"]), level, frames)
    weights = {
        "positions": variables["encoder/position_encodings/encodings"][:frames],
        "conv1.weight": variables["encoder/conv1/weight"].transpose(1, 2).flatten(1),
        "conv1.bias": variables["encoder/conv1/bias"],
        "conv2.weight": variables["encoder/conv2/weight"].transpose(1, 2).flatten(1),
        "conv2.bias": variables["encoder/conv2/bias"],
        "mel.fourier": stem.mel.fourier,
        "mel.filters": stem.mel.filters,
    }
    for layer in range(layers):
        weights |= {f"blocks.{layer}.{name}": value for name, value in _block_weights(variables, layer).items()}
    stem.load_state_dict(weights)
    stem.eval().requires_grad_(False)
    return stem
