"""Measure the mood: how long readings last, which emotions can't be ruled out, what history and fusion add.

    python scripts/mood/measure.py --folds WORK/models             # everything but `decay` and `trust`
    python scripts/mood/measure.py --folds WORK/models --only decay

WORK is the folder that train_voice.py, export_voice.py and `measure_voice.py --folds` filled: every clip is read by
a head that never heard its speaker. Intervals are 95 % percentile bootstrap over dialogues or speakers. `sets`
writes assistant/mood/calibration.toml; each part puts its figures in the place of its own in
assistant/mood/figures.toml. `decay` and `trust` only print what the constants in assistant/mood were chosen by.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from assistant.audio.voice import VoiceScores
from assistant.emotion import EMOTIONS, Mood
from assistant.evaluate.figures import metrics
from assistant.evaluate.run.engine import Outcome
from assistant.evaluate.tables.sessions import Rules, Turn, follow
from assistant.mood import conformal, fusion
from assistant.mood.conformal import COVERAGE, LARGEST, read_calibration, score
from assistant.mood.decay import CARRY, HalfLives
from assistant.text.reader import TextScores
from scripts.cards.card import toml
from scripts.mood.data import Clip, Line, clips, emocontext, goemotions, meld, open_clips, read_clips, read_texts
from scripts.paths import ROOT
from scripts.voice.data import arguments

FIGURES = ROOT / "assistant/mood/figures.toml"
GAP_S = 10.0
"""Seconds between the turns of a simulated session, and of EmoContext, which has no times."""
STAYS = 0.7
"""Probability that the next turn of a simulated session has the same emotion, while there are such clips."""
TURNS = 8
NO_HISTORY_S = 1e-3
"""A half-life at which an earlier turn counts nothing; the personal baseline stays."""

Statistic = metrics.Statistic
Figures = list[dict[str, Any]]


class Lab:
    """The data, with what the served readers said of it."""

    def __init__(self, data: Path, folds: Path, keep: Path) -> None:
        self.data, self.folds, self.keep = data, folds, keep

    def texts(self, texts: Sequence[str]) -> list[Outcome]:
        return read_texts(texts, self.keep)

    def clips(self, listed: Callable[[Path, Path], list[Clip]] = clips) -> list[tuple[Clip, Outcome]]:
        found = listed(self.data, self.folds)
        return [pair for pair in zip(found, read_clips(found, self.keep), strict=True) if pair[1].scores]

    def pool(self, name: str) -> list[tuple[Outcome, str]]:
        """Texts that the text model never learned from, with their emotion."""
        if name == "goemotions":
            labelled = goemotions(self.data)
        else:
            labelled = [(line.text, line.emotion) for line in meld(self.data, name.split()[1])]
        read = self.texts([text for text, _ in labelled])
        return [(outcome, emotion) for outcome, (_, emotion) in zip(read, labelled, strict=True) if outcome.scores]


def scored(outcome: Outcome | None) -> tuple[Any, ...]:
    return () if outcome is None or outcome.scores is None else (outcome.scores,)


def figures_of(statistics: Mapping[str, Statistic], clusters: np.ndarray) -> dict[str, metrics.Figure]:
    return metrics.figures(statistics, int(clusters.max()) + 1)


def record(measure: str, data: str, figure: metrics.Figure, n: int, part: str, **more: Any) -> dict[str, Any]:
    """A figure as it is kept."""
    values = {name: round(float(getattr(figure, name)), 4) for name in ("value", "low", "high")}
    command = f"scripts/mood/measure.py --folds WORK/models --only {part}"
    return {"measure": measure, "data": data, **values, "n": n, **more, "part": part, "command": command}


def weighted_f1(counts: np.ndarray) -> np.ndarray:
    """Mean F1 over the classes, weighed with their support: MELD's measure."""
    support = counts[..., 2, :]
    return np.asarray((metrics.f1(counts, undefined=0.0) * support).sum(axis=-1) / support.sum(axis=-1))


def micro_f1_of_three(counts: np.ndarray) -> np.ndarray:
    """F1 of all but the last class pooled: EmoContext's measure."""
    return np.asarray(metrics.micro_f1(counts[..., :3]))


def shares(moods: Sequence[Mood | None], names: Sequence[str] = EMOTIONS) -> np.ndarray:
    """The moods' emotions, [n, names]; zeros where a mood said nothing."""
    return np.array([[0.0 if m is None else m.emotions.get(name, 0.0) for name in names] for m in moods])


