"""Every figure against scikit-learn, audmetric, a published value, or a count by hand."""

from __future__ import annotations

import math
import warnings
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.arrays import Floats
from assistant.bootstrap import Figure
from assistant.evaluate.figures import measures, metrics, ranking, tally
from assistant.evaluate.figures.groups import measure_gaps
from assistant.evaluate.figures.measures import (
    compute_curves,
    compute_figures,
    compute_risk_coverage,
    make_statistics,
)
from assistant.evaluate.figures.permutation import adjust_p, compare_models, compute_p, draw_assignments, draw_swaps
from assistant.evaluate.figures.tally import Layout, Tally
from assistant.evaluate.figures.tasks import Sheet, Task

audmetric = pytest.importorskip("audmetric", reason="audmetric is not installed")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    judge = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")


def a_sheet(seed: int, rows: int = 300, classes: int = 4, people: int = 12, *, task: Task = "emotion",
            better: float = 0.6) -> Sheet:  # fmt: skip
    """Classes of unlike size, said with a probability that is right more often than not."""
    rng = np.random.default_rng(seed)
    label = rng.choice(classes, size=rows, p=np.arange(1, classes + 1) / np.arange(1, classes + 1).sum())
    truth = np.eye(classes)[label]
    said = rng.random((rows, classes)) + better * truth
    said /= said.sum(axis=1, keepdims=True)
    names = ("0", "1") if task == "stress" else tuple(f"class {at}" for at in range(classes))
    return Sheet(task, names, truth, said, np.empty((rows, 0)), np.eye(classes)[said.argmax(axis=1)] > 0,
                 np.ones(rows, dtype=bool), rng.integers(people, size=rows))  # fmt: skip


def silent(sheet: Sheet, rows: list[int]) -> Sheet:
    """The sheet of a model that abstained from some rows."""
    sheet.given[rows], sheet.predicted[rows], sheet.answered[rows] = np.nan, False, False
    return sheet


def values(sheet: Sheet, *, drop: bool = False) -> dict[str, float]:
    return {name: figure.value for name, figure in compute_figures(sheet, drop=drop, replicates=0, seed=0).items()}


@pytest.mark.parametrize("seed", range(5))
def test_the_figures_of_classes_are_those_of_scikit_learn_and_audmetric(seed: int) -> None:
    sheet = a_sheet(seed)
    true, said = sheet.truth.argmax(axis=1), sheet.predicted.argmax(axis=1)
    found = values(sheet)
    assert found["uar"] == pytest.approx(judge.balanced_accuracy_score(true, said))
    assert found["uar"] == pytest.approx(audmetric.unweighted_average_recall(true, said))
    assert found["accuracy"] == pytest.approx(judge.accuracy_score(true, said))
    assert found["accuracy"] == pytest.approx(audmetric.accuracy(true, said))
    assert found["macro_f1"] == pytest.approx(audmetric.unweighted_average_fscore(true, said))
    for average in ("macro", "micro", "weighted"):
        assert found[f"{average}_f1"] == pytest.approx(judge.f1_score(true, said, average=average))
    assert found["macro_auc"] == pytest.approx(judge.roc_auc_score(true, sheet.given, multi_class="ovr"))
    assert found["nll"] == pytest.approx(judge.log_loss(true, sheet.given))
    assert found["brier"] == pytest.approx(judge.brier_score_loss(true, sheet.given, scale_by_half=False))
    recalls = judge.recall_score(true, said, average=None)
    assert metrics.recall(sheet.count(drop=False)) == pytest.approx(recalls)


def test_the_figures_of_label_sets_are_those_of_scikit_learn() -> None:
    sheet = a_sheet(1, task="labels")
    truth = sheet.truth.copy()
    truth[::3, 0] = 1
    sheet = Sheet("labels", sheet.names, truth, sheet.given, sheet.deviation, sheet.given > 0.3, sheet.answered,
                  sheet.clusters)  # fmt: skip
    found = values(sheet)
    for average in ("macro", "micro", "weighted"):
        expected = judge.f1_score(truth, sheet.predicted, average=average, zero_division=0)
        assert found[f"{average}_f1"] == pytest.approx(expected)
    assert found["macro_auc"] == pytest.approx(judge.roc_auc_score(truth, sheet.given, average="macro"))
    each = [judge.brier_score_loss(truth[:, at], sheet.given[:, at]) for at in range(4)]
    assert found["brier"] == pytest.approx(np.mean(each))
    surprise = [judge.log_loss(truth[:, at], sheet.given[:, at]) for at in range(4)]
    assert found["nll"] == pytest.approx(np.mean(surprise))


