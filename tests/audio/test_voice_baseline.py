"""What a voice says relative to how its speaker usually sounds: the arithmetic, without any model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.audio.voice import VoiceScores, apply_baseline
from assistant.emotion import EMOTIONS, Baseline, Usual
from assistant.inference.card import Card
from assistant.mood.baseline import update_baseline, usual_from

few = settings(max_examples=60, deadline=None)
seeds = st.integers(0, 2**32 - 1)
trusts = st.floats(0, 1, exclude_max=True)
WHOLLY = 1 - 1e-12
"""As much trust as a baseline could ever have."""


def scores(seed: int, *, labels: tuple[str, ...] = EMOTIONS, spread: float = 2.0, sure: float = 1.0) -> VoiceScores:
    """What a head might say: `spread` of its relative logits, and how `sure` its first reading is."""
    random = np.random.default_rng(seed)
    logits = sure * random.normal(size=len(labels))
    emotions = np.exp(logits - logits.max())
    emotions /= emotions.sum()
    relative = random.normal(scale=spread, size=len(labels))
    relative -= relative.mean()
    affect = random.uniform(-1, 1, 2)
    card = Card(Path("here"), "voice", "voice", "abc", "none", labels, {}, {}, {})
    tense = sum(p for name, p in zip(labels, emotions, strict=True) if name in ("anger", "fear"))
    return VoiceScores(card, emotions, affect, np.full(2, 0.3), float(tense), (*relative[:-1], *affect))


def a_usual(seed: int, trust: float, size: int = 8, spread: float = 1.0) -> Usual:
    return Usual(tuple(np.random.default_rng(seed + 1).normal(scale=spread, size=size).tolist()), trust)


def softmax(logits: np.ndarray) -> np.ndarray:
    odds = np.exp(logits - logits.max())
    return np.asarray(odds / odds.sum())


def ratios(said: VoiceScores) -> np.ndarray:
    """The head's relative logits, all of them."""
    some = np.array(said.observation[:-2])
    return np.append(some, -some.sum())


@few
@given(seeds)
def test_without_trust_the_reading_stays_as_it_is(seed: int) -> None:
    said = scores(seed)
    same = apply_baseline(Usual((0.0,) * 8, 0.0), said)
    assert same.emotions == pytest.approx(said.emotions, abs=1e-5)
    assert same.affect == pytest.approx(said.affect)
    assert same.stress == pytest.approx(said.stress, abs=1e-5)


@few
@given(seeds)
def test_a_habit_of_the_speaker_is_taken_out_exactly_as_the_trust_becomes_whole(seed: int) -> None:
    plain, random = scores(seed), np.random.default_rng(seed)
    habit = random.normal(scale=3, size=7)
    habit -= habit.mean()
    marked = (*(ratios(plain) + habit)[:-1], *plain.observation[-2:])
    moved = apply_baseline(
        Usual((*habit[:-1], 0.0, 0.0), WHOLLY),
        VoiceScores(plain.card, plain.emotions, plain.affect, plain.affect_deviation, plain.stress, marked),
    )
    assert moved.emotions == pytest.approx(softmax(ratios(plain)), abs=1e-9)
    assert moved.affect == pytest.approx(plain.affect)


@few
@given(seeds)
def test_a_baseline_of_a_constant_habit_takes_it_out_the_more_the_longer_it_listens(seed: int) -> None:
    random = np.random.default_rng(seed)
    population, habit = random.normal(size=8), random.normal(size=8)
    baseline, far = Baseline(), []
    for count in range(1, 200):
        baseline = update_baseline(baseline, (population + habit).tolist())
        if count in (1, 10, 199):
            known = usual_from(baseline, population.tolist())
            assert known is not None
            far.append(float(np.abs(habit - known.shift).max()))
    assert far[0] > far[1] > far[2]
    assert far[2] < 0.05 * np.abs(habit).max()


@few
@given(seeds, trusts)
def test_stress_is_the_probability_of_anger_or_fear(seed: int, trust: float) -> None:
    moved = apply_baseline(a_usual(seed, trust), scores(seed))
    assert moved.stress == pytest.approx(moved.emotions[0] + moved.emotions[2])
    assert moved.reading().stress == pytest.approx(
        moved.reading().emotions["anger"] + moved.reading().emotions["fear"]
    )


@few
@given(seeds, trusts)
def test_without_a_label_for_anger_or_fear_there_is_no_stress(seed: int, trust: float) -> None:
    calm = scores(seed, labels=("joy", "neutral", "sadness"))
    assert apply_baseline(a_usual(seed, trust, size=4), calm).stress == 0


@few
@given(seeds, trusts, st.sampled_from([0.0, 1.0, 1e3, 1e6]), st.sampled_from([0.0, 1.0, 1e3]))
def test_emotions_stay_a_distribution_and_affect_in_its_bounds_however_extreme(
    seed: int, trust: float, spread: float, sure: float
) -> None:
    moved = apply_baseline(a_usual(seed, trust, spread=spread), scores(seed, spread=spread, sure=sure))
    assert np.isfinite(moved.emotions).all()
    assert (moved.emotions >= 0).all()
    assert moved.emotions.sum() == pytest.approx(1)
    assert (np.abs(moved.affect) <= 1).all()
    assert 0 <= moved.stress <= 1


@few
@given(seeds, trusts)
def test_the_baseline_learns_from_what_was_heard_and_not_from_what_it_made_of_it(seed: int, trust: float) -> None:
    said = scores(seed)
    assert apply_baseline(a_usual(seed, trust), said).observation == said.observation


@few
@given(seeds, st.floats(0.01, 0.99))
def test_sounding_angrier_than_usual_reads_as_angrier(seed: int, trust: float) -> None:
    said = scores(seed)
    shift = [0.0] * 8
    shift[0] = 1.0  # usually angrier than most
    known, other = apply_baseline(Usual(tuple(shift), trust), said), apply_baseline(Usual((0.0,) * 8, trust), said)
    assert known.emotions[0] < other.emotions[0]
