"""What a page consists of, as data: sections with tables and plots; and how templates turn it into HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from assistant.evaluate.report.formatting import escape_hidden

Ends = tuple[float, float]
"""The values at the left and the right end of a column of bars."""


@dataclass(frozen=True, slots=True)
class Shape:
    """An SVG element."""

    element: Literal["line", "rect", "circle", "path", "text"]
    attributes: Mapping[str, str]
    text: str = ""
    tooltip: str = ""


def shape(
    element: Literal["line", "rect", "circle", "path", "text"],
    css: str,
    text: str = "",
    *,
    tooltip: str = "",
    **attributes: str | float,
) -> Shape:
    """An SVG element of the style sheet's class `css`. In names of attributes an underscore is a hyphen.

    >>> dict(shape("line", "grid", x1=0.25, y1=2.0, stroke_width="1").attributes)
    {'x1': '0.25', 'y1': '2', 'stroke-width': '1', 'class': 'grid'}
    """
    values = {name.replace("_", "-"): _decimal(value) for name, value in attributes.items()}
    return Shape(element, values | ({"class": css} if css else {}), text, tooltip)


def _decimal(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawing. `name` is unique on its page; title and description are for those who do not see it."""

    name: str
    title: str
    description: str
    width: float
    """Of the view box, as the height."""
    height: float
    shapes: Sequence[Shape]


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table that is more than text."""

    text: str = ""
    detail: str = ""
    """A smaller line below."""
    style: Literal["", "quiet", "flag", "varies"] = ""
    """`varies` marks what differs between two runs of one command."""
    bar: Sequence[Shape] | None = None


@dataclass(frozen=True, slots=True)
class Scale:
    """The head of a column of bars: the values at their ends."""

    ends: Ends
    title: str = ""

    @property
    def marks(self) -> list[str]:
        """Both ends and the middle.

        >>> Scale((-1.0, 1.0)).marks
        ['−1', '0', '1']
        """
        low, high = self.ends
        return [f"{at:g}".replace("-", "−") for at in (low, (low + high) / 2, high)]


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose first column names its rows."""

    head: Sequence[str | Scale]
    rows: Sequence[Sequence[str | Cell]]
    kinds: str
    """A letter per column: `t` text, `n` numbers, `p` a bar, `w` long text, `c` code."""
    caption: str = ""
    legend: str = ""
    """What the bars show, after the caption; only where there are bars."""
    foot: int = 0
    """Last rows that are set apart, such as means."""

    def __post_init__(self) -> None:
        if any(len(row) != len(self.kinds) for row in (self.head, *self.rows)):
            raise ValueError(f"a row of {self.caption or self.head} does not have {len(self.kinds)} cells")


@dataclass(frozen=True, slots=True)
class Illustration:
    """A plot with what it shows, and its numbers."""

    plot: Plot
    caption: str
    table: Table | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page with a heading that can be linked to."""

    name: str
    title: str
    text: str = ""
    code: str = ""
    illustrations: Sequence[Illustration] = ()
    tables: Sequence[Table] = ()
    items: Sequence[str] = field(default=())
    """A list."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.text or self.code or self.illustrations or self.tables or self.items)


def render_page(template: str, sections: Sequence[Section], **context: Any) -> str:
    """A page from one of `templates/`: no scripts, no fonts, nothing fetched. Empty sections are left out."""
    environment = Environment(
        loader=PackageLoader("assistant.evaluate.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filled = [section for section in sections if not section.empty]
    return environment.get_template(template).render(sections=filled, **context)


def _finalize(value: Any) -> Any:
    return escape_hidden(value) if isinstance(value, str) and not isinstance(value, Markup) else value
