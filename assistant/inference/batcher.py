"""Micro-batches across streams: rows that wait together run together, earliest deadline first.

Only the batcher has a queue, and it is bounded: beyond its bound a row is refused with `Busy` at once, and a row
whose deadline has passed is dropped, not run. This loses estimates by design, but never audio or replies.
"""

from __future__ import annotations

import asyncio
import bisect
import itertools
import math
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from assistant.errors import Busy
from assistant.inference.model import Array, Arrays, Model

SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
"""Upper bounds of the counted batch sizes, in rows."""
LATENESS_S = (0.0, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper bounds of the counted lateness, in seconds; 0 counts results in time."""


class Distribution:
    """Counts of values by upper bound, and their sum.

    >>> sizes = Distribution((1.0, 2.0))
    >>> for size in (1, 2, 2, 9):
    ...     sizes.observe(size)
    >>> sizes.cumulative(), sizes.total
    ([1, 3, 4], 14.0)
    """

    __slots__ = ("_counts", "bounds", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.total = 0.0
        self._counts = [0] * (len(bounds) + 1)

    def observe(self, value: float) -> None:
        """Add one value to the counts."""
        self._counts[bisect.bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulative(self) -> list[int]:
        """For each bound, how many values were at most that; the last number is the count of all."""
        return list(itertools.accumulate(self._counts))


class BatchStats:
    """Statistics of one batcher. Only the event loop writes them."""

    __slots__ = ("lateness_s", "refused_busy", "refused_late", "sizes")

    def __init__(self) -> None:
        self.sizes = Distribution(SIZES)
        """Batch sizes, in rows."""
        self.lateness_s = Distribution(LATENESS_S)
        """Seconds from a row's deadline to its result; 0 where it came in time."""
        self.refused_busy = 0
        """Rows refused because too many waited."""
        self.refused_late = 0
        """Rows dropped because their result would have come too late."""


MAX_ELEMENTS = 400_000
"""Most input numbers in one batch."""
_TRUST = 0.8
"""Weight of the pace so far, relative to that of the newest batch."""


@dataclass(slots=True)
class _Row:
    inputs: Arrays
    deadline: float
    shape: tuple[tuple[int, ...], ...]
    done: asyncio.Future[dict[str, Array]]


class Batcher:
    """Runs one model for many callers on a shared thread pool.

    Rows of equal shape are stacked along the card's `batch` axis, at most `max_elements` input numbers at a time.
    The graphs are statically quantised, so a row's result doesn't depend on the other rows. With `max_elements` 1
    every row runs alone and is not copied.
    """

    def __init__(
        self,
        model: Model,
        pool: Executor,
        *,
        max_waiting: int = 512,
        max_elements: int = MAX_ELEMENTS,
        workers: int = 2,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.model = model
        self.stats = BatchStats()
        self._pool = pool
        self._max_waiting = max_waiting
        self._max_elements = max_elements
        self._workers = workers
        self._clock = clock
        self._pace = 0.0
        """Seconds per input number: an average that favours recent batches."""
        self._waiting: list[_Row] = []
        self._busy = 0
        self._running: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """Number of rows in the queue whose callers still wait."""
        return sum(not row.done.done() for row in self._waiting)

    async def run(self, inputs: Arrays, *, budget_s: float = 5.0) -> dict[str, Array]:
        """Run one row (arrays without the batch axis) and return its outputs, without the batch axis.

        Raises `Busy`: with code `busy` if too many rows wait, `late` if `budget_s` seconds would pass first.
        """
        if len(self._waiting) >= self._max_waiting:
            # rows whose callers went away take no room
            self._waiting = [row for row in self._waiting if not row.done.done()]
        if len(self._waiting) >= self._max_waiting:
            self.stats.refused_busy += 1
            raise Busy("too many inference requests are waiting")
        shape = tuple(inputs[name].shape for name in self.model.card.inputs)
        row = _Row(inputs, self._clock() + budget_s, shape, asyncio.get_running_loop().create_future())
        self._waiting.append(row)
        if self._busy < self._workers:
            self._busy += 1
            task = asyncio.create_task(self._work())
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return await row.done

    async def close(self) -> None:
        """Refuse the rows that wait, and wait for the running batches."""
        for row in self._waiting:
            if not row.done.done():
                row.done.set_exception(Busy("the server is shutting down"))
        self._waiting.clear()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _work(self) -> None:
        try:
            while batch := self._next():
                await self._run_batch(batch)
        finally:
            self._busy -= 1  # at once: a row that comes before this task is gone needs another worker

    async def _run_batch(self, batch: list[_Row]) -> None:
        self.stats.sizes.observe(len(batch))
        began = self._clock()
        loop = asyncio.get_running_loop()
        try:
            results = await loop.run_in_executor(self._pool, self._run, [row.inputs for row in batch])
        except Exception as error:  # any error belongs to the callers, and must not end the worker
            for row in batch:
                if not row.done.done():
                    row.done.set_exception(error)
            return
        ended = self._clock()
        pace = (ended - began) / (len(batch) * _size(batch[0].shape))
        self._pace = _TRUST * self._pace + (1 - _TRUST) * pace
        for row, result in zip(batch, results, strict=True):
            if not row.done.done():
                self.stats.lateness_s.observe(max(0.0, ended - row.deadline))
                row.done.set_result(result)

    def _next(self) -> list[_Row]:
        now = self._clock()
        alive: list[_Row] = []
        for row in self._waiting:
            if row.done.done():  # its caller went away
                continue
            if row.deadline < now + self._pace * _size(row.shape):  # its result would come too late
                self.stats.refused_late += 1
                row.done.set_exception(Busy("there was no result in time", code="late"))
                self._pace *= _TRUST  # or one long pause would refuse everybody for ever
            else:
                alive.append(row)
        alive.sort(key=lambda row: row.deadline)
        if not alive:
            self._waiting = []
            return []
        shape = alive[0].shape
        most: float = self._max_elements
        if self._pace > 0:  # no more than can be done by the first deadline
            most = min(most, (alive[0].deadline - now) / self._pace)
        room = max(1, int(most / _size(shape)))
        batch = [row for row in alive if row.shape == shape][:room]
        taken = {id(row) for row in batch}
        self._waiting = [row for row in alive if id(row) not in taken]
        return batch

    def _run(self, rows: list[Arrays]) -> list[dict[str, Array]]:
        card = self.model.card
        stacked = {
            name: _stack_rows([row[name] for row in rows], port.batch_axis) for name, port in card.inputs.items()
        }
        outputs = self.model.run(stacked)
        parts = {
            name: _split_rows(outputs[name], len(rows), port.batch_axis) for name, port in card.outputs.items()
        }
        return [{name: values[index] for name, values in parts.items()} for index in range(len(rows))]


def _stack_rows(rows: list[Array], axis: int | None) -> Array:
    """Stack rows along a new axis; a single row isn't copied. Without an axis all rows are the same."""
    if axis is None:
        return rows[0]
    return np.expand_dims(rows[0], axis) if len(rows) == 1 else np.stack(rows, axis=axis)


def _split_rows(batch: Array, count: int, axis: int | None) -> list[Array]:
    """The rows of a batch; several rows are copied, so that none keeps the whole batch in memory."""
    if axis is None:
        return [batch] * count
    if count == 1:
        return [np.squeeze(batch, axis)]
    return [np.take(batch, index, axis) for index in range(count)]


def _size(shape: tuple[tuple[int, ...], ...]) -> int:
    """Input numbers in a row, at least one.

    >>> _size(((2, 128), (576,), ()))
    833
    """
    return max(1, sum(math.prod(size) for size in shape))
