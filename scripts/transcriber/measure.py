"""Measure transcription with the served class, next to the published model in fp32, and write it on the card.

    python -m scripts.transcriber.measure                                  # all that has transcripts
    python -m scripts.transcriber.measure --only commands --labels label.json

- `readings`: LibriVox, of Debian's package pocketsphinx-testdata (`--readings` names their folder).
- `commands`: picovoice_s2i. Its labels are the values of the slots, not transcripts: what is counted are the values
  that are not heard (`--labels`: the benchmark's label.json), and how far the words are from the reference's.
- `acted`: RAVDESS, two sentences in eight emotions. `german`: EmoDB, ten sentences.

The reference is transformers' Whisper in fp32 on 30 s, greedy, which is told no more than the served one. Seconds
are those of the processor, with one thread, so that they mean the same on a busy machine.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from tqdm import tqdm
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput

from assistant.audio.decode import read_audio
from assistant.audio.encoder import Encoder
from assistant.audio.transcribe import Transcriber
from assistant.bootstrap import Figure
from assistant.inference.batcher import Batcher
from assistant.inference.model import open_model
from scripts.cards.card import read_card, write_figures
from scripts.transcriber.export import DECODER, ENCODER
from scripts.transcriber.word_errors import distance, missed, rate, spelt, words
from scripts.voice.data import arguments, read_manifest
from scripts.voice.export_stem import SHIPPED as STEM
from scripts.voice.whisper_encoder import RATE, read_variables
from scripts.weights.download import whisper_base

COMMAND = "python -m scripts.transcriber.measure"
READINGS = Path("/usr/share/pocketsphinx/test/data/librivox")
FOREVER_S = 1e6
ENGLISH = {"kids": "kids are talking by the door", "dogs": "dogs are sitting by the door"}
GERMAN = {
    "a01": "der lappen liegt auf dem eisschrank",
    "a02": "das will sie am mittwoch abgeben",
    "a04": "heute abend könnte ich es ihm sagen",
    "a05": "das schwarze stück papier befindet sich da oben neben dem holzstück",
    "a07": "in sieben stunden wird es soweit sein",
    "b01": "was sind denn das für tüten die da unter dem tisch stehen",
    "b02": "sie haben es gerade hochgetragen und jetzt gehen sie wieder runter",
    "b03": "an den wochenenden bin ich jetzt immer nach hause gefahren und habe agnes besucht",
    "b09": "ich will das eben wegbringen und dann mit karl was trinken gehen",
    "b10": "die wird auf dem platz sein wo wir sie immer hinlegen",
}
Transcribe = Callable[[np.ndarray], str]


@dataclass(frozen=True)
class Clip:
    """A recording and what is known of it."""

    file: Path
    text: str = ""
    phrases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Heard:
    """A transcriber's words and the processor's seconds."""

    words: list[str]
    seconds: float


def readings(folder: Path) -> list[Clip]:
    """The sentences of the LibriVox folder with their transcripts."""
    found = []
    for line in (folder / "transcription").read_text().splitlines():
        text, _, name = line.rpartition("(")
        found.append(Clip(folder / f"{name.rstrip(') ')}.wav", text.replace("<s>", "").replace("</s>", "")))
    return found


def commands(data: Path, labels: Path | None) -> list[Clip]:
    """The commands, with the values of their slots where the labels have them."""
    folder = data / "speech" / "picovoice_s2i"
    known = json.loads(labels.read_text()) if labels else {}
    found = []
    for row in read_manifest(folder):
        slots = known.get(f"{Path(row['file']).stem}.wav", {}).get("slots", {})
        found.append(Clip(folder / row["file"], phrases=tuple(slots.values())))
    return found


def sentences(data: Path, corpus: str, texts: dict[str, str]) -> list[Clip]:
    """Clips of a corpus whose speakers say given sentences."""
    folder = data / "speech" / corpus
    return [Clip(folder / row["file"], texts[row["sentence_id"]]) for row in read_manifest(folder)]


def reference(model: Path) -> Transcribe:
    """The published model in fp32 over 30 s, greedy, with the language detected."""
    whisper = load_reference(model)
    extract, tokenizer = (
        WhisperFeatureExtractor(feature_size=80),
        Tokenizer.from_file(str(model.parent / "tokenizer.json")),
    )
    settings = json.loads((model.parent / "config.json").read_text())
    start, task, untimed, end = (tokenizer.token_to_id(f"<|{name}|>") for name in
                                 ("startoftranscript", "transcribe", "notimestamps", "endoftext"))  # fmt: skip
    assert start is not None
    assert task is not None
    assert untimed is not None
    barred = [*settings["suppress_ids"], *range(untimed, tokenizer.get_vocab_size())]

    @torch.no_grad()
    def transcribe(audio: np.ndarray) -> str:
        features = extract(audio, sampling_rate=RATE, return_tensors="pt").input_features
        encoded = BaseModelOutput(whisper.model.encoder(features).last_hidden_state)
        past = None

        def step(tokens: list[int]) -> torch.Tensor:
            nonlocal past
            given = torch.tensor([tokens])
            found = whisper(encoder_outputs=encoded, decoder_input_ids=given, past_key_values=past, use_cache=True)
            past = found.past_key_values
            return found.logits[0, -1]

        language = settings["lang_ids"][int(step([start])[settings["lang_ids"]].argmax())]
        logits, tokens = step([language, task, untimed]), list[int]()
        logits[settings["suppress_ids_begin"]] = -torch.inf
        while len(tokens) < 224:
            logits[barred] = -torch.inf
            token = int(logits.argmax())
            if token == end:
                break
            tokens.append(token)
            logits = step([token])
        return tokenizer.decode(tokens)

    return transcribe


def load_reference(path: Path) -> WhisperForConditionalGeneration:
    """transformers' Whisper with the published weights."""
    variables = read_variables(path)
    heads, width = int(variables["encoder/num_heads"]), variables["encoder/conv1/bias"].shape[0]
    embeddings = variables["decoder/embeddings/weight"]
    whisper = WhisperForConditionalGeneration(WhisperConfig(
        vocab_size=len(embeddings), d_model=width, num_mel_bins=80, encoder_layers=6, decoder_layers=6,
        encoder_attention_heads=heads, decoder_attention_heads=heads, encoder_ffn_dim=4 * width,
        decoder_ffn_dim=4 * width, attn_implementation="sdpa",
    ))  # fmt: skip
    weights = {"model.decoder.embed_tokens.weight": embeddings, "proj_out.weight": embeddings}
    for name, value in variables.items():
        weights |= _renamed(name, value, width)
    missing, unexpected = whisper.load_state_dict(weights, strict=False)
    if unexpected or missing:
        raise ValueError(f"not the layout that was expected: {missing} {unexpected}")
    return whisper.eval()


