"""Train the text model: an encoder with heads for emotions, sentiment, affect and stress, in one pass.

A batch mixes rows of all sets. First `teacher` trains all-mpnet-base-v2, then `label` lets it read what the
student will see, then `student` trains all-MiniLM-L6-v2 on the labels and on what the teacher said (Hinton et al.
2015). `plain` is what they are compared with: the same encoder, fine-tuned on GoEmotions alone. Killed and started
again, each step goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import text_variants as variants
import torch
import weights
from text_data import (
    AFFECT,
    AFFECT_UNIT,
    DATA,
    EMOTION,
    LOG_VARIANCE,
    ROOT,
    SENTIMENT,
    STRESS,
    TWEET_EMOTION,
    TWEET_MOOD,
    Rows,
    batches,
    padded,
    tokenise,
    train_sets,
)
from tokenizers import Tokenizer
from torch import Tensor, nn
from tqdm import tqdm
from transformers import AutoModel

WORK = ROOT / "build" / "text"
OUTPUTS = LOG_VARIANCE.stop
RARE = 300
"""An emotion of GoEmotions that stands in fewer rows than this is rare."""


@dataclass(frozen=True)
class Plan:
    """How one model is trained."""

    encoder: str
    pad: int
    """Number of the padding token."""
    epochs: int
    rate: float
    """Highest learning rate of the encoder."""
    frozen_layers: int
    """So many of the lowest layers stay as they are, and the word vectors with them."""
    rows: int
    tokens: int
    """A batch has at most so many rows and padded tokens."""
    share: dict[str, float]
    """Part of a set that an epoch takes; each takes the next part. 1 where a set is not named."""
    rare_again: int = 2
    """How many more times an epoch takes a row with a rare emotion."""
    most: int | None = None
    """Stop after so many batches."""


TEACHER = Plan(
    encoder="mpnet",
    pad=1,
    epochs=1,
    rate=5e-5,
    frozen_layers=6,
    rows=80,
    tokens=2304,
    share={"semeval2017_task4a": 0.35, "sst2": 0.15},
    most=940,
)
STUDENT = Plan(
    encoder="minilm",
    pad=0,
    epochs=3,
    rate=1.5e-4,
    frozen_layers=0,
    rows=64,
    tokens=1536,
    share={
        "semeval2017_task4a": 0.4,
        "sst2": 0.25,
        "grammar": 0.4,
        "identities": 0.4,
        "swapped": 0.4,
        "slipped": 0.4,
    },
    most=4800,
)
PLAIN = Plan(
    encoder="minilm",
    pad=0,
    epochs=2,
    rate=1e-4,
    frozen_layers=0,
    rows=32,
    tokens=4096,
    share={},
    rare_again=0,
)
TAUGHT = {"semeval2017_task4a": 0.6, "sst2": 0.35}
"""Part of a set that the teacher reads (all of it where it is not named); reading is what takes its time."""
TOKENS_READ = 4096
"""Padded tokens in a batch that it reads: weights are repacked for each, so few and large ones are faster."""


class TextModel(nn.Module):
    """The encoder, mean pooling over the attention mask, and one linear layer for all heads."""

    def __init__(self, folder: Path, *, frozen_layers: int = 0) -> None:
        super().__init__()
        # Without dropout (slow on processors): the many tasks, few epochs and the teacher regularise enough.
        # GELU by tanh, as the graph computes it.
        changed = {
            "attention_probs_dropout_prob": 0.0,
            "hidden_dropout_prob": 0.0,
            "hidden_act": "gelu_pytorch_tanh",
        }
        self.encoder = AutoModel.from_pretrained(
            folder, attn_implementation="eager", add_pooling_layer=False, **changed
        )
        self.heads = nn.Linear(self.encoder.config.hidden_size, OUTPUTS)
        if frozen_layers:
            self.encoder.embeddings.requires_grad_(False)
            self.encoder.encoder.layer[:frozen_layers].requires_grad_(False)

    def pool(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(torch.float32)
        return (hidden.float() * mask).sum(1) / mask.sum(1)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.heads(self.pool(input_ids, attention_mask))


def gold_loss(raw: Tensor, target: Tensor) -> Tensor:
    """Per row, over the heads it has labels for: cross-entropies, and for affect beta-NLL.

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
    return found + (nll * has[:, AFFECT]).sum(-1)


