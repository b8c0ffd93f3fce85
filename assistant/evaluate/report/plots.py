"""Plots as inline SVG: pure functions from a report's numbers to markup.

Colours and fonts come from the page's style sheet, so that a plot is right in light, dark and print. Every plot has
a title and a description for those who don't see it; the numbers themselves stand in a table beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from assistant.evaluate.report.glossary import number
from assistant.evaluate.report.html import Markup, joined, tag

_SIDE = 360.0
"""Width of a square plot, in the units of its view box: about a phone's, so that its text stays readable."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 14.0, 12.0, 42.0
FEW = 14
"""Classes up to which a confusion matrix has numbers; above, the cells are too small."""

Curve = Sequence[tuple[float, float]]


def _svg(name: str, title: str, described: str, width: float, height: float, *parts: Markup) -> Markup:
    return tag(
        "svg",
        tag("title", title, id=f"{name}-name"),
        tag("desc", described, id=f"{name}-what"),
        *parts,
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_labelledby=f"{name}-name {name}-what",
        style=f"max-width:{width:g}px",
    )


@dataclass(frozen=True, slots=True)
class _Axes:
    """A frame, and where a value lies in it."""

    low: tuple[float, float]
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

    def drawn(self, across: str, up: str) -> Iterator[Markup]:
        """Grid lines, their numbers, and what the axes are."""
        for at in ticks(self.low[1], self.high[1]):
            yield tag("line", x1=_LEFT, x2=self.width - _RIGHT, y1=self.y(at), y2=self.y(at), class_="grid")
            yield tag("text", f"{at:g}", x=_LEFT - 7, y=self.y(at) + 3.5, class_="end")
        for at in ticks(self.low[0], self.high[0]):
            yield tag("line", x1=self.x(at), x2=self.x(at), y1=_TOP, y2=self.height - _BOTTOM, class_="grid")
            yield tag("text", f"{at:g}", x=self.x(at), y=self.height - _BOTTOM + 16, class_="middle")
        middle = (_LEFT + self.width - _RIGHT) / 2
        yield tag("text", across, x=middle, y=self.height - 8, class_="middle name")
        turned = (self.height - _BOTTOM + _TOP) / 2
        yield tag("text", up, transform=f"translate(11 {turned:g}) rotate(-90)", class_="middle name")


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
) -> Markup:
    """Share that was right over how sure the model was, by bin; bars below say how many there were.

    `edges` has one more than the bins; `confidence` and `hits` are means of a bin, None where it is empty.
    """
    axes = _Axes((0.0, 0.0), (1.0, 1.0))
    most = max([*n, 1])
    parts = [*axes.drawn("confidence", "share that was right")]
    for low, high, rows in zip(edges, edges[1:], n, strict=False):
        if rows:
            top = axes.y(0.22 * rows / most)
            width = axes.x(high) - axes.x(low) - 1
            parts.append(
                tag("rect", x=axes.x(low) + 0.5, y=top, width=width, height=axes.y(0) - top, class_="amount")
            )
    parts.append(tag("path", d=axes.path([(0, 0), (1, 1)]), class_="ideal"))
    points = [(x, y) for x, y in zip(confidence, hits, strict=True) if x is not None and y is not None]
    for x, y in points:
        parts.append(tag("line", x1=axes.x(x), x2=axes.x(x), y1=axes.y(x), y2=axes.y(y), class_="miss"))
    if points:
        parts.append(tag("path", d=axes.path(points), class_="line"))
    parts += [tag("circle", cx=axes.x(x), cy=axes.y(y), r=3.2, class_="dot") for x, y in points]
    worst = max(points, key=lambda point: abs(point[0] - point[1]), default=None)
    told = f"{len(points)} bins hold predictions."
    if worst is not None:
        told += f" The largest gap is where confidence is {worst[0]:.2f} and {worst[1]:.2f} were right."
    return _svg(name, "Reliability diagram", told, axes.width, axes.height, *parts)


def risk_coverage(name: str, coverage: Sequence[float], risk: Sequence[float | None]) -> Markup:
    """Share that was wrong when only the surest part is answered, over how large that part is."""
    points = [(x, y) for x, y in zip(coverage, risk, strict=True) if y is not None]
    most = max([y for _, y in points] + [0.05])
    axes = _Axes((0.0, 0.0), (1.0, min(1.0, math.ceil(most * 11) / 10)))
    parts = [*axes.drawn("coverage: share that is answered", "risk: share that is wrong")]
    if points:
        under = [(points[0][0], 0.0), *points, (points[-1][0], 0.0)]
        parts.append(tag("path", d=axes.path(under) + "Z", class_="area"))
        parts.append(tag("path", d=axes.path(points), class_="line"))
        last = points[-1]
        parts.append(tag("circle", cx=axes.x(last[0]), cy=axes.y(last[1]), r=3.2, class_="dot"))
        first = f"The risk is {points[0][1]:.3f} at a coverage of {points[0][0]:.2f}"
        told = f"{first}, and {last[1]:.3f} at {last[0]:.2f}."
    else:
        told = "No row was answered."
    return _svg(name, "Risk-coverage curve", told, axes.width, axes.height, *parts)


