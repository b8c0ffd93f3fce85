"""Daily limits of chat: tokens and money, for each app and person. Pure sums; the time is passed in.

The most that a request can use is reserved before it is sent and replaced by its real usage afterwards, so requests
that run at the same time cannot exceed a limit together. Each process counts for itself, from its start.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from assistant.errors import TooMany

DAY_S = 86_400.0
_MOST = 100_000
"""Most apps and people that are counted; beyond that, counts of earlier days are dropped."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Token usage of a completion."""

    prompt: int = 0
    completion: int = 0
    measured: bool = False
    """True if the language model's server counted them; otherwise they are an approximation."""

    @property
    def total(self) -> int:
        """Tokens of prompt and completion together."""
        return self.prompt + self.completion

    def as_json(self) -> dict[str, int]:
        """As the API shows it."""
        return {"prompt_tokens": self.prompt, "completion_tokens": self.completion, "total_tokens": self.total}


def tokens_in(text: str | bytes) -> int:
    """Approximate number of tokens of a text: a quarter of its bytes in UTF-8, rounded up.

    This is the usual rule of thumb for English; in other languages it counts more tokens than there are.

    >>> tokens_in("What a day!"), tokens_in("")
    (3, 0)
    """
    return math.ceil(len(text.encode() if isinstance(text, str) else text) / 4)


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices of a million tokens, in any currency."""

    prompt: float = 0.0
    completion: float = 0.0

    def cost(self, usage: Usage) -> float:
        """The cost of a completion.

        >>> Prices(1.0, 4.0).cost(Usage(500_000, 250_000))
        1.5
        """
        return (self.prompt * usage.prompt + self.completion * usage.completion) / 1e6


@dataclass(frozen=True, slots=True)
class DailyLimit:
    """The most that may be used in a day; 0: no limit."""

    tokens: int = 0
    cost: float = 0.0

    def exceeded(self, tokens: int, cost: float) -> bool:
        """Whether this is more than the limit.

        >>> limit = DailyLimit(tokens=100)
        >>> limit.exceeded(100, 9.0), limit.exceeded(101, 0.0), DailyLimit().exceeded(10**9, 1e9)
        (False, True, False)
        """
        return bool(self.tokens and tokens > self.tokens) or bool(self.cost and cost > self.cost)


@dataclass(slots=True)
class _Spent:
    day: int
    tokens: int = 0
    cost: float = 0.0


@dataclass(slots=True)
class Spending:
    """Usage of one request: first what is reserved, then what it really used."""

    usage: Usage


class Budget:
    """Usage of the current day (UTC) by app and person, and its limits."""

    def __init__(self, prices: Prices, app: DailyLimit, person: DailyLimit) -> None:
        self._prices = prices
        self._limits = {"app": app, "person": person}
        self._spent: dict[tuple[str, str], _Spent] = {}

    @property
    def has_limit(self) -> bool:
        """Whether there is any limit."""
        return any(limit != DailyLimit() for limit in self._limits.values())

    @contextmanager
    def spending(self, app: str, person: str | None, most: Usage, now: float) -> Iterator[Spending]:
        """Reserve `most` for a request at Unix time `now`; in the end the `usage` of the result counts.

        Raises `TooMany` (`budget_exceeded`) if that is more than the app or the person has left today.
        """
        day = int(now // DAY_S)
        accounts = [("app", app)] + ([("person", person)] if person is not None else [])
        for kind, name in accounts:
            spent = self._today(kind, name, day)
            if self._limits[kind].exceeded(spent.tokens + most.total, spent.cost + self._prices.cost(most)):
                raise TooMany(
                    f"this request could exceed the daily chat budget of the {kind}",
                    wait_s=(day + 1) * DAY_S - now,
                    code="budget_exceeded",
                )
        self._add(accounts, day, most, +1)
        spending = Spending(most)
        try:
            yield spending
        finally:
            self._add(accounts, day, most, -1)
            self._add(accounts, day, spending.usage, +1)

    def used_today(self, app: str, now: float) -> tuple[int, float]:
        """Tokens and cost of an app today."""
        spent = self._today("app", app, int(now // DAY_S))
        return spent.tokens, spent.cost

    def _today(self, kind: str, name: str, day: int) -> _Spent:
        spent = self._spent.get((kind, name))
        return spent if spent is not None and spent.day == day else _Spent(day)

    def _add(self, accounts: list[tuple[str, str]], day: int, usage: Usage, sign: int) -> None:
        if not self.has_limit:
            return
        for kind, name in accounts:
            known = self._spent.get((kind, name))
            if known is not None and known.day > day:  # a request that went on past midnight
                continue
            spent = self._today(kind, name, day)
            spent.tokens += sign * usage.total
            spent.cost += sign * self._prices.cost(usage)
            self._spent[kind, name] = spent
        if len(self._spent) > _MOST:
            self._spent = {key: spent for key, spent in self._spent.items() if spent.day == day}