def named(given: np.ndarray, truth: np.ndarray, clusters: np.ndarray) -> Callable[[metrics.Formula], Statistic]:
    """Statistics of the likeliest class; all zeros name nothing. `given` [n, classes], `truth` [n] numbers."""
    classes = np.arange(given.shape[1])
    predicted = (given.argmax(axis=1)[:, None] == classes) & (given.max(axis=1)[:, None] > 0)
    counts = metrics.tallies(truth[:, None] == classes, predicted)
    return lambda formula: metrics.summed(counts, clusters, formula)


def ranked(given: np.ndarray, positive: np.ndarray, clusters: np.ndarray) -> Statistic:
    return lambda weights: metrics.auc(given, positive, weights[:, clusters])


def less(one: Statistic, other: Statistic) -> Statistic:
    return lambda weights: one(weights) - other(weights)


def truths(labels: Sequence[str], names: Sequence[str] = EMOTIONS) -> np.ndarray:
    return np.array([names.index(label) for label in labels])


# How long a reading lasts


def decay(lab: Lab) -> Figures:
    """Half-lives of the likeness of two utterances of one person, and what an earlier turn is worth."""
    lines = meld(lab.data, "train")
    of: dict[tuple[str, str], list[int]] = {}
    for at, line in enumerate(lines):
        of.setdefault((line.dialogue, line.speaker), []).append(at)
    pairs = np.array([pair for places in of.values() for pair in combinations(places, 2)])
    gap = np.abs(np.diff(np.array([line.at_s for line in lines])[pairs], axis=1))[:, 0]
    pairs, gap = pairs[(gap >= 6) & (gap < 100)], gap[(gap >= 6) & (gap < 100)]
    clusters = metrics.cluster_numbers([lines[one].dialogue for one, _ in pairs])
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
        top = metrics.summed((curves * alike).T, clusters, lambda sums: sums)
        bottom = metrics.summed((curves**2).T, clusters, lambda sums: sums)
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


def over_time(lines: Sequence[Line], read: Sequence[Outcome], sessions: Sequence[Sequence[int]]) -> None:
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


def mean_of(statistics: Sequence[metrics.Statistic], weights: np.ndarray) -> np.ndarray:
    """The mean of several, in each replicate."""
    return np.mean([one(weights) for one in statistics], axis=0)


def scores_of(outcome: Outcome) -> TextScores | VoiceScores:
    """The scores of what was read and not abstained from."""
    assert outcome.scores is not None
    return outcome.scores


def shares_of_outcomes(outcomes: Sequence[Outcome]) -> np.ndarray:
    return np.array([[scores_of(o).reading().emotions.get(name, 0.0) for name in EMOTIONS] for o in outcomes])


def of_four(seven: np.ndarray) -> np.ndarray:
    """Joy, sadness, anger, and all others: [n, 7] -> [n, 4]."""
    three = seven[:, truths(("joy", "sadness", "anger"))]
    return np.concatenate([three, np.maximum(0.0, seven.sum(axis=1) - three.sum(axis=1))[:, None]], axis=1)


# Text of dialogues


def dialogue_turns(lines: Sequence[Line], read: Sequence[Outcome]) -> tuple[list[int], list[Turn]]:
    """Each speaker of each scene is a session; the order of `lines` is given back beside."""
    order = sorted(range(len(lines)), key=lambda at: (lines[at].dialogue, lines[at].speaker, lines[at].at_s, at))
    return order, [
        Turn(f"{lines[at].dialogue} {lines[at].speaker}", lines[at].at_s, scored(read[at])) for at in order
    ]


def dialogue(lab: Lab) -> Figures:
    """Single messages against messages with their history, in scenes and in chats."""
    found: Figures = []
    lines = meld(lab.data, "dev")
    order, turns = dialogue_turns(lines, lab.texts([line.text for line in lines]))
    lines = [lines[at] for at in order]
    clusters = metrics.cluster_numbers([line.dialogue for line in lines])
    truth = truths([line.emotion for line in lines])
    floors = meld_floor(meld(lab.data, "train"), lines, truth, clusters)
    rules = Rules(calibration=read_calibration())
    both: dict[str, dict[str, Statistic]] = {}
    for mode, history in (("single", False), ("history", True)):
        moods = list(follow(turns, rules, history=history))
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
        Turn(str(at), place * GAP_S, scored(read[at]))
        for at in range(len(rows))
        for place, read in enumerate(reads)
    ]
    four = ("joy", "sadness", "anger", "others")
    truth, clusters = truths([row[2] for row in rows], four), np.arange(len(rows))
    both = {}
    for mode, history in (("single", False), ("history", True)):
        moods = list(follow(turns, rules, history=history))[1::2]
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


