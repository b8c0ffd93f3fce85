"""What a head learns from: labelled clips as numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assistant.arrays import Floats, Floats32, Ints
from assistant.emotion import EMOTIONS


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
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


def lesson(
    features: Floats32, target: Ints, who: Ints, corpus: Ints, affect: Floats, labels: tuple[str, ...]
) -> Lesson:
    """Put a lesson together; what a speaker usually sounds like needs no labels."""
    means = np.zeros((int(who.max()) + 1, features.shape[1]))
    np.add.at(means, who, features)
    means /= np.bincount(who)[:, None]
    own = features - means.astype(np.float32)[who]
    return Lesson(features, own, means, target, who, corpus, affect, labels)


def names_of(found: set[str]) -> tuple[str, ...]:
    """Labels in the order of the shared names, then the others.

    >>> names_of({"boredom", "sadness", "anger"})
    ('anger', 'sadness', 'boredom')
    """
    return (*(name for name in EMOTIONS if name in found), *sorted(found - set(EMOTIONS)))
