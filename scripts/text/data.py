"""The labelled texts that the text model learns from and is chosen on, as rows of targets.

Every row carries targets for some heads and NaN for the others. The columns of a target, and of a model's raw
output, are named by the slices below.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tokenizers import Tokenizer

from assistant.text.clean import clean

SENTIMENTS = ["negative", "neutral", "positive"]
AFFECTS = ["valence", "arousal", "dominance"]
TWEET_EMOTIONS = [
    "anger", "anticipation", "disgust", "fear", "joy", "love", "optimism", "pessimism", "sadness", "surprise",
    "trust",
]  # fmt: skip
MOODS_OF_TWEETS = ["anger", "joy", "optimism", "sadness"]

EMOTION, SENTIMENT, AFFECT, STRESS = slice(0, 28), slice(28, 31), slice(31, 34), slice(34, 35)
"""Heads that are served."""
TWEET_EMOTION, TWEET_MOOD = slice(35, 46), slice(46, 50)
"""Heads that only shape the encoder: SemEval-2018's eleven labels, TweetEval's four classes."""
WIDTH = 50
LOG_VARIANCE = slice(50, 53)
"""Further columns of the raw output: of the affect head."""
AFFECT_UNIT = 0.15
"""About one standard deviation of EmoBank's scores in [-1, 1]: the head predicts in this unit."""
MAX_TOKENS = 128
HELD_OUT_PERCENT = 15


@dataclass(frozen=True)
class Rows:
    """Texts with their targets [rows, WIDTH]; NaN where unknown."""

    texts: list[str]
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.texts)

    def pick(self, keep: np.ndarray) -> Rows:
        """The rows at these places, or where this mask is true."""
        places = np.arange(len(self))[keep]
        return Rows([self.texts[place] for place in places], self.targets[places])


def emotion_labels(data: Path) -> list[str]:
    return (data / "text/goemotions/labels.txt").read_text().split()


def table(data: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(data / "text" / name, sep="\t", keep_default_na=False)


def blank(texts: Sequence[str]) -> Rows:
    return Rows([clean(str(text)) for text in texts], np.full((len(texts), WIDTH), np.nan, np.float32))


def goemotions(data: Path, split: str) -> Rows:
    frame = table(data, f"goemotions/{split}.tsv.gz")
    rows = blank(frame.text)
    rows.targets[:, EMOTION] = 0
    for row, numbers in enumerate(frame.label_ids.astype(str)):
        rows.targets[row, [int(number) for number in numbers.split(",")]] = 1
    return rows


def tweets(data: Path, name: str) -> Rows:
    frame = table(data, name)
    rows = blank(frame.text)
    rows.targets[:, SENTIMENT] = frame.label.to_numpy()[:, None] == np.array(SENTIMENTS)
    return rows


def sst2(data: Path, name: str) -> Rows:
    """Negative or positive; the neutral column stays NaN, which takes it out of the softmax."""
    frame = table(data, f"sst2/{name}")
    rows = blank(frame.text)
    rows.targets[:, SENTIMENT.start] = frame.label == 0
    rows.targets[:, SENTIMENT.stop - 1] = frame.label == 1
    return rows


def emobank(data: Path, name: str) -> Rows:
    frame = table(data, f"emobank/{name}")
    rows = blank(frame.text)
    rows.targets[:, AFFECT] = (frame[["V", "A", "D"]].to_numpy() - 3) / 2
    return rows


def dreaddit(data: Path, held_out: bool) -> Rows:
    frame = dreaddit_table(data, held_out)
    rows = blank(frame.text)
    rows.targets[:, STRESS.start] = frame.label
    return rows


def dreaddit_table(data: Path, held_out: bool) -> pd.DataFrame:
    """Its training split, cut in two by post: about 15 % are held out to choose on (it has no dev split)."""
    frame = table(data, "dreaddit/train.tsv.gz")
    return frame[[_held_out(post) == held_out for post in frame.post_id.astype(str)]]


def _held_out(post: str) -> bool:
    return int(hashlib.sha256(post.encode()).hexdigest(), 16) % 100 < HELD_OUT_PERCENT


def tweet_emotions(data: Path, name: str) -> Rows:
    frame = table(data, f"semeval2018_ec/{name}")
    rows = blank(frame.Tweet)
    rows.targets[:, TWEET_EMOTION] = frame[TWEET_EMOTIONS].to_numpy()
    return rows


def tweet_moods(data: Path, name: str) -> Rows:
    frame = table(data, f"tweeteval_emotion/{name}")
    rows = blank(frame.text)
    rows.targets[:, TWEET_MOOD] = frame.label.to_numpy()[:, None] == np.array(MOODS_OF_TWEETS)
    return rows


def dev_sets(data: Path) -> dict[str, Rows]:
    return {
        "goemotions": goemotions(data, "dev"),
        "tweeteval_sentiment": tweets(data, "tweeteval_sentiment/val.tsv.gz"),
        "sst2": sst2(data, "dev.tsv"),
        "emobank": emobank(data, "dev.tsv"),
        "dreaddit": dreaddit(data, held_out=True),
        "semeval2018_ec": tweet_emotions(data, "dev.tsv"),
        "tweeteval_emotion": tweet_moods(data, "val.tsv"),
    }


def train_sets(data: Path) -> dict[str, Rows]:
    """The training rows whose text stands in no dev split, whatever the set."""
    sets = {
        "goemotions": goemotions(data, "train"),
        "semeval2017_task4a": tweets(data, "semeval2017_task4a/train.tsv.gz"),
        "sst2": sst2(data, "train_phrases.tsv.gz"),
        "emobank": emobank(data, "train.tsv.gz"),
        "dreaddit": dreaddit(data, held_out=False),
        "semeval2018_ec": tweet_emotions(data, "train.tsv.gz"),
        "tweeteval_emotion": tweet_moods(data, "train.tsv.gz"),
    }
    seen = {bare(text) for rows in dev_sets(data).values() for text in rows.texts}
    return {
        name: rows.pick(np.array([bare(text) not in seen for text in rows.texts])) for name, rows in sets.items()
    }


def bare(text: str) -> str:
    """Letters and digits alone: what stays of a text that was copied with other marks."""
    return "".join(filter(str.isalnum, text.lower()))


def tokenise(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Token numbers of each text's first window, special tokens included, unpadded."""
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]


def padded(ids: Sequence[list[int]], pad: int = 0) -> dict[str, np.ndarray]:
    """A batch as the model takes it, padded to its longest row."""
    length = max(map(len, ids))
    rows = np.array([[*row, *[pad] * (length - len(row))] for row in ids], np.int64)
    mask = np.array([[1] * len(row) + [0] * (length - len(row)) for row in ids], np.int64)
    return {"input_ids": rows, "attention_mask": mask}


def batches(lengths: np.ndarray, rows: int, tokens: int, generator: np.random.Generator) -> list[np.ndarray]:
    """Cut all rows into batches of similar length, in random order."""
    order = generator.permutation(len(lengths))
    found: list[np.ndarray] = []
    for start in range(0, len(order), 50 * rows):
        pool = order[start : start + 50 * rows]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        while len(pool):
            fits = [n for n in range(1, rows + 1) if n <= len(pool)]
            count = max([n for n in fits if n * lengths[pool[n - 1]] <= tokens] or [1])
            found.append(pool[:count])
            pool = pool[count:]
    generator.shuffle(found)
    return found


def windows(count: int, size: int) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, start + size)
