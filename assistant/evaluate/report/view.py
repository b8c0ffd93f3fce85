"""What a page consists of, as data: sections with tables and plots; and how it is written in HTML and Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from markupsafe import Markup

from assistant.evaluate.report.formatting import escape_hidden
from assistant.pages import open_templates

Ends = tuple[float, float]
"""The values at the left and the right end of a column of bars."""
Element = Literal["line", "rect", "circle", "path", "text"]
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&$])")
"""What Markdown reads as more than text."""


@dataclass(frozen=True, slots=True)
class Shape:
    """An SVG element."""

    element: Element
    attributes: Mapping[str, str]
    text: str = ""
    tooltip: str = ""


def shape(element: Element, css: str, text: str = "", *, tooltip: str = "", **attributes: str | float) -> Shape:
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
    items: Sequence[str] = ()
    """A list."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.text or self.code or self.illustrations or self.tables or self.items)


def render_page(template: str, sections: Sequence[Section], **context: Any) -> str:
    """A page from one of `templates/`: no scripts, no fonts, nothing fetched. Empty sections are left out."""
    templates = open_templates(__file__).overlay(finalize=_escape_text)
    filled = [section for section in sections if not section.empty]
    return templates.get_template(template).render(sections=filled, **context)


def _escape_text(value: Any) -> Any:
    return escape_hidden(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def escape_markdown(text: str) -> str:
    """Any text as Markdown that shows just that text, on one line.

    >>> print(escape_markdown("a|b <b>*c*</b>"), escape_markdown("two\\nlines"))
    a\\|b \\<b\\>\\*c\\*\\</b\\> two lines
    """
    return _SPECIAL.sub(r"\\\1", " ".join(escape_hidden(text).split()))


def make_code_block(text: str) -> str:
    """A block of Markdown code that its content cannot end.

    >>> print(make_code_block("a ``` b"))
    ````
    a ``` b
    ````
    """
    fence = "`" * max(3, max(map(len, re.findall("`+", text)), default=0) + 1)
    return f"{fence}\n{escape_hidden(text)}\n{fence}"


def make_table(table: Table) -> str:
    """A table in Markdown, without its bars; numbers are aligned to the right.

    >>> print(make_table(Table(("name", "n"), [("a|b", "3")], "tn")))
    | name | n |
    | :--- | ---: |
    | a\\|b | 3 |
    """
    marks = ["---:" if kind == "n" else ":---" for kind in table.kinds if kind != "p"]
    head, *rows = (_list_texts(row, table.kinds) for row in (table.head, *table.rows))
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, marks, *rows))


def _list_texts(row: Sequence[str | Cell | Scale], kinds: str) -> list[str]:
    texts: list[str] = []
    for kind, cell in zip(kinds, row, strict=True):
        text = cell if isinstance(cell, str) else cell.title if isinstance(cell, Scale) else cell.text
        if kind != "p":
            texts.append(escape_markdown(text))
        elif text and texts and texts[-1] in ("", "–"):
            texts[-1] = escape_markdown(text)  # a note in the place of a bar
    return texts