def levels(
    name: str, what: str, up: str, curve: Sequence[tuple[float, Mapping[str, float | None]]], clean: float
) -> Markup:
    """A figure over the level of a disturbance, with its intervals; the dashed line is the undisturbed figure."""
    known = sorted((level, f) for level, f in curve if f["value"] is not None)
    ends = [f[end] for _, f in known for end in ("value", "low", "high") if f.get(end) is not None]
    values = [float(v) for v in (*ends, clean) if v is not None]
    low, high = min([0.0, *values]), max([1.0, *values])
    first, last = known[0][0], known[-1][0]
    room = (last - first) * 0.06 or 1.0
    axes = _Axes((first - room, low), (last + room, high), height=240.0)
    parts = [*axes.drawn(what, up)]
    parts.append(tag("path", d=axes.path([(axes.low[0], clean), (axes.high[0], clean)]), class_="ideal"))
    for level, figure in known:
        if figure.get("low") is not None and figure.get("high") is not None:
            x, top, bottom = axes.x(level), axes.y(float(figure["high"] or 0)), axes.y(float(figure["low"] or 0))
            parts.append(tag("line", x1=x, x2=x, y1=top, y2=bottom, class_="whisker"))
    points = [(level, float(figure["value"] or 0)) for level, figure in known]
    parts.append(tag("path", d=axes.path(points), class_="line"))
    parts += [tag("circle", cx=axes.x(x), cy=axes.y(y), r=3.2, class_="dot") for x, y in points]
    told = "; ".join(f"{y:.3f} at {x:g}" for x, y in points) + f"; {clean:.3f} undisturbed."
    return _svg(name, f"{up} over {what}", told, axes.width, axes.height, *parts)


def confusion(name: str, counts: Mapping[str, Mapping[str, int]]) -> Markup:
    """Rows are true classes, columns what was said; the stronger the colour, the larger the share of its row."""
    truths = list(counts)
    said = list(dict.fromkeys(column for row in counts.values() for column in row))
    numbers = max(len(truths), len(said)) <= FEW
    side = max(10.0, min(46.0, 560.0 / max(1, len(said))))
    left = 7.0 * min(18, max((len(_cut(t)) for t in truths), default=0)) + 12
    top = 5.4 * min(18, max((len(_cut(t)) for t in said), default=0)) + 14
    width, height = left + side * len(said) + 30, top + side * len(truths) + 4
    parts: list[Markup] = []
    for at, column in enumerate(said):
        x = left + side * (at + 0.5) + 3
        parts.append(tag("text", _cut(column), transform=f"translate({x:.1f} {top - 7:.1f}) rotate(-45)"))
    for down, truth in enumerate(truths):
        total = sum(counts[truth].values())
        y = top + side * down
        parts.append(tag("text", _cut(truth), x=left - 8, y=y + side / 2 + 4, class_="end"))
        for at, column in enumerate(said):
            rows = counts[truth].get(column, 0)
            share = rows / total if total else 0.0
            x = left + side * at
            kind = "cell lost" if column not in counts else "cell"
            box = tag("rect", x=x, y=y, width=side - 1.5, height=side - 1.5, class_="frame")
            fill = tag(
                "rect", x=x, y=y, width=side - 1.5, height=side - 1.5, class_=kind, fill_opacity=f"{share:.3f}"
            )
            parts.append(tag("g", box, fill, tag("title", f"{truth}, said {column}: {rows} of {total}")))
            if numbers and rows:
                on = "middle on" if share > 0.5 else "middle"
                small = " small" if rows >= 10_000 else ""
                parts.append(tag("text", f"{rows}", x=x + side / 2 - 0.75, y=y + side / 2 + 3.5, class_=on + small))
    right = sum(counts[truth].get(truth, 0) for truth in truths)
    told = f"{right} of {sum(sum(row.values()) for row in counts.values())} rows lie on the diagonal."
    return _svg(name, "Confusion matrix", told, width, height, *parts)


def _cut(name: str, most: int = 18) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def bar(figure: Mapping[str, float | None] | None, ends: tuple[float, float], mark: float | None = None) -> Markup:
    """One figure with its interval between `ends`, as wide as the cell of a table that holds it.

    `mark` is a value to compare with, such as chance. Decoration: the numbers stand beside it.
    """
    low, high = ends

    def at(value: float) -> str:
        return f"{100 * min(1.0, max(0.0, (value - low) / (high - low))):.2f}%"

    parts = [tag("line", x1="0%", x2="100%", y1=8, y2=8, class_="grid")]
    parts += [tag("line", x1=at(t), x2=at(t), y1=4, y2=12, class_="grid") for t in (low, (low + high) / 2, high)]
    if mark is not None:
        parts.append(tag("line", x1=at(mark), x2=at(mark), y1=2, y2=14, class_="mark"))
    if figure and figure.get("value") is not None:
        least, most = figure.get("low"), figure.get("high")
        if least is not None and most is not None:
            parts.append(tag("line", x1=at(least), x2=at(most), y1=8, y2=8, class_="whisker"))
        parts.append(tag("circle", cx=at(figure["value"] or 0.0), cy=8, r=3.4, class_="dot"))
    return tag("svg", joined(parts), class_="bar", height=16, aria_hidden="true", focusable="false")


def scale(ends: tuple[float, float]) -> Markup:
    """The ends of a column of bars, as its heading."""
    low, high = ends
    shown = [f"{at:g}".replace("-", "−") for at in (low, (low + high) / 2, high)]
    return tag(
        "span",
        *(tag("span", at) for at in shown),
        class_="scale",
        aria_label=f"from {number(low)} to {number(high)}",
    )