# Simulated sessions of speech, alone and paired with texts


def simulated(
    heard: Sequence[tuple[Clip, Outcome]], seed: int, stays: float = STAYS
) -> list[tuple[str, Clip, Outcome]]:
    """Sessions of at most `TURNS` turns of one speaker whose emotion mostly stays; every clip once."""
    rng = np.random.default_rng(seed)
    by: dict[str, list[tuple[Clip, Outcome]]] = {}
    for clip, outcome in heard:
        by.setdefault(clip.speaker, []).append((clip, outcome))
    found = []
    for speaker, mine in by.items():
        left = [mine[at] for at in rng.permutation(len(mine))]
        last, turn = "", 0
        while left:
            same = [at for at, (clip, _) in enumerate(left) if clip.emotion == last]
            at = same[0] if same and rng.random() < stays else 0
            clip, outcome = left.pop(at)
            found.append((f"{speaker} {turn // TURNS}", clip, outcome))
            last, turn = clip.emotion, turn + 1
    return found


def spoken(sessions: Sequence[tuple[str, Clip, Outcome]], texts: Sequence[Outcome | None]) -> list[Turn]:
    """Turns of a session, `GAP_S` apart, each with its text where there is one."""
    return [
        Turn(session, at * GAP_S, (*scored(outcome), *scored(text)))
        for at, ((session, _, outcome), text) in enumerate(zip(sessions, texts, strict=True))
    ]


def moods_of(
    sessions: Sequence[tuple[str, Clip, Outcome]], turns: Sequence[Turn], rules: Rules, **how: Any
) -> list[Mood | None]:
    """The mood after each turn; each head has a population of its own."""
    found: dict[int, Mood | None] = {}
    for model in dict.fromkeys(clip.model for _, clip, _ in sessions):
        mine = [at for at, (_, clip, _) in enumerate(sessions) if clip.model == model]
        card = scores_of(sessions[mine[0]][2]).card
        known = replace(rules, population=tuple(card.data["population"]["center"]))
        found |= dict(zip(mine, follow([turns[at] for at in mine], known, **how), strict=True))
    return [found[at] for at in range(len(sessions))]


def speech(lab: Lab) -> Figures:
    """Utterances alone, with the personal baseline, and with the history of their session as well."""
    found: Figures = []
    heard = lab.clips()
    actors = "RAVDESS actors 16 to 18, {}, simulated sessions, the shipped head"
    for words, corpus, shipped in (
        ("RAVDESS, {}, simulated sessions, fold heads", "ravdess", False),
        (actors, "ravdess", True),
        ("EmoTale, {}, simulated sessions, fold heads", "emotale", False),
    ):
        sessions = simulated(
            [one for one in heard if one[0].corpus == corpus and (one[0].fold == "shipped") == shipped], seed=0
        )
        turns = spoken(sessions, [None] * len(sessions))
        clusters = metrics.cluster_numbers([clip.speaker for _, clip, _ in sessions])
        present = sorted({clip.emotion for _, clip, _ in sessions})
        truth = truths([clip.emotion for _, clip, _ in sessions], present)
        tense = np.isin([clip.emotion for _, clip, _ in sessions], ("anger", "fear"))
        rules = Rules(calibration=read_calibration())
        both = {}
        for mode, used, how in (
            ("single utterances", rules, {"history": False}),
            ("with the speaker's baseline", replace(rules, half_life_s=NO_HISTORY_S), {}),
            ("with baseline and history", rules, {}),
        ):
            moods = moods_of(sessions, turns, used, **how)
            of = named(shares(moods, present), truth, clusters)
            stress = np.array([0.0 if m is None else m.stress for m in moods])
            both[mode] = {"uar": of(metrics.uar), "macro_f1": of(metrics.macro_f1)}
            both[mode]["auc of stress"] = ranked(stress, tense, clusters)
        floor = {"uar": 1 / len(present), "auc of stress": 0.5}
        found += pair(both, clusters, words, len(sessions), floor, "speech")
    return found


