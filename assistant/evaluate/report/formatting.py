"""Numbers, figures and names as a report writes them in words."""

from __future__ import annotations

import unicodedata

from msgspec import UnsetType

from assistant.evaluate.report.report import Measured, Number

_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
"""Unicode categories that do not show, or that change how the text after them shows."""
_NEEDED = "\n\t\u200c\u200d"
"""Members of these categories that scripts and emoji need."""


def escape_hidden(text: str) -> str:
    """Text in which nothing hides: control, format and stray characters are written as escapes.

    >>> escape_hidden("a\\u202eb\\x00c"), escape_hidden("café, 快乐")
    ('a\\\\u202eb\\\\x00c', 'café, 快乐')
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c if c in _NEEDED or unicodedata.category(c) not in _HIDDEN else c.encode("unicode_escape").decode()
        for c in text
    )


def format_number(value: float | None, places: int = 3) -> str:
    """A number for a table; a dash where it is undefined.

    >>> format_number(0.5), format_number(-0.25, 2), format_number(None)
    ('0.500', '−0.25', '–')
    >>> format_number(12345.678), format_number(-0.00001)
    ('12,346', '0.000')
    """
    if value is None:
        return "–"
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{places}f}"
    return "−" + text[1:] if text.startswith("-") and float(text.replace(",", "")) else text.lstrip("-")


def as_figure(value: Number | UnsetType) -> Measured:
    """A figure, also of a number that has no interval."""
    if isinstance(value, Measured):
        return value
    return Measured(None if isinstance(value, UnsetType) else value, None, None)


def format_interval(figure: Measured, between: str = " to ") -> str:
    """The ends of the interval; empty where there is none.

    >>> format_interval(Measured(0.5, 0.4, 0.6)), format_interval(Measured(1.0, None, None))
    ('0.400 to 0.600', '')
    """
    if figure.low is None or figure.high is None:
        return ""
    return f"{format_number(figure.low)}{between}{format_number(figure.high)}"


def format_figure(value: Number | UnsetType) -> str:
    """A figure with its interval in one cell.

    >>> format_figure(Measured(0.5, 0.4, 0.6)), format_figure(0.25)
    ('0.500 [0.400, 0.600]', '0.250')
    """
    figure = as_figure(value)
    inside = format_interval(figure, ", ")
    return format_number(figure.value) + (f" [{inside}]" if inside else "")


def format_p(value: float | None) -> str:
    """A p value.

    >>> format_p(0.0004), format_p(0.03), format_p(None)
    ('< 0.001', '0.030', '–')
    """
    return "< 0.001" if value is not None and value < 0.001 else format_number(value)


def format_count(number_of: int, one: str, many: str = "") -> str:
    """A number with its noun.

    >>> format_count(1, "row"), format_count(1440, "row"), format_count(2, "class", "classes")
    ('1 row', '1,440 rows', '2 classes')
    """
    return f"{number_of:,} {one if number_of == 1 else many or one + 's'}"


def make_sentence(note: str) -> str:
    """A note as a sentence.

    >>> make_sentence("closed set")
    'Closed set.'
    """
    return f"{note[:1].upper()}{note[1:]}."
