"""The mood over made-up sessions of clips and texts: fusion, trust in each modality, and histories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from assistant.emotion import EMOTIONS, Mood
from assistant.evaluate.figures import metrics
from assistant.evaluate.run.outcomes import RowOutcome
from assistant.evaluate.tables.sessions import Rules, SessionTurn, follow_turns
from assistant.mood import fusion
from assistant.mood.conformal import read_calibration
from scripts.mood.data import Clip
from scripts.mood.dialogue import GAP_S, pair
from scripts.mood.lab import (
    Figures,
    Lab,
    Statistic,
    figures_of,
    named,
    ranked,
    record,
    scored,
    scores_of,
    shares,
    truths,
)

STAYS = 0.7
"""Probability that the next turn of a simulated session has the same emotion, while there are such clips."""
TURNS = 8
NO_HISTORY_S = 1e-3
"""A half-life at which an earlier turn counts nothing; the personal baseline stays."""


def simulated(
    heard: Sequence[tuple[Clip, RowOutcome]], seed: int, stays: float = STAYS
) -> list[tuple[str, Clip, RowOutcome]]:
    """Sessions of at most `TURNS` turns of one speaker whose emotion mostly stays; every clip once."""
    rng = np.random.default_rng(seed)
    by: dict[str, list[tuple[Clip, RowOutcome]]] = {}
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


def spoken(
    sessions: Sequence[tuple[str, Clip, RowOutcome]], texts: Sequence[RowOutcome | None]
) -> list[SessionTurn]:
    """Turns of a session, `GAP_S` apart, each with its text where there is one."""
    return [
        SessionTurn(session, at * GAP_S, (*scored(outcome), *scored(text)))
        for at, ((session, _, outcome), text) in enumerate(zip(sessions, texts, strict=True))
    ]


def moods_of(
    sessions: Sequence[tuple[str, Clip, RowOutcome]], turns: Sequence[SessionTurn], rules: Rules, **how: Any
) -> list[Mood | None]:
    """The mood after each turn; each head has a population of its own."""
    found: dict[int, Mood | None] = {}
    for model in dict.fromkeys(clip.model for _, clip, _ in sessions):
        mine = [at for at, (_, clip, _) in enumerate(sessions) if clip.model == model]
        card = scores_of(sessions[mine[0]][2]).card
        known = replace(rules, population=tuple(card.data["population"]["center"]))
        found |= dict(zip(mine, follow_turns([turns[at] for at in mine], known, **how), strict=True))
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
        clusters = metrics.number_clusters([clip.speaker for _, clip, _ in sessions])
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
    sessions: Sequence[tuple[str, Clip, RowOutcome]], pool: Sequence[tuple[RowOutcome, str]], seed: int
) -> list[RowOutcome]:
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
    clusters = metrics.number_clusters([clip.speaker for _, clip, _ in sessions])
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
