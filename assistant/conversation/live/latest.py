"""Work of which only the latest is worth doing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

log = logging.getLogger(__name__)

Work = Callable[[], Coroutine[Any, Any, None]]


class LatestWork:
    """Does one piece of work at a time; of those asked for meanwhile only the last is done."""

    def __init__(self) -> None:
        self._next: Work | None = None
        self._task: asyncio.Task[None] | None = None
        self.shed = 0
        """How many were never begun, because something newer was asked for."""

    def ask(self, work: Work) -> None:
        """Do this once the present work is done, unless something newer is asked for by then."""
        self.shed += self._next is not None
        self._next = work
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())

    def drop(self) -> None:
        """Give up on everything, the present work too."""
        self._next = None
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def wait(self) -> None:
        """Wait until there is nothing to do."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _work(self) -> None:
        while self._next is not None:
            work, self._next = self._next, None
            try:
                await work()
            except Exception as error:  # an update that fails is left out
                log.warning("an update failed (%s)", type(error).__name__)
