"""What the law or the app's context of use forbids, whatever a person consents to. A table that gives reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from assistant.emotion import MODALITIES, Modality

Context = Literal["general", "workplace", "education", "therapy"]
AgeBand = Literal["adult", "minor"]

CONTEXTS: tuple[Context, ...] = ("general", "workplace", "education", "therapy")
AGE_BANDS: tuple[AgeBand, ...] = ("adult", "minor")


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a decision about consent concerns, and where."""

    person: str
    """Pseudonym."""
    context: Context = "general"
    """The app's context of use."""
    age_band: AgeBand = "adult"


@dataclass(frozen=True, slots=True)
class Rule:
    """Forbids some modalities in a context of use or for an age band."""

    code: str
    why: str
    modalities: tuple[Modality, ...]
    context: Context | None = None
    age_band: AgeBand | None = None

    def applies(self, subject: Subject, modality: Modality) -> bool:
        """Whether this rule forbids `modality` for `subject`."""
        return (
            modality in self.modalities
            and self.context in (None, subject.context)
            and self.age_band in (None, subject.age_band)
        )


RULES: tuple[Rule, ...] = (
    Rule(
        "context_workplace",
        "Inferring emotions from biometric data at work is prohibited (EU AI Act, Art. 5(1)(f)).",
        ("voice",),
        context="workplace",
    ),
    Rule(
        "context_education",
        "Inferring emotions from biometric data in education is prohibited (EU AI Act, Art. 5(1)(f)).",
        ("voice",),
        context="education",
    ),
    Rule(
        "context_therapy",
        "Therapy may not use a machine's detection of emotions (Illinois, HB 1806).",
        ("voice",),
        context="therapy",
    ),
    Rule("minor", "Emotional inference is off for minors.", MODALITIES, age_band="minor"),
)


def forbidden(subject: Subject, modality: Modality) -> Rule | None:
    """The first rule that forbids `modality` for `subject`, if any.

    >>> forbidden(Subject("p", context="workplace"), "voice").code
    'context_workplace'
    >>> forbidden(Subject("p", context="workplace"), "text") is None
    True
    """
    return next((rule for rule in RULES if rule.applies(subject, modality)), None)
