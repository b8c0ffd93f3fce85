"""The run itself: every row through the served reader, by several workers, into a journal; and what it cost."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from array import array
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO

import numpy as np
from tqdm import tqdm

from assistant.evaluate.run.foreign_card import adapt_card
from assistant.evaluate.run.journal import Journal
from assistant.evaluate.run.outcomes import RowOutcome, RowOutcomes, list_bad_rows, list_lines, pack_outcomes
from assistant.evaluate.run.worker import PIECE, Disturb, Modality, PieceReader
from assistant.evaluate.tables.manifest import BadRow, Row, refuse_bad_rows
from assistant.inference.model import Model

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

WORKERS = 2
"""Threads that read, unless more are asked for: the runtime leaves Python's lock while it computes."""
ALONE = 100
"""Rows that are read once more, one at a time, to see how long one takes."""
_LONGEST_S = 5.0  # seconds after which no further row is

Clock = Callable[[], float]
Piece = tuple[int, Sequence[Row]]


class Engine(Protocol):
    """Reads pieces of the manifest, in this process or elsewhere."""

    def __call__(self, pieces: Iterator[Piece]) -> AsyncGenerator[tuple[int, bytes], None]:
        """Each piece by its number, as `outcomes.pack_outcomes` writes it, in any order."""


@dataclass(slots=True)
class Pace:
    """How far a run came, and how fast."""

    rows: int = 0
    """Read in this run; those of the journal it went on from are not among them."""
    seconds: float = 0.0


async def read_rows(
    model: Model,
    modality: Modality,
    rows: Sequence[Row],
    *,
    stem: Model | None = None,
    quiet: bool = False,
    disturb: Disturb | None = None,
    workers: int = WORKERS,
    journal: Journal | None = None,
    engine: Engine | None = None,
    pace: Pace | None = None,
    strict: Path | None = None,
) -> tuple[Sequence[RowOutcome], list[BadRow]]:
    """Read every row with the served reader; outcomes in the order of `rows`, and those that couldn't be read.

    A voice model needs the `stem` that it was trained on. Pieces that `journal` has already are not read again,
    unless they tell of other lines. The default `engine` is `make_thread_engine`. Raises `ModelInvalid` for a model
    that doesn't fit the reader or the stem, and `Invalid` (`row_invalid`) for the first bad row if `strict`.
    """
    size = PIECE[modality]
    journal = Journal.temporary() if journal is None else journal
    engine = engine or make_thread_engine(model, modality, stem=stem, disturb=disturb, workers=workers)
    began = time.monotonic()
    card = adapt_card(model.card)

    def get_piece(number: int) -> Sequence[Row]:
        return rows[number * size : (number + 1) * size]

    numbers = range(-(-len(rows) // size))
    missing = array("q", (number for number in numbers if not _is_told(journal, number, get_piece(number))))
    left = _count_rows(missing, len(rows), size)
    unit = "clip" if modality == "voice" else "text"
    with _make_bar(len(rows), len(rows) - left, unit, quiet=quiet) as bar:
        async with aclosing(engine((number, get_piece(number)) for number in missing)) as found:
            async for number, data in found:
                journal.add(number, data)
                if strict is not None:
                    refuse_bad_rows(strict, list_bad_rows(data, get_piece(number), card))
                bar.update(min(size, len(rows) - number * size))
    if pace is not None:
        pace.rows, pace.seconds = left, time.monotonic() - began
    outcomes = RowOutcomes(rows, journal, size, card)
    return outcomes, outcomes.bad


def _is_told(journal: Journal, number: int, rows: Sequence[Row]) -> bool:
    """Whether the journal tells of these very rows: a file that was missing may have come since, and moved them."""
    known = journal.get(number)
    return known is not None and list_lines(known) == [row.line for row in rows]


def _count_rows(numbers: Sequence[int], rows: int, size: int) -> int:
    """How many rows are in these pieces.

    >>> _count_rows([0, 2], 21, 8)
    13
    """
    return sum(min(size, rows - number * size) for number in numbers)


def make_thread_engine(
    model: Model,
    modality: Modality,
    *,
    stem: Model | None = None,
    disturb: Disturb | None = None,
    workers: int = WORKERS,
) -> Engine:
    """Read in so many threads of this process, which share the graphs."""
    stop = threading.Event()
    readings = [
        PieceReader(model, modality, stem=stem, disturb=disturb, stopped=stop.is_set) for _ in range(workers)
    ]

    async def engine(pieces: Iterator[Piece]) -> AsyncGenerator[tuple[int, bytes], None]:
        loop = asyncio.get_running_loop()
        turn = threading.Lock()

        def work(reading: PieceReader) -> tuple[int, bytes] | None:
            with turn:
                piece = next(pieces, None)
            return None if piece is None else (piece[0], pack_outcomes(reading.piece(piece[1])))

        with ThreadPoolExecutor(workers, thread_name_prefix="evaluate") as pool:
            busy = {loop.run_in_executor(pool, work, reading): reading for reading in readings}
            try:
                while busy:
                    done, _ = await asyncio.wait(busy, return_when=asyncio.FIRST_COMPLETED)
                    for future in done:
                        reading = busy.pop(future)
                        if (found := future.result()) is not None:
                            busy[loop.run_in_executor(pool, work, reading)] = reading
                            yield found
            finally:
                stop.set()
                await asyncio.gather(*busy, return_exceptions=True)

    return engine


class _Lines:
    """Turns a moving bar into lines, for log files."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> None:
        if line := text.strip("\r\n "):
            self._file.write(line + "\n")

    def flush(self) -> None:
        self._file.flush()


def _make_bar(total: int, done: int, unit: str, *, quiet: bool) -> tqdm[Any]:
    """Rows done, rate and time left: a moving bar on a terminal, a line every 15 s in a log file."""
    terminal = sys.stderr.isatty()
    file = sys.stderr if terminal else _Lines(sys.stderr)
    every: dict[str, Any] = dict.fromkeys(("mininterval", "maxinterval"), 0.2 if terminal else 15.0)
    return tqdm(total=total, initial=done, unit=unit, disable=quiet, file=file, **every)


def measure_cost(
    reading: PieceReader,
    models: Sequence[Model],
    outcomes: Sequence[RowOutcome],
    pace: Pace,
    *,
    clock: Clock = time.perf_counter,
) -> dict[str, Any]:
    """What the run took.

    `rows_per_s` is of this run, with all workers. `latency_ms` is one row by itself on one thread, decoding
    included, over up to `ALONE` rows. `real_time_factor` is seconds of reading for a second of audio.
    `peak_rss_mb` is the most memory that this process held so far; workers of other processes aren't in it.
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


def _measure_latency(reading: PieceReader, outcomes: Sequence[RowOutcome], clock: Clock) -> dict[str, Any]:
    taken: list[float] = []
    began = clock()
    count = min(ALONE, len(outcomes))
    for number in range(count):  # evenly over the data
        row, before = outcomes[number * len(outcomes) // count].row, clock()
        reading.piece([row])
        taken.append(clock() - before)
        if clock() - began > _LONGEST_S:
            break
    if not taken:
        return {"p50": None, "p90": None, "p99": None, "rows": 0}
    p50, p90, p99 = (float(1000 * q) for q in np.percentile(taken, [50, 90, 99]))
    return {"p50": p50, "p90": p90, "p99": p99, "rows": len(taken)}


def measure_peak_rss_mb() -> float | None:
    """The most memory that this process held so far, in MB; None where the system doesn't say."""
    if resource is None:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1e6 if sys.platform == "darwin" else 1e6 / 1024)