def halves(names: Sequence[str], seed: int = 0) -> np.ndarray:
    """Which half each row belongs to, whole names together: [n] of 0 and 1."""
    distinct = sorted(set(names))
    place = dict(zip(distinct, np.random.default_rng(seed).permutation(len(distinct)) % 2, strict=True))
    return np.array([place[name] for name in names])


def partnered(
    sessions: Sequence[tuple[str, Clip, Outcome]], pool: Sequence[tuple[Outcome, str]], seed: int
) -> list[Outcome]:
    """For each clip a text with the same emotion, drawn from the pool."""
    rng = np.random.default_rng(seed)
    by = {name: [outcome for outcome, emotion in pool if emotion == name] for name in EMOTIONS}
    return [by[clip.emotion][rng.integers(len(by[clip.emotion]))] for _, clip, _ in sessions]


POOLS = ("goemotions", "meld dev")


def trust(lab: Lab) -> Figures:
    """How much the voice should count, on the first half of the speakers and of the texts."""
    heard = lab.clips()
    half = halves([clip.speaker for clip, _ in heard])
    sessions = simulated([one for one, h in zip(heard, half, strict=True) if h == 0], seed=1)
    truth = truths([clip.emotion for _, clip, _ in sessions])
    rules = Rules(half_life_s=NO_HISTORY_S, calibration=read_calibration())
    for voice in (0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.9):
        fusion.TRUST = {"voice": voice, "text": 1 - voice}
        found = []
        for name in POOLS:
            pool = lab.pool(name)
            texts = partnered(sessions, pool[::2], seed=2)
            moods = moods_of(sessions, spoken(sessions, texts), rules)
            one = np.zeros(len(sessions), dtype=np.int64)
            found.append(float(named(shares(moods), truth, one)(metrics.uar)(np.ones((1, 1)))[0]))
        told = ", ".join(f"{name} {value:.4f}" for name, value in zip(POOLS, found, strict=True))
        print(f"voice {voice}: {told}, mean {np.mean(found):.4f}")
    return []


def fused(lab: Lab) -> Figures:
    """Voice and text of the same emotion against the better of both: other speakers and texts than for `trust`."""
    found: Figures = []
    heard = lab.clips()
    half = halves([clip.speaker for clip, _ in heard])
    sessions = simulated([one for one, h in zip(heard, half, strict=True) if h == 1], seed=1)
    truth = truths([clip.emotion for _, clip, _ in sessions])
    clusters = metrics.cluster_numbers([clip.speaker for _, clip, _ in sessions])
    emotion = np.array([clip.emotion for _, clip, _ in sessions])
    tense = np.isin(emotion, ("anger", "fear"))
    ones = np.ones((1, int(clusters.max()) + 1))
    for name in POOLS:
        texts = partnered(sessions, lab.pool(name)[1::2], seed=2)
        turns = spoken(sessions, texts)
        rules = Rules(half_life_s=NO_HISTORY_S, calibration=read_calibration())
        both: dict[str, dict[str, Statistic]] = {}
        for mode, read in (("text alone", ("text",)), ("voice alone", ("voice",)), ("fused", ("voice", "text"))):
            moods = moods_of(sessions, turns, rules, modalities=read)
            of = named(shares(moods), truth, clusters)
            values = np.array([0.0 if m is None else m.valence.mean for m in moods])
            stress = np.array([0.0 if m is None else m.stress for m in moods])
            unpleasant = np.isin(emotion, ("anger", "disgust", "fear", "sadness"))
            both[mode] = {
                "uar": of(metrics.uar),
                "macro_f1": of(metrics.macro_f1),
                "auc of unpleasant": ranked(-values, unpleasant, clusters),
                "auc of stress": ranked(stress, tense, clusters),
            }
        for measure in both["fused"]:
            alone = sorted(("text alone", "voice alone"), key=lambda mode: float(both[mode][measure](ones)[0]))
            better = alone[-1]
            some = {better: {measure: both[better][measure]}, "fused": {measure: both["fused"][measure]}}
            floor = {"uar": 1 / 7} if measure == "uar" else {}
            data = f"clips of held-out speakers, each with a text of its emotion from {name}; {{}}"
            found += pair(some, clusters, data, len(sessions), floor, "fused")
            other = figures_of({"one": both[alone[0]][measure]}, clusters)["one"]
            found.append(record(measure, data.format(alone[0]), other, len(sessions), "fused"))
    return found


