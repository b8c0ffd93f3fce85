"""Plots for inline SVG: pure functions from a report's numbers to shapes.

Colours and fonts come from the page's style sheet, so that a plot is right in light, dark and print. Every plot has
a title and a description for those who do not see it; its numbers stand in a table beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assistant.evaluate.report.report import Measured
from assistant.evaluate.report.view import Ends, Plot, Shape, shape

_SIDE = 360.0
"""Width of a square plot, in the units of its view box: about a phone's, so that its text stays readable."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 14.0, 12.0, 42.0
FEW = 14
"""Classes up to which a confusion matrix has numbers; above, the cells are too small."""

Curve = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class _Axes:
    """A frame, and where a value lies in it."""

    low: tuple[float, float]
    """At the left and the bottom: x and y."""
    high: tuple[float, float]
    width: float = _SIDE
    height: float = 300.0

    def x(self, value: float) -> float:
        share = (value - self.low[0]) / (self.high[0] - self.low[0])
        return _LEFT + share * (self.width - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        share = (value - self.low[1]) / (self.high[1] - self.low[1])
        return self.height - _BOTTOM - share * (self.height - _TOP - _BOTTOM)

    def path(self, curve: Curve) -> str:
        return "M" + "L".join(f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in curve)

    def drawn(self, across: str, up: str) -> Iterator[Shape]:
        """Grid lines, their numbers, and what the axes are."""
        for at in ticks(self.low[1], self.high[1]):
            yield shape("line", "grid", x1=_LEFT, x2=self.width - _RIGHT, y1=self.y(at), y2=self.y(at))
            yield shape("text", "end", f"{at:g}", x=_LEFT - 7, y=self.y(at) + 3.5)
        for at in ticks(self.low[0], self.high[0]):
            yield shape("line", "grid", x1=self.x(at), x2=self.x(at), y1=_TOP, y2=self.height - _BOTTOM)
            yield shape("text", "middle", f"{at:g}", x=self.x(at), y=self.height - _BOTTOM + 16)
        middle = (_LEFT + self.width - _RIGHT) / 2
        yield shape("text", "middle name", across, x=middle, y=self.height - 8)
        turned = (self.height - _BOTTOM + _TOP) / 2
        yield shape("text", "middle name", up, transform=f"translate(11 {turned:g}) rotate(-90)")


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from `low` to `high`, at most `most`.

    >>> ticks(0, 1), ticks(0, 0.37), ticks(-10, 20)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.0, 0.1, 0.2, 0.3], [-10.0, 0.0, 10.0, 20.0])
    """
    if not high > low:
        return [float(low)]
    least = (high - low) / most
    power = 10.0 ** math.floor(math.log10(least))
    for step in (power, 2 * power, 5 * power, 10 * power, 20 * power):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < most:
            return [round(at * step, 10) for at in range(first, last + 1)]
    raise AssertionError("a step of 20 powers is more than enough")


def reliability(
    name: str,
    edges: Sequence[float],
    n: Sequence[int],
    confidence: Sequence[float | None],
    hits: Sequence[float | None],
) -> Plot:
    """Share that was right over how sure the model was, by bin; bars below say how many there were.

    `edges` has one more than the bins; `confidence` and `hits` are means of a bin, None where it is empty.
    """
    axes = _Axes((0.0, 0.0), (1.0, 1.0))
    most = max([*n, 1])
    parts = [*axes.drawn("confidence", "share right")]
    for low, high, rows in zip(edges, edges[1:], n, strict=False):
        if rows:
            top = axes.y(0.22 * rows / most)
            width = axes.x(high) - axes.x(low) - 1
            parts.append(shape("rect", "amount", x=axes.x(low) + 0.5, y=top, width=width, height=axes.y(0) - top))
    parts.append(shape("path", "ideal", d=axes.path([(0, 0), (1, 1)])))
    points = [(x, y) for x, y in zip(confidence, hits, strict=True) if x is not None and y is not None]
    for x, y in points:
        parts.append(shape("line", "miss", x1=axes.x(x), x2=axes.x(x), y1=axes.y(x), y2=axes.y(y)))
    if points:
        parts.append(shape("path", "line", d=axes.path(points)))
    parts += [shape("circle", "dot", cx=axes.x(x), cy=axes.y(y), r=3.2) for x, y in points]
    worst = max(points, key=lambda point: abs(point[0] - point[1]), default=None)
    description = f"{len(points)} bins hold predictions."
    if worst is not None:
        description += f" The largest gap is where confidence is {worst[0]:.2f} and {worst[1]:.2f} were right."
    return Plot(name, "Reliability diagram", description, axes.width, axes.height, parts)


def risk_coverage(name: str, coverage: Sequence[float | None], risk: Sequence[float | None]) -> Plot:
    """Share that was wrong when only the surest part is answered, over how large that part is."""
    points = [(x, y) for x, y in zip(coverage, risk, strict=True) if x is not None and y is not None]
    most = max([y for _, y in points] + [0.05])
    axes = _Axes((0.0, 0.0), (1.0, min(1.0, math.ceil(most * 11) / 10)))
    parts = [*axes.drawn("coverage: share answered", "risk: share wrong")]
    if points:
        under = [(points[0][0], 0.0), *points, (points[-1][0], 0.0)]
        parts.append(shape("path", "area", d=axes.path(under) + "Z"))
        parts.append(shape("path", "line", d=axes.path(points)))
        last = points[-1]
        parts.append(shape("circle", "dot", cx=axes.x(last[0]), cy=axes.y(last[1]), r=3.2))
        first = f"The risk is {points[0][1]:.3f} at a coverage of {points[0][0]:.2f}"
        description = f"{first}, and {last[1]:.3f} at {last[0]:.2f}."
    else:
        description = "No row was answered."
    return Plot(name, "Risk-coverage curve", description, axes.width, axes.height, parts)


def levels(name: str, what: str, up: str, curve: Sequence[tuple[float, Measured]], clean: float) -> Plot:
    """A figure over the level of a disturbance, with its intervals; the dashed line is the clean figure."""
    known = sorted(((level, f.value, f) for level, f in curve if f.value is not None), key=lambda one: one[0])
    values = [clean, *(end for _, _, f in known for end in (f.value, f.low, f.high) if end is not None)]
    low, high = min(0.0, *values), max(1.0, *values)
    first, last = known[0][0], known[-1][0]
    room = (last - first) * 0.06 or 1.0
    axes = _Axes((first - room, low), (last + room, high), height=240.0)
    parts = [*axes.drawn(what, up)]
    parts.append(shape("path", "ideal", d=axes.path([(axes.low[0], clean), (axes.high[0], clean)])))
    for level, _, figure in known:
        if figure.low is not None and figure.high is not None:
            x, top, bottom = axes.x(level), axes.y(figure.high), axes.y(figure.low)
            parts.append(shape("line", "whisker", x1=x, x2=x, y1=top, y2=bottom))
    points = [(level, value) for level, value, _ in known]
    parts.append(shape("path", "line", d=axes.path(points)))
    parts += [shape("circle", "dot", cx=axes.x(x), cy=axes.y(y), r=3.2) for x, y in points]
    description = "; ".join(f"{y:.3f} at {x:g}" for x, y in points) + f"; {clean:.3f} on clean input."
    return Plot(name, f"{up} over {what}", description, axes.width, axes.height, parts)


def confusion(name: str, counts: Mapping[str, Mapping[str, int]]) -> Plot:
    """Rows are true classes, columns predictions; the stronger the colour, the larger the share of its row."""
    truths = list(counts)
    predicted = list(dict.fromkeys(column for row in counts.values() for column in row))
    numbers = max(len(truths), len(predicted)) <= FEW
    side = max(10.0, min(46.0, 560.0 / max(1, len(predicted))))
    left = 7.0 * min(18, max((len(_cut(t)) for t in truths), default=0)) + 12
    top = 5.4 * min(18, max((len(_cut(t)) for t in predicted), default=0)) + 14
    width, height = left + side * len(predicted) + 30, top + side * len(truths) + 4
    parts: list[Shape] = []
    for at, column in enumerate(predicted):
        x = left + side * (at + 0.5) + 3
        parts.append(shape("text", "", _cut(column), transform=f"translate({x:.1f} {top - 7:.1f}) rotate(-45)"))
    for down, truth in enumerate(truths):
        total = sum(counts[truth].values())
        y = top + side * down
        parts.append(shape("text", "end", _cut(truth), x=left - 8, y=y + side / 2 + 4))
        for at, column in enumerate(predicted):
            rows = counts[truth].get(column, 0)
            share = rows / total if total else 0.0
            x = left + side * at
            kind = "cell lost" if column not in counts else "cell"
            box: dict[str, Any] = {"x": x, "y": y, "width": side - 1.5, "height": side - 1.5}
            parts.append(shape("rect", "frame", **box))
            answer = f"predicted {column}" if column in counts else column
            tooltip = f"{truth}, {answer}: {rows} of {total}"
            parts.append(shape("rect", kind, tooltip=tooltip, fill_opacity=f"{share:.3f}", **box))
            if numbers and rows:
                on = "middle on" if share > 0.5 else "middle"
                small = " small" if rows >= 10_000 else ""
                parts.append(shape("text", on + small, f"{rows}", x=x + side / 2 - 0.75, y=y + side / 2 + 3.5))
    right = sum(counts[truth].get(truth, 0) for truth in truths)
    description = f"{right} of {sum(sum(row.values()) for row in counts.values())} rows lie on the diagonal."
    return Plot(name, "Confusion matrix", description, width, height, parts)


def _cut(name: str, most: int = 18) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def bar(figure: Measured, ends: Ends, mark: float | None = None) -> list[Shape]:
    """One figure with its interval between `ends`, as wide as the cell of a table that holds it.

    `mark` is a value to compare with, such as chance. Decoration: the numbers stand beside it.
    """
    low, high = ends

    def at(value: float) -> str:
        return f"{100 * min(1.0, max(0.0, (value - low) / (high - low))):.2f}%"

    parts = [shape("line", "grid", x1="0%", x2="100%", y1=8, y2=8)]
    parts += [shape("line", "grid", x1=at(t), x2=at(t), y1=4, y2=12) for t in (low, (low + high) / 2, high)]
    if mark is not None:
        parts.append(shape("line", "mark", x1=at(mark), x2=at(mark), y1=2, y2=14))
    if figure.value is not None:
        if figure.low is not None and figure.high is not None:
            parts.append(shape("line", "whisker", x1=at(figure.low), x2=at(figure.high), y1=8, y2=8))
        parts.append(shape("circle", "dot", cx=at(figure.value), cy=8, r=3.4))
    return parts
