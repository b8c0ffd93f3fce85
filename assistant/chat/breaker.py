"""A circuit breaker: a server that keeps failing gets no requests for a while. Pure: the time is passed in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

State = Literal["closed", "open", "probing"]


@dataclass(frozen=True, slots=True)
class Breaker:
    """State of the connection to a server.

    >>> breaker = Breaker(failures_to_open=2, rest_s=10.0).after_failure(0.0).after_failure(1.0)
    >>> breaker.state, breaker.admits(5.0), breaker.admits(11.0)
    ('open', False, True)
    >>> breaker = breaker.after_request(11.0)
    >>> breaker.state, breaker.admits(11.0), breaker.after_success().state
    ('probing', False, 'closed')
    """

    failures_to_open: int = 5
    """Failures in a row after which no requests are sent."""
    rest_s: float = 10.0
    """Seconds until one request may probe the server."""
    failures: int = 0
    state: State = "closed"
    since: float = 0.0
    """When the state started, in seconds of any clock."""

    def admits(self, now: float) -> bool:
        """Whether a request may be sent. While one probes, others may not, for `rest_s` seconds."""
        return self.state == "closed" or now - self.since >= self.rest_s

    def wait_s(self, now: float) -> float:
        """Seconds until it is worth trying again."""
        return 0.0 if self.admits(now) else self.rest_s - (now - self.since)

    def after_request(self, now: float) -> Breaker:
        """The state after a request was sent; the first one after a rest is a probe."""
        return self if self.state == "closed" else replace(self, state="probing", since=now)

    def after_success(self) -> Breaker:
        """The state after an answer came."""
        return replace(self, failures=0, state="closed")

    def after_failure(self, now: float) -> Breaker:
        """The state after no answer came, or one that reports a failure of the server."""
        failures = self.failures + 1
        if self.state == "probing" or failures >= self.failures_to_open:
            return replace(self, failures=failures, state="open", since=now)
        return replace(self, failures=failures)

    def after_abandonment(self, now: float) -> Breaker:
        """The state after the caller left before an answer: it proves nothing, and the next request may probe."""
        return replace(self, state="open", since=now - self.rest_s) if self.state == "probing" else self