def test_the_figures_of_stress_are_those_of_scikit_learn() -> None:
    sheet = a_sheet(2, classes=2, task="stress")
    true, said = sheet.truth[:, 1], sheet.predicted[:, 1]
    found = values(sheet)
    assert found["f1"] == pytest.approx(judge.f1_score(true, said))
    assert found["auc"] == pytest.approx(judge.roc_auc_score(true, sheet.given[:, 1]))
    assert found["brier"] == pytest.approx(2 * judge.brier_score_loss(true, sheet.given[:, 1]))


def test_the_figures_of_affect_are_those_of_audmetric_and_numpy() -> None:
    rng = np.random.default_rng(3)
    truth = rng.uniform(-1, 1, (200, 2))
    said = 0.5 * truth + rng.normal(0, 0.3, (200, 2))
    truth[5, 0] = np.nan
    sheet = Sheet("affect", ("valence", "arousal"), truth, said, np.full((200, 2), 0.3),
                  np.zeros((200, 2), dtype=bool), np.ones(200, dtype=bool), np.arange(200))  # fmt: skip
    found = values(sheet)
    for at, name in enumerate(sheet.names):
        known = np.isfinite(truth[:, at])
        x, y = truth[known, at], said[known, at]
        assert found[f"ccc_{name}"] == pytest.approx(audmetric.concordance_cc(x, y))
        assert found[f"pearson_{name}"] == pytest.approx(audmetric.pearson_cc(x, y))
        assert found[f"mae_{name}"] == pytest.approx(audmetric.mean_absolute_error(x, y))
        assert found[f"rmse_{name}"] == pytest.approx(math.sqrt(audmetric.mean_squared_error(x, y)))
    assert found["aurc"] == pytest.approx(np.nanmean(np.nanmean(np.abs(truth - said), axis=1)))


def test_brier_1950_gives_its_own_worked_range() -> None:
    # Brier 1950: the score is 0 for a sure and right forecast, and 2 for a sure and wrong one
    right, wrong = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    assert metrics.brier(right, right).tolist() == [0.0]
    assert metrics.brier(wrong, right).tolist() == [2.0]
    assert metrics.brier(np.full((1, 2), 0.5), right).tolist() == [0.5]


def by_definition(confidence: Floats, wrong: Floats) -> float:
    """The mean risk over all numbers accepted (Geifman and El-Yaniv 2017), without ties."""
    order = np.argsort(-confidence)
    return float(np.mean(np.cumsum(wrong[order]) / np.arange(1, len(wrong) + 1)))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.booleans()), min_size=1, max_size=60, unique_by=lambda x: x[0]))
def test_the_area_under_risk_and_coverage_is_its_definition(rows: list[tuple[int, bool]]) -> None:
    confidence = np.array([float(c) for c, _ in rows])
    wrong = np.array([float(w) for _, w in rows])
    one = ranking.tally_aurc(confidence, wrong)
    assert one.values["aurc"] == pytest.approx(by_definition(confidence, wrong), abs=1e-9)
    curve = compute_risk_coverage(confidence, wrong)
    assert np.mean(curve["risk"]) == pytest.approx(by_definition(confidence, wrong), abs=1e-9)


def test_ties_of_confidence_cost_what_a_random_order_costs_on_the_average() -> None:
    confidence, wrong = np.array([0.9, 0.5, 0.5, 0.5, 0.1]), np.array([0.0, 1.0, 0.0, 0.0, 1.0])
    rng = np.random.default_rng(0)
    broken = [by_definition(confidence + rng.uniform(0, 1e-6, 5), wrong) for _ in range(4000)]
    assert ranking.tally_aurc(confidence, wrong).values["aurc"] == pytest.approx(np.mean(broken), abs=0.005)


def test_levels_move_the_area_by_less_than_a_thousandth() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.random(20_000)
    wrong = (rng.random(20_000) > confidence).astype(float)
    one = ranking.tally_aurc(confidence, wrong)
    binned = float(ranking.aurc(one.of(np.arange(20_000)).sum(axis=0)))
    assert binned == pytest.approx(one.values["aurc"], abs=0.001)
    assert one.shape == (ranking.LEVELS, 2)


