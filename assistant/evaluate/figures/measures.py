"""The figures of each task: which there are, what they are sums of, and the curves behind two of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from assistant.arrays import Floats, Ints
from assistant.bootstrap import Figure, Statistic
from assistant.evaluate.figures import metrics, ranking, tally
from assistant.evaluate.figures.ranking import Ranked
from assistant.evaluate.figures.tally import Layout, Tally, split_sums
from assistant.evaluate.figures.tasks import Sheet

ECE_LEAST = 0.1
"""Label predictions below this are left out of the calibration error: nearly all are, and all are near 0."""
SELECTIVE = 0.8
"""Part of the rows that `selective_uar` accepts."""
POINTS = 100
"""Steps of coverage that a risk-coverage curve is told at."""
_NINETY = 1.645  # standard deviations on either side of a mean that hold 90 % of a normal distribution
_ORDER = (
    "uar", "macro_recall", "f1", "auc", "accuracy", "macro_f1", "micro_f1", "weighted_f1", "macro_auc", "ece",
    "brier", "nll", "aurc", "selective_uar", "coverage",
)  # fmt: skip
_OF_CLASSES: Mapping[str, metrics.Formula] = {
    "accuracy": metrics.accuracy, "macro_f1": metrics.macro_f1,
    "micro_f1": metrics.micro_f1, "weighted_f1": metrics.weighted_f1,
}  # fmt: skip


def compute_figures(sheet: Sheet, *, drop: bool, replicates: int, seed: int) -> dict[str, Figure]:
    """The figures of the sheet's task with their intervals over clusters.

    `drop` leaves abstentions out; else they are wrong, or the empty set. `ece`, `brier` and `nll` are of the rows
    that were answered, whatever `drop` says.
    """
    tallies, free = make_tallies(sheet, drop=drop), make_auc_statistics(sheet, drop=drop)
    found = tally.compute_figures(tallies, sheet.clusters, free=free, replicates=replicates, seed=seed)
    return {name: found[name] for name in sorted(found, key=_place)}


def _place(name: str) -> int:
    return _ORDER.index(name) if name in _ORDER else -1


def make_statistics(sheet: Sheet, *, drop: bool) -> dict[str, Statistic]:
    """The same as functions of the clusters' weights, for differences of your own. Holds all clusters' sums."""
    layout = Layout.from_clusters(sheet.clusters)
    several = make_tallies(sheet, drop=drop)
    parts = split_sums(layout.totals(several, 0, layout.count), several)
    found = {name: _of_weights(own, formula) for one, own in parts for name, formula in one.formulas.items()}
    found |= make_auc_statistics(sheet, drop=drop)
    return {name: found[name] for name in sorted(found, key=_place)}


def _of_weights(sums: Floats, formula: metrics.Formula) -> Statistic:
    flat = sums.reshape(len(sums), -1)
    return lambda weights: formula((weights @ flat).reshape(len(weights), *sums.shape[1:]))


def make_tallies(sheet: Sheet, *, drop: bool) -> list[Tally]:
    """What the figures are sums of, but for those that `make_auc_statistics` gives."""
    if sheet.task == "affect":
        found = [tally_affects(sheet), ranking.tally_aurc(sheet.confidence(), sheet.loss(drop=True))]
    else:
        found = _tally_names(sheet, drop=drop)
    asked = np.stack([np.ones(len(sheet)), sheet.answered], axis=1)
    return [*found, Tally.from_rows(asked, {"coverage": metrics.share})]


def make_auc_statistics(sheet: Sheet, *, drop: bool) -> dict[str, Statistic]:
    """Areas under the ROC curve where clusters are few: those are functions of pairs of clusters."""
    name = name_auc(sheet)
    count = int(sheet.clusters.max(initial=-1)) + 1
    if name is None or not ranking.is_pairwise(len(sheet), count):
        return {}
    return {name: ranking.make_pairwise_auc(make_ranked(sheet, drop=drop), sheet.clusters, count)}


def name_auc(sheet: Sheet) -> str | None:
    """What the area under the ROC curve is called here, if there is one."""
    if sheet.task == "affect" or len(sheet.names) < 2:
        return None
    return "auc" if sheet.task == "stress" else "macro_auc"


def make_ranked(sheet: Sheet, *, drop: bool) -> Ranked:
    """What areas under the ROC curve are of: every class against the rest, or stress."""
    columns = slice(1, 2) if sheet.task == "stress" else slice(None)
    keep = sheet.answered if drop else np.ones_like(sheet.answered)
    return Ranked(sheet.given[:, columns], sheet.truth[:, columns], keep)


def _tally_names(sheet: Sheet, *, drop: bool) -> list[Tally]:
    formulas: dict[str, metrics.Formula]
    if sheet.task == "labels":
        formulas = {"macro_f1": metrics.macro_f1_all} | {k: _OF_CLASSES[k] for k in ("micro_f1", "weighted_f1")}
    elif sheet.task == "stress":
        formulas = {"f1": lambda sums: metrics.f1(sums)[..., 1], "accuracy": metrics.accuracy, "uar": metrics.uar}
    else:
        formulas = {"macro_recall" if sheet.task == "sentiment" else "uar": metrics.uar, **_OF_CLASSES}
    shape = (3, len(sheet.names))
    found = [
        Tally(shape, lambda some: sheet.counts(some, drop=drop), formulas),
        Tally((3, metrics.BINS), lambda some: bin_confidence(sheet, some), {"ece": metrics.ece}),
        _tally_probabilities(sheet),
    ]
    if sheet.task != "labels":
        found += _tally_selected(sheet, drop=drop)
    name = name_auc(sheet)
    if name is not None and not ranking.is_pairwise(len(sheet), int(sheet.clusters.max(initial=-1)) + 1):
        found.append(ranking.tally_auc(make_ranked(sheet, drop=drop), name=name))
    if len(sheet.names) < 2 and sheet.task != "labels":  # the only class can't be missed: nothing was measured
        every = dict.fromkeys([name for one in found for name in one.formulas], _undefined)
        return [Tally((1,), lambda some: np.zeros((len(some), 1)), every)]
    return found


def tally_affects(sheet: Sheet) -> Tally:
    """Correlation, concordance, errors and how many labels lie inside the 90 % interval, of each dimension."""
    middle = [float(np.nanmean(column)) if np.isfinite(column).any() else 0.0 for column in sheet.truth.T]

    def rows(some: Ints) -> Floats:
        truth, given = sheet.truth[some], sheet.given[some]
        known = np.isfinite(truth) & np.isfinite(given)
        error = np.where(known, np.abs(truth - given), 0.0)
        inside = known & (error <= _NINETY * sheet.deviation[some])
        found = [metrics.moments(given[:, at], truth[:, at], middle[at]) for at in range(len(sheet.names))]
        return np.concatenate([np.stack(found, axis=1), np.stack([error, error**2, inside], axis=2)], axis=2)

    def part(at: int, of: Sequence[int], formula: metrics.Formula) -> metrics.Formula:
        return lambda sums: formula(sums[..., at, list(of)])

    correlations = [("pearson", range(6), metrics.pearson), ("ccc", range(6), metrics.ccc)]
    errors = [("mae", (0, 6), metrics.mean), ("rmse", (0, 7), metrics.root_mean)]
    formulas: dict[str, metrics.Formula] = {}
    for kinds in (correlations, errors, [("coverage_90", (0, 8), metrics.share)]):
        for at, name in enumerate(sheet.names):
            formulas |= {f"{kind}_{name}": part(at, of, formula) for kind, of, formula in kinds}
    formulas["coverage_90"] = lambda sums: metrics.share(sums[..., [0, 8]].sum(axis=-2))
    return Tally((len(sheet.names), 9), rows, formulas)


def tally_main_figures(sheet: Sheet, names: Sequence[int], *, drop: bool) -> Tally:
    """The figures that groups and models are compared by, over some of the names; more is better in all of them."""
    some = list(names)
    if sheet.task == "affect":
        whole = tally_affects(sheet)
        return replace(whole, formulas={k: f for k, f in whole.formulas.items() if k.startswith("ccc_")})

    def of(formula: metrics.Formula) -> metrics.Formula:
        return lambda sums: formula(sums[..., some])

    formulas: dict[str, metrics.Formula] = {
        "labels": {"macro_f1": of(metrics.macro_f1_all), "micro_f1": metrics.micro_f1},
        "stress": {"f1": lambda sums: metrics.f1(sums)[..., 1], "accuracy": metrics.accuracy},
        "sentiment": {"macro_recall": of(metrics.uar), "accuracy": metrics.accuracy},
        "emotion": {"uar": of(metrics.uar), "accuracy": metrics.accuracy},
        "affect": {},
    }[sheet.task]
    if len(some) < 2 and sheet.task != "labels":
        formulas = dict.fromkeys(formulas, lambda sums: np.full(sums.shape[:-2], np.nan))
    return Tally((3, len(sheet.names)), lambda rows: sheet.counts(rows, drop=drop), formulas)


def tally_comparable_figures(sheet: Sheet, *, drop: bool) -> list[Tally]:
    """The figures that two models are compared by: `tally_main_figures`, and the quality of their probabilities."""
    first = tally_main_figures(sheet, range(len(sheet.names)), drop=drop)
    if sheet.task in ("emotion", "sentiment") and len(sheet.names) > 1:
        first = replace(first, formulas={**first.formulas, "macro_f1": metrics.macro_f1})
    return [first] if sheet.task == "affect" else [first, _tally_probabilities(sheet)]


def _tally_probabilities(sheet: Sheet) -> Tally:
    mean = metrics.mean
    each = {"brier": lambda sums: mean(sums[..., 0, :]), "nll": lambda sums: mean(sums[..., 1, :])}
    return Tally((2, 2), lambda some: _compute_errors(sheet, some), each)


def _tally_selected(sheet: Sheet, *, drop: bool) -> list[Tally]:
    """Of confidence: `aurc`, and `selective_uar` of the rows above the threshold that accepts `SELECTIVE` of them.

    The threshold stays as it is in the resamples.
    """
    confidence, loss = sheet.confidence(), sheet.loss(drop=drop)
    judged = np.sort(confidence[np.isfinite(loss)])
    least = judged[int((1 - SELECTIVE) * len(judged) + 1e-9)] if len(judged) else np.inf
    accepted = (confidence >= least) & np.isfinite(loss)

    def rows(some: Ints) -> Floats:
        return sheet.counts(some, drop=drop) * accepted[some, None, None]

    selective = Tally((3, len(sheet.names)), rows, {"selective_uar": metrics.uar})
    return [ranking.tally_aurc(confidence, loss), selective]


def _undefined(sums: Floats) -> Floats:
    return np.full(sums.shape[:-1], np.nan)


def bin_confidence(sheet: Sheet, some: Ints | slice) -> Floats:
    """Calibration by bin, [rows, 3, BINS]: of every label at `ECE_LEAST` or more, P(stress), or the top class."""
    answered = sheet.answered[some]
    given = np.where(answered[:, None], sheet.given[some], 0.0)
    if sheet.task == "labels":
        row, column = np.nonzero((given >= ECE_LEAST) & answered[:, None])
    else:
        row = np.flatnonzero(answered)
        column = np.ones_like(row) if sheet.task == "stress" else given[row].argmax(axis=1)
    hit = (sheet.truth[some][row, column] > 0).astype(np.float64)
    return metrics.bin_calibration(given[row, column].astype(np.float64), hit, row, len(answered))


def _compute_errors(sheet: Sheet, some: Ints) -> Floats:
    """Rows answered beside their Brier score and log loss, [rows, 2, 2]; of label sets the means over labels."""
    answered = sheet.answered[some]
    truth = (sheet.truth[some] > 0).astype(np.float64)
    given = np.where(answered[:, None], sheet.given[some], truth).astype(np.float64)
    squared, surprise = metrics.brier(given, truth), metrics.nll(given, truth)
    if sheet.task == "labels":
        labels = max(1, len(sheet.names))
        squared, surprise = squared / labels, (surprise + metrics.nll(1 - given, 1 - truth)) / labels
    once = answered.astype(np.float64)
    return np.stack([np.stack([once, once * squared], axis=1), np.stack([once, once * surprise], axis=1)], axis=1)


def compute_reliability(sheet: Sheet) -> dict[str, Any]:
    """Of equal bins of confidence: how many predictions, their mean confidence, and how many of them were right.

    `edges` has one more than there are bins; a bin holds its upper edge. None where a bin is empty.
    """
    sums = np.zeros((3, metrics.BINS))
    for some in sheet.blocks():
        sums += bin_confidence(sheet, some).sum(axis=0)
    count = np.where(sums[0] > 0, sums[0], np.nan)
    return {
        "edges": [round(edge / metrics.BINS, 6) for edge in range(metrics.BINS + 1)],
        "n": [int(n) for n in sums[0]],
        "confidence": [float(x) for x in sums[1] / count],
        "hits": [float(x) for x in sums[2] / count],
    }


def compute_risk_coverage(confidence: Floats, loss: Floats) -> dict[str, list[float]]:
    """Mean loss of the most confident rows, by how many of them are accepted (El-Yaniv and Wiener 2010).

    [rows] twice; rows whose loss is NaN are left out. At most 101 points, from the smallest share that is a row to
    all rows. Among rows of one confidence any order is as likely, and the curve tells the mean.

    >>> curve = compute_risk_coverage(np.array([0.9, 0.8, 0.7, 0.6]), np.array([0.0, 1.0, 0.0, 1.0]))
    >>> curve["coverage"], [round(r, 3) for r in curve["risk"]]
    ([0.25, 0.5, 0.75, 1.0], [0.0, 0.5, 0.333, 0.5])
    """
    known = np.isfinite(loss)
    confidence, loss = confidence[known], loss[known]
    rows = len(loss)
    if not rows:
        return {"coverage": [], "risk": []}
    _, level = np.unique(-confidence, return_inverse=True)
    sizes = np.bincount(level).astype(np.float64)
    ends = np.append(0.0, np.cumsum(sizes))
    lost = np.append(0.0, np.cumsum(np.bincount(level, weights=loss)))
    accepted = np.unique(np.ceil(np.arange(1, POINTS + 1) * rows / POINTS - 1e-9).astype(np.int64))
    risk = np.interp(accepted, ends, lost) / accepted  # within a level, losses come at an even rate
    return {"coverage": (accepted / rows).tolist(), "risk": risk.tolist()}


def compute_curves(sheet: Sheet, aurc: Any, *, drop: bool) -> dict[str, Any]:
    """What the report draws; `aurc` is told beside its curve. Label sets have no one answer to be sure of."""
    found: dict[str, Any] = {}
    if sheet.task != "affect" and (sheet.task == "labels" or len(sheet.names) > 1):
        found["reliability"] = compute_reliability(sheet)
    if aurc is not None:
        found["risk_coverage"] = compute_risk_coverage(sheet.confidence(), sheet.loss(drop=drop)) | {"aurc": aurc}
    return found
