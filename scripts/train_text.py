"""Train the text model: all-MiniLM-L6-v2 with heads for emotions, sentiment, affect and stress, in one pass.

Every row carries targets for some heads and NaN for the others; a batch mixes rows of all sets. Killed and
started again, training goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from tqdm import tqdm
from transformers import AutoModel

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import weights  # noqa: E402

from assistant.text.clean import clean  # noqa: E402

DATA = Path(os.environ.get("ATTUNE_DATA", ROOT.parent / "shared" / "data"))
WORK = ROOT / "build" / "text"
SENTIMENTS = ["negative", "neutral", "positive"]
AFFECTS = ["valence", "arousal", "dominance"]
MAX_TOKENS = 128
EMOTION, SENTIMENT, AFFECT, STRESS = slice(0, 28), slice(28, 31), slice(31, 34), 34
"""Columns of a target."""
LOG_VARIANCE = slice(35, 38)
"""Further columns of the raw output."""
AFFECT_UNIT = 0.15
"""About one standard deviation of EmoBank's scores in [-1, 1]: the head predicts in this unit."""
ROWS_PER_EPOCH = {"semeval2017_task4a": 10_000, "sst2": 10_000}
"""The sentiment sets are large beside the others: each epoch takes the next so many of their rows."""
TOKENS_PER_BATCH, ROWS_PER_BATCH = 1536, 40
HELD_OUT_PERCENT = 15


@dataclass(frozen=True)
class Rows:
    """Texts with their targets [rows, 35]: emotions, sentiment, affect, stress; NaN where unknown."""

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


def blank(frame: pd.DataFrame) -> Rows:
    return Rows([clean(text) for text in frame.text.astype(str)], np.full((len(frame), 35), np.nan, np.float32))


def goemotions(data: Path, split: str) -> Rows:
    frame = table(data, f"goemotions/{split}.tsv.gz")
    rows = blank(frame)
    rows.targets[:, EMOTION] = 0
    for row, numbers in enumerate(frame.label_ids.astype(str)):
        rows.targets[row, [int(number) for number in numbers.split(",")]] = 1
    return rows


def tweets(data: Path, name: str) -> Rows:
    frame = table(data, name)
    rows = blank(frame)
    rows.targets[:, SENTIMENT] = frame.label.to_numpy()[:, None] == np.array(SENTIMENTS)
    return rows


def sst2(data: Path, name: str) -> Rows:
    """Negative or positive; the neutral column stays NaN, which takes it out of the softmax."""
    frame = table(data, f"sst2/{name}")
    rows = blank(frame)
    rows.targets[:, 28] = frame.label == 0
    rows.targets[:, 30] = frame.label == 1
    return rows


def emobank(data: Path, name: str) -> Rows:
    frame = table(data, f"emobank/{name}")
    rows = blank(frame)
    rows.targets[:, AFFECT] = (frame[["V", "A", "D"]].to_numpy() - 3) / 2
    return rows


def dreaddit(data: Path, held_out: bool) -> Rows:
    frame = dreaddit_table(data, held_out)
    rows = blank(frame)
    rows.targets[:, STRESS] = frame.label
    return rows


def dreaddit_table(data: Path, held_out: bool) -> pd.DataFrame:
    """Its training split, cut in two by post: about 15 % are held out to choose on (it has no dev split)."""
    frame = table(data, "dreaddit/train.tsv.gz")
    return frame[[_held_out(post) == held_out for post in frame.post_id.astype(str)]]


def _held_out(post: str) -> bool:
    return int(hashlib.sha256(post.encode()).hexdigest(), 16) % 100 < HELD_OUT_PERCENT


def dev_sets(data: Path) -> dict[str, Rows]:
    return {
        "goemotions": goemotions(data, "dev"),
        "tweeteval_sentiment": tweets(data, "tweeteval_sentiment/val.tsv.gz"),
        "sst2": sst2(data, "dev.tsv"),
        "emobank": emobank(data, "dev.tsv"),
        "dreaddit": dreaddit(data, held_out=True),
    }


def train_sets(data: Path) -> dict[str, Rows]:
    """The training rows whose text stands in no dev split, whatever the set."""
    sets = {
        "goemotions": goemotions(data, "train"),
        "semeval2017_task4a": tweets(data, "semeval2017_task4a/train.tsv.gz"),
        "sst2": sst2(data, "train_phrases.tsv.gz"),
        "emobank": emobank(data, "train.tsv.gz"),
        "dreaddit": dreaddit(data, held_out=False),
    }
    seen = {_bare(text) for rows in dev_sets(data).values() for text in rows.texts}
    return {
        name: rows.pick(np.array([_bare(text) not in seen for text in rows.texts])) for name, rows in sets.items()
    }


