"""`assistant evaluate recommend --task logs`: what another policy would have earned, from a log of your own."""

from __future__ import annotations

import csv
import hashlib
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assistant.arrays import Floats
from assistant.evaluate.figures.metrics import cluster_numbers
from assistant.evaluate.ranking.logbook import Log, read
from assistant.evaluate.report import files as report
from assistant.evaluate.report.provenance import provenance
from assistant.recommend.measures import estimate
from assistant.recommend.measures.estimate import PolicyValue

EPILOG = """
--task logs: the file holds one row for each logged choice, with the columns `action`, `reward`, `propensity` (the
probability with which the log's own policy took this action then) and `target` (the probability with which the
other policy would have). It may have `expected` (a model's reward for this action, fitted on other rows) and
`expected_target` (the mean of the model's rewards under the other policy): both, for the doubly robust estimate;
and `person` or `group`, over which intervals are then taken.

example:
  action,reward,propensity,target,person
  tea,1,0.25,0.6,anna
  walk,0,0.5,0.1,bert

  assistant evaluate recommend --task logs --data log.csv --clip 100 --out results
"""
_FEW_EFFECTIVE = 100.0
_LARGE_SHARE = 0.05
_FEW_CLUSTERS = 30
_FAR = 1.5
"""Half-widths of a 95 % interval, about three standard errors: one good log in 300 is that far off."""


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for."""

    data: Path
    out: Path = Path("evaluation")
    bootstrap: int = 1000
    seed: int = 0
    clip: float = math.inf
    """Weights above this are lowered to it: less variance for some bias."""


def evaluate(options: Options) -> int:
    """Estimate, write `report.json` and `predictions.csv`, and print the figures.

    0 when measured, 1 when no row could be used. Raises `NotFound` (`file_missing`) and `Invalid`
    (`manifest_column_missing`, `manifest_unreadable`).
    """
    started = time.monotonic()
    log = read(options.data)
    report.tell(log.bad)
    if not log.lines:
        print(f"assistant evaluate: none of the rows of {options.data} could be used", file=sys.stderr)
        return 1
    report.prepare(options.out, rows=len(log.lines), columns=4)
    plain = estimate.weights(log.numbers["target"], log.numbers["propensity"])
    weight = np.minimum(plain, options.clip)
    found = estimates(log, weight, replicates=options.bootstrap, seed=options.seed)
    spread = {
        "effective_sample_size": round(found["ips"].effective, 3),
        "largest": round(found["ips"].largest, 6),
        "largest_share": round(found["ips"].largest / float(weight.sum()), 6) if weight.sum() else None,
        "clipped": int((plain > options.clip).sum()),
    }
    written: dict[str, Any] = {
        "provenance": provenance(options.data, seed=options.seed),
        "task": "logs",
        "n": len(log.lines),
        "clusters": len(np.unique(cluster_numbers(log.of))),
        "abstained": {},
        "metrics": {name: {key: _shown(getattr(value, key)) for key in _ENDS} for name, value in found.items()},
        "weights": spread,
        "per_class": {},
        "groups": {},
        "model": {"name": "estimates from logs", "sha256": _own_hash()},
        "options": {
            "data": str(options.data),
            "bootstrap": options.bootstrap,
            "seed": options.seed,
            "clip": _shown(options.clip),
        },
        "bad_rows": report.bad_rows(log.bad),
        "notes": warnings(log, found, plain, options.clip),
        "seconds": round(time.monotonic() - started, 3),
    }
    report.save(options.out, written)
    _write_weights(options.out / "predictions.csv", log, weight)
    _print(written, options.out)
    return 0


def estimates(log: Log, weight: Floats, *, replicates: int, seed: int) -> dict[str, PolicyValue]:
    """Each estimate of the target's mean reward, beside what the log itself earned."""
    reward = log.numbers["reward"]
    how: dict[str, Any] = {"clusters": cluster_numbers(log.of), "seed": seed, "replicates": replicates}
    found = {
        "logged": estimate.ips(reward, np.ones_like(reward), **how),
        "ips": estimate.ips(reward, weight, **how),
        "snips": estimate.snips(reward, weight, **how),
    }
    if "expected" in log.numbers:
        model = log.numbers["expected"], log.numbers["expected_target"]
        found["dr"] = estimate.doubly_robust(reward, weight, *model, **how)
    found["gain"] = estimate.gain(reward, weight, **how)
    found["mean_weight"] = estimate.mean_weight(weight, **how)
    return found


