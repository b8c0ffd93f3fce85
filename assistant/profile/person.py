"""A person, their devices, and their profile: what they or their app declared. Nothing in it is inferred."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
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
