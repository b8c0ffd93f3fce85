"""How a table is written, and what its rows are about, as far as somebody said so."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from assistant.evaluate.tables.numbers import Decimal

Separator = Literal["comma", "semicolon", "tab", "pipe"]


@dataclass(frozen=True, slots=True)
class TableForm:
    """What can't always be told from a table itself."""

    separator: Separator | None = None
    """Between the cells of CSV; None to find out."""
    header: tuple[str, ...] = ()
    """Names of the columns of a file whose first line is data already."""
    decimal: Decimal | None = None
    """What stands before the decimals of a number; None to find out number by number."""
    whole_files: bool = False
    """Columns that look like the part of a file are not used."""
    channel: int | None = None
    """That is heard in all files, from 1 (left), unless the row says so itself; None for the mix of all."""

    @classmethod
    def of(cls, options: Any) -> TableForm:
        """That of a command's options, which have the same fields."""
        return cls(**{one.name: getattr(options, one.name) for one in fields(cls)})

    def tell(self) -> dict[str, Any]:
        """What differs from the defaults."""
        plain = asdict(TableForm())
        return {name: value for name, value in asdict(self).items() if value != plain[name]}
