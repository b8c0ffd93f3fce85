"""Markdown in which every text shows as it is: tables, code and prose."""

from __future__ import annotations

import re
from collections.abc import Sequence

from assistant.evaluate.report.formatting import escape_hidden
from assistant.evaluate.report.view import Cell, Scale, Table

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&$])")
_BACKTICKS = re.compile(r"`+")
_ALIGNED = {"n": "---:"}
_BAR = "p"


def escape_markdown(text: str) -> str:
    """Any text as Markdown that shows just that text, on one line.

    >>> print(escape_markdown("a|b <b>*c*</b>"), escape_markdown("two\\nlines"))
    a\\|b \\<b\\>\\*c\\*\\</b\\> two lines
    """
    return _SPECIAL.sub(r"\\\1", " ".join(escape_hidden(text).split()))


def make_code_block(text: str) -> str:
    """A block of code that its content cannot end.

    >>> print(make_code_block("a ``` b"))
    ````
    a ``` b
    ````
    """
    fence = "`" * max(3, max(map(len, _BACKTICKS.findall(text)), default=0) + 1)
    return f"{fence}\n{escape_hidden(text)}\n{fence}"


def make_table(table: Table) -> str:
    """A table without its bars; numbers are aligned to the right.

    >>> print(make_table(Table(("name", "n"), [("a|b", "3")], "tn")))
    | name | n |
    | :--- | ---: |
    | a\\|b | 3 |
    """
    marks = [_ALIGNED.get(kind, ":---") for kind in table.kinds if kind != _BAR]
    lines = [_cells(table.head, table.kinds), marks, *(_cells(row, table.kinds) for row in table.rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells(row: Sequence[str | Cell | Scale], kinds: str) -> list[str]:
    texts = []
    for kind, cell in zip(kinds, row, strict=True):
        text = cell if isinstance(cell, str) else cell.title if isinstance(cell, Scale) else cell.text
        if kind != _BAR:
            texts.append(escape_markdown(text))
        elif text and texts and texts[-1] in ("", "–"):
            texts[-1] = escape_markdown(text)  # a note in the place of a bar
    return texts