# Sets of emotions that can't be ruled out


def sets(lab: Lab) -> Figures:
    """Calibrate the sets, measure their coverage on other speakers and dialogues, and write the thresholds."""
    heard = lab.clips()
    folded = simulated([one for one in heard if one[0].fold != "shipped"], seed=3)
    held = simulated([one for one in heard if one[0].fold == "shipped"], seed=3)
    scenes, posts = meld(lab.data, "train"), lab.pool("goemotions")
    read = lab.texts([line.text for line in scenes])
    plain = Rules()

    def written(sessions: Sequence[tuple[str, Clip, Outcome]]) -> list[Outcome]:
        """Texts for clips: every other one a post, every other one a line of a scene."""
        from_posts = partnered(sessions, posts, seed=4)
        lines = [(o, scenes[at].emotion) for at, o in enumerate(read) if o.scores]
        from_scenes = partnered(sessions, lines, seed=5)
        return [from_posts[at] if at % 2 else from_scenes[at] for at in range(len(sessions))]

    def cases(kind: str, sessions: Sequence[tuple[str, Clip, Outcome]]) -> list[tuple[Mood, str, str]]:
        """Moods with what was meant and by whom."""
        texts = written(sessions) if kind == "both" else [None] * len(sessions)
        moods = moods_of(sessions, spoken(sessions, texts), plain)
        return [(m, c.emotion, c.speaker) for m, (_, c, _) in zip(moods, sessions, strict=True) if m and m.emotions]

    def read_lines(lines: Sequence[Line], outcomes: Sequence[Outcome]) -> list[tuple[Mood, str, str]]:
        order, turns = dialogue_turns(lines, outcomes)
        moods = zip(order, follow(turns, plain), strict=True)
        return [(m, lines[at].emotion, lines[at].dialogue) for at, m in moods if m and m.emotions]

    in_scenes = read_lines(scenes, read)
    posted = follow([Turn(str(at), 0.0, scored(outcome)) for at, (outcome, _) in enumerate(posts)], plain)
    in_posts = [
        (m, emotion, f"post {at}")
        for at, (m, (_, emotion)) in enumerate(zip(posted, posts, strict=True))
        if m and m.emotions
    ]
    rng = np.random.default_rng(6)
    equal = [in_scenes[at] for at in rng.permutation(len(in_scenes))[: len(in_posts)]]
    dev = meld(lab.data, "dev")
    in_dev = read_lines(dev, lab.texts([line.text for line in dev]))
    freely = lab.clips(open_clips)
    open_sessions = simulated(freely, seed=3)
    own = next(scores_of(o).card for c, o in freely if c.corpus == "ravdess")
    open_voice = {"voice": own.fingerprint}
    voice = {"voice": next(scores_of(o).card.fingerprint for clip, o in heard if clip.fold == "shipped")}
    text = {"text": scores_of(posts[0][0]).card.fingerprint}
    pairs = "the clips, each with a text of its emotion from MELD train or GoEmotions dev"
    kinds = {
        "voice": (cases("voice", folded), voice, "five corpora of acted speech"),
        "text": ([*equal, *in_posts], text, "MELD train and GoEmotions dev, as many of each"),
        "both": (cases("both", folded), {**voice, **text}, pairs),
        "voice, voice-open": (
            cases("voice", open_sessions), open_voice, "five corpora of acted speech, read by voice-open"
        ),
        "both, voice-open": (
            cases("both", open_sessions), {**open_voice, **text}, f"{pairs}, read by voice-open"
        ),
    }  # fmt: skip
    others = {
        "voice": {"RAVDESS actors 16 to 18, the shipped head": cases("voice", held)},
        "both": {"RAVDESS actors 16 to 18, the shipped head, with texts": cases("both", held)},
        "text": {"MELD dev alone": in_dev},
    }
    found: Figures = []
    tables = []
    for kind, (known, models, data) in kinds.items():
        scores = np.array([score(mood.emotions, meant) for mood, meant, _ in known])
        half = halves([who for _, _, who in known])
        limit = np.where(half == 0, *[conformal.quantile(scores[half == side].tolist()) for side in (1, 0)])
        found += covered(known, limit, f"{data}; thresholds from the other half of the speakers and dialogues")
        value = conformal.quantile(scores.tolist())
        for name, cases_there in others.get(kind, {}).items():
            found += covered(cases_there, np.full(len(cases_there), value), f"{name}; the shipped threshold")
        if kind == "text":
            post = np.array([who.startswith("post") for _, _, who in known])
            there = [case for case, it in zip(known, post, strict=True) if it]
            found += covered(there, limit[post], "GoEmotions dev alone; thresholds from the other half")
        classes = {name: sum(meant == name for _, meant, _ in known) for name in EMOTIONS}
        tables.append({"modalities": sorted(models), "quantile": round(value, 4), "coverage": COVERAGE,
                       "n": len(known), "data": data, "models": models, "classes": classes})  # fmt: skip
    write_calibration(tables)
    return found