def test_an_abstention_is_the_least_confident_answer_and_a_wrong_one_unless_dropped() -> None:
    sheet = silent(a_sheet(4), [0, 1, 2])
    confidence, loss = sheet.confidence(), sheet.loss(drop=False)
    assert (confidence[:3] == -np.inf).all()
    assert loss[:3].tolist() == [1, 1, 1]
    kept, answered = values(sheet, drop=True), values(sheet.take(sheet.answered))
    assert {k: v for k, v in kept.items() if k != "coverage"} == pytest.approx(
        {k: v for k, v in answered.items() if k != "coverage"}
    )
    wrong = values(sheet)
    assert wrong["accuracy"] < kept["accuracy"]
    assert wrong["macro_auc"] < kept["macro_auc"]
    assert wrong["brier"] == pytest.approx(kept["brier"])  # there is no probability to judge


def test_selective_uar_is_the_uar_of_the_surest_four_fifths() -> None:
    sheet = a_sheet(5)
    surest = np.argsort(-sheet.given.max(axis=1))[: int(0.8 * len(sheet))]
    expected = judge.balanced_accuracy_score(
        sheet.truth.argmax(axis=1)[surest], sheet.predicted.argmax(axis=1)[surest]
    )
    assert values(sheet)["selective_uar"] == pytest.approx(expected)


def test_the_reliability_curve_adds_up_to_the_calibration_error() -> None:
    sheet = a_sheet(6)
    found = compute_curves(sheet, None, drop=False)["reliability"]
    n, confidence, hits = (np.array(found[key], dtype=float) for key in ("n", "confidence", "hits"))
    assert n.sum() == len(sheet)
    assert np.nansum(n * np.abs(confidence - hits)) / n.sum() == pytest.approx(values(sheet)["ece"])
    assert len(found["edges"]) == len(found["n"]) + 1 == 16


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans(), st.integers(0, 4)), min_size=2, max_size=40))
def test_areas_by_pairs_of_clusters_equal_areas_of_repeated_rows(rows: list[tuple[int, bool, int]]) -> None:
    score = np.array([[float(s)] for s, _, _ in rows])
    truth = np.array([[float(t)] for _, t, _ in rows])
    clusters = np.array([c for _, _, c in rows])
    ranked = ranking.Ranked(score, truth, np.ones(len(rows), dtype=bool))
    weights = np.random.default_rng(0).integers(0, 3, size=(5, 5)).astype(float)
    by_pairs = ranking.make_pairwise_auc(ranked, clusters, 5)(weights)
    directly = metrics.auc(score[:, 0], truth[:, 0] > 0, weights[:, clusters])
    assert by_pairs == pytest.approx(directly, nan_ok=True)


def test_the_projected_area_has_the_interval_of_the_whole_one() -> None:
    sheet = a_sheet(7, rows=800, people=800)
    ranked = measures.make_ranked(sheet, drop=False)
    of = np.arange(800)
    by_pairs = {"whole": ranking.make_pairwise_auc(ranked, of, 800)}
    found = tally.compute_figures([ranking.tally_auc(ranked)], of, free=by_pairs)
    projected, whole = found["auc"], found["whole"]
    assert projected.value == pytest.approx(whole.value)
    assert (projected.low, projected.high) == pytest.approx((whole.low, whole.high), abs=0.002)


def test_a_large_corpus_is_resampled_like_a_small_one() -> None:
    rng = np.random.default_rng(0)
    right = np.stack([np.ones(40_000), rng.random(40_000) < 0.7], axis=1).astype(float)
    found = tally.compute_figures([Tally.from_rows(right, {"share": metrics.share})], np.arange(40_000))["share"]
    error = math.sqrt(0.7 * 0.3 / 40_000)
    assert (found.high - found.low) == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert found.low < found.value < found.high


def test_sums_of_ranges_of_clusters_are_the_sums_of_all() -> None:
    sheet = a_sheet(8)
    several = measures.make_tallies(sheet, drop=False)
    layout = Layout.from_clusters(sheet.clusters)
    whole = layout.totals(several, 0, layout.count)
    pieces = [layout.totals(several, first, last) for first, last in ((0, 1), (1, 7), (7, layout.count))]
    assert np.concatenate(pieces) == pytest.approx(whole)
    assert whole[:, 2 * 4 : 3 * 4].sum(axis=0) == pytest.approx(sheet.truth.sum(axis=0))


def test_statistics_of_equal_weights_are_the_figures() -> None:
    sheet = a_sheet(9)
    once = np.ones((1, int(sheet.clusters.max()) + 1))
    found = {name: float(of(once)[0]) for name, of in make_statistics(sheet, drop=False).items()}
    assert found == pytest.approx(values(sheet), abs=1e-3)  # aurc in levels


