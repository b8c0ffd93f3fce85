"""What a personal baseline of the voice is worth, utterance by utterance, and whom it would give away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace

import numpy as np

from assistant.audio.voice import VoiceScores, apply_baseline
from assistant.emotion import NO_BASELINE, Baseline
from assistant.mood.baseline import blur_baseline, update_baseline, usual_from
from scripts.cards.card import read_card
from scripts.voice.conditions import _share
from scripts.voice.data import Array
from scripts.voice.export import MODELS
from scripts.voice.lab import Figure, Lab, measured, named, outcomes_of, read

HISTORIES = (("history as acted", None), ("history 80 % neutral", 0.8))
STEPS = (0, 3, 6, 12, 24)
"""Utterances known when the baseline's curve is measured."""


def curve(lab: Lab) -> list[Figure]:
    """UAR after some utterances without labels, of histories as acted and of such that are mostly neutral."""
    found, draw = [], np.random.default_rng(1)
    histories = [(words, share, known, False) for words, share in HISTORIES for known in STEPS]
    histories += [(f"{words}, then stored", share, STEPS[-1], True) for words, share in HISTORIES]
    for words, share, known, stored in histories:
        parts = []
        for job in lab.jobs("multi"):
            rows = lab.rows(job, "emotion")
            outcomes = outcomes_of(lab, job, rows)
            population, spread = (read_card(lab.folder(job))["population"][key] for key in ("center", "spread"))
            names, who = np.unique(job.names[rows]), lab.clips.who[rows]
            random = np.random.default_rng(0)
            moved = []
            for index, outcome in enumerate(outcomes):
                others = np.flatnonzero((who == who[index]) & (np.arange(len(rows)) != index))
                history = _history(others, job.names[rows] == "neutral", known, share, random)
                baseline = NO_BASELINE
                for heard in (outcomes[other].scores for other in history):
                    baseline = (
                        update_baseline(baseline, heard.observation) if isinstance(heard, VoiceScores) else baseline
                    )
                if stored:
                    baseline = blur_baseline(baseline, spread, lambda: float(draw.normal()))
                habit = usual_from(baseline, population)
                if habit is not None and isinstance(outcome.scores, VoiceScores):
                    outcome = replace(outcome, scores=apply_baseline(habit, outcome.scores))
                moved.append(outcome)
            parts.append(named(moved, names, job.names[rows], who))
        figure = measured(parts, "emotion", apart=False)["uar"]
        n = sum(len(part.truth) for part in parts)
        text = f"shared names, five corpora, 3 folds of speakers, {words}; baseline: after {known} utterances"
        found.append({"measure": "uar", **asdict(figure), "data": text, "n": n})
    return found


def _history(others: Array, neutral: Array, count: int, share: float | None, random: np.random.Generator) -> Array:
    if share is None:
        return random.choice(others, min(count, len(others)), replace=False)
    calm, rest = others[neutral[others]], others[~neutral[others]]
    if not len(calm) or not len(rest):
        return random.choice(others, min(count, len(others)), replace=False)
    quiet = round(share * count)
    return np.concatenate([random.choice(calm, quiet), random.choice(rest, count - quiet)]).astype(int)


def identification(lab: Lab) -> list[Figure]:
    """How often a baseline of 24 utterances picks its speaker among 18 by that of 24 others of each.

    The speakers are RAVDESS's and the model is voice-open, which learned from none of them; apart also among those
    of one gender, as a voice gives the gender away. A stored baseline is blurred: it is compared with others that
    are, and with what somebody could learn who has recordings of all 18.
    """
    rows = np.flatnonzero(lab.clips.corpus == "ravdess")
    files, speakers = [lab.path(row) for row in rows], list(lab.clips.who[rows])
    scores = [outcome.scores for outcome in read(MODELS / "voice-open", files, speakers, lab.work / "readings")]
    known = np.array([isinstance(s, VoiceScores) for s in scores])
    seen = np.array([s.observation for s in scores if isinstance(s, VoiceScores)])
    who, spread = lab.clips.who[rows][known], read_card(MODELS / "voice-open")["population"]["spread"]
    people, at = np.unique(who, return_index=True)
    gender = lab.clips.gender[rows][known][at]
    same, random = gender[:, None] == gender[None], np.random.default_rng(0)
    groups = {"among all 18": np.ones_like(same), "among those of one gender": same}

    def vague(center: Array) -> Array:
        kept = blur_baseline(Baseline(24, tuple(center), "session"), spread, lambda: float(random.normal()))
        return np.array(kept.center)

    def exact(center: Array) -> Array:
        return center

    pairs: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
        "stored, by stored ones": (vague, vague),
        "stored, by recordings": (vague, exact),
        "in memory, by recordings": (exact, exact),
    }
    hits: dict[tuple[str, str], list[tuple[bool, str, float]]] = {
        (kind, group): [] for kind in pairs for group in groups
    }
    for _ in range(200):
        halves: tuple[list[Array], list[Array]] = ([], [])
        for name in people:
            order = random.permutation(np.flatnonzero(who == name))
            halves[0].append(seen[order[:24]].mean(axis=0))
            halves[1].append(seen[order[24:48]].mean(axis=0))
        for kind, (left, right) in pairs.items():
            first, second = np.array([left(x) for x in halves[0]]), np.array([right(x) for x in halves[1]])
            apart = np.linalg.norm((first[:, None] - second[None]) / np.array(spread), axis=2)
            for group, mask in groups.items():
                best = np.where(mask, apart, np.inf).argmin(axis=1)
                hits[kind, group] += [
                    (best[index] == index, str(name), 1 / mask[index].sum()) for index, name in enumerate(people)
                ]
    found = []
    for (kind, group), tries in hits.items():
        words = f"RAVDESS, voice-open, 24 utterances {kind} of 24 others, {group}"
        figure = _share([hit for hit, _, _ in tries], [name for _, name, _ in tries], words)
        found.append({**figure, "measure": "speaker_identified", "n": len(people),
                      "floor": float(np.mean([chance for _, _, chance in tries]))})  # fmt: skip
    return found