def _renamed(name: str, value: torch.Tensor, width: int) -> dict[str, torch.Tensor]:
    """A weight of the CTranslate2 file under transformers' name; joint products are taken apart."""
    side, _, rest = name.partition("/")
    part = {"gamma": "weight", "beta": "bias"}.get(name.rpartition("/")[2], name.rpartition("/")[2])
    if rest.startswith("conv"):
        return {f"model.encoder.{rest.replace('/', '.')}": value}
    if rest == "position_encodings/encodings":
        return {f"model.{side}.embed_positions.weight": value}
    if rest.startswith("layer_norm/"):
        return {f"model.{side}.layer_norm.{part}": value}
    if not rest.startswith("layer_"):
        return {}
    layer, kind, inner = rest.split("/")[:3]
    target = f"model.{side}.layers.{layer.removeprefix('layer_')}."
    attention = {"self_attention": "self_attn", "attention": "encoder_attn"}.get(kind)
    if inner == "layer_norm":
        return {f"{target}{'final' if attention is None else attention}_layer_norm.{part}": value}
    if attention is None:
        return {f"{target}fc{int(inner[-1]) + 1}.{part}": value}
    products = {("self_attn", "linear_0"): ("q_proj", "k_proj", "v_proj"), ("self_attn", "linear_1"): ("out_proj",),
                ("encoder_attn", "linear_0"): ("q_proj",), ("encoder_attn", "linear_1"): ("k_proj", "v_proj"),
                ("encoder_attn", "linear_2"): ("out_proj",)}[attention, inner]  # fmt: skip
    parts = zip(products, value.split(width), strict=True)
    return {f"{target}{attention}.{own}.{part}": rows for own, rows in parts if (own, part) != ("k_proj", "bias")}


