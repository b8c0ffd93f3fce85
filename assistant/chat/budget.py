"""What chats may cost in a day: tokens and money, for an app and for a person. Pure sums; the time is passed in.

What a request may come to at most is set aside before it is sent, and what it came to is put in its place
afterwards: requests that run at once can't exceed a limit together. Each process counts for itself, from its start
on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from assistant.errors import TooMany

DAY_S = 86_400.0
_MOST = 100_000
"""Apps and people that are counted; beyond them those who spent nothing go first."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of a completion."""

    prompt: int = 0
    completion: int = 0
    measured: bool = False
    """The language model's server counted them; else they are an approximation."""

    @property
    def total(self) -> int:
        """Of both."""
        return self.prompt + self.completion

    def as_json(self) -> dict[str, int]:
        """As the API shows it."""
        return {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.total,
        }


def tokens_in(text: str | bytes) -> int:
    """About how many tokens a text is: a quarter of its bytes in UTF-8, rounded up.

    That is the usual rule of thumb for English; other languages need more bytes a token, and are counted as more.

    >>> tokens_in("What a day!"), tokens_in("")
    (3, 0)
    """
    return math.ceil(len(text.encode() if isinstance(text, str) else text) / 4)


@dataclass(frozen=True, slots=True)
class Prices:
    """Of a million tokens, in any currency."""

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
    """What may be spent in a day; 0: no limit."""

    tokens: int = 0
    cost: float = 0.0

    def exceeded(self, tokens: int, cost: float) -> bool:
        """Whether this is more than may be spent.

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
    """One request: what was set aside for it, then what it came to."""

    usage: Usage


class Budget:
    """What was spent today, by UTC."""

    def __init__(self, prices: Prices, app: DailyLimit, person: DailyLimit) -> None:
        self._prices = prices
        self._limits = {"app": app, "person": person}
        self._spent: dict[tuple[str, str], _Spent] = {}

    @property
    def limited(self) -> bool:
        """Whether there is any limit."""
        return any(limit != DailyLimit() for limit in self._limits.values())

    @contextmanager
    def spending(self, app: str, person: str | None, most: Usage, now: float) -> Iterator[Spending]:
        """Set `most` aside for a request; its `usage` is what counts in the end. Unix seconds.

        Raises `TooMany` (`budget_exceeded`) where that is more than the app or the person has left today.
        """
        day = int(now // DAY_S)
        accounts = [("app", app)] + ([("person", person)] if person is not None else [])
        for kind, name in accounts:
            spent = self._today(kind, name, day)
            if self._limits[kind].exceeded(spent.tokens + most.total, spent.cost + self._prices.cost(most)):
                raise TooMany(
                    f"this {kind} has too little left of what it may spend on chat today",
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

    def spent(self, app: str, now: float) -> tuple[int, float]:
        """Tokens and cost of an app today."""
        spent = self._today("app", app, int(now // DAY_S))
        return spent.tokens, spent.cost

    def _today(self, kind: str, name: str, day: int) -> _Spent:
        spent = self._spent.get((kind, name))
        return spent if spent is not None and spent.day == day else _Spent(day)

    def _add(self, accounts: list[tuple[str, str]], day: int, usage: Usage, sign: int) -> None:
        if not self.limited:
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
