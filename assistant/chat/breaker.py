"""A circuit breaker: who fails again and again is left alone for a while. Pure: the time is passed in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

State = Literal["closed", "open", "probing"]


@dataclass(frozen=True, slots=True)
class Breaker:
    """What is known of how the other side does.

    >>> breaker = Breaker(failures_to_open=2, rest_s=10.0).failed(0.0).failed(1.0)
    >>> breaker.state, breaker.admits(5.0), breaker.admits(11.0)
    ('open', False, True)
    >>> breaker = breaker.asked(11.0)
    >>> breaker.state, breaker.admits(11.0), breaker.succeeded().state
    ('probing', False, 'closed')
    """

    failures_to_open: int = 5
    """Failures in a row after which nothing is asked any more."""
    rest_s: float = 10.0
    """Seconds until one request may try again."""
    failures: int = 0
    state: State = "closed"
    since: float = 0.0
    """When the state began, in seconds of any clock."""

    def admits(self, now: float) -> bool:
        """Whether a request may go out. While one probes, others don't, for as long as a rest."""
        return self.state == "closed" or now - self.since >= self.rest_s

    def wait_s(self, now: float) -> float:
        """Seconds until it is worth trying again."""
        return 0.0 if self.admits(now) else self.rest_s - (now - self.since)

    def asked(self, now: float) -> Breaker:
        """A request goes out; the first one after a rest is a probe."""
        return self if self.state == "closed" else replace(self, state="probing", since=now)

    def succeeded(self) -> Breaker:
        """An answer came."""
        return replace(self, failures=0, state="closed")

    def failed(self, now: float) -> Breaker:
        """No answer came, or one that says that it can't."""
        failures = self.failures + 1
        if self.state == "probing" or failures >= self.failures_to_open:
            return replace(self, failures=failures, state="open", since=now)
        return replace(self, failures=failures)

    def given_up(self, now: float) -> Breaker:
        """Whoever asked went away before an answer: that says nothing, and the next one may probe at once."""
        return replace(self, state="open", since=now - self.rest_s) if self.state == "probing" else self
