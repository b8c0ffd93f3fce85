"""What a run costs: rows a second, how long one row takes by itself, memory, and the size of the graphs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from assistant.evaluate.run.engine import Pace
from assistant.evaluate.run.outcomes import RowOutcome, RowOutcomes
from assistant.evaluate.run.worker import PieceReader
from assistant.evaluate.tables.manifest import Row
from assistant.inference.model import Model

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

ALONE = 100
"""Rows that are read once more, one at a time, to see how long one takes."""
_LONGEST_S = 5.0
"""Seconds after which no further row is."""


def measure_cost(
    reading: PieceReader,
    models: Sequence[Model],
    outcomes: Sequence[RowOutcome],
    pace: Pace,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Any]:
    """What the run took.

    `rows_per_s` counts the rows of this run and the time spent on reading them, with all workers. `latency_ms` is
    one row by itself on one thread of this machine, decoding included, over up to `ALONE` rows spread over the
    data. `real_time_factor` is seconds of reading for a second of audio. `peak_rss_mb` is the most memory that this
    process held so far; workers of other processes aren't in it.
    """
    audio_s = outcomes.audio_s if isinstance(outcomes, RowOutcomes) else 0.0
    share = pace.rows / len(outcomes) if len(outcomes) else 0.0
    return {
        "rows_per_s": pace.rows / pace.seconds if pace.rows and pace.seconds > 0 else None,
        "latency_ms": _measure_latency(reading, outcomes, clock),
        "audio_s": audio_s,
        "real_time_factor": pace.seconds / (audio_s * share) if audio_s and share else None,
        "peak_rss_mb": measure_peak_rss_mb(),
        "model_mb": sum(model.card.graph.stat().st_size for model in models) / 1e6,
    }


def _measure_latency(
    reading: PieceReader, outcomes: Sequence[RowOutcome], clock: Callable[[], float]
) -> dict[str, Any]:
    taken: list[float] = []
    began = clock()
    for row in _spread(outcomes):
        before = clock()
        reading.piece([row])
        taken.append(clock() - before)
        if clock() - began > _LONGEST_S:
            break
    if not taken:
        return {"p50": None, "p90": None, "p99": None, "rows": 0}
    p50, p90, p99 = (float(1000 * q) for q in np.percentile(taken, [50, 90, 99]))
    return {"p50": p50, "p90": p90, "p99": p99, "rows": len(taken)}


def _spread(outcomes: Sequence[RowOutcome]) -> Iterator[Row]:
    """Up to `ALONE` rows, evenly over the data."""
    count = min(ALONE, len(outcomes))
    return (outcomes[number * len(outcomes) // count].row for number in range(count))


def measure_peak_rss_mb() -> float | None:
    """The most memory that this process held so far, in MB; None where the system doesn't say."""
    if resource is None:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1e6 if sys.platform == "darwin" else 1e6 / 1024)
