"""Train the text model: an encoder with heads for emotions, sentiment, affect and stress, in one pass.

A batch mixes rows of all sets. After the first epoch each row's labels are mixed with what the model itself said of
it in earlier epochs (self-distillation: Laine & Aila 2017; Kim et al. 2021), and a text made for training is to be
read like the one it was made from. `plain` is what `train` is compared with: the same encoder, fine-tuned on
GoEmotions alone. Killed and started again, each goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from tqdm import tqdm
from transformers import AutoModel

from scripts.paths import DATA, ROOT
from scripts.text import variants
from scripts.text.data import (
    AFFECT,
    AFFECT_UNIT,
    EMOTION,
    LOG_VARIANCE,
    SENTIMENT,
    STRESS,
    TWEET_EMOTION,
    TWEET_MOOD,
    Rows,
    batches,
    blank,
    padded,
    tokenise,
    train_sets,
)
from scripts.weights import download as weights

WORK = ROOT / "build" / "text"
OUTPUTS = LOG_VARIANCE.stop
RARE = 300
"""An emotion of GoEmotions that stands in fewer rows than this is rare."""


@dataclass(frozen=True)
class Plan:
    """How one model is trained."""

    epochs: int
    rate: float
    """Highest learning rate of the encoder."""
    rows: int
    tokens: int
    """A batch has at most so many rows and padded tokens."""
    share: dict[str, float]
    """Part of a set that an epoch takes; each takes the next part. 1 where a set is not named."""
    rare_again: int = 2
    """How many more times an epoch takes a row with a rare emotion."""
    own: float = 0.5
    """In the last epoch, the weight of the model's earlier readings in its targets; it grows from 0."""


FULL = Plan(
    epochs=5,
    rate=2e-4,
    rows=96,
    tokens=2304,
    share={
        "goemotions": 0.75,
        "semeval2017_task4a": 0.5,
        "sst2": 0.4,
        "grammar": 0.4,
        "identities": 0.4,
        "swapped": 0.4,
        "slipped": 0.4,
    },
)
PLAIN = Plan(epochs=2, rate=1e-4, rows=32, tokens=4096, share={}, rare_again=0, own=0.0)


