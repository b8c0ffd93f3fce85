"""The head behind the stem: a linear reading of each clip's mean and deviation, and attention over its frames.

Both say the emotion twice. The *raw* reading knows nothing of who speaks. The *relative* one is trained on what
remains when a speaker's own mean is taken away, so it may only be used with a mean to subtract: the personal
baseline's, or the mean speaker's.

Sources: attentive statistics pooling, Okabe et al. 2018; mixup, Zhang et al. 2018; label smoothing, Szegedy et al.
2016.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from scripts.voice.data import Array, Clips
from scripts.voice.states import LAYERS, LOUD, WIDTH, Heard

INPUTS = LAYERS * WIDTH


@dataclass(frozen=True)
class Linear:
    """outputs = features @ weight.T + bias; weight is [outputs, width]."""

    weight: Array
    bias: Array

    def __call__(self, features: Array) -> Array:
        return np.asarray(features @ self.weight.T + self.bias)

    def scaled(self, slope: Array | float, shift: Array | float = 0.0) -> Linear:
        """The same, with outputs * slope + shift."""
        slopes = np.broadcast_to(np.asarray(slope, float), self.bias.shape)
        return Linear(self.weight * slopes[:, None], self.bias * slopes + shift)


@dataclass(frozen=True)
class Task:
    """Rows with a class each: what a classifier learns."""

    clips: Clips
    target: Array
    classes: int
    soft: Array
    """[n, classes]: how the listeners were split, where that is known, else the target; rows sum to 1."""

    def repeated(self, times: int) -> Task:
        """The same rows so many times, one block after the other."""
        rows = np.tile(np.arange(len(self.clips)), times)
        return Task(self.clips.where(rows), self.target[rows], self.classes, self.soft[rows])

    @property
    def allowed(self) -> Array:
        """[n, classes]: which classes compete for a row. A corpus without surprise says nothing about surprise."""
        mask = np.zeros((len(self.clips), self.classes), bool)
        for corpus in set(self.clips.corpus):
            rows = self.clips.corpus == corpus
            mask[np.ix_(rows, np.unique(self.target[rows]))] = True
        return mask

    @property
    def weight(self) -> Array:
        """Each class as heavy as the others, corpora by the root of their size; 1 in the mean."""
        keys = np.char.add(np.char.add(self.clips.corpus, "/"), self.target.astype(str))
        _, cell, sizes = np.unique(keys, return_inverse=True, return_counts=True)
        weight = 1 / np.sqrt(sizes[cell])
        weight /= np.bincount(self.target, weight, self.classes)[self.target]
        return np.asarray(weight / weight.mean())


def fit_softmax(features: Array, task: Task, penalty: float) -> Linear:
    """Multinomial logistic regression on standardised features with an L2 penalty, over the number of rows."""
    center, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
    x = torch.from_numpy(((features - center) / spread).astype(np.float32))
    y, mask = torch.from_numpy(task.target), torch.from_numpy(~task.allowed)
    w = torch.from_numpy((task.weight / task.weight.sum()).astype(np.float32))
    slopes = torch.zeros(task.classes, x.shape[1], requires_grad=True)
    bias = torch.zeros(task.classes, requires_grad=True)
    optimizer = torch.optim.LBFGS([slopes, bias], max_iter=80, history_size=10, line_search_fn="strong_wolfe")
    strength = penalty / len(y)

    def loss() -> Tensor:
        optimizer.zero_grad()
        logits = (x @ slopes.T + bias).masked_fill(mask, -1e9)
        value = (w * functional.cross_entropy(logits, y, reduction="none")).sum() + strength / 2 * (slopes**2).sum()
        value.backward()
        return value

    optimizer.step(loss)
    final = slopes.detach().double().numpy() / spread
    return Linear(final, bias.detach().double().numpy() - final @ center)


def fit_ridge(features: Array, target: Array, weight: Array, strength: float) -> Linear:
    """Weighted ridge regression [n, width] -> [n, outputs] on standardised features."""
    w = (weight / weight.sum()).astype(np.float32)
    center = w @ features
    spread = np.sqrt(w @ (features - center) ** 2) + 1e-6
    x, middle = (features - center) / spread, w @ target
    moments, products = (x * w[:, None]).T @ x, (x * w[:, None]).T @ (target - middle)
    final = np.linalg.solve(moments.astype(float) + strength * np.eye(len(moments)), products).T / spread
    return Linear(final, middle - final @ center)


def speaker_means(values: Array, who: Array) -> tuple[Array, Array]:
    """The mean of each speaker's rows, [speakers, ...], and which speaker a row is from."""
    names, index = np.unique(who, return_inverse=True)
    sums = np.zeros((len(names), *values.shape[1:]))
    np.add.at(sums, index, values)
    return sums / np.bincount(index)[:, None], index


