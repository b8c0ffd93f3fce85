"""A person's profile: what they or their app declared. Nothing in it is inferred."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from assistant.consent.policy import AgeBand, Context, Exemption, Subject

Formality = Literal["casual", "neutral", "formal"]


@dataclass(frozen=True, slots=True)
class AppSettings:
    """What an app may set for itself."""

    jurisdiction: str | None = None
    """Where it is held to account: ISO 3166, such as `DE` or `US-IL`; its rules hold besides those of the person's
    place."""
    require_person: bool = False
    """Consent can be granted only by the person themself, with their own token."""
    address: str | None = None
    """Postal address of whoever answers for the app, for receipts."""
    contact: str | None = None
    """How a person reaches them about their data, for receipts."""
    stored_in: tuple[str, ...] = ()
    """Where the data is kept: ISO 3166, for receipts."""
    attributes: dict[str, Any] = field(default_factory=dict)
    """Further attributes of a profile: a JSON Schema for each, by name; see `profile.schema`."""


@dataclass(frozen=True, slots=True)
class App:
    """A client of the API: a tenant with its own people, catalogue and context of use."""

    id: str
    name: str
    context: Context
    settings: AppSettings = field(default_factory=AppSettings)
    exemptions: tuple[Exemption, ...] = ()
    """Exceptions that the operator signed for it."""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """When a person wants to be left in peace; from a later to an earlier time it goes past midnight."""

    start: str
    """`HH:MM`, local time."""
    end: str
    """`HH:MM`, local time; the minute in which it is over."""
    time_zone: str = "UTC"
    """IANA name."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Declared preferences; all optional."""

    language: str = "en"
    """BCP 47 primary subtag."""
    country: str | None = None
    """ISO 3166 alpha-2; chooses the lines for human help and the rules that hold."""
    region: str | None = None
    """Part of the country: what follows it in ISO 3166-2, such as `IL`."""
    age_band: AgeBand = "adult"
    """Emotional inference is off for everybody but adults."""
    interests: tuple[str, ...] = ()
    """Tags of the catalogue that the person likes."""
    goals: tuple[str, ...] = ()
    """What they are working towards, in their own words."""
    preferences: dict[str, str] = field(default_factory=dict)
    """Anything else they like to be so, by name."""
    formality: Formality = "neutral"
    plain_language: bool = False
    """Plain words, please."""
    short_sentences: bool = False
    """Short sentences, please."""
    quiet_hours: QuietHours | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    """What the app's own schema adds."""


@dataclass(frozen=True, slots=True)
class Person:
    """The end user of an app."""

    pseudonym: str
    """Random; stands for the person everywhere inside."""
    id: str
    """What the app calls them."""
    version: int
    """Grows with each change of the profile."""
    profile: Profile = field(default_factory=Profile)


def subject(app: App, person: Person) -> Subject:
    """What the consent rules need to know of a person in an app."""
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
