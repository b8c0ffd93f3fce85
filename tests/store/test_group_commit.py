"""What comes at the same time shares a transaction, and what can't be written spoils nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from assistant.store.group_commit import GroupCommit


class Table:
    """Takes numbers; the first transaction waits until it is let go on."""

    def __init__(self) -> None:
        self.transactions: list[list[int]] = []
        self.go_on = asyncio.Event()

    async def write(self, numbers: Sequence[int]) -> list[str]:
        await self.go_on.wait()
        if any(number < 0 for number in numbers):
            raise ValueError("a negative number")
        self.transactions.append(list(numbers))
        return [f"kept {number}" for number in numbers]


async def test_what_comes_while_a_transaction_runs_shares_the_next_one() -> None:
    table = Table()
    gathering = GroupCommit(table.write, most=3)
    adding = [asyncio.create_task(gathering.write(number)) for number in range(5)]
    await asyncio.sleep(0)
    table.go_on.set()
    assert await asyncio.gather(*adding) == [f"kept {number}" for number in range(5)]
    assert [len(some) for some in table.transactions] == [3, 2]


async def test_a_bad_one_is_refused_alone() -> None:
    table = Table()
    gathering = GroupCommit(table.write)
    adding = [asyncio.create_task(gathering.write(number)) for number in (1, -1, 2)]
    table.go_on.set()
    kept, refused, other = await asyncio.gather(*adding, return_exceptions=True)
    assert (kept, other) == ("kept 1", "kept 2")
    assert isinstance(refused, ValueError)


async def test_closing_waits_for_what_nobody_waits_for_any_more() -> None:
    table = Table()
    gathering = GroupCommit(table.write)
    adding = asyncio.create_task(gathering.write(1))
    await asyncio.sleep(0)
    adding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await adding
    table.go_on.set()
    await gathering.close()
    assert table.transactions == [[1]]