def centred(values: Array, who: Array) -> Array:
    """Without each speaker's own mean."""
    means, index = speaker_means(values, who)
    return np.asarray(values - means[index])


class Attention(nn.Module):
    """Frames to logits, raw and relative, by attentive statistics pooling.

    `states` are [batch, frames, INPUTS] and standardised here; `loudness` [batch, frames] says which frames count.
    """

    center: Tensor
    spread: Tensor

    def __init__(self, classes: int, center: Array, spread: Array, width: int = 256, heads: int = 8) -> None:
        super().__init__()
        self.register_buffer("center", torch.from_numpy(center.astype(np.float32)))
        self.register_buffer("spread", torch.from_numpy(spread.astype(np.float32)))
        self.enter, self.norm = nn.Linear(INPUTS, width), nn.LayerNorm(width)
        self.ask, self.heads = nn.Linear(width, heads), heads
        self.level = nn.BatchNorm1d(2 * width, affine=False)
        self.raw, self.relative = nn.Linear(2 * width, classes), nn.Linear(2 * width, classes)

    def forward(self, states: Tensor, loudness: Tensor, drop: Dropout | None = None) -> tuple[Tensor, Tensor]:
        factor = 1 / self.spread
        if drop is not None:  # whole channels of a clip
            factor = factor * functional.dropout(torch.ones(len(states), 1, INPUTS), drop.inputs)
        x = (states - self.center) * factor
        hidden = self.norm(functional.gelu(self.enter(x)))
        score = self.ask(hidden).masked_fill((loudness <= LOUD)[:, :, None], -1e4)
        share = score.softmax(dim=1)[..., None]  # [batch, frames, heads, 1]
        parts = hidden.unflatten(2, (self.heads, -1))
        mean = (share * parts).sum(dim=1)
        deviation = ((share * parts * parts).sum(dim=1) - mean * mean).clamp(min=1e-5).sqrt()
        pooled = self.level(torch.cat([mean.flatten(1), deviation.flatten(1)], dim=1))
        if drop is not None:
            pooled = functional.dropout(pooled, drop.pooled)
        return self.raw(pooled), self.relative(pooled)


@dataclass(frozen=True)
class Dropout:
    """Shares of the input channels and of the pooled numbers that a training step does without."""

    inputs: float
    pooled: float


@dataclass(frozen=True)
class Recipe:
    """How an Attention is trained."""

    epochs: int = 20
    speakers: int = 6
    clips: int = 12
    """Of each speaker in a batch."""
    rate: float = 2e-3
    decay: float = 0.5
    drop: Dropout = Dropout(0.3, 0.5)
    mixed: float = 0.5
    """Share of batches with mixup, which joins clips of one speaker."""
    smooth: float = 0.1
    clean: float = 0.3
    """Share of clips heard as they are; the others are copies."""
    shortened: float = 0.4
    """Share of clips of which only a part is heard."""


