"""The figures against values worked out by hand and published ones."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from assistant.arrays import Bools, Floats
from assistant.bootstrap import compute_figures
from assistant.evaluate.figures import metrics
from assistant.evaluate.figures.metrics import count_hits, sum_by_cluster


def one_hot(classes: list[int], of: int) -> Bools:
    """A mask per row; -1 is an abstention."""
    return np.array([[at == c for at in range(of)] for c in classes])


def counts(truth: list[int], said: list[int], of: int = 3) -> Floats:
    return np.asarray(count_hits(one_hot(truth, of), one_hot(said, of)).sum(axis=0))


def test_class_figures_equal_the_scikit_learn_manuals_example() -> None:
    # y_true = [0, 1, 2, 0, 1, 2], y_pred = [0, 2, 1, 0, 0, 1]: macro F1 .27, micro .33, recall .33
    found = counts([0, 1, 2, 0, 1, 2], [0, 2, 1, 0, 0, 1])
    assert metrics.macro_f1(found) == pytest.approx(0.2667, abs=1e-4)
    assert metrics.micro_f1(found) == pytest.approx(1 / 3)
    assert metrics.uar(found) == pytest.approx(1 / 3)
    assert metrics.accuracy(found) == pytest.approx(1 / 3)
    assert metrics.precision(found).tolist() == pytest.approx([2 / 3, 0, 0])


def test_an_abstention_costs_recall_and_no_other_class_its_precision() -> None:
    found = counts([0, 0, 1, 1], [0, -1, 1, 1], of=2)
    assert metrics.recall(found).tolist() == [0.5, 1.0]
    assert metrics.precision(found).tolist() == [1.0, 1.0]
    assert metrics.accuracy(found) == 0.75


def test_a_class_without_support_is_no_part_of_the_class_means_but_counts_among_all_labels() -> None:
    found = counts([0, 0, 1], [0, 2, 1])
    assert metrics.uar(found) == 0.75
    assert metrics.macro_f1(found) == pytest.approx((2 / 3 + 1) / 2)
    assert metrics.macro_f1_all(found) == pytest.approx((2 / 3 + 1) / 3)


def test_figures_of_nothing_are_undefined() -> None:
    nothing = np.zeros((3, 2))
    for figure in (metrics.uar, metrics.accuracy, metrics.macro_f1, metrics.micro_f1):
        assert math.isnan(float(figure(nothing)))
    assert math.isnan(float(metrics.pearson(np.zeros(6))))
    assert math.isnan(float(metrics.ece(np.zeros((3, 15)))))
    assert np.isnan(metrics.auc(np.empty(0), np.empty(0, dtype=bool), np.ones((2, 0)))).all()


def test_pearson_equals_anscombes_first_set() -> None:
    x = np.array([10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5], dtype=float)
    y = np.array([8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68])
    assert metrics.pearson(metrics.moments(x, y).sum(axis=0)) == pytest.approx(0.81642, abs=1e-5)
    assert metrics.pearson(metrics.moments(x, y).sum(axis=0)) == pytest.approx(float(np.corrcoef(x, y)[0, 1]))


def test_concordance_follows_lins_definition() -> None:
    x, y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.5, 1.5, 3.5, 5.5])
    # means 2.5 and 3, variances 1.25 and 2.75, covariance 1.75
    assert metrics.ccc(metrics.moments(x, y).sum(axis=0)) == pytest.approx(2 * 1.75 / (1.25 + 2.75 + 0.25))
    assert metrics.ccc(metrics.moments(x, x).sum(axis=0)) == pytest.approx(1)
    assert metrics.ccc(metrics.moments(x, -x).sum(axis=0)) == pytest.approx(2 * -1.25 / (2.5 + 25))
    assert metrics.ccc(metrics.moments(np.full(4, 2.0), x).sum(axis=0)) == 0  # one side never varies


def test_correlations_leave_out_rows_without_a_label_and_survive_large_offsets() -> None:
    x, y = np.array([1.0, np.nan, 2.0, 3.0, 9.0]), np.array([2.0, 5.0, 4.0, 6.0, np.nan])
    assert metrics.pearson(metrics.moments(x, y).sum(axis=0)) == pytest.approx(1)
    far = metrics.moments(x + 1e6, y + 1e6).sum(axis=0)
    assert metrics.pearson(far) == pytest.approx(1)
    constant = metrics.moments(np.full(3, 0.1) * 3, np.array([1.0, 2.0, 3.0])).sum(axis=0)
    assert math.isnan(float(metrics.pearson(constant)))


def test_auc_counts_pairs_and_halves_ties() -> None:
    score, positive = np.array([0.2, 0.5, 0.5, 0.9]), np.array([False, False, True, True])
    assert metrics.auc(score, positive, np.ones((1, 4)))[0] == pytest.approx((0.5 + 1 + 1 + 1) / 4)
    # weights count rows more than once: the tied positive three times
    assert metrics.auc(score, positive, np.array([[1.0, 1, 3, 1]]))[0] == pytest.approx((3 * 1.5 + 2) / 8)
    assert math.isnan(float(metrics.auc(score, np.ones(4, dtype=bool), np.ones((1, 4)))[0]))


def test_calibration_error_is_the_distance_in_each_bin() -> None:
    # bin (.6, .667]: .65 said, half right; bin (.933, 1]: 1 said, all right
    confidence, hit = np.array([0.65, 0.65, 1.0, 1.0]), np.array([1.0, 0.0, 1.0, 1.0])
    binned = metrics.bin_calibration(confidence, hit, np.arange(4), 4)
    assert metrics.ece(binned.sum(axis=0)) == pytest.approx(0.15 / 2)
    assert binned.sum() == pytest.approx(4 + 3.3 + 3)
    everything = metrics.bin_calibration(np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.zeros(2, dtype=np.int64), 1)
    assert metrics.ece(everything[0]) == 0


def test_intervals_are_the_percentiles_over_clusters() -> None:
    right = np.array([[1.0, 1.0]] * 50 + [[1.0, 0.0]] * 50)
    alone = compute_figures({"share": sum_by_cluster(right, np.arange(100), metrics.share)}, 100, replicates=2000)[
        "share"
    ]
    assert alone.value == 0.5
    # 95 % of a binomial with p = .5, n = 100
    assert (alone.low, alone.high) == pytest.approx((0.4, 0.6), abs=0.011)
    two = compute_figures(
        {"share": sum_by_cluster(right, np.repeat([0, 1], 50), metrics.share)}, 2, replicates=200
    )["share"]
    assert (two.low, two.high) == (0, 1)  # all or nothing: there are only two people
    again = compute_figures({"share": sum_by_cluster(right, np.arange(100), metrics.share)}, 100, replicates=2000)[
        "share"
    ]
    assert again == alone


def test_there_is_no_interval_over_one_cluster_or_without_replicates() -> None:
    right = np.array([[1.0, 1.0], [1.0, 0.0]])
    for found in (
        compute_figures({"share": sum_by_cluster(right, np.zeros(2, dtype=np.int64), metrics.share)}, 1),
        compute_figures({"share": sum_by_cluster(right, np.arange(2), metrics.share)}, 2, replicates=0),
    ):
        assert found["share"].value == 0.5
        assert math.isnan(found["share"].low)


def test_a_thousand_replicates_of_five_thousand_label_sets_take_seconds() -> None:
    rng = np.random.default_rng(0)
    truth, said = rng.random((5000, 28)) < 0.05, rng.random((5000, 28)) < 0.05
    each = np.arange(5000)
    rows = count_hits(truth, said)
    score, positive = rng.random(5000), rng.random(5000) < 0.3
    started = time.perf_counter()
    found = compute_figures(
        {
            "macro_f1": sum_by_cluster(rows, each, metrics.macro_f1_all),
            "auc": lambda weights: metrics.auc(score, positive, weights),
        },
        5000,
    )
    assert time.perf_counter() - started < 30  # about one second on an idle machine
    assert found["macro_f1"].low < found["macro_f1"].value < found["macro_f1"].high
    assert found["auc"].low < 0.5 < found["auc"].high
