"""A person's recent context, such as the time zone or the activity. Each part has its own time to live."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from assistant.errors import Invalid
from assistant.profile.person import time_zone

Part = Literal["time_zone", "location", "searches", "activity"]

LIFETIMES_S: dict[Part, tuple[float, float]] = {
    "time_zone": (7 * 86_400.0, 90 * 86_400.0),
    "location": (3_600.0, 86_400.0),
    "searches": (86_400.0, 7 * 86_400.0),
    "activity": (1_800.0, 86_400.0),
}
"""Seconds to live of each part: by default, and at most."""
PARTS: tuple[Part, ...] = tuple(LIFETIMES_S)

_COARSE = 10
"""Steps per degree: a tenth of a degree is about eleven kilometres."""
_MAX_SEARCHES = 20


@dataclass(frozen=True, slots=True)
class ContextPart:
    """One part of the context: a value with its times."""

    value: Any
    at: float
    """Unix seconds."""
    expires_at: float
    """Unix seconds."""


class ContextStore(Protocol):
    """Storage of recent context."""

    async def read_context(self, person: str) -> dict[str, ContextPart]:
        """The parts of a person's context that have not expired, by name."""


def check_part(part: Part, value: Any) -> Any:
    """The value as it may be stored. Raises `Invalid`.

    A precise location is refused, not rounded: it should not have left the device.

    >>> check_part("location", {"latitude": 52.5, "longitude": 13.4})
    {'latitude': 52.5, 'longitude': 13.4}
    >>> check_part("location", {"latitude": 52.5163, "longitude": 13.3777})
    Traceback (most recent call last):
    assistant.errors.Invalid: round the location to tenths of a degree on the device
    """
    if part == "time_zone":
        return time_zone(value).key
    if part == "location" and "latitude" in value:
        return {name: _coarse(value[name], limit) for name, limit in (("latitude", 90), ("longitude", 180))}
    if part == "searches" and len(value) > _MAX_SEARCHES:
        raise Invalid(f"send at most the {_MAX_SEARCHES} latest searches", code="too_many_searches")
    return value


def lifetime_s(part: Part, asked_s: float | None) -> float:
    """Seconds to live of a part. Raises `Invalid` (`ttl_invalid`) if `asked_s` is not in its range.

    >>> lifetime_s("location", None), lifetime_s("activity", 60)
    (3600.0, 60.0)
    """
    usual, most = LIFETIMES_S[part]
    if asked_s is None:
        return usual
    if not 0 < asked_s <= most:
        raise Invalid(f"the time to live of {part} is at most {most:.0f} seconds", code="ttl_invalid")
    return float(asked_s)


def _coarse(degrees: float, limit: int) -> float:
    if not math.isfinite(degrees) or abs(degrees) > limit:
        raise Invalid("latitude must be within 90 degrees, longitude within 180", code="location_invalid")
    if abs(degrees * _COARSE - round(degrees * _COARSE)) > 1e-6:
        raise Invalid("round the location to tenths of a degree on the device", code="location_precise")
    return round(degrees * _COARSE) / _COARSE