def _bare(text: str) -> str:
    return "".join(filter(str.isalnum, text.lower()))


class TextModel(nn.Module):
    """The encoder, mean pooling over the attention mask, and one linear layer [384, 38] for all heads."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.encoder = AutoModel.from_pretrained(
            folder, attn_implementation="eager", attention_probs_dropout_prob=0.0, add_pooling_layer=False
        )
        self.dropout = nn.Dropout(0.1)
        self.heads = nn.Linear(self.encoder.config.hidden_size, 38)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(torch.float32)
        pooled = (hidden.float() * mask).sum(1) / mask.sum(1)
        return self.heads(self.dropout(pooled))


def loss(raw: Tensor, target: Tensor) -> Tensor:
    """The mean over rows of cross-entropies, and for affect beta-NLL (Seitzer et al. 2022, beta 1/2)."""
    has = ~target.isnan()
    known = target.nan_to_num()
    emotion = nn.functional.binary_cross_entropy_with_logits(raw[:, EMOTION], known[:, EMOTION], reduction="none")
    choice = raw[:, SENTIMENT].masked_fill(~has[:, SENTIMENT], -1e4).log_softmax(-1)
    sentiment = -(choice * known[:, SENTIMENT]).sum(-1) * has[:, SENTIMENT.start]
    log_variance = raw[:, LOG_VARIANCE].clamp(-6, 6)
    squared = (raw[:, AFFECT] - known[:, AFFECT] / AFFECT_UNIT) ** 2
    nll = 0.5 * (log_variance + squared / log_variance.exp()) * (log_variance / 2).exp().detach()
    stress = nn.functional.binary_cross_entropy_with_logits(raw[:, STRESS], known[:, STRESS], reduction="none")
    rows = (
        (emotion * has[:, EMOTION]).sum(-1) + sentiment + (nll * has[:, AFFECT]).sum(-1) + stress * has[:, STRESS]
    )
    return rows.mean()


def tokenise(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Token numbers of each text's first window, `[CLS]` and `[SEP]` included, unpadded."""
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]


def padded(ids: Sequence[list[int]]) -> dict[str, np.ndarray]:
    """A batch as the model takes it, padded with 0 to its longest row."""
    length = max(map(len, ids))
    rows = np.array([[*row, *[0] * (length - len(row))] for row in ids], np.int64)
    mask = np.array([[1] * len(row) + [0] * (length - len(row)) for row in ids], np.int64)
    return {"input_ids": rows, "attention_mask": mask}


def batches(lengths: np.ndarray, generator: np.random.Generator) -> list[np.ndarray]:
    """Cut all rows into batches of similar length, in random order."""
    order = generator.permutation(len(lengths))
    found: list[np.ndarray] = []
    for start in range(0, len(order), 50 * ROWS_PER_BATCH):
        pool = order[start : start + 50 * ROWS_PER_BATCH]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        while len(pool):
            fits = [n for n in range(1, ROWS_PER_BATCH + 1) if n <= len(pool)]
            count = max([n for n in fits if n * lengths[pool[n - 1]] <= TOKENS_PER_BATCH] or [1])
            found.append(pool[:count])
            pool = pool[count:]
    generator.shuffle(found)
    return found


@dataclass(frozen=True)
class Corpus:
    """All training rows, tokenised, and where each set's rows stand."""

    ids: list[list[int]]
    targets: np.ndarray
    places: dict[str, np.ndarray]

    def epoch(self, number: int, seed: int) -> list[np.ndarray]:
        generator = np.random.default_rng([seed, number])
        chosen = np.concatenate([self._share(name, number, seed) for name in self.places])
        lengths = np.array([len(self.ids[place]) for place in chosen])
        return [chosen[batch] for batch in batches(lengths, generator)]

    def _share(self, name: str, number: int, seed: int) -> np.ndarray:
        order = np.random.default_rng(seed).permutation(self.places[name])
        size = min(ROWS_PER_EPOCH.get(name, len(order)), len(order))
        return np.take(order, range(number * size, (number + 1) * size), mode="wrap")


