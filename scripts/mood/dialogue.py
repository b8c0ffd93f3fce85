"""The mood over a dialogue: how fast emotions decay, and what the turns before add."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import combinations

import numpy as np

from assistant.emotion import EMOTIONS
from assistant.evaluate.figures import metrics
from assistant.evaluate.run.outcomes import RowOutcome
from assistant.evaluate.tables.sessions import Rules, SessionTurn, follow_turns
from assistant.mood.conformal import read_calibration
from assistant.mood.fusion import CARRY, HalfLives
from scripts.mood.data import Line, emocontext, meld
from scripts.mood.lab import (
    Figures,
    Lab,
    Statistic,
    figures_of,
    less,
    mean_of,
    micro_f1_of_three,
    named,
    of_four,
    ranked,
    record,
    scored,
    shares,
    shares_of_outcomes,
    truths,
    weighted_f1,
)

GAP_S = 10.0
"""Seconds between the turns of a simulated session, and of EmoContext, which has no times."""


def decay(lab: Lab) -> Figures:
    """Half-lives of the likeness of two utterances of one person, and what an earlier turn is worth."""
    lines = meld(lab.data, "train")
    of: dict[tuple[str, str], list[int]] = {}
    for at, line in enumerate(lines):
        of.setdefault((line.dialogue, line.speaker), []).append(at)
    pairs = np.array([pair for places in of.values() for pair in combinations(places, 2)])
    gap = np.abs(np.diff(np.array([line.at_s for line in lines])[pairs], axis=1))[:, 0]
    pairs, gap = pairs[(gap >= 6) & (gap < 100)], gap[(gap >= 6) & (gap < 100)]
    clusters = metrics.number_clusters([lines[one].dialogue for one, _ in pairs])
    emotion = np.array([line.emotion for line in lines])
    signs = {"positive": 1.0, "negative": -1.0}
    labels = {
        "valence": np.array([signs.get(line.sentiment, 0.0) for line in lines])[:, None],
        "arousal": np.isin(emotion, ("anger", "fear", "joy", "surprise"))[:, None].astype(float),
        "stress": np.isin(emotion, ("anger", "fear"))[:, None].astype(float),
        "emotions": (emotion[:, None] == np.array(EMOTIONS)).astype(float),
    }
    grid = np.concatenate([np.arange(4, 60, 2), [70, 90, 120, 200, 400]]).astype(float)
    curves = 2.0 ** (-gap / grid[:, None])
    found = {}
    for name, label in labels.items():
        label = label - label.mean(axis=0)
        alike = (label[pairs[:, 0]] * label[pairs[:, 1]]).sum(axis=1) / (label**2).sum(axis=1).mean()
        top = metrics.sum_by_cluster((curves * alike).T, clusters, lambda sums: sums)
        bottom = metrics.sum_by_cluster((curves**2).T, clusters, lambda sums: sums)
        found[name] = lambda weights, top=top, bottom=bottom: grid[
            (top(weights) ** 2 / bottom(weights)).argmax(axis=-1)
        ]
    result = figures_of(found, clusters)
    for name, figure in result.items():
        print(f"half-life of {name}: {figure.value:g} s [{figure.low:g}, {figure.high:g}]")
    over_time(lines, lab.texts([line.text for line in lines]), list(of.values()))
    rows = emocontext(lab.data, "train", 6000)
    reads = [lab.texts([row[at] for row in rows]) for at in (0, 1)]
    known = [at for at in range(len(rows)) if all(read[at].scores for read in reads)]
    before, after = (shares_of_outcomes([read[at] for at in known]) for read in reads)
    four = ("joy", "sadness", "anger", "others")
    truth = truths([rows[at][2] for at in known], four)
    for carry in (0.0, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7, 1.0):
        mixed = of_four((after + carry * before) / (1 + carry))
        ones = np.ones((1, len(truth)))
        auc = np.mean([metrics.auc(mixed[:, at], truth == at, ones)[0] for at in range(3)])
        loss = -np.log(np.maximum(mixed[np.arange(len(truth)), truth], 1e-3)).mean()
        print(f"carry {carry:.2f}: mean AUC of joy, sadness, anger {auc:.4f}, log loss {loss:.4f}")
    data = "MELD train, likeness of labels 6 to 100 s apart"
    return [record(f"half_life_s of {name}", data, figure, len(pairs), "decay") for name, figure in result.items()]


def over_time(lines: Sequence[Line], read: Sequence[RowOutcome], sessions: Sequence[Sequence[int]]) -> None:
    """Print what it is worth to weigh a person's earlier messages by their precision as well."""
    readings = {at: outcome.scores.reading() for at, outcome in enumerate(read) if outcome.scores is not None}
    lives, known = HalfLives(), list(readings)
    unpleasant = np.array([lines[at].sentiment == "negative" for at in known])
    for name, power in (("by count", 0), ("by precision", -2)):
        pooled = {}
        for places in sessions:
            mine = [at for at in places if at in readings]
            for last, at in enumerate(mine):
                weights = [
                    (1.0 if one == at else CARRY * 2 ** (-abs(lines[at].at_s - lines[one].at_s) / lives.valence_s))
                    * readings[one].valence.deviation ** power
                    for one in mine[: last + 1]
                ]
                means = [readings[one].valence.mean for one in mine[: last + 1]]
                pooled[at] = float(np.average(means, weights=weights))
        value = np.array([-pooled[at] for at in known])
        print(f"valence over time {name}: AUC {metrics.auc(value, unpleasant, np.ones((1, len(known))))[0]:.4f}")


