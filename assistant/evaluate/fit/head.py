"""A linear head on the frozen stem: learned from labelled clips, calibrated on speakers it did not learn from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from assistant.arrays import Floats, Floats32, Ints
from assistant.audio.voice import VoiceScores
from assistant.emotion import EMOTIONS
from assistant.evaluate.fit import softmax
from assistant.evaluate.fit.features import Clip
from assistant.evaluate.fit.folds import spread_groups
from assistant.evaluate.fit.softmax import Linear
from assistant.inference.card import Card

PENALTIES = (10_000.0, 1000.0, 100.0, 10.0)
"""The ridges tried, strongest first, over the number of rows."""
NEUTRAL = 0.35
"""Share of neutral speech in the mean speaker's usual: between acted corpora and daily life, as in the shipped."""
_INNER = 3
_STEPS, _LAST_STEPS = 40, 100
TENSE = ("anger", "fear")


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSet:
    """Labelled clips, a row each."""

    features: Floats32
    """[rows, width]: the mean over a clip's windows."""
    own: Floats32
    """The same less the mean of all clips of that speaker."""
    means: Floats
    """Of each speaker, [speakers, width]."""
    target: Ints
    who: Ints
    """Numbers of speakers, from 0."""
    corpus: Ints
    affect: Floats
    """[rows, 2]: valence and arousal as the shipped head gives them."""
    labels: tuple[str, ...]


def make_training_set(
    features: Floats32, target: Ints, who: Ints, corpus: Ints, affect: Floats, labels: tuple[str, ...]
) -> TrainingSet:
    """Put a training set together; what a speaker usually sounds like needs no labels."""
    means = np.zeros((int(who.max()) + 1, features.shape[1]))
    np.add.at(means, who, features)
    means /= np.bincount(who)[:, None]
    own = features - means.astype(np.float32)[who]
    return TrainingSet(features, own, means, target, who, corpus, affect, labels)


def order_labels(found: set[str]) -> tuple[str, ...]:
    """Labels in the order of the shared names, then the others.

    >>> order_labels({"boredom", "sadness", "anger"})
    ('anger', 'sadness', 'boredom')
    """
    return (*(name for name in EMOTIONS if name in found), *sorted(found - set(EMOTIONS)))


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """What was learned. Both readings are calibrated logits of the labels."""

    labels: tuple[str, ...]
    raw: Linear
    """Reads somebody of whom no baseline is known."""
    relative: Linear
    """Of what differs from a mean speaker; a personal baseline takes out the rest."""
    center: tuple[float, ...]
    """The observation of a mean speaker: where a baseline begins."""
    spread: tuple[float, ...]
    """Deviation between speakers of their mean observations."""
    penalties: tuple[float, float]
    """The ridges chosen for both readings."""
    factors: tuple[float, float]
    """Their inverse temperatures."""

    def scores(self, clip: Clip, card: Card) -> VoiceScores:
        """What the served reader says of a clip with this head behind it, without a baseline."""
        emotions = np.exp(softmax.log_softmax(self.raw(clip.windows))).mean(axis=0)
        relative = self.relative(clip.windows)
        relative = (relative - relative.mean(axis=1, keepdims=True)).mean(axis=0)
        tense = [self.labels.index(name) for name in TENSE if name in self.labels]
        return VoiceScores(
            card=card,
            emotions=emotions / emotions.sum(),
            affect=clip.affect[:2],
            affect_deviation=clip.affect[2:4],
            stress=min(1.0, float(emotions[tense].sum())) if tense else float(clip.affect[4]),
            observation=(*relative[:-1].tolist(), *clip.affect[:2].tolist()),
        )


def train_head(known: TrainingSet, rows: Ints, *, seed: int, place: Ints | None = None) -> Head:
    """Learn from these rows alone.

    Inner folds (`place` [rows], else `assign_inner_folds`) choose the ridge by the balanced log loss and give the
    readings of unheard speakers that temperatures and the mean speaker come from.
    """
    if place is None:
        place = assign_inner_folds(known, rows, seed)
    raw = _choose_ridge(known.features, known, rows, place)
    relative = _choose_ridge(known.own, known, rows, place)
    final = raw.fit(known.features, known, rows)
    moved = _subtract_mean_speaker(relative.fit(known.own, known, rows), known, rows)
    seen = np.zeros((len(rows), len(known.labels)))
    for fold, head in enumerate(relative.heads):
        learned, tested = rows[place != fold], rows[place == fold]
        seen[place == fold] = _subtract_mean_speaker(head, known, learned)(known.features[tested])
    ratios = relative.factor * (seen - seen.mean(axis=1, keepdims=True))
    observed = np.concatenate([ratios[:, :-1], known.affect[rows]], axis=1)
    center, spread = measure_population(observed, known, rows)
    penalties, factors = (raw.penalty, relative.penalty), (raw.factor, relative.factor)
    return Head(known.labels, final, moved, center, spread, penalties, factors)


