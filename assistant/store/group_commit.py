"""What comes at the same time is written in one transaction: a commit costs as much for many rows as for one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

One = TypeVar("One")
Kept = TypeVar("Kept")


class GroupCommit(Generic[One, Kept]):
    """Gathers while a transaction runs what the next one takes, at most `most` at once.

    `write` takes some and gives what became of each, in their order, durable when it returns.
    """

    def __init__(self, write: Callable[[Sequence[One]], Awaitable[Sequence[Kept]]], *, most: int = 512) -> None:
        self._write = write
        self._most = most
        self._waiting: list[tuple[One, asyncio.Future[Kept]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def add(self, one: One) -> Kept:
        """Have one written, and wait for that. Raises what `write` raises for it alone.

        Who stops waiting leaves it to be written.
        """
        kept: asyncio.Future[Kept] = asyncio.get_running_loop().create_future()
        self._waiting.append((one, kept))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._run())
        return await kept

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
                    _refuse(batch, error)
                    continue
                for one in batch:  # so that a bad one spoils no other
                    try:
                        await self._write_all([one])
                    except Exception as reason:
                        _refuse([one], reason)
            except BaseException:
                for _, kept in batch:
                    kept.cancel()
                raise

    async def _write_all(self, batch: Sequence[tuple[One, asyncio.Future[Kept]]]) -> None:
        found = await self._write([one for one, _ in batch])
        for (_, kept), became in zip(batch, found, strict=True):
            if not kept.done():
                kept.set_result(became)


def _refuse(batch: Sequence[tuple[One, asyncio.Future[Kept]]], error: Exception) -> None:
    for _, kept in batch:
        if not kept.done():
            kept.set_exception(error)
