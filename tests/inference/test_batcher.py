"""Micro-batches: rows that fit together run together, and nobody's trouble becomes another's."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assistant.errors import Busy
from assistant.inference.batcher import Batcher
from assistant.inference.card import Card, Port
from assistant.inference.model import Array, Model
from tests.clock import Clock

ROWS = {"x": Port("float32", ("batch", "n"))}
SUMS = {"sum": Port("float32", ("batch",))}


def a_card(inputs: dict[str, Port], outputs: dict[str, Port]) -> Card:
    return Card(Path(), "fake", "test", "", "none", (), inputs, outputs, {})


class Sums:
    """A session that sums each row, notes the shapes that it ran, and can be held up or broken."""

    def __init__(self, axis: int = 0) -> None:
        self.axis = axis
        self.shapes: list[tuple[int, ...]] = []
        self.go = threading.Event()
        self.go.set()
        self.began = threading.Event()
        self.fails = 0

    def run(self, outputs: list[str] | None, inputs: dict[str, Array]) -> list[Array]:
        self.began.set()
        assert self.go.wait(10)
        self.shapes.append(inputs["x"].shape)
        if self.fails:
            self.fails -= 1
            raise RuntimeError("broken graph")
        return [inputs["x"].sum(axis=1 - self.axis) + inputs.get("bias", np.float32(0))]

    def get_inputs(self) -> list[Any]:
        return []

    def get_outputs(self) -> list[Any]:
        return []


Open = Callable[..., Batcher]


@pytest.fixture
async def opened() -> AsyncIterator[Open]:
    """Makes batchers over a session and closes them."""
    async with AsyncExitStack() as stack:

        def make(
            session: Sums,
            inputs: dict[str, Port] | None = None,
            outputs: dict[str, Port] | None = None,
            **more: Any,
        ) -> Batcher:
            pool = stack.enter_context(ThreadPoolExecutor(2))
            more.setdefault("workers", 1)
            batcher = Batcher(Model(a_card(inputs or ROWS, outputs or SUMS), session), pool, **more)
            stack.push_async_callback(batcher.close)
            stack.callback(session.go.set)
            return batcher

        yield make


def row(*values: float) -> dict[str, Array]:
    return {"x": np.array(values, dtype=np.float32)}


async def total(batcher: Batcher, *values: float, **more: Any) -> float:
    return float((await batcher.run(row(*values), **more))["sum"])


async def held(batcher: Batcher, session: Sums) -> asyncio.Task[float]:
    """Occupy the only worker until `session.go` is set."""
    session.go.clear()
    session.began.clear()
    task = asyncio.create_task(total(batcher, 99.0))
    await turns()
    assert await asyncio.to_thread(session.began.wait, 10)
    return task


async def turns(count: int = 3) -> None:
    """Let tasks that can go on do so."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_rows_of_equal_shape_share_a_run(opened: Open) -> None:
    session = Sums()
    batcher = opened(session)
    assert await asyncio.gather(*(total(batcher, n, 1) for n in range(5))) == [1, 2, 3, 4, 5]
    assert session.shapes == [(5, 2)]


async def test_a_row_alone_is_passed_without_a_copy(opened: Open) -> None:
    class Keeps(Sums):
        def run(self, outputs: list[str] | None, inputs: dict[str, Array]) -> list[Array]:
            self.given = inputs["x"]
            return super().run(outputs, inputs)

    session, given = Keeps(), row(1, 2)
    batcher = opened(session, max_elements=1)
    assert float((await batcher.run(given))["sum"]) == 3
    assert np.shares_memory(session.given, given["x"])
    assert [*await asyncio.gather(total(batcher, 1), total(batcher, 2))] == [1, 2]
    assert session.shapes == [(1, 2), (1, 1), (1, 1)]


async def test_rows_of_different_shapes_do_not_share_a_run(opened: Open) -> None:
    session = Sums()
    batcher = opened(session)
    sums = await asyncio.gather(total(batcher, 1, 2), total(batcher, 3), total(batcher, 4, 5), total(batcher, 6))
    assert [*sums] == [3, 3, 9, 6]
    assert sorted(session.shapes) == [(2, 1), (2, 2)]


async def test_a_run_holds_no_more_numbers_than_allowed(opened: Open) -> None:
    session = Sums()
    batcher = opened(session, max_elements=6)
    assert await asyncio.gather(*(total(batcher, n, 0) for n in range(7))) == list(range(7))
    assert [shape[0] for shape in session.shapes] == [3, 3, 1]