def taught_loss(raw: Tensor, said: Tensor) -> Tensor:
    """Per row: how far all heads stand from what the teacher said [rows, OUTPUTS]."""
    found = torch.zeros(len(raw))
    for head in (EMOTION, STRESS, TWEET_EMOTION):
        target = said[:, head].sigmoid()
        entropy = nn.functional.binary_cross_entropy_with_logits(raw[:, head], target, reduction="none")
        found = found + entropy.sum(-1)
    for head in (SENTIMENT, TWEET_MOOD):
        found = found - (raw[:, head].log_softmax(-1) * said[:, head].softmax(-1)).sum(-1)
    return found + ((raw[:, AFFECT] - said[:, AFFECT]) ** 2).sum(-1) / 2


def loss(raw: Tensor, target: Tensor, said: Tensor | None) -> Tensor:
    """The mean over rows; where the teacher said something, its opinion counts as much as the labels."""
    gold = gold_loss(raw, target)
    if said is None:
        return gold.mean()
    has = ~said.isnan().any(-1)
    labelled = ~target.isnan().all(-1)
    weight = torch.where(has & labelled, 0.5, 1.0)
    return (weight * (gold + taught_loss(raw, said.nan_to_num()) * has)).mean()


@dataclass(frozen=True)
class Corpus:
    """All training rows: their texts, what the teacher reads in their stead, and where each set's rows stand."""

    texts: list[str]
    heard: list[str]
    targets: np.ndarray
    places: dict[str, np.ndarray]

    def epochs(self, plan: Plan, ids: Sequence[list[int]], seed: int) -> list[np.ndarray]:
        """The batches of all epochs, as places."""
        found = [batch for number in range(plan.epochs) for batch in self._epoch(number, plan, ids, seed)]
        return found[: plan.most]

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

    def taught(self, seed: int) -> np.ndarray:
        """The places of the rows that the teacher reads."""
        return np.concatenate([self._share(name, 0, replace(STUDENT, share=TAUGHT), seed) for name in self.places])


def corpus(data: Path, only: Sequence[str] = (), *, with_made: bool = False, seed: int = 7) -> Corpus:
    """The labelled sets (those named in `only`), and, with `with_made`, the texts made for training."""
    sets = {name: (rows, rows.texts) for name, rows in train_sets(data).items() if not only or name in only}
    if with_made:
        sets |= made(data, {name: rows for name, (rows, _) in sets.items()}, seed)
    ends = np.cumsum([len(rows) for rows, _ in sets.values()])
    return Corpus(
        texts=[text for rows, _ in sets.values() for text in rows.texts],
        heard=[text for _, heard in sets.values() for text in heard],
        targets=np.concatenate([rows.targets for rows, _ in sets.values()]),
        places={
            name: np.arange(end - len(rows), end) for (name, (rows, _)), end in zip(sets.items(), ends, strict=True)
        },
    )


def made(data: Path, sets: dict[str, Rows], seed: int) -> dict[str, tuple[Rows, list[str]]]:
    """Rows of the grammar, identities, swaps and slips, each with what the teacher reads."""
    written = variants.grammar(seed, variants.GRAMMAR_ROWS, data / "text/checklist_sentiment/tests.jsonl.gz")
    real = Rows(
        [text for rows in sets.values() for text in rows.texts],
        np.concatenate([rows.targets for rows in sets.values()]),
    )
    words = variants.descriptors(data / "text/holistic_bias") + variants.IDENTITIES
    return {
        "grammar": (written, written.texts),
        "identities": variants.identities(seed, variants.IDENTITY_ROWS, words),
        "swapped": variants.swapped(real, seed, variants.SWAPPED_ROWS),
        "slipped": variants.slipped(real, seed, variants.SLIPPED_ROWS),
    }


def runs(lengths: Sequence[int], tokens: int) -> Iterator[slice]:
    """Cut rows in order of length into runs of at most so many padded tokens.

    >>> list(runs([2, 2, 3, 9], 6))
    [slice(0, 2, None), slice(2, 3, None), slice(3, 4, None)]
    """
    start = 0
    for place, length in enumerate(lengths):
        if place > start and (place - start + 1) * length > tokens:
            yield slice(start, place)
            start = place
    yield slice(start, len(lengths))