def corpus(data: Path, tokenizer: Tokenizer) -> Corpus:
    sets = train_sets(data)
    ends = np.cumsum([len(rows) for rows in sets.values()])
    places = {name: np.arange(end - len(rows), end) for (name, rows), end in zip(sets.items(), ends, strict=True)}
    texts = [text for rows in sets.values() for text in rows.texts]
    return Corpus(tokenise(tokenizer, texts), np.concatenate([rows.targets for rows in sets.values()]), places)


def train(model: TextModel, corpus: Corpus, options: argparse.Namespace) -> None:
    """Run the epochs that the checkpoint in `options.work` leaves to do, and write `model.pt`."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device).train()
    plan = [batch for number in range(options.epochs) for batch in corpus.epoch(number, options.seed)]
    optimizer = torch.optim.AdamW(
        [
            {"params": list(model.encoder.parameters()), "lr": options.rate},
            {"params": list(model.heads.parameters()), "lr": 10 * options.rate},
        ],
        weight_decay=0.01,
        fused=True,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=[group["lr"] for group in optimizer.param_groups],
        total_steps=len(plan),
        pct_start=0.06,
        anneal_strategy="linear",
        cycle_momentum=False,
    )
    state = Checkpoint(options.work / "last.pt", {"model": model, "optimizer": optimizer, "schedule": schedule})
    done = state.load()
    bar = tqdm(total=len(plan), initial=done, desc="training", unit="batch", mininterval=5)
    smooth = 0.0
    for step in range(done, len(plan)):
        batch = {name: torch.from_numpy(value).to(device) for name, value in _inputs(corpus, plan[step]).items()}
        target = torch.from_numpy(corpus.targets[plan[step]]).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=options.precision == "bf16"):
            raw = model(**batch)
        value = loss(raw.float(), target)
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        smooth = 0.98 * smooth + 0.02 * value.item() if smooth else value.item()
        bar.set_postfix(loss=f"{smooth:.3f}", refresh=False)
        bar.update()
        if (step + 1) % options.every == 0:
            state.save(step + 1)
    bar.close()
    torch.save(model.cpu().state_dict(), options.work / "model.pt")


def _inputs(corpus: Corpus, places: np.ndarray) -> dict[str, np.ndarray]:
    return padded([corpus.ids[place] for place in places])


@dataclass(frozen=True)
class Checkpoint:
    """Where training stands: what it holds can save and load its state; the file is replaced whole."""

    path: Path
    parts: dict[str, nn.Module | torch.optim.Optimizer | torch.optim.lr_scheduler.LRScheduler]

    def load(self) -> int:
        """Restore the parts and return the number of steps done; 0 where there is no checkpoint."""
        if not self.path.exists():
            return 0
        state = torch.load(self.path, map_location="cpu", weights_only=True)
        for name, part in self.parts.items():
            part.load_state_dict(state[name])
        torch.set_rng_state(state["random"])
        return int(state["step"])

    def save(self, step: int) -> None:
        state = {name: part.state_dict() for name, part in self.parts.items()}
        draft = self.path.with_suffix(".draft")
        torch.save({**state, "random": torch.get_rng_state(), "step": step}, draft)
        draft.replace(self.path)


def windows(count: int, size: int) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, start + size)


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The options that training, export and measuring share."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data sets (or ATTUNE_DATA)")
    parser.add_argument("--work", type=Path, default=WORK, help="folder for checkpoints and other working files")
    parser.add_argument("--cache", type=Path, default=weights.CACHE, help="folder of pretrained weights")
    parser.add_argument(
        "--threads",
        type=int,
        default=os.cpu_count(),
        help="processor threads to use; fewer are faster on a busy machine",
    )
    return parser


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--epochs", type=int, default=3, help="passes over the data")
    parser.add_argument("--rate", type=float, default=1e-4, help="highest learning rate of the encoder")
    parser.add_argument("--seed", type=int, default=7, help="seed of initial heads, dropout and order")
    parser.add_argument("--every", type=int, default=300, help="batches between checkpoints")
    parser.add_argument("--precision", choices=["bf16", "fp32"], default="bf16", help="of the encoder's products")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    folder = weights.minilm(options.cache)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    train(TextModel(folder), corpus(options.data, tokenizer), options)
    print(f"{options.work / 'model.pt'} is trained: export it with scripts/export_text.py")


if __name__ == "__main__":
    main()
