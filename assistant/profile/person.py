"""A person's profile: what they or their app declared. Nothing in it is inferred."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from assistant.consent.policy import AgeBand, Context, Subject

Formality = Literal["casual", "neutral", "formal"]


@dataclass(frozen=True, slots=True)
class App:
    """A client of the API: a tenant with its own people, catalogue and context of use."""

    id: str
    name: str
    context: Context


@dataclass(frozen=True, slots=True)
class Profile:
    """Declared preferences; all optional."""

    language: str = "en"
    """BCP 47 primary subtag."""
    country: str | None = None
    """ISO 3166 alpha-2; chooses the lines for human help."""
    age_band: AgeBand = "adult"
    """Emotional inference is off for minors."""
    interests: tuple[str, ...] = ()
    """Tags of the catalogue that the person likes."""
    formality: Formality = "neutral"
    plain_language: bool = False
    """Plain words and short sentences, please."""


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
    return Subject(person.pseudonym, app.context, person.profile.age_band)
