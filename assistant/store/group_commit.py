"""Group commit: rows that arrive together share one transaction, because a commit costs the same for many."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

Row = TypeVar("Row")
Result = TypeVar("Result")


class GroupCommit(Generic[Row, Result]):
    """Collects rows while a transaction runs, and writes them in the next one, at most `most` at once.

    `write` takes rows and returns one result for each, in their order; they are durable when it returns.
    """

    def __init__(self, write: Callable[[Sequence[Row]], Awaitable[Sequence[Result]]], *, most: int = 512) -> None:
        self._write, self._most = write, most
        self._waiting: list[tuple[Row, asyncio.Future[Result]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def write(self, row: Row) -> Result:
        """Write one row, and wait until it is durable. Raises what `write` raises for this row alone.

        Cancelling the wait does not cancel the write.
        """
        result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((row, result))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._run())
        return await result

    async def close(self) -> None:
        """Wait until everything is written."""
        if self._writer is not None:
            await self._writer

    async def _run(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            try:
                await self._write_all(batch)
            except Exception as error:
                if len(batch) == 1:
                    _refuse(batch[0][1], error)
                    continue
                for pair in batch:  # so that one bad row fails alone
                    try:
                        await self._write_all([pair])
                    except Exception as reason:
                        _refuse(pair[1], reason)
            except BaseException:
                for _, result in batch:
                    result.cancel()
                raise

    async def _write_all(self, batch: Sequence[tuple[Row, asyncio.Future[Result]]]) -> None:
        written = await self._write([row for row, _ in batch])
        for (_, result), value in zip(batch, written, strict=True):
            if not result.done():
                result.set_result(value)


def _refuse(result: asyncio.Future[Any], error: Exception) -> None:
    if not result.done():
        result.set_exception(error)