def served(models: Path) -> Transcribe:
    """What the server does: the shipped stem, then the transcriber."""
    stem = open_model(STEM)
    pool = ThreadPoolExecutor(1)
    encoder, decoder = (open_model(models / folder.name) for folder in (ENCODER, DECODER))
    transcriber = Transcriber(stem.card, encoder, decoder, pool)

    async def one(audio: np.ndarray) -> str:
        ear = Encoder(Batcher(stem, pool))
        parts = np.array_split(audio, -(-len(audio) // ear.longest))
        heard = [await ear.encode(part, budget_s=FOREVER_S) for part in parts]
        return " ".join([(await transcriber.transcribe(part, budget_s=FOREVER_S)).text for part in heard])

    return lambda audio: asyncio.run(one(audio))


def timed(transcribe: Transcribe, audio: np.ndarray) -> Heard:
    began = time.process_time()
    text = transcribe(audio)
    return Heard(words(text), time.process_time() - began)


def figures(
    name: str, clips: Sequence[Clip], ours: Transcribe, theirs: Transcribe, command: str, show: bool
) -> Iterator[dict[str, object]]:
    """What is known of a set of clips; rates are in hundredths, the floor is the reference's."""
    said: list[Heard] = []
    true: list[Heard] = []
    seconds = 0.0
    for clip in tqdm(clips, desc=name):
        audio = read_audio(clip.file)
        seconds += len(audio) / RATE
        said.append(timed(ours, audio))
        true.append(timed(theirs, audio))
        if show and said[-1].words != true[-1].words:
            tqdm.write(f"{clip.file.name}\n  ours: {' '.join(said[-1].words)}\n  fp32: {' '.join(true[-1].words)}")

    def row(measure: str, data: str, found: Figure, floor: float | None = None) -> dict[str, object]:
        numbers = {"value": found.value, "low": found.low, "high": found.high, "floor": floor}
        kept = {key: round(value / 100, 4) for key, value in numbers.items() if value is not None}
        return {"measure": measure, "data": data, **kept, "n": len(clips), "command": command}

    def compared(measure: str, data: str, wrong: list[list[int]], sizes: list[int]) -> Iterator[dict[str, object]]:
        yield row(measure, data, rate(wrong[0], sizes), rate(wrong[1], sizes).value)
        yield row(f"{measure}_less_reference", data, rate(np.subtract(wrong[0], wrong[1]).tolist(), sizes))

    texts = [words(clip.text) for clip in clips]
    if any(texts):
        wrong = [
            [distance(text, one.words) for text, one in zip(texts, heard, strict=True)] for heard in (said, true)
        ]
        yield from compared("word_error_rate", name, wrong, [len(text) for text in texts])
    asked = [[words(phrase) for phrase in clip.phrases] for clip in clips]
    if any(asked):
        wrong = [
            [missed(phrases, spelt(one.words)) for phrases, one in zip(asked, heard, strict=True)]
            for heard in (said, true)
        ]
        yield from compared("missed_values", f"{name}, values of slots", wrong, [len(phrases) for phrases in asked])
    apart = [distance(spelt(one.words), spelt(other.words)) for one, other in zip(true, said, strict=True)]
    yield row("words_unlike_reference", name, rate(apart, [len(one.words) for one in true]))
    spent = [sum(one.seconds for one in heard) / seconds for heard in (said, true)]
    yield {"measure": "real_time_factor", "data": f"{name}, one thread", "value": round(spent[0], 4),
           "floor": round(spent[1], 4), "n": len(clips), "command": command}  # fmt: skip


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--readings", type=Path, default=READINGS, help="folder of LibriVox readings (%(default)s)")
    parser.add_argument(
        "--labels",
        type=Path,
        help="label.json of the commands, from data/label of Picovoice/speech-to-intent-benchmark on GitHub",
    )
    parser.add_argument("--models", type=Path, default=DECODER.parent, help="folder of model folders (%(default)s)")
    parser.add_argument(
        "--only", nargs="*", choices=("readings", "commands", "acted", "german"), help="which (all)"
    )
    parser.add_argument("--most", type=int, default=120, help="clips of a set, evenly spread (%(default)s)")
    parser.add_argument("--show", action="store_true", help="print what differs from the reference")
    options = parser.parse_args()
    torch.set_num_threads(1)
    every: dict[str, tuple[str, Callable[[], list[Clip]]]] = {
        "readings": ("LibriVox readings", lambda: readings(options.readings)),
        "commands": ("spoken commands (picovoice_s2i)", lambda: commands(options.data, options.labels)),
        "acted": ("acted sentences (RAVDESS)", lambda: sentences(options.data, "ravdess", ENGLISH)),
        "german": ("German sentences (EmoDB)", lambda: sentences(options.data, "emodb", GERMAN)),
    }
    ours, theirs = served(options.models), reference(whisper_base(options.cache))
    folder = options.models / DECODER.name
    for key in options.only or every:
        name, load = every[key]
        clips = load()
        if options.labels and key == "commands":
            clips = [clip for clip in clips if clip.phrases]
        chosen = [
            clips[at] for at in np.unique(np.linspace(0, len(clips) - 1, min(options.most, len(clips))).astype(int))
        ]
        command = f"{COMMAND} --only {key} --most {options.most}" + " --labels label.json" * bool(clips[0].phrases)
        rows = list(figures(name, chosen, ours, theirs, command, options.show))
        for row in rows:
            print(json.dumps(row))
        kept = [figure for figure in read_card(folder).get("figures", []) if not figure["data"].startswith(name)]
        write_figures(folder, [*kept, *rows])


if __name__ == "__main__":
    main()
