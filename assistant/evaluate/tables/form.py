"""How a table is written, and what its rows are about, as far as somebody said so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from assistant.evaluate.tables.numbers import Decimal

Separator = Literal["comma", "semicolon", "tab", "pipe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableForm:
    """What can't always be told from a table itself. Options of commands have these fields too."""

    separator: Separator | None = None
    """Between the cells of CSV; None to find out."""
    header: Sequence[str] = ()
    """Names of the columns of a file whose first line is data already."""
    decimal: Decimal | None = None
    """What stands before the decimals of a number; None to find out number by number."""
    whole_files: bool = False
    """Columns that look like the part of a file are not used."""
    channel: int | None = None
    """That is heard in all files, from 1 (left), unless the row says so itself; None for the mix of all."""

    @property
    def form(self) -> TableForm:
        """These fields alone, without what options add."""
        return TableForm(**{one.name: getattr(self, one.name) for one in fields(TableForm)})

    def tell(self) -> dict[str, Any]:
        """What differs from the defaults."""
        plain = asdict(PLAIN)
        return {name: value for name, value in asdict(self).items() if value != plain[name]}


PLAIN = TableForm()
"""Of a table of which nobody said anything."""
