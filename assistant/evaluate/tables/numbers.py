"""Numbers and times as tables write them: decimal commas, thousands, seconds, clocks, and what pandas writes."""

from __future__ import annotations

import math
import re
from typing import Literal

Decimal = Literal["point", "comma"]

NOTHING = frozenset({"", "nat", "nan", "none", "null", "na", "n/a", "<na>"})
"""What stands for no value, in lower case."""
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.IGNORECASE)
_SPACED = re.compile(r"([+-]?\d{1,3})((?:[ \u00a0\u2009\u202f'\u2019]\d{3})+)(?=[.,]|$)")
_GROUPS = {
    "point": re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?"),
    "comma": re.compile(r"[+-]?\d{1,3}(?:\.\d{3})+(?:,\d*)?"),
}
_EITHER = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_CLOCK = re.compile(
    r"(?P<sign>-)?(?:(?P<days>\d+) days?,? ?)?\+?"
    r"(?:(?:(?P<hours>\d+):)?(?P<minutes>\d+):(?P<seconds>\d+(?:[.,]\d+)?))?"
)
_ISO = re.compile(r"p(?:(\d+)d)?t(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:[.,]\d+)?)s)?", re.IGNORECASE)
_WITH_UNIT = re.compile(r"([+-]?[\d.,]+)\s*(ms|msecs?|milliseconds?|s|secs?|seconds?)", re.IGNORECASE)


def parse_number(written: str, decimal: Decimal | None = None) -> float:
    """A finite number. Raises `ValueError` with the reason, also where `1,234` may be one and a bit or a thousand.

    >>> [parse_number(one) for one in ("0,5", "-1.25", "1.234,5", "1,234.5", "1 234,5", "1e-3", "0,500")]
    [0.5, -1.25, 1234.5, 1234.5, 1234.5, 0.001, 0.5]
    >>> parse_number("1,234", "comma"), parse_number("1,234", "point"), parse_number("1.234", "comma")
    (1.234, 1234.0, 1234.0)
    """
    plain = written.strip().replace("\u2212", "-")
    if spaced := _SPACED.match(plain):
        plain = spaced[1] + re.sub(r"\D", "", spaced[2]) + plain[spaced.end() :]
    if decimal is None and "," in plain:
        if _EITHER.fullmatch(plain):
            why = f"{plain!r} may be a decimal or a thousand: say which with --decimal comma or --decimal point"
            raise ValueError(why)
        grouped = plain.count(",") > 1 or plain.find(",") < plain.find(".")
        decimal = "point" if grouped else "comma"
    if decimal is not None and _GROUPS[decimal].fullmatch(plain):
        plain = plain.replace("," if decimal == "point" else ".", "")
    elif decimal == "comma" and "." in plain:
        raise ValueError(f"not a number with a decimal comma: {written.strip()[:40]!r}")
    if decimal == "comma":
        plain = plain.replace(",", ".")
    value = float(plain) if _NUMBER.fullmatch(plain) else math.inf
    if math.isinf(value):
        raise ValueError(f"not a number: {written.strip()[:40]!r}")
    return value


def find_marks(written: str) -> str:
    """The comma or the point of a number that has one of them; empty for none or both.

    >>> [find_marks(number) for number in ("0,5", "1.234", "1.234,5", "3")]
    [',', '.', '', '']
    """
    found = "".join(mark for mark in ",." if mark in written)
    return found if len(found) == 1 else ""


def parse_time(written: str, *, unit_s: float = 1.0, decimal: Decimal | None = None) -> float | None:
    """Seconds; None where nothing stands. Raises `ValueError`. `unit_s` is that of numbers without a unit.

    >>> [parse_time(one) for one in ("0 days 00:00:01.500000", "00:00:01.500", "01:30", "1500 ms", "PT1.5S", "NaT")]
    [1.5, 1.5, 90.0, 1.5, 1.5, None]
    >>> parse_time("1500", unit_s=0.001), parse_time("-1 days +23:59:59"), parse_time("00:16:16,059")
    (1.5, -1.0, 976.059)
    """
    plain = written.strip()
    if plain.casefold() in NOTHING:
        return None
    if found := _WITH_UNIT.fullmatch(plain):
        return parse_number(found[1], decimal) * (0.001 if found[2].casefold().startswith("m") else 1.0)
    if (found := _ISO.fullmatch(plain)) and any(found.groups()):
        return _join_clock(*found.groups())
    if (found := _CLOCK.fullmatch(plain)) and (found["days"] or found["minutes"]):
        days, *rest = (found[name] for name in ("days", "hours", "minutes", "seconds"))
        clock = _join_clock(None, *rest)
        if days is None:
            return -clock if found["sign"] else clock
        return clock + int(days) * (-86_400.0 if found["sign"] else 86_400.0)  # as pandas: -1 days +23:59:59
    try:
        return parse_number(plain, decimal) * unit_s
    except ValueError as error:
        if "--decimal" in str(error):
            raise
        raise ValueError(f"not a time: {plain[:40]!r}") from None


def _join_clock(days: str | None, hours: str | None, minutes: str | None, seconds: str | None) -> float:
    whole = (int(days or 0) * 24 + int(hours or 0)) * 60 + int(minutes or 0)
    return whole * 60 + float((seconds or "0").replace(",", "."))
