"""A person, their devices, profile and recent context: what they or their app declared. Nothing is inferred."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from assistant.consent.legal_rules import AgeBand, Context, Exemption, Subject
from assistant.errors import Invalid

Formality = Literal["casual", "neutral", "formal"]


@dataclass(frozen=True, slots=True)
class AppSettings:
    """What an app may set for itself."""

    jurisdiction: str | None = None
    """Place whose law the app follows: ISO 3166, such as `DE` or `US-IL`. Its rules apply in addition to those of
    the person's place."""
    require_person: bool = False
    """Only the person can grant consent, with their own token."""
    address: str | None = None
    """Postal address of the controller, for receipts."""
    contact: str | None = None
    """Contact for questions about the data, for receipts."""
    stored_in: tuple[str, ...] = ()
    """Places where the data is stored: ISO 3166, for receipts."""
    attributes: dict[str, Any] = field(default_factory=dict)
    """Further attributes of a profile: a JSON Schema for each, by name; see `profile.attribute_schema`."""


@dataclass(frozen=True, slots=True)
class App:
    """A client of the API: a tenant with its own people, catalogue and context of use."""

    id: str
    name: str
    context: Context
    settings: AppSettings = field(default_factory=AppSettings)
    exemptions: tuple[Exemption, ...] = ()
    """Exceptions that the operator signed for the app."""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Times at which a person does not want to be disturbed; if `start` is later than `end` they pass midnight."""

    start: str
    """`HH:MM` in local time."""
    end: str
    """`HH:MM` in local time; this minute is no longer quiet."""
    time_zone: str = "UTC"
    """IANA name."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Declared preferences; all optional."""

    language: str = "en"
    """BCP 47 primary subtag, such as `en`."""
    country: str | None = None
    """ISO 3166 alpha-2; selects the crisis lines and the rules that apply."""
    region: str | None = None
    """Region of the country: the second part of ISO 3166-2, such as `IL`."""
    age_band: AgeBand = "adult"
    """Emotional inference is off for everybody but adults."""
    interests: tuple[str, ...] = ()
    """Tags of the catalogue that the person likes."""
    goals: tuple[str, ...] = ()
    """The person's goals, in their own words."""
    preferences: dict[str, str] = field(default_factory=dict)
    """Other preferences, by name."""
    formality: Formality = "neutral"
    plain_language: bool = False
    """The assistant should use plain words."""
    short_sentences: bool = False
    """The assistant should use short sentences."""
    quiet_hours: QuietHours | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    """Attributes of the app's own schema, by name."""


@dataclass(frozen=True, slots=True)
class Person:
    """A person: the end user of an app."""

    pseudonym: str
    """Random; stands for the person everywhere inside the server."""
    id: str
    """The app's id for the person."""
    version: int
    """Number of the profile's version; grows with each change."""
    profile: Profile = field(default_factory=Profile)


def subject(app: App, person: Person) -> Subject:
    """What the consent rules need to know about a person in an app."""
    return Subject(
        person.pseudonym,
        app.context,
        person.profile.age_band,
        app=app.id,
        country=person.profile.country,
        region=person.profile.region,
        jurisdiction=app.settings.jurisdiction,
        require_person=app.settings.require_person,
        exemptions=app.exemptions,
    )


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


DeviceKind = Literal["phone", "web", "speaker", "watch", "car", "other"]

MAX_DEVICES = 32
"""Most devices of one person."""


@dataclass(frozen=True, slots=True)
class Device:
    """One device, linked to a person."""

    id: str
    """The app's id for the device."""
    kind: DeviceKind
    name: str
    """The person's name for the device."""
    linked_at: float
    """Unix seconds."""


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
