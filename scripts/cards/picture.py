"""A model's figures as a picture: a dot with its interval for the model, a bar for the floor, as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

WIDTH, LEFT, RIGHT, ROW, TOP = 880, 540, 860, 20, 46
"""The picture's width, the plot's edges, a row's height and the first row's middle, in pixels."""
LONGEST = 86
"""Characters of a label; more would run out of the picture."""

# Colours that can be read on white and on black; text follows the reader's scheme where the viewer tells it.
STYLE = """
text { font: 11px system-ui, sans-serif; fill: #59636e }
.grid { stroke: #8b949e; stroke-opacity: .3 }
.model { stroke: #2f81f7; fill: #2f81f7; stroke-width: 2 }
.floor { stroke: #d4762a; stroke-width: 3 }
@media (prefers-color-scheme: dark) { text { fill: #c9d1d9 } }
"""


def picture(figures: Sequence[Mapping[str, Any]]) -> str:
    """The figures that lie in [0, 1] and have an interval; the empty string where there is none.

    >>> picture([])
    ''
    >>> drawn = picture([{"measure": "f1", "data": "a & b", "value": 0.8, "low": 0.7, "high": 0.9, "floor": 0.6}])
    >>> "f1, a &amp; b" in drawn, drawn.count("<circle")
    (True, 2)
    """
    rows = [
        row for row in figures if "low" in row and 0 <= row["low"] <= row["high"] <= 1 and row["measure"] != "ece"
    ]
    if not rows:
        return ""
    height = TOP + ROW * len(rows) + 24
    bottom = height - 28
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        'role="img">',
        "<title>The model's figures with 95 % intervals, and the floor</title>",
        f"<style>{STYLE}</style>",
        '<circle class="model" cx="548" cy="16" r="4"/><text x="558" y="20">model, 95 % interval</text>',
        '<line class="floor" x1="708" x2="708" y1="10" y2="22"/><text x="718" y="20">floor</text>',
    ]
    for tenth in range(0, 11, 2):
        x = _x(tenth / 10)
        parts.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{TOP - 14}" y2="{bottom}"/>')
        parts.append(f'<text x="{x}" y="{bottom + 18}" text-anchor="middle">{tenth / 10:.1f}</text>')
    for place, row in enumerate(rows):
        parts += _row(row, TOP + ROW * place)
    return "\n".join([*parts, "</svg>", ""])


def _row(figure: Mapping[str, Any], y: int) -> list[str]:
    label = f"{figure['measure'].replace('_', ' ')}, {figure['data']}"
    if len(label) > LONGEST:
        label = f"{label[: LONGEST - 1].rstrip(' ,;:')}…"
    low, value, high = (_x(figure[name]) for name in ("low", "value", "high"))
    parts = [
        f'<text x="{LEFT - 12}" y="{y + 4}" text-anchor="end">{escape(label)}</text>',
        f'<line class="model" x1="{low}" x2="{high}" y1="{y}" y2="{y}"/>',
        f'<circle class="model" cx="{value}" cy="{y}" r="3.5"/>',
    ]
    if 0 <= figure.get("floor", -1) <= 1:
        x = _x(figure["floor"])
        parts.append(f'<line class="floor" x1="{x}" x2="{x}" y1="{y - 6}" y2="{y + 6}"/>')
    return parts


def _x(value: float) -> float:
    return round(LEFT + (RIGHT - LEFT) * value, 1)