async def test_a_row_larger_than_allowed_runs_alone(opened: Open) -> None:
    session = Sums()
    batcher = opened(session, max_elements=2)
    assert [*await asyncio.gather(total(batcher, 1, 2, 3), total(batcher, 4, 5, 6))] == [6, 15]
    assert session.shapes == [(1, 3), (1, 3)]


async def test_rows_are_stacked_along_the_axis_that_the_card_says(opened: Open) -> None:
    session = Sums(axis=1)
    batcher = opened(session, inputs={"x": Port("float32", ("n", "batch"))})
    assert [*await asyncio.gather(total(batcher, 1, 2, 3), total(batcher, 4, 5, 6))] == [6, 15]
    assert session.shapes == [(3, 2)]


async def test_outputs_are_taken_along_the_axis_that_the_card_says(opened: Open) -> None:
    class Doubled(Sums):
        def run(self, outputs: list[str] | None, inputs: dict[str, Array]) -> list[Array]:
            return [inputs["x"].T * 2]

    batcher = opened(Doubled(), outputs={"twice": Port("float32", ("n", "batch"))})
    one, other = await asyncio.gather(batcher.run(row(1, 2)), batcher.run(row(3, 4)))
    assert one["twice"].tolist() == [2, 4]
    assert other["twice"].tolist() == [6, 8]


async def test_an_input_without_a_batch_axis_is_shared(opened: Open) -> None:
    session = Sums()
    batcher = opened(session, inputs=ROWS | {"bias": Port("float32", ())})
    bias = {"bias": np.array(10, dtype=np.float32)}
    said = await asyncio.gather(*(batcher.run(row(n) | bias) for n in (1, 2)))
    assert [float(one["sum"]) for one in said] == [11, 12]
    assert session.shapes == [(2, 1)]


async def test_too_many_waiting_rows_are_refused_at_once(opened: Open) -> None:
    session = Sums()
    batcher = opened(session, max_waiting=2)
    first = await held(batcher, session)
    waiting = [asyncio.create_task(total(batcher, n)) for n in (1, 2)]
    await turns()
    with pytest.raises(Busy) as refused:
        await total(batcher, 3)
    assert refused.value.code == "busy"
    assert batcher.waiting == 2
    session.go.set()
    assert await asyncio.gather(first, *waiting) == [99, 1, 2]
    assert (batcher.waiting, batcher.stats.refused_busy) == (0, 1)
    assert (batcher.stats.sizes.cumulative()[:2], batcher.stats.sizes.total) == ([1, 2], 3)


async def test_callers_who_went_away_take_up_no_room(opened: Open) -> None:
    session = Sums()
    batcher = opened(session, max_waiting=2)
    first = await held(batcher, session)
    gone = [asyncio.create_task(total(batcher, n)) for n in (1, 2)]
    await turns()
    for task in gone:
        task.cancel()
    await asyncio.gather(*gone, return_exceptions=True)
    another = asyncio.create_task(total(batcher, 3))
    await turns()
    session.go.set()
    assert [*await asyncio.gather(first, another)] == [99, 3]


async def test_a_row_whose_time_has_passed_is_dropped_and_not_run(opened: Open) -> None:
    session, clock = Sums(), Clock(0.0)
    batcher = opened(session, clock=clock)
    first = await held(batcher, session)
    late = asyncio.create_task(total(batcher, 1, budget_s=1.0))
    patient = asyncio.create_task(total(batcher, 2, budget_s=10.0))
    await turns()
    clock.now = 5.0
    session.go.set()
    assert await first == 99
    assert await patient == 2
    with pytest.raises(Busy) as dropped:
        await late
    assert dropped.value.code == "late"
    assert batcher.stats.refused_late == 1
    assert session.shapes == [(1, 1), (1, 1)]