def dialogue_turns(lines: Sequence[Line], read: Sequence[RowOutcome]) -> tuple[list[int], list[SessionTurn]]:
    """Each speaker of each scene is a session; the order of `lines` is given back beside."""
    order = sorted(range(len(lines)), key=lambda at: (lines[at].dialogue, lines[at].speaker, lines[at].at_s, at))
    return order, [
        SessionTurn(f"{lines[at].dialogue} {lines[at].speaker}", lines[at].at_s, scored(read[at])) for at in order
    ]


def dialogue(lab: Lab) -> Figures:
    """Single messages against messages with their history, in scenes and in chats."""
    found: Figures = []
    lines = meld(lab.data, "dev")
    order, turns = dialogue_turns(lines, lab.texts([line.text for line in lines]))
    lines = [lines[at] for at in order]
    clusters = metrics.number_clusters([line.dialogue for line in lines])
    truth = truths([line.emotion for line in lines])
    floors = meld_floor(meld(lab.data, "train"), lines, truth, clusters)
    rules = Rules(calibration=read_calibration())
    both: dict[str, dict[str, Statistic]] = {}
    for mode, history in (("single", False), ("history", True)):
        moods = list(follow_turns(turns, rules, history=history))
        of = named(shares(moods), truth, clusters)
        stress = np.array([0.0 if m is None else m.stress for m in moods])
        valence = np.array([0.0 if m is None else m.valence.mean for m in moods])
        tense = np.isin([line.emotion for line in lines], ("anger", "fear"))
        negative = np.array([line.sentiment == "negative" for line in lines])
        both[mode] = {
            "macro_f1": of(metrics.macro_f1),
            "weighted_f1": of(weighted_f1),
            "uar": of(metrics.uar),
            "auc of stress": ranked(stress, tense, clusters),
            "auc of unpleasant": ranked(-valence, negative, clusters),
        }
    found += pair(both, clusters, "MELD dev, {} (7 emotions, lines of TV scenes)", len(lines), floors)

    rows = emocontext(lab.data, "valid")
    reads = [lab.texts([row[at] for row in rows]) for at in (0, 1)]
    turns = [
        SessionTurn(str(at), place * GAP_S, scored(read[at]))
        for at in range(len(rows))
        for place, read in enumerate(reads)
    ]
    four = ("joy", "sadness", "anger", "others")
    truth, clusters = truths([row[2] for row in rows], four), np.arange(len(rows))
    both = {}
    for mode, history in (("single", False), ("history", True)):
        moods = list(follow_turns(turns, rules, history=history))[1::2]
        given = of_four(shares(moods))
        of = named(given, truth, clusters)
        each = [ranked(given[:, at], truth == at, clusters) for at in range(3)]
        both[mode] = {
            "micro_f1 of joy, sadness, anger": of(micro_f1_of_three),
            "macro_f1": of(metrics.macro_f1),
            "uar": of(metrics.uar),
            "mean auc": partial(mean_of, each),
        }
    floor = {"uar": 0.25, "mean auc": 0.5}
    return found + pair(both, clusters, "EmoContext valid, {} (joy, sadness, anger, others)", len(rows), floor)


def pair(
    both: Mapping[str, Mapping[str, Statistic]],
    clusters: np.ndarray,
    data: str,
    n: int,
    floors: Mapping[str, float],
    part: str = "dialogue",
) -> Figures:
    """The figures of each mode, and of the last less the first, on the same resamples."""
    first, *_, last = both
    statistics = {(mode, name): of for mode, some in both.items() for name, of in some.items()}
    statistics |= {("", name): less(both[last][name], both[first][name]) for name in both[first]}
    named_by = {f"{mode}|{name}": of for (mode, name), of in statistics.items()}
    found: Figures = []
    for key, figure in figures_of(named_by, clusters).items():
        mode, name = key.split("|")
        more = {"floor": round(floors[name], 4)} if mode and name in floors else {}
        words = data.format(mode) if mode else data.format(f"{last} less {first}")
        found.append(record(name if mode else f"difference of {name}", words, figure, n, part, **more))
    return found


def meld_floor(
    train: Sequence[Line], test: Sequence[Line], truth: np.ndarray, clusters: np.ndarray
) -> dict[str, float]:
    """Bag of words with logistic regression, learned on MELD's own training lines."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    model = LogisticRegression(C=4.0, class_weight="balanced", max_iter=2000)
    model.fit(words.fit_transform([line.text for line in train]), truths([line.emotion for line in train]))
    given = model.predict_proba(words.transform([line.text for line in test]))
    of = named(given, truth, clusters)
    ones = np.ones((1, int(clusters.max()) + 1))
    formulas = {"macro_f1": metrics.macro_f1, "weighted_f1": weighted_f1, "uar": metrics.uar}
    found = {name: float(of(formula)(ones)[0]) for name, formula in formulas.items()}
    tense = given[:, truths(("anger", "fear"))].sum(axis=1)
    unpleasant = given[:, truths(("anger", "disgust", "fear", "sadness"))].sum(axis=1)
    label = [line.emotion in ("anger", "fear") for line in test]
    found["auc of stress"] = float(ranked(tense, np.array(label), clusters)(ones)[0])
    negative = np.array([line.sentiment == "negative" for line in test])
    found["auc of unpleasant"] = float(ranked(unpleasant, negative, clusters)(ones)[0])
    return found
