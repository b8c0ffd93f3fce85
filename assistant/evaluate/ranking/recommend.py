"""`assistant evaluate recommend`: does knowing the moment help to choose, and does knowing the mood?"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from assistant import bootstrap
from assistant.arrays import Bools, Floats, Ints
from assistant.bootstrap import Figure, Statistic
from assistant.emotion import Estimate, Mood
from assistant.errors import Invalid
from assistant.evaluate.extras import optional
from assistant.evaluate.figures import metrics
from assistant.evaluate.ranking import situnes
from assistant.evaluate.report import files
from assistant.evaluate.report.conversion import to_measured
from assistant.evaluate.report.provenance import describe_options, describe_run
from assistant.evaluate.report.report import ModelIdentity, Report
from assistant.recommend.bandits import Belief, prior
from assistant.recommend.catalogue import Affinity, Item
from assistant.recommend.features import choice_features, context_vector, item_numbers
from assistant.recommend.moment import Activity, Moment

RIDGES = (1.0, 3.0, 10.0)
"""Penalties that are tried; the rows for choosing decide."""
_MODEL = "ridge logistic regression, fitted on each split"

_HOURS = {1: 10.0, 2: 15.0, 3: 21.0}
"""The middle of each period of the day."""
_ACTIVITIES: dict[int, Activity] = {0: "still", 1: "still", 2: "walking", 4: "still", 5: "running"}
_ASPECTS = {
    "danceability": 2, "energy": 3, "speechiness": 4, "acousticness": 5, "instrumentalness": 6, "valence": 7,
}  # fmt: skip
"""Columns of `situnes.Interactions.song` that are numbers from 0 to 1."""


@dataclass(frozen=True, slots=True)
class RecommendOptions:
    """Options of `evaluate recommend --task situnes`."""

    data: Path
    task: str = "situnes"
    out: Path = Path("evaluation")
    bootstrap: int = 1000
    seed: int = 0


def evaluate(options: RecommendOptions) -> int:
    """Measure, write the report and `predictions.csv`, and print the figures. Raises `AssistantError`."""
    started = time.monotonic()
    if not options.data.is_dir():
        raise Invalid(f"--data {options.data} is not a folder", code="file_missing")
    optional("scipy.optimize", "--task situnes")
    heard = situnes.read_situnes(options.data)
    files.prepare_folder(options.out, rows=10 * len(heard.ids), columns=len(situnes.SETS))
    splits = [situnes.split_rows(heard.people, seed) for seed in situnes.SEEDS]
    scores = _score_offline(heard, splits) | score_served(heard, splits)
    found = compute_figures(heard, splits, scores, replicates=options.bootstrap, seed=options.seed)
    report = Report(
        provenance=describe_run(options.data, seed=options.seed),
        task="situnes",
        n=len(heard.ids),
        clusters=len(set(heard.people)),
        splits=len(splits),
        metrics=to_measured(found),
        model=ModelIdentity(name=_MODEL, sha256=_hash_code()),
        options=describe_options(options, without=("task", "out")),
        notes=list_notes(found),
        seconds=round(time.monotonic() - started, 3),
    )
    files.write_and_print(report, _lines(heard, splits, scores), options.out)
    return 0


def _score_offline(heard: situnes.Interactions, splits: Sequence[situnes.Split]) -> dict[str, list[Floats]]:
    """Per set of columns: for each split the logits of its test rows."""
    blocks = situnes.make_blocks(heard)
    found: dict[str, list[Floats]] = {}
    for name, wanted in tqdm(situnes.SETS.items(), desc="models", disable=None):
        columns = np.concatenate([blocks[block] for block in wanted], axis=1)
        found[name] = [_score_split(columns, heard.liked, split) for split in splits]
    return found


def _score_split(columns: Floats, liked: Bools, split: situnes.Split) -> Floats:
    one = np.ones((1, len(split.valid)))
    models = [situnes.fit_logistic(columns[split.train], liked[split.train], ridge=ridge) for ridge in RIDGES]
    chosen = [metrics.auc(m.logits(columns[split.valid]), liked[split.valid], one)[0] for m in models]
    return models[int(np.nanargmax(chosen))].logits(columns[split.test])


def score_served(heard: situnes.Interactions, splits: Sequence[situnes.Split]) -> dict[str, list[Floats]]:
    """For each split, what the belief expects of its test rows after the rewards of its training rows.

    It knows nobody and no song by name: only genre, character, moment and, in one of the two, the mood. The items'
    affinities to a mood come from the song's own valence and energy, as an app would declare them.
    """
    items = [_make_item(heard, row) for row in range(len(heard.ids))]
    numbers = [np.array(item_numbers(item)) for item in items]
    found: dict[str, list[Floats]] = {}
    for name, with_mood in (("served_without_mood", False), ("served_with_mood", True)):
        moods = (_make_mood(heard, row) if with_mood else None for row in range(len(items)))
        contexts = [context_vector(_make_moment(heard, row), mood) for row, mood in enumerate(moods)]
        features = np.array([choice_features(c, n) for c, n in zip(contexts, numbers, strict=True)])
        found[name] = [_score_served_split(features, heard, split) for split in splits]
    return found


def _score_served_split(features: Floats, heard: situnes.Interactions, split: situnes.Split) -> Floats:
    belief: Belief = prior()
    for row in split.train.tolist():
        belief = belief.learn(features[row], (heard.rating[row] - 1) / 4)
    return np.asarray(features[split.test] @ belief.mean)


def _make_item(heard: situnes.Interactions, row: int) -> Item:
    song = heard.song[row]
    aspects = {name: float(np.clip(2 * song[column] - 1, -1, 1)) for name, column in _ASPECTS.items()}
    affinity = Affinity(stress=-aspects["energy"], valence=aspects["valence"], arousal=aspects["energy"])
    return Item(str(heard.songs[row]), "", heard.genres[row], features=aspects, affinity=affinity)


def _make_moment(heard: situnes.Interactions, row: int) -> Moment:
    activity = _ACTIVITIES.get(int(heard.activity[row]))
    return Moment(hour=_HOURS.get(int(heard.time[row])), activity=activity)


def _make_mood(heard: situnes.Interactions, row: int) -> Mood:
    """As people said themselves, before they listened; tension is unpleasant and activated."""
    valence, arousal = (float(np.clip(value, -1, 1)) for value in heard.mood[row])
    stress = max(0.0, -valence) * max(0.0, arousal)
    return Mood(Estimate(valence, 0.2), Estimate(arousal, 0.2), stress, {}, (), 0.0, 900.0, confidence=1.0)


def compute_figures(
    heard: situnes.Interactions,
    splits: Sequence[situnes.Split],
    scores: dict[str, list[Floats]],
    *,
    replicates: int,
    seed: int,
) -> dict[str, Figure]:
    """Mean AUC over the splits, and the differences that matter; intervals by resampling whole people."""
    _, person = np.unique(heard.people, return_inverse=True)
    of = person.astype(np.int64)

    def mean_auc(name: str) -> Statistic:
        return lambda weights: _compute_mean_auc(scores[name], splits, heard.liked, of, weights)

    def apart(one: str, other: str) -> Statistic:
        first, second = mean_auc(one), mean_auc(other)
        return lambda weights: first(weights) - second(weights)

    statistics: dict[str, Statistic] = {f"auc_{name}": mean_auc(name) for name in scores}
    statistics["gain_of_situation"] = apart("with_situation", "without_situation")
    statistics["gain_of_mood"] = apart("mood_alone", "without_situation")
    statistics["gain_of_mood_beyond_situation"] = apart("with_situation_and_mood", "with_situation")
    statistics["gain_of_mood_served"] = apart("served_with_mood", "served_without_mood")
    return bootstrap.compute_figures(statistics, int(of.max(initial=-1)) + 1, replicates=replicates, seed=seed)


def _compute_mean_auc(
    scores: Sequence[Floats], splits: Sequence[situnes.Split], liked: Bools, of: Ints, weights: Floats
) -> Floats:
    tests = [(score, split.test) for score, split in zip(scores, splits, strict=True)]
    return np.asarray(np.mean([metrics.auc(one, liked[at], weights[:, of[at]]) for one, at in tests], axis=0))


def list_notes(found: dict[str, Figure]) -> list[str]:
    """What the figures come to, in words."""
    said = [
        "auc_without_situation and auc_with_situation follow the paper's second setting: its ten splits, rating 3 "
        "or more is liked, and its situation, which leaves the mood out",
        "auc_served_* is the policy that serves, which knows neither songs nor people by name",
    ]
    gains = {"": "alone", "_beyond_situation": "beyond the situation", "_served": "in the policy that serves"}
    for name, words in gains.items():
        if (gain := found.get(f"gain_of_mood{name}")) is not None:
            low, high = gain.low, gain.high
            verdict = "helps" if low > 0 else "harms" if high < 0 else "makes no significant difference"
            said.append(f"the mood {words} {verdict}: {gain.value:+.3f} [{low:+.3f}, {high:+.3f}]")
    rest = found.get("auc_situation_without_activity")
    if rest is not None and rest.value < found["auc_without_situation"].high:
        said.append("without the kind of activity the situation adds nothing: all its gain is in that one column")
    return said


def _hash_code() -> str:
    """Of the code that fits: the model is made here."""
    digest = hashlib.sha256()
    for module in ("recommend.py", "situnes.py"):
        digest.update((Path(__file__).parent / module).read_bytes())
    return digest.hexdigest()


def _lines(
    heard: situnes.Interactions, splits: Sequence[situnes.Split], scores: dict[str, list[Floats]]
) -> Iterator[list[Any]]:
    """The lines of `predictions.csv`, the header first."""
    yield ["split", "id", "speaker", "item", "liked", *(f"score_{name}" for name in scores)]
    for at, split in enumerate(splits):
        for place, row in enumerate(split.test.tolist()):
            told = [f"{of[at][place]:.6f}" for of in scores.values()]
            who = [heard.ids[row], heard.people[row], heard.songs[row], int(heard.liked[row])]
            yield [situnes.SEEDS[at], *who, *told]