def test_ninety_five_percent_of_intervals_over_clusters_hold_the_truth() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for draw in range(200):
        skill = rng.beta(6, 3, size=40)  # people are unlike, so rows of one are alike
        right = rng.random((40, 25)) < skill[:, None]
        rows = np.stack([np.ones(1000), right.ravel()], axis=1).astype(float)
        of = np.repeat(np.arange(40), 25)
        one = Tally.from_rows(rows, {"share": metrics.share})
        found = tally.compute_figures([one], of, replicates=400, seed=draw)["share"]
        held += found.low <= 6 / 9 <= found.high
    assert 0.89 <= held / 200 <= 0.99


def test_all_ways_to_swap_are_tried_where_clusters_are_few_and_the_p_is_that_of_fishers_design() -> None:
    # Darwin's maize (Fisher 1935, section 21): of the 2^15 ways to swap, 1726 differ at least as much: p .0527
    crossed = np.array([188, 96, 168, 176, 153, 172, 177, 163, 146, 173, 186, 168, 177, 184, 96], dtype=float)
    selfed = np.array([139, 163, 160, 160, 147, 149, 149, 122, 132, 144, 130, 144, 102, 124, 144], dtype=float)
    blocks, exact = draw_swaps(15, 0, permutations=2**15)
    difference = crossed - selfed
    drawn = [(1 - 2 * swapped) @ difference for swapped in blocks]
    assert exact
    assert sum(map(len, drawn)) == 2**15
    assert compute_p(float(difference.sum()), drawn, exact=exact) == pytest.approx(1726 / 32768)


def test_assignments_keep_the_sizes_of_the_sides() -> None:
    sides = np.array([1.0] * 8 + [0.0] * 12)
    blocks, exact = draw_assignments(sides, 0)
    drawn = np.concatenate(list(blocks))
    assert not exact
    assert (drawn.sum(axis=1) == 8).all()
    assert drawn.mean(axis=0) == pytest.approx(np.full(20, 0.4), abs=0.05)


def test_holms_correction_follows_his_paper() -> None:
    # the smallest of four by four, the next by three ..., never falling
    assert adjust_p({1: 0.01, 2: 0.04, 3: 0.03, 4: 0.005}) == pytest.approx({1: 0.03, 2: 0.06, 3: 0.06, 4: 0.02})
    assert math.isnan(adjust_p({1: math.nan, 2: 0.5})[1])
    assert adjust_p({1: math.nan, 2: 0.5})[2] == 0.5


def test_a_model_is_no_better_than_itself_and_a_better_one_is() -> None:
    good, bad = a_sheet(10, people=20, better=1.0), a_sheet(10, people=20, better=0.1)
    same = compare_models(good, good, drop=False, replicates=100)["uar"]
    assert (same.difference, same.p) == (Figure(0.0, 0.0, 0.0), 1.0)
    apart = compare_models(good, bad, drop=False, replicates=200)
    assert apart["uar"].p < 0.01
    assert apart["uar"].difference.low > 0
    assert apart["brier"].difference.high < 0  # less is better
    turned = compare_models(bad, good, drop=False, replicates=200)["uar"]
    assert turned.difference.value == pytest.approx(-apart["uar"].difference.value)


def test_a_paired_p_is_the_share_of_swaps_that_differ_as_much() -> None:
    first, second = a_sheet(11, people=6), a_sheet(12, people=6)
    second = Sheet(first.task, first.names, first.truth, second.given, first.deviation, second.predicted,
                   first.answered, first.clusters)  # fmt: skip
    found = compare_models(first, second, drop=False, replicates=0)["accuracy"]
    right = [(s.predicted & (s.truth > 0)).any(axis=1) for s in (first, second)]
    drawn = []
    for swapped in product([False, True], repeat=6):
        turn = np.array(swapped)[first.clusters]
        drawn.append(np.where(turn, right[1], right[0]).mean() - np.where(turn, right[0], right[1]).mean())
    assert found.exact
    assert found.p == pytest.approx(np.mean(np.abs(drawn) >= abs(found.difference.value) - 1e-9))


def test_under_no_difference_few_paired_tests_find_one() -> None:
    found = 0
    for seed in range(100):
        first, second = a_sheet(seed, rows=150, people=10), a_sheet(seed, rows=150, people=10)
        rng = np.random.default_rng(1000 + seed)
        noise = rng.random(second.given.shape) + 0.6 * second.truth
        second = Sheet(first.task, first.names, first.truth, noise / noise.sum(axis=1, keepdims=True),
                       first.deviation, np.eye(4)[noise.argmax(axis=1)] > 0, first.answered,
                       first.clusters)  # fmt: skip
        found += compare_models(first, second, drop=False, replicates=0)["accuracy"].p <= 0.05
    assert found <= 11


