"""The curves behind two figures: reliability behind the calibration error, risk over coverage behind its area."""

from __future__ import annotations

from typing import Any

import numpy as np

from assistant.arrays import Floats
from assistant.evaluate.figures import metrics
from assistant.evaluate.figures.measures import bin_confidence
from assistant.evaluate.figures.sheet import Sheet

POINTS = 100
"""Steps of coverage that a curve is told at."""


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