class TextModel(nn.Module):
    """The encoder, mean pooling over the attention mask, and one linear layer for all heads."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        # GELU by tanh, as the graph computes it.
        changed = {"attention_probs_dropout_prob": 0.0, "hidden_act": "gelu_pytorch_tanh"}
        self.encoder = AutoModel.from_pretrained(
            folder, attn_implementation="eager", add_pooling_layer=False, **changed
        )
        self.encoder.embeddings.dropout = TextDropout()
        for layer in self.encoder.encoder.layer:
            layer.attention.output.dropout = TextDropout()
            layer.output.dropout = TextDropout()
        self.heads = nn.Linear(self.encoder.config.hidden_size, OUTPUTS)

    def pool(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(torch.float32)
        return (hidden.float() * mask).sum(1) / mask.sum(1)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.heads(self.pool(input_ids, attention_mask))


class TextDropout(nn.Module):
    """Dropout that drops a feature from all tokens of a text at once (Gal & Ghahramani 2016).

    One draw per text instead of one per token: on processors, drawing is what makes dropout slow.
    """

    part = 0.1

    def forward(self, hidden: Tensor) -> Tensor:
        if not self.training:
            return hidden
        kept = torch.rand(len(hidden), 1, hidden.shape[-1], device=hidden.device) >= self.part
        return hidden * (kept.to(hidden.dtype) / (1 - self.part))


def softened(target: np.ndarray, said: np.ndarray, own: float, made: np.ndarray) -> np.ndarray:
    """Labels [rows, WIDTH] mixed with the model's earlier readings [rows, OUTPUTS], which weigh `own`.

    Where `made` [rows], heads without a label take the earlier reading of the text that the row was made from.
    Affect keeps its labels: its variance is to be that of people's scores. Without an earlier reading (NaN)
    nothing changes.
    """
    mixed = target.copy()
    raw = torch.from_numpy(said)
    for head in (EMOTION, SENTIMENT, AFFECT, STRESS, TWEET_EMOTION, TWEET_MOOD):
        has = ~np.isnan(target[:, head])
        if head == AFFECT:
            opinion, weight = said[:, head] * AFFECT_UNIT, 0.0
        elif head in (SENTIMENT, TWEET_MOOD):
            open_to = torch.from_numpy(has | ~has.any(-1, keepdims=True))
            opinion, weight = raw[:, head].masked_fill(~open_to, -1e4).softmax(-1).numpy(), own
        else:
            opinion, weight = raw[:, head].sigmoid().numpy(), own
        heard = ~np.isnan(opinion)
        mixed[:, head] = np.where(has & heard, (1 - weight) * target[:, head] + weight * opinion, target[:, head])
        alone = made & ~has.any(-1)
        mixed[alone, head] = opinion[alone]
    return mixed


def loss(raw: Tensor, target: Tensor) -> Tensor:
    """The mean over rows of, for the heads a row has targets for: cross-entropies, and for affect beta-NLL.

    Beta-NLL: Seitzer et al. 2022, with beta 1/2.
    """
    has = ~target.isnan()
    known = target.nan_to_num()
    found = torch.zeros(len(raw))
    for head in (EMOTION, STRESS, TWEET_EMOTION):
        entropy = nn.functional.binary_cross_entropy_with_logits(raw[:, head], known[:, head], reduction="none")
        found = found + (entropy * has[:, head]).sum(-1)
    for head in (SENTIMENT, TWEET_MOOD):
        choice = raw[:, head].masked_fill(~has[:, head], -1e4).log_softmax(-1)
        found = found - (choice * known[:, head]).sum(-1) * has[:, head].any(-1)
    log_variance = raw[:, LOG_VARIANCE].clamp(-6, 6)
    squared = (raw[:, AFFECT] - known[:, AFFECT] / AFFECT_UNIT) ** 2
    nll = 0.5 * (log_variance + squared / log_variance.exp()) * (log_variance / 2).exp().detach()
    return (found + (nll * has[:, AFFECT]).sum(-1)).mean()


@dataclass(frozen=True)
class Corpus:
    """All training rows: their texts and targets, and where each set's rows stand."""

    texts: list[str]
    targets: np.ndarray
    places: dict[str, np.ndarray]
    source: np.ndarray
    """The place of the row that a row was made from; of itself where it was not."""

    def epochs(self, plan: Plan, ids: Sequence[list[int]], seed: int) -> list[list[np.ndarray]]:
        """The batches of each epoch, as places."""
        return [self._epoch(number, plan, ids, seed) for number in range(plan.epochs)]

    def _epoch(self, number: int, plan: Plan, ids: Sequence[list[int]], seed: int) -> list[np.ndarray]:
        generator = np.random.default_rng([seed, number])
        chosen = np.concatenate([self._share(name, number, plan, seed) for name in self.places])
        lengths = np.array([len(ids[place]) for place in chosen])
        return [chosen[batch] for batch in batches(lengths, plan.rows, plan.tokens, generator)]

    def _share(self, name: str, number: int, plan: Plan, seed: int) -> np.ndarray:
        order = np.random.default_rng(seed).permutation(self.places[name])
        size = int(len(order) * plan.share.get(name, 1))
        chosen = np.take(order, range(number * size, (number + 1) * size), mode="wrap")
        emotions = self.targets[:, EMOTION]
        rare = np.flatnonzero(np.nansum(emotions[self.places["goemotions"]], 0) < RARE)
        again = chosen[(emotions[chosen][:, rare] == 1).any(-1)]
        return np.concatenate([chosen, *[again] * plan.rare_again])


def corpus(data: Path, only: Sequence[str] = (), *, with_made: bool = False, seed: int = 7) -> Corpus:
    """The labelled sets (those named in `only`), and, with `with_made`, the texts made for training."""
    sets = {name: (rows, rows.texts) for name, rows in train_sets(data).items() if not only or name in only}
    if with_made:
        sets |= made(data, {name: rows for name, (rows, _) in sets.items()}, seed)
    ends = np.cumsum([len(rows) for rows, _ in sets.values()])
    texts = [text for rows, _ in sets.values() for text in rows.texts]
    place = {text: number for number, text in reversed(list(enumerate(texts)))}
    own = np.arange(len(texts))
    sources = [text for _, of in sets.values() for text in of]
    return Corpus(
        texts=texts,
        targets=np.concatenate([rows.targets for rows, _ in sets.values()]),
        places={
            name: own[end - len(rows) : end] for (name, (rows, _)), end in zip(sets.items(), ends, strict=True)
        },
        source=np.array([n if texts[n] == of else place[of] for n, of in enumerate(sources)]),
    )


