"""Quiet hours and time zones."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from assistant.errors import Invalid
from assistant.profile.person import QuietHours


def time_zone(name: str) -> ZoneInfo:
    """The zone of an IANA name. Raises `Invalid` (`time_zone_unknown`).

    >>> time_zone("Europe/Berlin").key
    'Europe/Berlin'
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Invalid("a time zone must be an IANA name such as Europe/Berlin", code="time_zone_unknown") from error


def is_quiet(hours: QuietHours | None, now: float, zone: str | None = None) -> bool:
    """Whether Unix time `now` is in the quiet hours; `zone` is the person's current time zone, if it is known.

    >>> nights = QuietHours("22:00", "07:00", "Europe/Berlin")
    >>> is_quiet(nights, 1_800_000_000)  # 09:00 in Berlin
    False
    >>> is_quiet(nights, 1_800_000_000, "America/New_York")  # 03:00 there
    True
    """
    if hours is None:
        return False
    local = datetime.fromtimestamp(now, time_zone(zone or hours.time_zone)).strftime("%H:%M")
    if hours.start <= hours.end:
        return hours.start <= local < hours.end
    return local >= hours.start or local < hours.end
