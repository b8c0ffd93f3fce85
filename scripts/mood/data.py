"""Dialogues, texts and clips to measure the mood on, and what the served readers say of each, kept on disk."""

from __future__ import annotations

import asyncio
import csv
import gzip
import hashlib
import io
import json
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from assistant.emotion import EMOTIONS, Modality
from assistant.evaluate.run.engine import read_rows
from assistant.evaluate.run.outcomes import RowOutcome
from assistant.evaluate.tables.manifest import Row
from assistant.inference.model import open_model
from assistant.text.reader import FINE_TO_SHARED
from scripts.paths import ROOT
from scripts.voice.data import CORPORA, HELD_OUT, OPEN, list_clips, places

MODELS = ROOT / "models"
CONTEXT_LABELS = {"happy": "joy", "sad": "sadness", "angry": "anger"}
"""EmoContext's names; its `others` is the rest."""


@dataclass(frozen=True)
class Line:
    """What somebody wrote or said in a dialogue, with its label; `at_s` seconds since the dialogue began."""

    dialogue: str
    speaker: str
    at_s: float
    text: str
    emotion: str
    sentiment: str = ""


@dataclass(frozen=True)
class Clip:
    """One recording, and the head that never heard its speaker."""

    file: Path
    corpus: str
    speaker: str
    emotion: str
    sentence: str
    model: Path
    fold: str


def table(file: Path) -> Iterator[dict[str, str]]:
    """The rows of a TSV, gzipped or not."""
    raw = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    return csv.DictReader(io.StringIO(raw.decode("utf-8"), newline=""), delimiter="\t")


def meld(data: Path, split: str) -> list[Line]:
    """Every utterance of MELD's scenes. Times are those of the episode's subtitles."""
    name = "train.tsv.gz" if split == "train" else f"{split}.tsv"
    found = []
    for row in table(data / "text/meld" / name):
        hours, minutes, seconds = row["StartTime"].replace(",", ".").split(":")
        at = 3600 * int(hours) + 60 * int(minutes) + float(seconds)
        found.append(
            Line(f"{split}/{row['Dialogue_ID']}", row["Speaker"], at, row["Utterance"], row["Emotion"],
                 row["Sentiment"])
        )  # fmt: skip
    return found


def emocontext(data: Path, split: str, most: int | None = None) -> list[tuple[str, str, str]]:
    """First turn, third turn (the same person's) and its label: joy, sadness, anger or others."""
    rows = list(table(data / "text/semeval2019_emocontext" / f"{split}.tsv.gz"))[:most]
    return [(row["turn1"], row["turn3"], CONTEXT_LABELS.get(row["label"], "others")) for row in rows]


def goemotions(data: Path) -> list[tuple[str, str]]:
    """The development texts whose labels all fall into one of the seven shared emotions."""
    found = []
    for row in table(data / "text/goemotions/dev.tsv.gz"):
        shared = {FINE_TO_SHARED[name] for name in row["labels"].split(",")}
        if len(shared) == 1:
            found.append((row["text"], shared.pop()))
    return found


def esconv(data: Path, split: str) -> list[dict[str, Any]]:
    """The dialogues, as they are."""
    raw = gzip.decompress((data / "text/esconv" / f"{split}.jsonl.gz").read_bytes())
    return [json.loads(line) for line in raw.decode("utf-8").splitlines()]


def epitome(data: Path, mechanism: str) -> list[dict[str, str]]:
    """Pairs of a post and a response with the level, 0 to 2, of one mechanism of empathy."""
    return list(table(data / "text/epitome" / f"{mechanism}.tsv.gz"))


def clips(data: Path, folds: Path) -> list[Clip]:
    """Five corpora of acted speech, each clip with a head of `folds` that never heard its speaker.

    RAVDESS actors 16 to 18, whom the shipped head never heard, are read by the shipped head itself. Of ASED only
    the sentences that all emotions share.
    """
    listed = list_clips(CORPORA, data)
    usable = ~listed.held & (listed.shared != "")
    place = places(listed, usable, 3)
    found = []
    for at in np.flatnonzero((usable | listed.held) & listed.honest & (listed.shared != "")):
        held = listed.who[at] in HELD_OUT
        model = MODELS / "voice" if held else folds / "multi" / str(place[at])
        found.append(
            Clip(data / "speech" / str(listed.corpus[at]) / str(listed.file[at]), str(listed.corpus[at]),
                 str(listed.who[at]), str(listed.shared[at]), str(listed.sentence[at]), model,
                 "shipped" if held else str(place[at]))
        )  # fmt: skip
    return found


def open_clips(data: Path, folds: Path) -> list[Clip]:
    """The same five corpora for `voice-open`: the two that it learned from are read by heads that left them out."""
    found = []
    for clip in clips(data, folds):
        model = folds / "open" / clip.corpus if clip.corpus in OPEN else MODELS / "voice-open"
        found.append(replace(clip, model=model, fold="open"))
    return found


def read_texts(texts: Sequence[str], keep: Path) -> list[RowOutcome]:
    """The served text reader's outcome of each text, kept in `keep`."""
    rows = [Row(line, str(line), text=text) for line, text in enumerate(texts, 1)]
    return _read(rows, MODELS / "text", None, keep, "".join(texts))


def read_clips(found: Sequence[Clip], keep: Path) -> list[RowOutcome]:
    """The served voice reader's outcome of each clip, with the head that the clip names."""
    outcomes: dict[int, RowOutcome] = {}
    for model in dict.fromkeys(clip.model for clip in found):
        mine = [at for at, clip in enumerate(found) if clip.model == model]
        rows = [Row(at, str(found[at].file), file=found[at].file, speaker=found[at].speaker) for at in mine]
        read = _read(rows, model, MODELS / "stem", keep, "".join(row.name for row in rows))
        outcomes |= dict(zip(mine, read, strict=True))
    return [outcomes[at] for at in range(len(found))]


def _read(rows: list[Row], folder: Path, stem: Path | None, keep: Path, what: str) -> list[RowOutcome]:
    graphs = (folder, stem) if stem else (folder,)
    hashes = [hashlib.sha256((graph / "model.onnx").read_bytes()).hexdigest() for graph in graphs]
    path = keep / f"{hashlib.sha256(' '.join([*hashes, what]).encode()).hexdigest()[:16]}.pkl"
    if not path.exists():
        modality: Modality = "voice" if stem else "text"
        outcomes, bad = asyncio.run(
            read_rows(open_model(folder), modality, rows, stem=open_model(stem) if stem else None)
        )
        if bad:
            raise ValueError(f"{len(bad)} rows can't be read, the first: {bad[0].line}")
        keep.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(outcomes))
    return list(pickle.loads(path.read_bytes()))


def vector(shares: dict[str, float]) -> np.ndarray:
    """A distribution over the shared emotions as numbers, [7]."""
    return np.array([shares.get(name, 0.0) for name in EMOTIONS])