def covered(cases: Sequence[tuple[Mood, str, str]], limit: np.ndarray, data: str) -> Figures:
    """How often sets hold what was meant, how many names they have, and how many are small enough to be said."""
    found = [conformal.emotion_set(mood.emotions, q) for (mood, _, _), q in zip(cases, limit, strict=True)]
    held = np.array([meant in names for names, (_, meant, _) in zip(found, cases, strict=True)], dtype=float)
    size = np.array([len(names) for names in found], dtype=float)
    said = (size <= LARGEST).astype(float)
    clusters = metrics.cluster_numbers([who for _, _, who in cases])
    ones = np.ones(len(cases))

    def mean(values: np.ndarray, of: np.ndarray) -> Statistic:
        return metrics.summed(np.stack([of, values * of], axis=1), clusters, metrics.share)

    statistics = {
        "coverage of 90 % sets": mean(held, ones),
        "names in a set": mean(size, ones),
        "share of sets small enough to be said": mean(said, ones),
        "coverage of those": mean(held, said),
    }
    each = {
        name: round(float(held[[meant == name for _, meant, _ in cases]].mean()), 3)
        for name in EMOTIONS
        if any(meant == name for _, meant, _ in cases)
    }
    worst = min(each, key=each.__getitem__)
    more = {"coverage of 90 % sets": {"least": each[worst], "least_of": worst}}
    return [
        record(name, data, figure, len(cases), "sets", **more.get(name, {}))
        for name, figure in figures_of(statistics, clusters).items()
    ]


def write_calibration(tables: Sequence[Mapping[str, Any]]) -> None:
    """The thresholds as the product reads them."""
    head = "# Made by scripts/mood/measure.py --only sets; sets of emotions that hold the one that was meant.\n\n"
    blocks = []
    for table in tables:
        flat = {name: value for name, value in table.items() if not isinstance(value, Mapping)}
        inner = {name: value for name, value in table.items() if isinstance(value, Mapping)}
        block = "[[threshold]]\n" + toml(flat)
        block += "".join(f"\n[threshold.{name}]\n{toml(value)}" for name, value in inner.items())
        blocks.append(block)
    conformal.SHIPPED.write_text(head + "\n".join(blocks), encoding="utf-8")
    read_calibration()


PARTS: dict[str, Callable[[Lab], Figures]] = {
    "decay": decay, "trust": trust, "sets": sets, "dialogue": dialogue, "speech": speech, "fused": fused,
}  # fmt: skip


def keep(part: str, found: Figures) -> None:
    """Put the figures of a part in the place of its earlier ones."""
    old = tomllib.loads(FIGURES.read_text(encoding="utf-8"))["figures"] if FIGURES.exists() else []
    kept = [figure for figure in old if figure["part"] != part] + list(found)
    places = [*PARTS, "help"]
    FIGURES.write_text(toml({"figures": sorted(kept, key=lambda one: places.index(one["part"]))}), encoding="utf-8")


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument(
        "--folds", type=Path, required=True, help="models of the folds, as measure_voice.py reads them"
    )
    parser.add_argument("--only", choices=tuple(PARTS), help="one part (default: all but decay and trust)")
    options = parser.parse_args()
    lab = Lab(options.data, options.folds, options.work / "mood")
    for part in (options.only,) if options.only else ("sets", "dialogue", "speech", "fused"):
        found = PARTS[part](lab)
        if found:
            keep(part, found)
        for one in found:
            floor = f" (floor {one['floor']:.3f})" if "floor" in one else ""
            interval = f"[{one['low']:.3f}, {one['high']:.3f}]"
            print(f"{one['measure']:<40} {one['value']:7.3f} {interval}{floor}  {one['data']}")


if __name__ == "__main__":
    main()
