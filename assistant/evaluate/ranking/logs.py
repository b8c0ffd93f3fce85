"""`assistant evaluate recommend --task logs`: what another policy would have earned, from your own log."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assistant.arrays import Floats
from assistant.errors import Invalid
from assistant.evaluate.figures.metrics import number_clusters
from assistant.evaluate.report import files
from assistant.evaluate.report.conversion import round_number, to_measured
from assistant.evaluate.report.provenance import describe_options, describe_run
from assistant.evaluate.report.report import ModelIdentity, Report
from assistant.evaluate.tables.labels import read_number
from assistant.evaluate.tables.manifest import BadRow
from assistant.evaluate.tables.tables import open_plain_table
from assistant.recommend.measures import estimate
from assistant.recommend.measures.estimate import PolicyValue

EPILOG = """
--task logs: the file has one row per logged choice, with the columns `action`, `reward`, `propensity` (the
probability with which the logging policy took this action) and `target` (the probability with which the other
policy would take it). Optional: `expected` (a model's reward for this action, fitted on other rows) and
`expected_target` (the mean of the model's rewards under the other policy), both needed for the doubly robust
estimate; and `person` or `group`, to resample for the intervals.

example:
  action,reward,propensity,target,person
  tea,1,0.25,0.6,anna
  walk,0,0.5,0.1,bert

  assistant evaluate recommend --task logs --data log.csv --clip 100 --out results
"""
_NEEDED = ("action", "reward", "propensity", "target")
_MODELLED = ("expected", "expected_target")
_FEW_EFFECTIVE = 100.0
_LARGE_SHARE = 0.05
_FEW_CLUSTERS = 30
_FAR = 1.5
"""Half-widths of a 95 % interval, about three standard errors: one good log in 300 is that far off."""


@dataclass(frozen=True, slots=True)
class LogsOptions:
    """Options of `evaluate recommend --task logs`."""

    data: Path
    out: Path = Path("evaluation")
    bootstrap: int = 1000
    seed: int = 0
    clip: float = math.inf
    """Weights above this are lowered to it: less variance for some bias."""


@dataclass(frozen=True, slots=True)
class Log:
    """The rows that can be used, in the order of the file."""

    lines: tuple[int, ...]
    actions: tuple[str, ...]
    numbers: Mapping[str, Floats]
    """Column to one number for each row."""
    of: tuple[str, ...]
    """Person, or group, of each row; empty where there is none."""
    over: str | None
    """The column that names the person or group."""
    bad: tuple[BadRow, ...]


def read_log(file: Path) -> Log:
    """Read a CSV, TSV, JSON lines, JSON or Parquet by its ending. Rows that can't be used are collected.

    Raises `NotFound` (`file_missing`) and `Invalid` (`manifest_column_missing`, `manifest_unreadable`).
    """
    table = open_plain_table(file)
    columns = table.columns
    modelled = [name for name in _MODELLED if name in columns]
    missing = [f"`{name}`" for name in (*_NEEDED, *(_MODELLED if modelled else ())) if name not in columns]
    if missing:
        words = f"{file} lacks the column {' and '.join(missing)}; it has {', '.join(columns) or 'none'}"
        raise Invalid(words, code="manifest_column_missing")
    over = next((name for name in ("person", "group") if name in columns), None)
    rows: list[tuple[int, str, dict[str, float], str]] = []
    bad: list[BadRow] = []
    for line, cell in table.rows():
        try:
            if isinstance(cell, str):
                raise ValueError(cell)
            row = {name: _read_probability(cell, name) for name in (*_NEEDED[1:], *modelled)}
        except ValueError as error:
            bad.append(BadRow(line, str(error)))
            continue
        rows.append((line, cell["action"].strip(), row, cell.get(over or "", "").strip()))
    return Log(
        lines=tuple(line for line, _, _, _ in rows),
        actions=tuple(action for _, action, _, _ in rows),
        numbers={name: np.array([row[name] for _, _, row, _ in rows]) for name in (*_NEEDED[1:], *modelled)},
        of=tuple(who for _, _, _, who in rows),
        over=over,
        bad=tuple(bad),
    )


def _read_probability(cell: Mapping[str, str], column: str) -> float:
    value = read_number(cell, column)
    if value is None:
        raise ValueError(f"no {column}")
    if column == "propensity" and not 0 < value <= 1:
        raise ValueError("the propensity must be greater than 0 and at most 1")
    if column == "target" and not 0 <= value <= 1:
        raise ValueError("the target is a probability, from 0 to 1")
    return value


def evaluate(options: LogsOptions) -> int:
    """Estimate, write `report.json` and `predictions.csv`, and print the figures.

    0 when measured, 1 when no row could be used. Raises `NotFound` (`file_missing`) and `Invalid`
    (`manifest_column_missing`, `manifest_unreadable`).
    """
    started = time.monotonic()
    log = read_log(options.data)
    files.print_bad_rows(log.bad)
    if not log.lines:
        return files.print_nothing_scored(options.data)
    files.prepare_folder(options.out, rows=len(log.lines), columns=4)
    plain = estimate.compute_weights(log.numbers["target"], log.numbers["propensity"])
    weight = np.minimum(plain, options.clip)
    found = estimate_values(log, weight, replicates=options.bootstrap, seed=options.seed)
    report = Report(
        provenance=describe_run(options.data, seed=options.seed),
        task="logs",
        n=len(log.lines),
        clusters=len(np.unique(number_clusters(log.of))),
        metrics=to_measured(found),
        weights={
            "effective_sample_size": round(found["ips"].effective, 3),
            "largest": round_number(found["ips"].largest),
            "largest_share": round_number(found["ips"].largest / float(weight.sum())) if weight.sum() else None,
            "clipped": int((plain > options.clip).sum()),
        },
        model=ModelIdentity(name="estimates from logs", sha256=_hash_code()),
        options=describe_options(options, without=("out",)),
        bad_rows=files.list_bad_rows(log.bad),
        notes=list_warnings(log, found, plain, options.clip),
        seconds=round(time.monotonic() - started, 3),
    )
    files.write_and_print(report, _lines(log, weight), options.out)
    return 0


def estimate_values(log: Log, weight: Floats, *, replicates: int, seed: int) -> dict[str, PolicyValue]:
    """Each estimate of the target's mean reward, beside what the log itself earned."""
    reward = log.numbers["reward"]
    how: dict[str, Any] = {"clusters": number_clusters(log.of), "seed": seed, "replicates": replicates}
    found = {
        "logged": estimate.estimate_ips(reward, np.ones_like(reward), **how),
        "ips": estimate.estimate_ips(reward, weight, **how),
        "snips": estimate.estimate_snips(reward, weight, **how),
    }
    if "expected" in log.numbers:
        model = log.numbers["expected"], log.numbers["expected_target"]
        found["dr"] = estimate.estimate_doubly_robust(reward, weight, *model, **how)
    found["gain"] = estimate.estimate_gain(reward, weight, **how)
    found["mean_weight"] = estimate.estimate_mean_weight(weight, **how)
    return found


def list_warnings(log: Log, found: Mapping[str, PolicyValue], plain: Floats, clip: float) -> list[str]:
    """How the figures were made, and what speaks against believing them."""
    clusters = len(np.unique(number_clusters(log.of)))
    over = f"{clusters} values of `{log.over}`" if log.over else f"{clusters} rows, as if each were independent"
    said = [
        f"intervals are 95 % percentile bootstrap over {over}",
        "gain is what the target earns beyond the log, by IPS row by row; mean_weight is 1 where all is well",
    ]
    if "dr" not in found:
        said.append("no doubly robust estimate: it needs the columns `expected` and `expected_target`")
    mean, effective = found["mean_weight"], found["ips"].effective
    if clipped := int((plain > clip).sum()):
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
    if wrong := sum("propensity" in row.reason for row in log.bad):
        words = f"{wrong} rows without a propensity in (0, 1] were left out, which biases every estimate"
        said.append(f"warning: {words}")
    return said


def _hash_code() -> str:
    """Of the code that estimates."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    digest.update(Path(estimate.__file__).read_bytes())
    return digest.hexdigest()


def _lines(log: Log, weight: Floats) -> Iterator[list[Any]]:
    """The lines of `predictions.csv`, the header first."""
    yield ["line", "action", *([log.over] if log.over else []), "reward", "weight"]
    rewards: Sequence[float] = log.numbers["reward"].tolist()
    for at, line in enumerate(log.lines):
        who = [log.of[at]] if log.over else []
        yield [line, log.actions[at], *who, f"{rewards[at]:.6g}", f"{weight[at]:.6f}"]