def warnings(log: Log, found: Mapping[str, PolicyValue], plain: Floats, clip: float) -> list[str]:
    """How the figures were made, and what speaks against believing them."""
    clusters = len(np.unique(cluster_numbers(log.of)))
    over = f"{clusters} values of `{log.over}`" if log.over else f"{clusters} rows, as if each were independent"
    said = [
        f"intervals are 95 % percentile bootstrap over {over}",
        "gain is what the target earns beyond the log, by IPS row by row; mean_weight is 1 where all is well",
    ]
    if "dr" not in found:
        said.append("no doubly robust estimate: it needs the columns `expected` and `expected_target`")
    mean, effective = found["mean_weight"], found["ips"].effective
    clipped = int((plain > clip).sum())
    if clipped:
        said.append(f"{clipped} weights were lowered to {clip:g}: the estimates are biased, most likely downwards")
    elif abs(mean.value - 1) > _FAR * (mean.high - mean.low) / 2:
        said.append(
            f"warning: the mean weight is {mean.value:.3f} [{mean.low:.3f}, {mean.high:.3f}] and not 1: "
            "propensities or targets are wrong, or the log never took some of what the target would"
        )
    if effective < max(_FEW_EFFECTIVE, len(plain) / 100):
        said.append(f"warning: the log is worth {effective:.1f} choices of the target's own: trust no figure here")
    if plain.sum() and found["ips"].largest > _LARGE_SHARE * float(np.minimum(plain, clip).sum()):
        said.append("warning: one row has more than 5 % of all weight; see what --clip changes")
    if clusters < _FEW_CLUSTERS:
        said.append(f"warning: intervals over fewer than {_FEW_CLUSTERS} are too narrow")
    wrong = sum("propensity" in row.reason for row in log.bad)
    if wrong:
        said.append(
            f"warning: {wrong} rows without a propensity in (0, 1] were left out, which biases every estimate"
        )
    return said


_ENDS = ("value", "low", "high")


def _shown(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None


def _own_hash() -> str:
    """Of the code that estimates."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    digest.update(Path(estimate.__file__).read_bytes())
    return digest.hexdigest()


def _write_weights(file: Path, log: Log, weight: Floats) -> None:
    with file.open("w", encoding="utf-8", newline="") as opened:
        out = csv.writer(opened, lineterminator="\n")
        out.writerow(["line", "action", *([log.over] if log.over else []), "reward", "weight"])
        rewards: Sequence[float] = log.numbers["reward"].tolist()
        for at, line in enumerate(log.lines):
            who = [log.of[at]] if log.over else []
            out.writerow([line, log.actions[at], *who, f"{rewards[at]:.6g}", f"{weight[at]:.6f}"])


def _print(written: Mapping[str, Any], out: Path) -> None:
    print(f"logs: {written['n']} rows, {written['clusters']} clusters, {written['bad_rows']['count']} bad")
    for name, figure in written["metrics"].items():
        value, low, high = (figure[key] for key in _ENDS)
        shown = "undefined" if value is None else f"{value:9.5f}"
        print(f"  {name:<12} {shown}" + ("" if low is None else f"  [{low:9.5f}, {high:9.5f}]"))
    spread = written["weights"]
    print(f"  effective sample size {spread['effective_sample_size']:.1f}, largest weight {spread['largest']:.3g}")
    for note in written["notes"]:
        print(f"  {note}")
    print(f"  in {out}: {report.FILES}")
