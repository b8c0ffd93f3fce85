"""Export transcription: the rest of Whisper base's encoder behind the stem, and its decoder, in int8.

    python -m scripts.transcriber.export        # models/transcriber-encoder and models/transcriber

Both start from Whisper base as published and are never trained. Clips of the corpora, none of them from the
speakers that are held out, only tell what the stem makes of the silence behind speech.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor
from tqdm import tqdm

from scripts.cards.card import read_card, write_card, write_golden
from scripts.paths import ROOT
from scripts.transcriber.graph import (
    STRIDE,
    Decoder,
    Rest,
    cross_names,
    export_decoder,
    export_rest,
    finish,
    load_decoder,
    load_rest,
    name_sizes,
    shrink,
    with_words,
)
from scripts.voice.data import CORPORA, HELD_OUT, arguments, read_clip, read_manifest
from scripts.voice.export_stem import LAYERS, TRAINING
from scripts.voice.export_stem import SHIPPED as STEM
from scripts.voice.whisper_encoder import HOP, RATE, Stem, load_stem, read_variables
from scripts.weights.download import whisper_base

ENCODER, DECODER = ROOT / "models" / "transcriber-encoder", ROOT / "models" / "transcriber"
FRAMES = 50
"""In a second."""
LONGEST_S = 15
CLIPS = 4
"""Of each corpus, that are followed by silence."""
SENSITIVE = "blocks.0.mlp.fc2"
"""Of 30 products the one whose activations don't bear one scale: it changes the outputs by 15 % of their deviation,
each of the others by 2 to 3 %."""
TOLERANCE = 0.1
"""For processors on which the products of int8 round otherwise."""
COMMON = {
    "version": "1",
    "licence": "MIT: OpenAI's Whisper base, copyright OpenAI.",
    "golden_tolerance": TOLERANCE,
}
ENCODER_CARD = {
    "name": ENCODER.name,
    "kind": ENCODER.name,
    **COMMON,
    "summary": "From the stem's hidden states of 0.5 to 15 s of speech to what the transcriber attends to: the "
    "last three layers of Whisper base's encoder, over the speech and the silence up to 30 s. It gives no "
    "estimate by itself.",
    "stem": STEM.name,
    "max_frames": LONGEST_S * FRAMES,
}
DECODER_CARD = {
    "name": DECODER.name,
    "kind": DECODER.name,
    **COMMON,
    "summary": "What was said in up to 15 s of speech, in any of 99 languages, best in English: one step of "
    "Whisper base's decoder, which remembers the tokens before.",
    "encoder": ENCODER.name,
    "max_tokens": 224,
}


def some_clips(data: Path, random: np.random.Generator) -> list[np.ndarray]:
    """The same number of clips from every corpus, none from the speakers that are held out."""
    found = []
    for corpus in CORPORA:
        folder = data / "speech" / corpus
        files = [row["file"] for row in read_manifest(folder) if f"{corpus}/{row['speaker']}" not in HELD_OUT]
        found += [read_clip(folder / file) for file in random.choice(files, CLIPS, replace=False)]
    return found


def silence_behind(stem: Stem, clips: Sequence[np.ndarray], random: np.random.Generator) -> Tensor:
    """The mean hidden state of silence behind speech, of every STRIDE-th frame of 30 s: [frames / STRIDE, width].

    Each clip is cut or repeated to a random length of up to LONGEST_S. Where no clip had ended yet, the first state
    that is known stands in.
    """
    frames, width = stem.positions.shape
    total, count = torch.zeros(frames, width), torch.zeros(frames, 1)
    for clip in tqdm(clips, desc="silence"):
        spoken = int(random.uniform(0.2, min(LONGEST_S, 1.2 * len(clip) / RATE)) * RATE)
        audio = np.zeros(frames * 2 * HOP, np.float32)
        audio[:spoken] = np.resize(clip, spoken)
        states = stem(torch.from_numpy(audio)[None])[-1][0]
        after = -(-spoken // (2 * HOP)) + 1  # a frame hears its neighbours
        total[after:] += states[after:]
        count[after:] += 1
    seen = int(torch.nonzero(count[:, 0])[0])
    mean = total / count.clamp(min=1)
    mean[:seen] = mean[seen]
    return mean[STRIDE // 2 :: STRIDE].half().float()  # as it is stored


def write_rest(rest: Rest, folder: Path) -> None:
    """The encoder's folder: graph, card, golden outputs."""
    heads, width = rest.heads, rest.silence.shape[1]
    with tempfile.TemporaryDirectory() as scratch:
        draft = Path(scratch) / "fp32.onnx"
        export_rest(rest, draft, LONGEST_S * FRAMES)
        model = onnx.load(draft)
    shrink(model, SENSITIVE)
    key, value = (heads, width // heads, "padded"), (heads, "padded", width // heads)
    shapes = [*([key, value] * len(rest.keys)), ("padded",)]
    sizes = dict(zip(cross_names(len(rest.keys)), shapes, strict=True))
    name_sizes(model, {"states": ("frames", width), **sizes})
    finish(model, folder / "model.onnx")
    write_card(folder, {**ENCODER_CARD, "stem_sha256": read_card(STEM)["sha256"],
                        "training_data": [TRAINING]})  # fmt: skip
    write_golden(folder, {"states": made_up(10, width)})
    shorten_golden(folder)


def write_decoder(decoder: Decoder, words: np.ndarray, folder: Path, encoder: Path, source: Path) -> None:
    """The decoder's folder: graph, card, tokenizer, golden outputs. `source` has the published settings."""
    layers, heads, width = len(decoder.layers), decoder.layers[0].heads, decoder.positions.shape[1]
    size = width // heads
    with tempfile.TemporaryDirectory() as scratch:
        draft = Path(scratch) / "fp32.onnx"
        export_decoder(decoder, draft)
        model = onnx.load(draft)
    shrink(model)
    with_words(model, words)
    shapes = [*([(heads, size, "padded"), (heads, "padded", size)] * layers), ("padded",)]
    cross = dict(zip(cross_names(layers), shapes, strict=True))
    kept = {name: (2 * layers, heads, count, size) for name, count in (("past", "past"), ("present", "all"))}
    name_sizes(model, {"tokens": ("new",), "logits": (1, len(words)), **kept, **cross})
    finish(model, folder / "model.onnx")
    settings = json.loads((source / "config.json").read_text(encoding="utf-8"))
    write_tokenizer(source / "tokenizer.json", folder / "tokenizer.json")
    write_card(folder, {**DECODER_CARD, "encoder_sha256": read_card(encoder)["sha256"],
                        "suppressed": settings["suppress_ids"], "training_data": [TRAINING]})  # fmt: skip
    heard = {name: made_up(*(20 if side == "padded" else side for side in shape)) for name, shape in cross.items()}
    write_golden(folder, {"tokens": np.array([50363]), "past": made_up(2 * layers, heads, 3, size), **heard})
    shorten_golden(folder)


def write_tokenizer(source: Path, target: Path) -> None:
    """The published tokenizer without its merges: only text to tokens needs them."""
    tokenizer = json.loads(source.read_text(encoding="utf-8"))
    tokenizer["model"]["merges"] = []
    target.write_text(json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


def made_up(*shape: int) -> np.ndarray:
    """Numbers in place of states, in steps of an eighth."""
    return np.asarray(np.round(8 * np.random.default_rng(0).normal(0, 1, shape)) / 8, np.float32)


def shorten_golden(folder: Path) -> None:
    """Keep the outputs in steps of a 32nd, far finer than the tolerance: most of the file would be noise."""
    arrays = dict(np.load(folder / "golden.npz"))
    for name, values in arrays.items():
        if name.startswith("output_"):
            arrays[name] = (np.round(32 * values) / 32).astype(np.float16)
    np.savez_compressed(folder / "golden.npz", **arrays)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "models", help="folder of model folders (%(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    source = whisper_base(options.cache)
    variables = read_variables(source)
    random = np.random.default_rng(0)
    silence = silence_behind(load_stem(source, LAYERS), some_clips(options.data, random), random)
    rest = load_rest(variables, load_stem(source, 6), LAYERS, silence)
    decoder = load_decoder(variables)
    encoder_folder, decoder_folder = (options.out / folder.name for folder in (ENCODER, DECODER))
    for folder in (encoder_folder, decoder_folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_rest(rest, encoder_folder)
    write_decoder(
        decoder, variables["decoder/embeddings/weight"].numpy(), decoder_folder, encoder_folder, source.parent
    )
    for folder in (encoder_folder, decoder_folder):
        print(f"{folder}: {(folder / 'model.onnx').stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
