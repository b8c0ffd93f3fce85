"""Shared features: what the learned policies see of a person, a moment and an item.

The features of one choice are the outer product of the context's numbers and the item's, so that 11 x 16 weights
are shared by all items, a new item included. The mood's numbers are the last of the context and enter only with a
grant; a commercial item always meets a context without them.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np

from assistant.arrays import Floats
from assistant.emotion import Mood
from assistant.recommend.catalogue import Item
from assistant.recommend.moment import Moment, context_numbers

MOMENT = ("always", "hour_sin", "hour_cos", "weekend", "home", "out", "moving", "searching")
MOOD = ("stress", "valence", "arousal")
CONTEXT = (*MOMENT, *MOOD)
"""The numbers of a context, in order."""

_BUCKETS = 8
ITEM = (
    "always",
    "interest",
    "search",
    "stress_affinity",
    "valence_affinity",
    "arousal_affinity",
    "commercial",
    "brief",
    *(f"bucket{n}" for n in range(_BUCKETS)),
)
"""The numbers of an item, in order. The buckets hold its kind, its tags and the app's own features, hashed with a
sign (Weinberger et al. 2009)."""
INTEREST, SEARCH, COMMERCIAL = ITEM.index("interest"), ITEM.index("search"), ITEM.index("commercial")
AFFINITY = slice(ITEM.index("stress_affinity"), ITEM.index("commercial"))
BUCKETS = slice(ITEM.index("bucket0"), len(ITEM))
SIZE = len(CONTEXT) * len(ITEM)
"""Of the features of one choice."""


def usable(mood: Mood | None) -> Mood | None:
    """The mood, unless it abstained."""
    return None if mood is None or mood.abstained is not None else mood


def context_vector(moment: Moment, mood: Mood | None) -> Floats:
    """[len(CONTEXT)]; `mood` is None where there is no grant for content, and its numbers are 0 then."""
    mood = usable(mood)
    return np.array((*context_numbers(moment), *((0.0,) * len(MOOD) if mood is None else mood_numbers(mood))))


def mood_numbers(mood: Mood) -> tuple[float, float, float]:
    """A mood as numbers, in the order of `MOOD`: also the weight of each affinity at the cold start."""
    return mood.stress, mood.valence.mean * mood.confidence, mood.arousal.mean * mood.confidence


def blind(context: Floats) -> Floats:
    """The same moment without the mood.

    >>> blind(np.ones(len(CONTEXT)))[-3:].tolist()
    [0.0, 0.0, 0.0]
    """
    without = context.copy()
    without[len(MOMENT) :] = 0.0
    return without


def item_numbers(item: Item, hashes: dict[str, tuple[int, float]] | None = None) -> list[float]:
    """[len(ITEM)]; what depends on a person is 0. `hashes` remembers what was hashed, from item to item."""
    hashes = {} if hashes is None else hashes
    buckets = [0.0] * _BUCKETS
    named = {f"kind {item.kind}": 1.0} | {f"tag {tag}": 1.0 for tag in item.tags}
    named |= {f"feature {name}": value for name, value in item.features.items()}
    scale = 1 / math.sqrt(len(named))
    for name, value in named.items():
        if name not in hashes:
            hashes[name] = _hashed(name)
        bucket, sign = hashes[name]
        buckets[bucket] += sign * value * scale
    brief = 1 / (1 + item.minutes / 10) if item.minutes is not None and item.minutes >= 0 else 0.0
    liking = item.affinity
    return [1.0, 0.0, 0.0, liking.stress, liking.valence, liking.arousal, float(item.commercial), brief, *buckets]


def _hashed(name: str) -> tuple[int, float]:
    """Bucket and sign, the same in every process."""
    digest = hashlib.blake2b(name.encode(), digest_size=2).digest()
    return digest[0] % _BUCKETS, 1.0 if digest[1] & 1 else -1.0


def choice_features(context: Floats, numbers: Floats) -> Floats:
    """[SIZE]: the features of choosing an item in a context; `numbers` with the person's columns filled in.

    A commercial item meets the context without the mood.
    """
    if numbers[COMMERCIAL] > 0:
        context = blind(context)
    return np.outer(context, numbers).ravel()