def made(data: Path, sets: dict[str, Rows], seed: int) -> dict[str, tuple[Rows, list[str]]]:
    """Rows of the grammar, identities, swaps and slips, each with the text it was made from."""
    written = variants.grammar(seed, variants.GRAMMAR_ROWS, data / "text/checklist_sentiment/tests.jsonl.gz")
    real = Rows(
        [text for rows in sets.values() for text in rows.texts],
        np.concatenate([rows.targets for rows in sets.values()]),
    )
    words = variants.descriptors(data / "text/holistic_bias") + variants.IDENTITIES
    identities, persons = variants.identities(seed, variants.IDENTITY_ROWS, words)
    plainly = blank(sorted(set(persons) - set(real.texts)))
    return {
        "grammar": (written, written.texts),
        "plainly": (plainly, plainly.texts),
        "identities": (identities, persons),
        "swapped": variants.swapped(real, seed, variants.SWAPPED_ROWS),
        "slipped": variants.slipped(real, seed, variants.SLIPPED_ROWS),
    }


def train(model: TextModel, tokenizer: Tokenizer, corpus: Corpus, plan: Plan, options: argparse.Namespace) -> None:
    """Run the batches that the checkpoint in `options.work` leaves to do, and write `STEP.pt`."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device).train()
    ids = tokenise(tokenizer, corpus.texts)
    steps = [
        (number, rows) for number, epoch in enumerate(corpus.epochs(plan, ids, options.seed)) for rows in epoch
    ]
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in model.encoder.parameters() if p.requires_grad], "lr": plan.rate},
            {"params": list(model.heads.parameters()), "lr": 10 * plan.rate},
        ],
        weight_decay=0.01,
        fused=True,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=[group["lr"] for group in optimizer.param_groups],
        total_steps=len(steps),
        pct_start=0.06,
        anneal_strategy="linear",
        cycle_momentum=False,
    )
    said = torch.full((len(corpus.texts), OUTPUTS), torch.nan)
    made = corpus.source != np.arange(len(corpus.texts))
    state = Checkpoint(
        options.work / f"{options.step}.last.pt",
        {"model": model, "optimizer": optimizer, "schedule": schedule},
        said,
    )
    done = state.load()
    bar = tqdm(total=len(steps), initial=done, desc=options.step, unit="batch", mininterval=5)
    smooth = 0.0
    for step in range(done, len(steps)):
        epoch, rows = steps[step]
        feed = padded([ids[place] for place in rows])
        batch = {key: torch.from_numpy(value).to(device) for key, value in feed.items()}
        with torch.autocast(device.type, torch.bfloat16, enabled=options.precision == "bf16"):
            raw = model(**batch)
        raw = raw.float().cpu()
        own = plan.own * epoch / (plan.epochs - 1)
        target = softened(corpus.targets[rows], said[corpus.source[rows]].numpy(), own, made[rows])
        value = loss(raw, torch.from_numpy(target))
        value.backward()
        earlier, now = said[rows], raw.detach()
        said[rows] = torch.where(earlier.isnan(), now, (earlier + now) / 2)
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
    torch.save(model.cpu().state_dict(), options.work / f"{options.step}.pt")


@dataclass(frozen=True)
class Checkpoint:
    """Where training stands: what it holds can save and load its state; the file is replaced whole."""

    path: Path
    parts: dict[str, nn.Module | torch.optim.Optimizer | torch.optim.lr_scheduler.LRScheduler]
    said: Tensor

    def load(self) -> int:
        """Restore the parts and return the number of steps done; 0 where there is no checkpoint."""
        if not self.path.exists():
            return 0
        state = torch.load(self.path, map_location="cpu", weights_only=True)
        for name, part in self.parts.items():
            part.load_state_dict(state[name])
        self.said.copy_(state["said"])
        torch.set_rng_state(state["random"])
        return int(state["step"])

    def save(self, step: int) -> None:
        state = {name: part.state_dict() for name, part in self.parts.items()}
        draft = self.path.with_suffix(".draft")
        torch.save({**state, "said": self.said, "random": torch.get_rng_state(), "step": step}, draft)
        draft.replace(self.path)


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
    parser.add_argument("step", choices=["train", "plain"], help="see above")
    parser.add_argument("--seed", type=int, default=7, help="seed of initial heads and order")
    parser.add_argument("--every", type=int, default=500, help="batches between checkpoints")
    parser.add_argument("--precision", choices=["bf16", "fp32"], default="bf16", help="of the encoder's products")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    folder = weights.WEIGHTS["minilm"](options.cache)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    model = TextModel(folder)
    if options.step == "plain":
        train(model, tokenizer, corpus(options.data, ["goemotions"]), PLAIN, options)
        return
    # left as they are, word vectors keep rare words where the encoder expects them
    model.encoder.embeddings.word_embeddings.requires_grad_(False)
    train(model, tokenizer, corpus(options.data, with_made=True), FULL, options)


if __name__ == "__main__":
    main()
