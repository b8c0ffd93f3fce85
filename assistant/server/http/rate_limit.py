"""How often an app, and each of its people, may send requests: a sliding window over two counters, in memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from aiohttp import web

from assistant.config import NO_LIMIT, RATE
from assistant.errors import TooMany
from assistant.server.http.caller import Caller

_SWEEP = 4096
"""New keys between two removals of windows that are over."""
_UNITS_S = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}


class Rate(NamedTuple):
    """At most `amount` requests in `window_s` seconds."""

    amount: int
    window_s: int


def parse_rate(setting: str) -> Rate | None:
    """Read a setting that `config.RATE` matches; None where there is no limit.

    >>> parse_rate("600/minute"), parse_rate("10/5 minutes"), parse_rate("none")
    (Rate(amount=600, window_s=60), Rate(amount=10, window_s=300), None)
    """
    parts = RATE.fullmatch(setting)
    if setting == NO_LIMIT or parts is None:
        return None
    return Rate(int(parts["amount"]), int(parts["count"] or 1) * _UNITS_S[parts["unit"]])


@dataclass(slots=True)
class _Window:
    number: int
    """Which window of the clock this is: Unix seconds divided by `window_s`."""
    window_s: int
    count: int = 0
    before: int = 0
    """Requests in the previous window."""


class Windows:
    """Counts requests by key. The previous window counts by the part that the sliding window still covers."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._windows: dict[tuple[str, ...], _Window] = {}
        self._new = 0

    def __len__(self) -> int:
        return len(self._windows)

    def hit(self, rate: Rate, *key: str) -> float | None:
        """Count one request; or, where it would exceed the rate, return the seconds to wait without counting it."""
        now, (amount, window_s) = self._clock(), rate
        number = int(now // window_s)
        window = self._windows.get(key)
        if window is None:
            window = _Window(number, window_s)
        elif window.number != number:
            before = window.count if window.number == number - 1 else 0
            window = _Window(number, window_s, before=before)
        left_s = (number + 1) * window_s - now
        if math.floor(window.before * left_s / window_s) + window.count + 1 > amount:
            return wait(amount, window_s, before=window.before, count=window.count, left_s=left_s)
        window.count += 1
        if key not in self._windows:
            self._new += 1
            if self._new % _SWEEP == 0:
                self._sweep(now)
        self._windows[key] = window
        return None

    def _sweep(self, now: float) -> None:
        self._windows = {
            key: window for key, window in self._windows.items() if now < (window.number + 2) * window.window_s
        }


class RateLimits:
    """The limits of this process; each process counts for itself."""

    def __init__(self, app: str, person: str, clock: Callable[[], float]) -> None:
        self._app, self._person = parse_rate(app), parse_rate(person)
        self._windows = Windows(clock)

    def take(self, caller: Caller, person: str | None) -> None:
        """Count one request of a caller about a person. Raises `TooMany` (`rate_limited`)."""
        if caller.holder is not None:  # a token uses up its holder's limit, whoever the request names
            person = caller.holder.id
        if person is not None:
            self._take(self._person, "this person's requests", caller.app.id, person)
        self._take(self._app, "this app's requests", caller.app.id)

    def _take(self, rate: Rate | None, whose: str, *key: str) -> None:
        if rate is not None and (wait_s := self._windows.hit(rate, *key)) is not None:
            raise TooMany(f"{whose} are limited to {rate.amount} in {rate.window_s} s", wait_s=wait_s)


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


RATE_LIMITS: web.AppKey[RateLimits] = web.AppKey("rate_limits", RateLimits)