class Slow(Sums):
    """Each run takes `seconds` of the injected clock."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        super().__init__()
        self.clock, self.seconds = clock, seconds

    def run(self, outputs: list[str] | None, inputs: dict[str, Array]) -> list[Array]:
        self.clock.now += self.seconds
        return super().run(outputs, inputs)


async def test_how_late_a_result_comes_is_counted(opened: Open) -> None:
    clock = Clock(0.0)
    batcher = opened(Slow(clock, 2.0), clock=clock)
    await batcher.run(row(1.0), budget_s=5.0)
    assert (batcher.stats.lateness_s.cumulative()[0], batcher.stats.lateness_s.total) == (1, 0.0)
    batcher = opened(Slow(clock, 2.0), clock=clock)
    await batcher.run(row(1.0), budget_s=0.5)
    assert (batcher.stats.lateness_s.cumulative()[0], batcher.stats.lateness_s.total) == (0, 1.5)


async def test_a_row_that_would_come_too_late_is_not_begun_and_the_batcher_recovers(opened: Open) -> None:
    clock = Clock(0.0)
    session = Slow(clock, 60.0)
    batcher = opened(session, clock=clock)
    await batcher.run(row(1.0, 2.0), budget_s=100.0)
    session.seconds = 0.001
    refused = 0
    with pytest.raises(Busy) as late:
        await batcher.run(row(1.0, 2.0), budget_s=1.0)
    assert late.value.code == "late"
    assert len(session.shapes) == 1, "it was refused before it ran"
    while len(session.shapes) == 1:
        refused += 1
        assert refused < 50, "one long pause must not refuse everybody for ever"
        with contextlib.suppress(Busy):
            await batcher.run(row(1.0, 2.0), budget_s=1.0)


async def test_a_row_without_a_limit_runs_whatever_the_pace(opened: Open) -> None:
    clock = Clock(0.0)
    batcher = opened(Slow(clock, 5.0), clock=clock)
    for _ in range(3):
        assert (await batcher.run(row(1.0, 2.0), budget_s=float("inf")))["sum"] == 3


async def test_the_most_urgent_shape_runs_first(opened: Open) -> None:
    session, clock = Sums(), Clock(0.0)
    batcher = opened(session, clock=clock)
    first = await held(batcher, session)
    relaxed = asyncio.create_task(total(batcher, 1, 1, budget_s=10.0))
    await turns()
    urgent = asyncio.create_task(total(batcher, 1, 1, 1, budget_s=1.0))
    await turns()
    session.go.set()
    await asyncio.gather(first, relaxed, urgent)
    assert session.shapes == [(1, 1), (1, 3), (1, 2)]


async def test_what_breaks_in_the_model_reaches_every_caller_and_the_batcher_lives_on(opened: Open) -> None:
    session = Sums()
    session.fails = 1
    batcher = opened(session)
    broken = await asyncio.gather(total(batcher, 1), total(batcher, 2), return_exceptions=True)
    assert [str(error) for error in broken] == ["broken graph"] * 2
    assert await total(batcher, 3) == 3


async def test_rows_of_another_shape_survive_a_broken_run(opened: Open) -> None:
    session = Sums()
    session.fails = 1
    batcher = opened(session)
    broken, fine = await asyncio.gather(total(batcher, 1), total(batcher, 2, 2), return_exceptions=True)
    assert isinstance(broken, RuntimeError)
    assert fine == 4


async def test_a_caller_who_gives_up_while_waiting_does_not_hurt_the_others(opened: Open) -> None:
    session = Sums()
    batcher = opened(session)
    first = await held(batcher, session)
    gone, stays = (asyncio.create_task(total(batcher, n)) for n in (1, 2))
    await turns()
    gone.cancel()
    await turns()
    session.go.set()
    assert [*await asyncio.gather(first, stays)] == [99, 2]
    assert gone.cancelled()
    assert session.shapes == [(1, 1), (1, 1)]


async def test_a_caller_who_gives_up_during_the_run_does_not_hurt_the_others(opened: Open) -> None:
    session = Sums()
    batcher = opened(session)
    session.go.clear()
    gone, stays = (asyncio.create_task(total(batcher, n)) for n in (1, 2))
    await turns()
    assert await asyncio.to_thread(session.began.wait, 10)
    gone.cancel()
    await turns()
    session.go.set()
    assert await stays == 2
    assert gone.cancelled()
    assert await total(batcher, 3) == 3


async def test_two_hundred_calls_one_after_another_never_hang(opened: Open) -> None:
    for workers in (1, 2):
        batcher = opened(Sums(), workers=workers)
        async with asyncio.timeout(20):
            for n in range(200):
                assert await total(batcher, n) == n


async def test_two_workers_run_two_batches_at_once(opened: Open) -> None:
    session = Sums()
    batcher = opened(session, workers=2)
    first = await held(batcher, session)
    session.began.clear()
    second = asyncio.create_task(total(batcher, 1))
    await turns()
    assert await asyncio.to_thread(session.began.wait, 10)
    session.go.set()
    assert [*await asyncio.gather(first, second)] == [99, 1]


async def test_closing_refuses_what_waits_and_lets_the_running_end(opened: Open) -> None:
    session = Sums()
    batcher = opened(session)
    first = await held(batcher, session)
    waits = asyncio.create_task(total(batcher, 1))
    await turns()
    closing = asyncio.create_task(batcher.close())
    with pytest.raises(Busy):
        await waits
    session.go.set()
    await closing
    assert await first == 99