def label(model: TextModel, tokenizer: Tokenizer, corpus: Corpus, options: argparse.Namespace) -> None:
    """Write what the teacher says of each row [rows, OUTPUTS] to `said.npy`; NaN where it was not asked."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device).eval()
    taught = corpus.taught(options.seed)
    texts = sorted({corpus.heard[place] for place in taught})
    ids = tokenise(tokenizer, texts)
    order = np.argsort([len(row) for row in ids], kind="stable")
    texts, ids = [texts[place] for place in order], [ids[place] for place in order]
    draft = options.work / "said.draft.npz"
    parts: list[np.ndarray] = list(np.load(draft).values()) if draft.exists() else []
    steps = list(runs([len(row) for row in ids], TOKENS_READ))
    if options.precision == "bf16":
        model.encoder.to(torch.bfloat16)
    with torch.inference_mode():
        for number in tqdm(range(len(parts), len(steps)), desc="label", unit="batch", mininterval=5):
            feed = padded(ids[steps[number]], TEACHER.pad)
            batch = {key: torch.from_numpy(value).to(device) for key, value in feed.items()}
            parts.append(model(**batch).float().cpu().numpy())
            if number % options.every == 0:
                np.savez(draft, *parts)
    said = dict(zip(texts, np.concatenate(parts), strict=True))
    found = np.full((len(corpus.texts), OUTPUTS), np.nan, np.float32)
    for place in taught:
        found[place] = said[corpus.heard[place]]
    np.save(options.work / "said.npy", found)
    draft.unlink(missing_ok=True)


def train(
    model: TextModel,
    tokenizer: Tokenizer,
    corpus: Corpus,
    plan: Plan,
    options: argparse.Namespace,
    said: np.ndarray | None = None,
) -> None:
    """Run the epochs that the checkpoint in `options.work` leaves to do, and write `STEP.pt`."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device).train()
    ids = tokenise(tokenizer, corpus.texts)
    steps = corpus.epochs(plan, ids, options.seed)
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
    state = Checkpoint(
        options.work / f"{options.step}.last.pt", {"model": model, "optimizer": optimizer, "schedule": schedule}
    )
    done = state.load()
    bar = tqdm(total=len(steps), initial=done, desc=options.step, unit="batch", mininterval=5)
    smooth = 0.0
    for step in range(done, len(steps)):
        rows = steps[step]
        feed = padded([ids[place] for place in rows], plan.pad)
        batch = {key: torch.from_numpy(value).to(device) for key, value in feed.items()}
        with torch.autocast(device.type, torch.bfloat16, enabled=options.precision == "bf16"):
            raw = model(**batch)
        taught = None if said is None else torch.from_numpy(said[rows])
        value = loss(raw.float().cpu(), torch.from_numpy(corpus.targets[rows]), taught)
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
    torch.save(model.cpu().state_dict(), options.work / f"{options.step}.pt")


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
    parser.add_argument("step", choices=["teacher", "label", "student", "plain"], help="see above")
    parser.add_argument("--seed", type=int, default=7, help="seed of initial heads and order")
    parser.add_argument("--every", type=int, default=300, help="batches between checkpoints")
    parser.add_argument("--precision", choices=["bf16", "fp32"], default="bf16", help="of the encoder's products")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    plan = {"teacher": TEACHER, "label": TEACHER, "student": STUDENT, "plain": PLAIN}[options.step]
    folder = weights.WEIGHTS[plan.encoder](options.cache)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    model = TextModel(folder, frozen_layers=plan.frozen_layers)
    if options.step == "label":
        model.load_state_dict(torch.load(options.work / "teacher.pt", weights_only=True))
        label(model, tokenizer, corpus(options.data, with_made=True), options)
    elif options.step == "student":
        said = np.load(options.work / "said.npy")
        train(model, tokenizer, corpus(options.data, with_made=True), plan, options, said)
    else:
        only = ["goemotions"] if options.step == "plain" else []
        train(model, tokenizer, corpus(options.data, only), plan, options)


if __name__ == "__main__":
    main()
