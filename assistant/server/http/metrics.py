"""Counts and times for operators, as Prometheus reads them. No label comes from what anybody sent."""

from __future__ import annotations

import bisect
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aiohttp import web

from assistant.server.http.guard import Handler

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the times that are told apart."""
_UNMATCHED = ("other", "unmatched")


class Metrics:
    """What was counted since the process began."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._times: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * (len(SECONDS) + 1))
        self._seconds: Counter[tuple[str, str]] = Counter()
        self._shed = 0
        self._shedding: set[Callable[[], int]] = set()

    def answered(self, route: tuple[str, str], status: int, seconds: float | None) -> None:
        """One request was answered; a stream has no time."""
        self._requests[*route, status] += 1
        if seconds is not None:
            self._times[route][bisect.bisect_left(SECONDS, seconds)] += 1
            self._seconds[route] += seconds  # type: ignore[assignment]

    @contextmanager
    def shedding(self, shed: Callable[[], int]) -> Iterator[None]:
        """Add up the interim updates that a stream leaves out, while it lasts and after."""
        self._shedding.add(shed)
        try:
            yield
        finally:
            self._shedding.discard(shed)
            self._shed += shed()

    def text(self, **gauges: int) -> str:
        """Everything, with what is open now."""
        lines = ["# TYPE attune_requests_total counter"]
        for (method, path, status), count in sorted(self._requests.items()):
            lines.append(f'attune_requests_total{{method="{method}",route="{path}",status="{status}"}} {count}')
        lines.append("# TYPE attune_request_seconds histogram")
        for (method, path), counts in sorted(self._times.items()):
            labels, total = f'method="{method}",route="{path}"', 0
            for bound, count in zip((*SECONDS, "+Inf"), counts, strict=True):
                total += count
                lines.append(f'attune_request_seconds_bucket{{{labels},le="{bound}"}} {total}')
            lines.append(f"attune_request_seconds_sum{{{labels}}} {self._seconds[method, path]:.6f}")
            lines.append(f"attune_request_seconds_count{{{labels}}} {total}")
        lines.append("# TYPE attune_updates_shed_total counter")
        lines.append(f"attune_updates_shed_total {self._shed + sum(shed() for shed in self._shedding)}")
        for name, value in gauges.items():
            lines += [f"# TYPE attune_{name} gauge", f"attune_{name} {value}"]
        return "\n".join((*lines, ""))


METRICS: web.AppKey[Metrics] = web.AppKey("metrics", Metrics)


@web.middleware
async def measured(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count the answer, and how long it took."""
    began = time.perf_counter()
    status = 500
    stream = False
    try:
        answer = await handler(request)
        status, stream = answer.status, isinstance(answer, web.WebSocketResponse)
        return answer
    finally:
        seconds = None if stream else time.perf_counter() - began
        request.app[METRICS].answered(route_of(request), status, seconds)


def route_of(request: web.Request) -> tuple[str, str]:
    """The method and path of the route as the server knows them, whatever was sent."""
    match = request.match_info
    resource = match.route.resource
    return (
        _UNMATCHED
        if match.http_exception is not None or resource is None
        else (match.route.method, resource.canonical)
    )
