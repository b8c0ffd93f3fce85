"""How often an app, and a person of it, may ask in a time."""

from __future__ import annotations

import math
from collections.abc import Callable

from aiohttp import web
from limits import RateLimitItem, parse
from limits.aio.storage import Storage
from limits.aio.storage.base import SlidingWindowCounterSupport
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from assistant.config import NO_LIMIT
from assistant.errors import TooMany
from assistant.server.http.caller import Caller

_SWEEP = 4096
"""Windows that are begun between two looks for those that are over."""


class Windows(Storage, SlidingWindowCounterSupport):
    """Counts of two windows for each key, in memory, by a given clock.

    The library's own storage for this looks through all its keys at each hit; this one at every 4096th new key.
    Of the previous window that part counts which the sliding window still covers.
    """

    STORAGE_SCHEME = None

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._counts: dict[str, tuple[int, int, int, int]] = {}
        """Seconds of a window, number of the window, its count, count of the one before."""
        self._begun = 0

    @property
    def base_exceptions(self) -> type[Exception]:
        """None of its own."""
        return ValueError

    async def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count `amount` more, unless that were more than `limit`."""
        window, count, before, left = self._now(key, expiry)
        if math.floor(before * left / expiry) + count + amount > limit:
            return False
        if key not in self._counts:
            self._begun += 1
            if self._begun % _SWEEP == 0:
                self._sweep()
        self._counts[key] = (expiry, window, count + amount, before)
        return True

    async def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Count of the previous window, seconds for which it counts; the same of the current one."""
        _, count, before, left = self._now(key, expiry)
        return before, left, count, left + expiry

    async def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Forget a key."""
        await self.clear(key)

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count without a limit."""
        window, count, before, _ = self._now(key, int(expiry))
        self._counts[key] = (int(expiry), window, count + amount, before)
        return count + amount

    async def get(self, key: str) -> int:
        """The count of the current window."""
        return self._now(key, self._counts[key][0])[1] if key in self._counts else 0

    async def get_expiry(self, key: str) -> float:
        """When the current window is over."""
        if key not in self._counts:
            return self._clock()
        expiry, window, _, _ = self._counts[key]
        return float((window + 1) * expiry)

    async def check(self) -> bool:
        """Memory is always there."""
        return True

    async def reset(self) -> int:
        """Forget everything."""
        known = len(self._counts)
        self._counts.clear()
        return known

    async def clear(self, key: str) -> None:
        """Forget a key."""
        self._counts.pop(key, None)

    def _now(self, key: str, expiry: int) -> tuple[int, int, int, float]:
        """Number of the window that is now, its count, the count before, and the seconds that it has left."""
        now = self._clock()
        window = int(now // expiry)
        _, known, count, before = self._counts.get(key, (expiry, window, 0, 0))
        if known == window - 1:
            count, before = 0, count
        elif known != window:
            count, before = 0, 0
        return window, count, before, (window + 1) * expiry - now

    def _sweep(self) -> None:
        now = self._clock()
        over = [key for key, (expiry, window, _, _) in self._counts.items() if now >= (window + 2) * expiry]
        for key in over:
            del self._counts[key]


class Rates:
    """The limits of this process. Each process counts for itself."""

    def __init__(self, app: str, person: str, clock: Callable[[], float]) -> None:
        self._app, self._person = _item(app), _item(person)
        self._windows = Windows(clock)
        self._limiter = SlidingWindowCounterRateLimiter(self._windows)

    async def take(self, caller: Caller, person: str | None) -> None:
        """Count one request of a caller about a person. Raises `TooMany`."""
        if caller.holder is not None:  # whoever they ask about, it is their own time that they use up
            person = caller.holder.id
        if person is not None:
            await self._take(self._person, "this person's requests", caller.app.id, person)
        await self._take(self._app, "this app's requests", caller.app.id)

    async def _take(self, item: RateLimitItem | None, whose: str, *key: str) -> None:
        if item is None or await self._limiter.hit(item, *key):
            return
        before, left, count, _ = await self._windows.get_sliding_window(item.key_for(*key), item.get_expiry())
        wait_s = wait(item.amount, item.get_expiry(), before=before, count=count, left_s=left)
        raise TooMany(f"{whose} are limited to {item.amount} in {item.get_expiry()} s", wait_s=wait_s)


def wait(limit: int, window_s: float, *, before: int, count: int, left_s: float) -> float:
    """Seconds until one more request is within a limit that refused one.

    `before` and `count` are the requests of the previous and of this window, which has `left_s` seconds left.

    >>> wait(10, 60, before=10, count=5, left_s=36)  # from 30 s on only 4 of the previous window count
    6.0
    >>> wait(10, 60, before=0, count=10, left_s=36)
    36
    """
    room = limit - count
    return left_s - room * window_s / before if room > 0 else left_s


def _item(limit: str) -> RateLimitItem | None:
    return None if limit == NO_LIMIT else parse(limit)


RATES: web.AppKey[Rates] = web.AppKey("rates", Rates)
