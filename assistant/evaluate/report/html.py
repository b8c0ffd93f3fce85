"""HTML in small pieces: elements, tables and one self-contained page. Whatever is not `Markup` is escaped."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from html import escape
from pathlib import Path

_VOID = {"br", "hr", "meta", "col"}
_SHAPES = {"line", "rect", "circle", "path", "polyline"}
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Of the page's content: no script, no network, whatever it holds."""
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
"""Unicode categories that don't show, or that change how what follows shows."""
_PLAIN = "\n\t\u200c\u200d"
"""Of those what scripts and emoji need."""


class Markup(str):
    """Text that is markup already. Make one only from what `tag` and `joined` return."""

    __slots__ = ()


Part = Markup | str | int | float | None
"""What an element may hold: markup as it is, nothing for None, all else as escaped text."""


def shown(text: str) -> str:
    """Text that can't hide: control, format and stray characters are written out.

    >>> shown("a\\u202eb\\x00c"), shown("café, 快乐")
    ('a\\\\u202eb\\\\x00c', 'café, 快乐')
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c if c in _PLAIN or unicodedata.category(c) not in _HIDDEN else c.encode("unicode_escape").decode()
        for c in text
    )


def tag(name: str, /, *parts: Part, **attributes: str | int | float | None) -> Markup:
    """An element. `class_` is the attribute class, an underscore within a name is a hyphen, None leaves it out.

    >>> print(tag("p", "1 < 2 ", tag("em", "yes"), class_="a"))
    <p class="a">1 &lt; 2 <em>yes</em></p>
    >>> print(tag("line", x1=0.25, stroke_width=2))
    <line x1="0.25" stroke-width="2"/>
    """
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(shown(_written(value)))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{said}>")
    if name in _SHAPES and not parts:
        return Markup(f"<{name}{said}/>")
    return Markup(f"<{name}{said}>{joined(parts)}</{name}>")


def joined(parts: Sequence[Part], between: str = "") -> Markup:
    """Parts one after another."""
    return Markup(escape(between).join(_part(part) for part in parts if part is not None))


def _part(part: Part) -> str:
    return part if isinstance(part, Markup) else escape(shown(_written(part)), quote=False)


def _written(value: Part) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def table(
    caption: Part, head: Sequence[Part], rows: Sequence[Sequence[Part]], *, kinds: str = "", foot: int = 0
) -> Markup:
    """A table whose first column names its rows.

    `kinds` has a letter per column: `t` text (the default), `n` numbers, `p` a plot, `w` long text, both of which
    take the room there is, `c` code. The last `foot` rows are set apart, as sums or means.
    """
    kinds = kinds.ljust(len(head), "t")

    def line(cells: Sequence[Part]) -> Markup:
        first, *rest = cells
        named = tag("th", first, scope="row", class_=None if kinds[0] == "t" else kinds[0])
        return tag("tr", named, *(tag("td", cell, class_=kind) for cell, kind in zip(rest, kinds[1:], strict=True)))

    top = tag("tr", *(tag("th", cell, scope="col", class_=kind) for cell, kind in zip(head, kinds, strict=True)))
    body, last = (rows[:-foot], rows[-foot:]) if foot else (rows, [])
    return tag(
        "div",
        tag(
            "table",
            None if caption is None else tag("caption", tag("span", caption)),
            tag("thead", top) if any(head) else None,
            tag("tbody", *(line(row) for row in body)),
            tag("tfoot", *(line(row) for row in last)) if last else None,
            class_=None if "p" in kinds or "w" in kinds else "narrow",
        ),
        class_="scroll",
        tabindex=0,
        role="region",
        aria_label="table",
    )


def figure(plot: Markup, caption: Part) -> Markup:
    """A plot with what it shows."""
    return tag("figure", plot, tag("figcaption", caption))


def section(name: str, title: str, *parts: Part) -> Markup:
    """A part of a page with a heading that can be linked to; nothing where it has no content."""
    if not any(parts):
        return Markup("")
    return tag("section", tag("h2", title, id=f"{name}-title"), *parts, id=name, aria_labelledby=f"{name}-title")


def page(title: str, *body: Part) -> str:
    """A whole document in one file: no scripts, no fonts, nothing fetched."""
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Markup(style)),
    )
    whole = tag(
        "html", Markup("\n"), head, Markup("\n"), tag("body", tag("main", joined(body))), Markup("\n"), lang="en"
    )
    return f"<!doctype html>\n{whole}\n"
