"""The policy that serves, on a data set of ratings: the same features, the same belief, the same scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from assistant.arrays import Floats
from assistant.emotion import Estimate, Mood
from assistant.evaluate.ranking.situnes import Listening, Split
from assistant.recommend.bandits import Belief, prior
from assistant.recommend.catalogue import Affinity, Item
from assistant.recommend.features import choice_features, context_vector, item_numbers
from assistant.recommend.moment import Activity, Moment

_HOURS = {1: 10.0, 2: 15.0, 3: 21.0}
"""The middle of each period of the day."""
_ACTIVITIES: dict[int, Activity] = {0: "still", 1: "still", 2: "walking", 4: "still", 5: "running"}
_ASPECTS = {
    "danceability": 2,
    "energy": 3,
    "speechiness": 4,
    "acousticness": 5,
    "instrumentalness": 6,
    "valence": 7,
}
"""Columns of `Listening.song` that are numbers from 0 to 1."""


def served_scores(heard: Listening, splits: Sequence[Split]) -> dict[str, list[Floats]]:
    """For each split, what the belief expects of its test rows after the rewards of its training rows.

    It knows nobody and no song by name: only genre, character, moment and, in one of the two, the mood. The items'
    affinities to a mood come from the song's own valence and energy, as an app would declare them.
    """
    items = [_item(heard, row) for row in range(len(heard.ids))]
    numbers = [np.array(item_numbers(item)) for item in items]
    found: dict[str, list[Floats]] = {}
    for name, with_mood in (("served_without_mood", False), ("served_with_mood", True)):
        contexts = [context_vector(_moment(heard, row), _mood(heard, row) if with_mood else None)
                    for row in range(len(items))]  # fmt: skip
        features = np.array([choice_features(c, n) for c, n in zip(contexts, numbers, strict=True)])
        found[name] = [_learned(features, heard, split) for split in splits]
    return found


def _learned(features: Floats, heard: Listening, split: Split) -> Floats:
    belief: Belief = prior()
    for row in split.train.tolist():
        belief = belief.learned(features[row], (heard.rating[row] - 1) / 4)
    return np.asarray(features[split.test] @ belief.mean)


def _item(heard: Listening, row: int) -> Item:
    song = heard.song[row]
    aspects = {name: float(np.clip(2 * song[column] - 1, -1, 1)) for name, column in _ASPECTS.items()}
    affinity = Affinity(stress=-aspects["energy"], valence=aspects["valence"], arousal=aspects["energy"])
    return Item(str(heard.songs[row]), "", heard.genres[row], features=aspects, affinity=affinity)


def _moment(heard: Listening, row: int) -> Moment:
    activity = _ACTIVITIES.get(int(heard.activity[row]))
    return Moment(hour=_HOURS.get(int(heard.time[row])), activity=activity)


def _mood(heard: Listening, row: int) -> Mood:
    """As people said themselves, before they listened; tension is unpleasant and activated."""
    valence, arousal = (float(np.clip(value, -1, 1)) for value in heard.mood[row])
    stress = max(0.0, -valence) * max(0.0, arousal)
    return Mood(Estimate(valence, 0.2), Estimate(arousal, 0.2), stress, {}, (), 0.0, 900.0, confidence=1.0)