def of_groups(seed: int, worse: float) -> tuple[Sheet, list[str]]:
    """Twenty people; the answers of every other one are replaced by guesses, at this rate."""
    sheet = a_sheet(seed, rows=1000, people=20, better=0.8)
    group = ["ab"[cluster % 2] for cluster in sheet.clusters]
    rng = np.random.default_rng(seed)
    guess = (np.array(group) == "b") & (rng.random(1000) < worse)
    sheet.predicted[guess] = np.eye(4)[rng.integers(4, size=int(guess.sum()))] > 0
    return sheet, group


def test_a_gap_between_groups_is_found_and_none_is_not() -> None:
    sheet, group = of_groups(0, 0.5)
    found = {
        gap["metric"]: gap for gap in measure_gaps(sheet, {"group": group}, drop=False, replicates=200, seed=0)
    }
    assert found["uar"]["verdict"] == "gap"
    assert (found["uar"]["best"], found["uar"]["worst"]) == ("a", "b")
    assert found["uar"]["gap"].low > 0
    by_hand = [
        judge.balanced_accuracy_score(
            sheet.truth.argmax(axis=1)[np.array(group) == g], sheet.predicted.argmax(axis=1)[np.array(group) == g]
        )
        for g in "ab"
    ]
    assert found["uar"]["gap"].value == pytest.approx(by_hand[0] - by_hand[1])
    verdicts = [
        gap["verdict"]
        for seed in range(40)
        for gap in measure_gaps(*_column(of_groups(seed, 0.0)), drop=False, replicates=0, seed=0)
    ]
    assert verdicts.count("gap") <= 10  # of 80, four by chance


def _column(made: tuple[Sheet, list[str]]) -> tuple[Sheet, dict[str, list[str]]]:
    return made[0], {"group": made[1]}


def test_groups_of_few_people_or_rows_are_left_out_by_name() -> None:
    sheet, _ = of_groups(1, 0.0)
    few = ["few" if cluster < 4 else "tiny" if row < 5 else "rest" for row, cluster in enumerate(sheet.clusters)]
    for gap in measure_gaps(sheet, {"site": few}, drop=False, replicates=10, seed=0):
        assert gap["verdict"] == "insufficient evidence"
        assert gap["left_out"] == ["few", "tiny"]
        assert gap["p"] is None


def test_people_in_both_groups_swap_them() -> None:
    sheet, _ = of_groups(2, 0.0)
    rng = np.random.default_rng(0)
    half = rng.random(1000) < 0.5
    sheet.predicted[half] = np.eye(4)[rng.integers(4, size=int(half.sum()))] > 0
    told = ["late" if late else "early" for late in half]
    found = measure_gaps(sheet, {"shift": told}, drop=False, replicates=100, seed=0)[0]
    assert (found["best"], found["worst"], found["verdict"]) == ("early", "late", "gap")


def test_more_than_two_groups_are_corrected_and_of_many_each_is_tested_against_the_rest() -> None:
    sheet = a_sheet(13, rows=1200, people=60, better=0.8)
    three = [f"g{cluster % 3}" for cluster in sheet.clusters]
    found = measure_gaps(sheet, {"site": three}, drop=False, replicates=10, seed=0)[0]
    assert len(found["tests"]) == 3
    assert found["p"] == max(
        test["p"] for test in found["tests"] if set(test["groups"]) == {found["best"], found["worst"]}
    )
    ten = [f"g{cluster % 10}" for cluster in sheet.clusters]
    many = measure_gaps(sheet, {"site": ten}, drop=False, replicates=10, seed=0)[0]
    assert len(many["tests"]) == 10


def test_a_single_class_has_no_figures_but_coverage() -> None:
    rows = 40
    sheet = Sheet("emotion", ("joy",), np.ones((rows, 1)), np.ones((rows, 1)), np.empty((rows, 0)),
                  np.ones((rows, 1), dtype=bool), np.ones(rows, dtype=bool), np.arange(rows))  # fmt: skip
    found = values(sheet)
    assert found.pop("coverage") == 1
    assert {"uar", "aurc", "brier"} <= set(found)
    assert all(math.isnan(value) for value in found.values())
    told = measure_gaps(sheet, {"g": ["a", "b"] * 20}, drop=False, replicates=10, seed=0)
    assert {gap["verdict"] for gap in told} == {"insufficient evidence"}
