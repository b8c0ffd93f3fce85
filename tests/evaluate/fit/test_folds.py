"""Folds that keep speakers apart, and the regression that learns within them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from assistant.arrays import Floats32
from assistant.errors import Invalid
from assistant.evaluate.fit import softmax
from assistant.evaluate.fit.folds import assign_left_out, assign_speaker_folds, find_shared_speakers


def a_corpus(speakers: int, clips: int, classes: int = 4, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Speakers with very different numbers of clips, and classes of very different frequency."""
    drawn = np.random.default_rng(seed)
    share = drawn.dirichlet(np.full(speakers, 0.7))
    who = np.concatenate([np.arange(speakers), drawn.choice(speakers, clips - speakers, p=share)])
    target = drawn.choice(classes, clips, p=np.arange(1, classes + 1) / np.arange(1, classes + 1).sum())
    return [f"speaker {one}" for one in who], target


def unevenness(target: np.ndarray, place: np.ndarray) -> float:
    """How far the folds are from equal shares of every class."""
    counts = np.array(
        [np.bincount(target[place == one], minlength=target.max() + 1) for one in range(place.max() + 1)]
    )
    return float((counts / counts.sum(axis=0)).std(axis=0).mean())


@given(speakers=st.integers(3, 30), k=st.integers(2, 12), seed=st.integers(0, 99))
def test_no_speaker_is_ever_in_two_folds_and_no_fold_is_empty(speakers: int, k: int, seed: int) -> None:
    names, target = a_corpus(speakers, 6 * speakers, seed=seed)
    place = assign_speaker_folds(names, target, k, seed)
    assert find_shared_speakers(names, place) == ()
    assert set(place.tolist()) == set(range(min(k, speakers)))


def test_classes_are_spread_as_evenly_as_scikit_learn_spreads_them() -> None:
    ours, theirs = [], []
    for seed in range(20):
        names, target = a_corpus(25, 400, seed=seed)
        ours.append(unevenness(target, assign_speaker_folds(names, target, 5, 0)))
        place = np.zeros(len(target), dtype=np.int64)
        for fold, (_, tested) in enumerate(StratifiedGroupKFold(5).split(target, target, names)):
            place[tested] = fold
        theirs.append(unevenness(target, place))
    assert np.mean(ours) <= 1.05 * np.mean(theirs)


def test_folds_are_drawn_by_their_seed_alone() -> None:
    names, target = a_corpus(12, 12)  # as many clips as speakers: all are equals, so their order is drawn
    first = assign_speaker_folds(names, target, 4, seed=1)
    assert (first == assign_speaker_folds(names, target, 4, seed=1)).all()
    assert any((first != assign_speaker_folds(names, target, 4, seed=seed)).any() for seed in range(2, 6))


def test_with_as_many_folds_as_speakers_each_speaker_is_left_out() -> None:
    names, target = a_corpus(7, 60)
    place = assign_speaker_folds(names, target, 100, 0)
    assert len({(name, fold) for name, fold in zip(names, place.tolist(), strict=True)}) == 7
    assert place.max() == 6


def test_two_speakers_are_too_few() -> None:
    with pytest.raises(Invalid, match="at least 3") as error:
        assign_speaker_folds(["anna", "bert", "anna"], np.array([0, 1, 0]), 2, 0)
    assert error.value.code == "too_few_speakers"


def test_a_corpus_can_only_be_left_out_where_there_is_another() -> None:
    with pytest.raises(Invalid, match="two or more") as error:
        assign_left_out(["emodb", "emodb"], "corpus")
    assert error.value.code == "too_few_parts"


def blobs(rows: int, width: int, classes: int, seed: int = 0) -> tuple[Floats32, np.ndarray]:
    drawn = np.random.default_rng(seed)
    target = np.concatenate([np.arange(classes), drawn.integers(0, classes, rows - classes)])
    centers = drawn.normal(size=(classes, width))
    return (centers[target] + drawn.normal(scale=1.5, size=(rows, width))).astype(np.float32), target


@pytest.mark.parametrize("ridge", [1.0, 0.05, 0.003])
def test_the_regression_finds_the_optimum_that_scikit_learn_finds(ridge: float) -> None:
    x, target = blobs(200, 12, 4)
    weight = softmax.balance(target, np.zeros_like(target))
    ours = softmax.fit_linear(x, target, weight, ridge=ridge, classes=4, steps=500, tolerance=1e-6)
    standard = (x - x.mean(axis=0)) / x.std(axis=0)
    theirs = LogisticRegression(C=1 / (ridge * len(x)), max_iter=5000, tol=1e-9)
    theirs.fit(standard, target, sample_weight=weight * len(x))
    expected = theirs.predict_proba(standard)
    assert np.abs(np.exp(softmax.log_softmax(ours(x))) - expected).max() < 2e-3


def test_a_row_of_weight_zero_counts_for_nothing() -> None:
    x, target = blobs(120, 8, 3)
    weight = np.zeros(120)
    weight[:80] = 1 / 80
    with_them = softmax.fit_linear(x, target, weight, ridge=0.01, classes=3)
    x[80:] = 1e6
    without = softmax.fit_linear(x, target, weight, ridge=0.01, classes=3)
    assert (with_them.weight == without.weight).all()


def test_a_class_that_a_corpus_lacks_is_not_held_against_it() -> None:
    x, target = blobs(300, 6, 3)
    corpus = (np.arange(300) % 2).astype(np.int64)
    x, target, corpus = (
        x[(corpus == 0) | (target < 2)],
        target[(corpus == 0) | (target < 2)],
        corpus[(corpus == 0) | (target < 2)],
    )
    x[corpus == 1] += 3  # another microphone
    weight = softmax.balance(target, corpus)
    allowed = softmax.find_competing(target, corpus, 3)
    assert not allowed[corpus == 1, 2].any()
    strict = softmax.fit_linear(x, target, weight, ridge=0.01, classes=3)
    fair = softmax.fit_linear(x, target, weight, ridge=0.01, classes=3, allowed=allowed)
    assert fair(x[corpus == 1])[:, 2].mean() > strict(x[corpus == 1])[:, 2].mean()


def test_a_start_changes_the_way_and_not_the_end() -> None:
    x, target = blobs(150, 10, 3)
    weight = np.full(150, 1 / 150)
    first = softmax.fit_linear(x, target, weight, ridge=1.0, classes=3)
    cold = softmax.fit_linear(x, target, weight, ridge=0.02, classes=3, steps=300, tolerance=1e-6)
    warm = softmax.fit_linear(x, target, weight, ridge=0.02, classes=3, start=first, steps=300, tolerance=1e-6)
    assert np.abs(cold(x) - warm(x)).max() < 0.02


def test_a_temperature_undoes_an_exaggeration() -> None:
    drawn = np.random.default_rng(0)
    logits = drawn.normal(size=(4000, 5))
    chances = np.exp(softmax.log_softmax(logits))
    target = np.array([drawn.choice(5, p=row) for row in chances])
    assert softmax.fit_temperature(4 * logits, target) == pytest.approx(0.25, rel=0.1)