def hash_heads(heads: Sequence[Head]) -> str:
    """Of all that was learned, so that a report says which heads it is about."""
    learned = hashlib.sha256()
    for one in heads:
        for linear in (one.raw, one.relative):
            learned.update(linear.weight.tobytes() + linear.bias.tobytes())
    return learned.hexdigest()


def assign_inner_folds(known: TrainingSet, rows: Ints, seed: int) -> Ints:
    """Three folds of the speakers of these rows, [rows]; of clips where there is but one speaker.

    Where they are of several corpora each corpus is a fold: who is to meet another corpus must be judged by that.
    """
    corpora, place = np.unique(known.corpus[rows], return_inverse=True)
    if len(corpora) > 1:
        return place.astype(np.int64)
    who = np.unique(known.who[rows], return_inverse=True)[1].astype(np.int64)
    groups = who if who.max() else np.arange(len(rows))
    return spread_groups(groups, known.target[rows], min(_INNER, int(groups.max()) + 1), seed)


def train_floor(known: TrainingSet, rows: Ints, *, seed: int) -> Linear:
    """Only the calibrated reading of somebody unknown: what the floor needs."""
    choice = _choose_ridge(known.features, known, rows, assign_inner_folds(known, rows, seed))
    return choice.fit(known.features, known, rows)


@dataclass(frozen=True, slots=True, eq=False)
class _Choice:
    """A ridge, with the heads of the inner folds and the factor that calibrates what they say."""

    penalty: float
    factor: float
    heads: tuple[Linear, ...]

    def fit(self, features: Floats32, known: TrainingSet, rows: Ints) -> Linear:
        """The same ridge on all of these rows, calibrated."""
        return _fit(features, known, rows, self.penalty, _LAST_STEPS).scaled(self.factor)


def _choose_ridge(features: Floats32, known: TrainingSet, rows: Ints, place: Ints) -> _Choice:
    target = known.target[rows]
    said = np.zeros((len(PENALTIES), len(rows), len(known.labels)))
    heads: list[list[Linear]] = [[] for _ in PENALTIES]
    for fold in range(int(place.max()) + 1):
        last: Linear | None = None
        for at, penalty in enumerate(PENALTIES):
            last = _fit(features, known, rows[place != fold], penalty, _STEPS, last)
            heads[at].append(last)
            said[at, place == fold] = last(features[rows[place == fold]])
    even = softmax.balance(target, known.corpus[rows])
    factors = [softmax.fit_temperature(logits, target) for logits in said]
    losses = [softmax.compute_loss(f * logits, target, even) for f, logits in zip(factors, said, strict=True)]
    best = int(np.argmin(losses))
    return _Choice(PENALTIES[best], factors[best], tuple(heads[best]))


def _fit(
    features: Floats32, known: TrainingSet, rows: Ints, penalty: float, steps: int, start: Linear | None = None
) -> Linear:
    target, corpus, classes = known.target, known.corpus, len(known.labels)
    weight = np.zeros(len(target))
    weight[rows] = softmax.balance(target[rows], corpus[rows])
    several = len(np.unique(corpus[rows])) > 1
    allowed = softmax.find_competing(target, corpus, classes) if several else None
    ridge = penalty / len(rows)
    return softmax.fit_linear(
        features, target, weight, ridge=ridge, classes=classes, allowed=allowed, start=start, steps=steps
    )


def _subtract_mean_speaker(head: Linear, known: TrainingSet, learned: Ints) -> Linear:
    """A reading of what differs from the speaker, for whom the mean of those it learned from stands in."""
    usual = known.means[np.unique(known.who[learned])].mean(axis=0)
    return Linear(head.weight, head.bias - head.weight @ usual)


def measure_population(
    observed: Floats, known: TrainingSet, rows: Ints
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean over speakers of their observations [rows, numbers], neutral speech counting by its usual share; and the
    deviation between speakers of one corpus.
    """
    who, corpus = known.who[rows], known.corpus[rows]

    def means(part: Ints) -> tuple[Floats, Ints]:
        names, at, index = np.unique(who[part], return_index=True, return_inverse=True)
        sums = np.zeros((len(names), observed.shape[1]))
        np.add.at(sums, index, observed[part])
        return sums / np.bincount(index)[:, None], corpus[part][at]

    every, where = means(np.arange(len(rows)))
    for one in np.unique(where):
        every[where == one] -= every[where == one].mean(axis=0)
    neutral = np.array([name == "neutral" for name in known.labels])[known.target[rows]]
    parts = [means(np.flatnonzero(mask))[0].mean(axis=0) for mask in (neutral, ~neutral) if mask.any()]
    center = parts[0] if len(parts) == 1 else NEUTRAL * parts[0] + (1 - NEUTRAL) * parts[1]
    spread = np.maximum(every.std(axis=0), 1e-3)
    return tuple(np.round(center, 4).tolist()), tuple(np.round(spread, 4).tolist())
