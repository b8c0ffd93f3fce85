"""Counts and times for operators, as Prometheus reads them. No label comes from what anybody sent."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from assistant.chat.placement import Placement
from assistant.chat.tone_upstream import PlacementOutcome
from assistant.inference.batcher import Batcher, Distribution
from assistant.server.http.guard import Handler

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the counted times."""


PlacementCounts = Mapping[tuple[Placement, PlacementOutcome], int]


class Metrics:
    """What this process counted since it began, in a registry of its own."""

    def __init__(
        self, batchers: Iterable[Batcher] = (), placements: PlacementCounts = MappingProxyType({})
    ) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "attune_requests", "Requests answered", ("method", "route", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "attune_request_seconds",
            "Seconds until a request was answered; streams are left out",
            ("method", "route"),
            buckets=SECONDS,
            registry=self._registry,
        )
        self._shed = 0
        self._shedding: set[Callable[[], int]] = set()
        self._registry.register(_CountedElsewhere(self._updates_shed, tuple(batchers), placements))

    def answered(self, route: tuple[str, str], status: int, seconds: float | None) -> None:
        """Count one answer; a stream has no time."""
        self._requests.labels(*route, str(status)).inc()
        if seconds is not None:
            self._seconds.labels(*route).observe(seconds)

    def add_gauge(self, name: str, about: str, value: Callable[[], int]) -> None:
        """Show `value`, asked at each scrape, as `attune_` and its name."""
        Gauge(f"attune_{name}", about, registry=self._registry).set_function(value)

    @contextmanager
    def shedding(self, shed: Callable[[], int]) -> Iterator[None]:
        """Add up the interim updates that a stream leaves out, while it lasts and after."""
        self._shedding.add(shed)
        try:
            yield
        finally:
            self._shedding.discard(shed)
            self._shed += shed()

    def _updates_shed(self) -> int:
        return self._shed + sum(shed() for shed in self._shedding)

    def text(self) -> str:
        """Everything, in Prometheus's text format 0.0.4."""
        return generate_latest(_WithoutCreated(self._registry)).decode()


class _WithoutCreated(Collector):
    """Leaves out the time at which each series began: it would double the number of series."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric


class _CountedElsewhere(Collector):
    """Reads at the scrape what streams left out, the counts of each batcher, and how tones reached the upstream."""

    def __init__(self, shed: Callable[[], int], batchers: tuple[Batcher, ...], placements: PlacementCounts) -> None:
        self._shed = shed
        self._batchers = batchers
        self._placements = placements

    def collect(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily("attune_batch_waiting", "Rows that wait in the queue", labels=("model",))
        rows = HistogramMetricFamily("attune_batch_rows", "Rows that ran together", labels=("model",))
        lateness = HistogramMetricFamily(
            "attune_batch_lateness_seconds",
            "Seconds from the deadline of a row to its result; 0 where it came in time",
            labels=("model",),
        )
        refused = CounterMetricFamily(
            "attune_batch_refused", "Rows that never ran: too many waited, or too late", labels=("model", "reason")
        )
        for batcher in self._batchers:
            model, stats = batcher.model.card.name, batcher.stats
            waiting.add_metric((model,), batcher.waiting)
            rows.add_metric((model,), _buckets(stats.sizes), stats.sizes.total)
            lateness.add_metric((model,), _buckets(stats.lateness_s), stats.lateness_s.total)
            refused.add_metric((model, "busy"), stats.refused_busy)
            refused.add_metric((model, "late"), stats.refused_late)
        shed = CounterMetricFamily("attune_updates_shed", "Interim updates that streams left out", self._shed())
        placed = CounterMetricFamily(
            "attune_chat_tone_placements",
            "Ways in which the tone was sent to the language model's server, and whether they were taken",
            labels=("placement", "outcome"),
        )
        for (placement, outcome), count in sorted(self._placements.items()):
            placed.add_metric((placement, outcome), count)
        yield from (shed, waiting, rows, lateness, refused, placed)


def _buckets(values: Distribution) -> list[tuple[str, float]]:
    bounds = (*map(str, values.bounds), "+Inf")
    return list(zip(bounds, map(float, values.cumulative()), strict=True))


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
    if match.http_exception is not None or resource is None:
        return "other", "unmatched"
    return match.route.method, resource.canonical.rstrip("/")