def fit_attention(heard: Heard, rows: Array, task: Task, seed: int, recipe: Recipe) -> Attention:
    """Train on these rows of `heard`; `task` holds the same clips in the same order.

    A batch holds several clips of each of a few speakers. Its relative logits are those less the speaker's mean in
    the batch, as with a baseline learned from a dozen utterances.
    """
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    few, loudness = heard.batch(random.choice(rows, 256), np.zeros(256, int))
    loud = few[loudness > LOUD].float().numpy()
    net = Attention(task.classes, loud.mean(axis=0), loud.std(axis=0) + 1e-4)
    allowed, weight = torch.from_numpy(task.allowed).float(), torch.from_numpy(task.weight).float()
    goal = torch.from_numpy(task.soft).float() * (1 - recipe.smooth)
    goal += recipe.smooth * allowed / allowed.sum(dim=1, keepdim=True)
    copies = len(heard.states)
    odds = [recipe.clean, *[(1 - recipe.clean) / max(1, copies - 1)] * (copies - 1)] if copies > 1 else [1.0]
    steps = recipe.epochs * len(rows) // (recipe.speakers * recipe.clips)
    optimizer = torch.optim.AdamW(net.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.rate, total_steps=steps + 1, pct_start=0.15)
    waiting: list[list[Array]] = []
    net.train()
    for _ in range(steps):
        waiting = waiting or _batches(heard.frames[0][rows], task.clips.who, recipe, random)
        groups = waiting.pop()
        chosen, sizes = np.concatenate(groups), [len(group) for group in groups]
        if random.random() < 0.5:  # one room and line for each speaker, or another for each clip
            versions = np.repeat(random.choice(copies, len(groups), p=odds), sizes)
        else:
            versions = random.choice(copies, len(chosen), p=odds)
        states, loudness = heard.batch(rows[chosen], versions)
        x, aim, may = states.float(), goal[chosen], allowed[chosen]
        _shorten(loudness, recipe.shortened, random)
        if random.random() < recipe.mixed:
            share = float(random.beta(0.4, 0.4))
            share, starts = max(share, 1 - share), np.cumsum([0, *sizes[:-1]])
            other = np.concatenate([at + random.permutation(size) for at, size in zip(starts, sizes, strict=True)])
            x, aim = share * x + (1 - share) * x[other], share * aim + (1 - share) * aim[other]
            loudness = torch.maximum(loudness, loudness[other])
        with torch.autocast("cpu", torch.bfloat16):
            raw, relative = (logits.float() for logits in net(x, loudness, recipe.drop))
        usual = torch.cat([part.mean(dim=0, keepdim=True).expand_as(part) for part in relative.split(sizes)])
        relative = relative - usual + net.relative.bias
        loss = sum(_surprise(logits, aim, may, weight[chosen]) for logits in (raw, relative))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        optimizer.step()
        schedule.step()
    return net.eval()


def _batches(frames: Array, who: Array, recipe: Recipe, random: np.random.Generator) -> list[list[Array]]:
    """Every row once, as batches of a few speakers; clips of like length together."""
    groups = []
    for name in np.unique(who):
        rows = random.permutation(np.flatnonzero(who == name))
        rows = rows[np.argsort(frames[rows] + random.normal(0, 8, len(rows)))]
        groups += np.array_split(rows, max(1, round(len(rows) / recipe.clips)))
    order = np.argsort([frames[group].mean() + random.normal(0, 8) for group in groups])
    found = [order[start : start + recipe.speakers] for start in range(0, len(order), recipe.speakers)]
    return [[groups[index] for index in found[at]] for at in random.permutation(len(found))]


def _shorten(loudness: Tensor, share: float, random: np.random.Generator) -> None:
    """Of some clips hear only a stretch, at least 20 frames long, where something is said in it."""
    for row in loudness:
        length = int((row > -9).sum())
        if length > 30 and random.random() < share:
            size = random.integers(20, length)
            start = random.integers(0, length - size + 1)
            if (row[start : start + size] > LOUD).sum() > 5:
                row[:start] = row[start + size :] = -9.0


def _surprise(logits: Tensor, aim: Tensor, may: Tensor, weight: Tensor) -> Tensor:
    logs = logits.masked_fill(may == 0, -1e4).log_softmax(dim=1)
    return (-(aim * logs).masked_fill(may == 0, 0).sum(dim=1) * weight).mean()


@torch.no_grad()
def read(net: Attention, heard: Heard, rows: Sequence[int] | Array) -> tuple[Array, Array]:
    """Raw and relative logits of the clean clips, [rows, classes]."""
    rows = np.asarray(rows)
    order, raw, relative = np.argsort(heard.frames[0][rows], kind="stable"), [], []
    for start in range(0, len(order), 64):
        states, loudness = heard.batch(
            rows[order[start : start + 64]], np.zeros(len(order[start : start + 64]), int)
        )
        found = net(states.float(), loudness)
        raw.append(found[0])
        relative.append(found[1])
    back = np.argsort(order)
    return torch.cat(raw).numpy()[back], torch.cat(relative).numpy()[back]
