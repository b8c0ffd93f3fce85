"""What separates the cells of a CSV file."""

from __future__ import annotations

import csv
import re
from itertools import islice

from assistant.evaluate.tables.form import TableForm

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_ROWS = 50  # that are looked at where the header could be separated in several ways


def find_separator(start: str, form: TableForm, *, tabs: bool) -> str:
    """What separates the cells of a file that begins like this; `tabs` if it should be tabs by its name.

    Raises `ValueError` where several may, and the rows don't tell either.

    >>> find_separator("file;speaker;valence\\na.wav;x;0,5\\n", TableForm(), tabs=False)
    ';'
    >>> find_separator("text;emotion,note\\na;joy,x\\nb, c;joy,y\\n", TableForm(), tabs=False)
    ';'
    """
    if form.separator is not None:
        return SEPARATORS[form.separator]
    first, _, rest = start.partition("\n")
    plain = _QUOTED.sub("", first)
    found = [separator for separator in SEPARATORS.values() if separator in plain]
    if tabs and ("\t" in found or not found):
        return "\t"
    if len(found) < 2:
        return found[0] if found else ","
    lines = (
        start.splitlines(keepends=True)
        if "\n" not in rest
        else start[: start.rindex("\n")].splitlines(keepends=True)
    )
    fitting = {separator: _count_fitting(lines, separator, len(form.header)) for separator in found}
    most = max(fitting.values())
    best = [separator for separator, count in fitting.items() if count == most]
    if len(best) == 1 and most:
        return best[0]
    names = [name for name, separator in SEPARATORS.items() if separator in best]
    raise ValueError(f"its cells may be separated by {' or '.join(names)}: say which with --separator {names[0]}")


def _count_fitting(lines: list[str], separator: str, columns: int) -> int:
    """How many of the first rows have as many cells as the header, or `columns`."""
    try:
        header, *rows = [row for row in islice(csv.reader(lines, delimiter=separator), _ROWS + 1) if row]
    except (csv.Error, ValueError):
        return 0
    if columns:
        return sum(len(row) == columns for row in (header, *rows))
    return sum(len(row) == len(header) for row in rows)
