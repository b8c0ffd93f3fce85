"""What the law or the app's context of use requires, whatever a person consents to: tables that give reasons.

`PROHIBITIONS` forbid inference; `DUTIES` say what a person must be told; `CONSENT_AGES` say who may consent alone.
Each row names its source and the place where it holds: `*` (everywhere, even if the law that it follows holds in
one place only), `EU`, a country or a part of one. Places are ISO 3166 codes: `DE`, or `US-IL` for Illinois. If a
person's place is not known, every row holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from assistant.emotion import MODALITIES, Modality

EU: frozenset[str] = frozenset(
    ("AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU",
     "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK")
)  # fmt: skip
"""Member states of the EU, ISO 3166 alpha-2."""

CONSENT_AGES: dict[str, tuple[int, str]] = {
    "EU": (16, "GDPR, Art. 8(1), where national law says nothing else"),
    "AT": (14, "Datenschutzgesetz, § 4(4)"),
    "BE": (13, "Act of 30 July 2018, Art. 7"),
    "CZ": (15, "Act 110/2019, § 7"),
    "DK": (15, "Databeskyttelsesloven, § 6(2), since 2024"),
    "ES": (14, "LOPDGDD, Art. 7"),
    "FI": (13, "Data Protection Act 1050/2018, § 5"),
    "FR": (15, "Loi Informatique et Libertés, Art. 45"),
    "IT": (14, "Codice privacy, Art. 2-quinquies"),
    "SE": (13, "Act 2018:218, ch. 2, § 4"),
    "GB": (13, "Data Protection Act 2018, s. 9"),
    "US": (13, "COPPA, 15 U.S.C. § 6501(1)"),
    "CA-QC": (14, "Act respecting the protection of personal information in the private sector, s. 4.1"),
    "KR": (14, "Personal Information Protection Act, Art. 22-2"),
    "IN": (18, "Digital Personal Data Protection Act 2023, s. 9 with s. 2(f)"),
}
"""By place: the age in years from which a person can consent online without a parent, and its source."""

UNKNOWN_AGE = 18
"""Age in years for a place that is not in the table."""


def applies_in(where: str, places: Iterable[str]) -> bool:
    """Whether a rule that holds `where` applies to somebody with these known `places`.

    With several places the rule applies if it holds in any of them. Without a place every rule applies. A country
    without its part counts as each of its parts.

    >>> applies_in("US-IL", ["US-IL"]), applies_in("US-IL", ["US"]), applies_in("US-IL", [])
    (True, True, True)
    >>> applies_in("US-IL", ["US-CA", "DE"])
    False
    >>> applies_in("EU", ["DE"]), applies_in("EU", ["US"]), applies_in("*", ["US"]), applies_in("US", ["US-IL"])
    (True, False, True, True)
    """
    known = tuple(places)
    return where == "*" or not known or any(_covers(where, place) for place in known)


def _covers(where: str, place: str) -> bool:
    country = place.partition("-")[0]
    if where == "EU":
        return country in EU
    return where in (place, country) or (place == country and where.startswith(f"{country}-"))


def consent_age(places: Iterable[str]) -> tuple[int, str]:
    """The age in years below which a parent decides, and its source: the highest that may hold in these places.

    >>> consent_age(["DE"])[0], consent_age(["FR"])[0], consent_age(["US-CA"])[0]
    (16, 15, 13)
    >>> consent_age(["CA"])[0], consent_age([])[0]
    (18, 18)
    """
    known = tuple(places)
    ages = [_age(place) for place in known] or [(UNKNOWN_AGE, "the place is not known")]
    return max(ages)


def _age(place: str) -> tuple[int, str]:
    country = place.partition("-")[0]
    for where in (place, country, *(["EU"] if country in EU else [])):
        if where in CONSENT_AGES:
            return CONSENT_AGES[where]
    return UNKNOWN_AGE, "no row for this place"


def place_of(country: str | None, region: str | None) -> str | None:
    """The ISO 3166 code of a place; None if the country is not known.

    >>> place_of("US", "IL"), place_of("US", None), place_of(None, "IL")
    ('US-IL', 'US', None)
    """
    if country is None:
        return None
    return f"{country}-{region}" if region else country


Context = Literal["general", "workplace", "education", "therapy", "medical"]
AgeBand = Literal["adult", "teen", "child", "minor"]
ExemptionReason = Literal["medical", "safety"]
"""Why an exception may be made."""

CONTEXTS: tuple[Context, ...] = ("general", "workplace", "education", "therapy", "medical")
EXEMPTION_REASONS: tuple[ExemptionReason, ...] = ("medical", "safety")

DISCLOSE_EVERY_S = 3 * 3600.0


@dataclass(frozen=True, slots=True)
class Exemption:
    """An exception that the operator signed for one app; see `consent.exceptions`."""

    id: str
    context: Context
    reason: ExemptionReason
    expires_at: float
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a decision about consent concerns, and where."""

    person: str
    """Pseudonym of the person."""
    context: Context = "general"
    """The app's context of use."""
    age_band: AgeBand = "adult"
    app: str = ""
    """The app's id."""
    country: str | None = None
    """Country of the person, ISO 3166 alpha-2."""
    region: str | None = None
    """Region of the person: the part of ISO 3166-2 after the country."""
    jurisdiction: str | None = None
    """Place whose law the app follows: a country, or a part of one such as `US-IL`."""
    exemptions: tuple[Exemption, ...] = ()
    """Exceptions that the operator signed for the app."""
    require_person: bool = False
    """Only the person may grant, not the app on their behalf."""

    @property
    def minor(self) -> bool:
        """Whether the person is a minor."""
        return self.age_band != "adult"

    @property
    def places(self) -> tuple[str, ...]:
        """The known places of the person and of the app."""
        return tuple(p for p in (place_of(self.country, self.region), self.jurisdiction) if p)


@dataclass(frozen=True, slots=True)
class Prohibition:
    """A rule that forbids some modalities, in a context of use or for minors."""

    code: str
    why: str
    source: str
    modalities: tuple[Modality, ...]
    where: str = "*"
    context: Context | None = None
    minors: bool = False
    """Holds only for minors."""
    excuses: tuple[ExemptionReason, ...] = ()
    """Reasons for which the operator may sign an exception from this rule."""

    def applies(self, subject: Subject, modality: Modality) -> bool:
        """Whether this rule forbids `modality` for `subject`, without regard to exceptions."""
        return (
            modality in self.modalities
            and self.context in (None, subject.context)
            and (subject.minor or not self.minors)
            and applies_in(self.where, subject.places)
        )


_AI_ACT = "Regulation (EU) 2024/1689 (AI Act)"

PROHIBITIONS: tuple[Prohibition, ...] = (
    Prohibition("minor", "Emotional inference is off for minors.", "Attune's own rule", MODALITIES, minors=True),
    Prohibition(
        "context_workplace",
        "Inferring emotions from biometric data at work is prohibited (EU AI Act, Art. 5(1)(f)).",
        f"{_AI_ACT}, Art. 5(1)(f)",
        ("voice",), context="workplace", excuses=("medical", "safety"),
    ),
    Prohibition(
        "context_education",
        "Inferring emotions from biometric data in education is prohibited (EU AI Act, Art. 5(1)(f)).",
        f"{_AI_ACT}, Art. 5(1)(f)",
        ("voice",), context="education", excuses=("medical", "safety"),
    ),
    Prohibition(
        "therapy_illinois",
        "Therapy may not use emotion detection by a machine, in any way (Illinois, HB 1806).",
        "225 ILCS 155/20(b)(4) (Public Act 104-0054, HB 1806)",
        ("text",), where="US-IL", context="therapy",
    ),
    Prohibition(
        "context_therapy",
        "Therapy may not use emotion detection by a machine (Illinois, HB 1806).",
        "225 ILCS 155/20(b)(4) (Public Act 104-0054, HB 1806)",
        ("voice",), where="US-IL", context="therapy",
    ),
    Prohibition(
        "context_therapy",
        "In therapy, emotion is inferred from the voice only if somebody takes responsibility for a medical use.",
        "Attune's own rule, after 225 ILCS 155/20(b)(4)",
        ("voice",), context="therapy", excuses=("medical",),
    ),
    Prohibition(
        "context_medical",
        "In medicine, emotion is inferred from the voice only if somebody takes responsibility for a medical use.",
        f"Attune's own rule: an intended medical purpose makes a device (Regulation (EU) 2017/745, Art. 2(1)), and "
        f"emotion recognition is high-risk ({_AI_ACT}, Annex III, 1(c))",
        ("voice",), context="medical", excuses=("medical",),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Duty:
    """Something a person must be told, or may ask for."""

    code: str
    kind: Literal["notice", "disclosure", "opt_out"]
    """A `notice` is shown before the voice is read; a `disclosure` says that this is a machine, at the start and
    every three hours; an `opt_out` is a signal to obey."""
    says: str
    source: str
    where: str = "*"
    minors: bool = False
    """Holds only for minors."""

    def applies(self, subject: Subject) -> bool:
        """Whether this duty applies to `subject`."""
        return (subject.minor or not self.minors) and applies_in(self.where, subject.places)


MACHINE = "You are talking to a computer program, not to a human being. It can't feel emotions."
"""Shown to everybody, everywhere."""

DUTIES: tuple[Duty, ...] = (
    Duty(
        "emotion_recognition", "notice",
        "While it listens, software estimates emotion from your voice.",
        f"{_AI_ACT}, Art. 50(3)",
    ),
    Duty(
        "voice_illinois", "notice",
        "For this your voice is turned into numbers. They are held in memory while you speak and then destroyed; "
        "if you let your mood be remembered, at most eight averages and a history of estimates are kept until you "
        "withdraw or their time is over. They are not used to tell who you are, nor sold or passed on.",
        "740 ILCS 14/15 (Biometric Information Privacy Act)", where="US-IL",
    ),
    Duty(
        "voice_texas", "notice",
        "Numbers that describe your voice are made only with your consent, are not sold, and are destroyed once "
        "they are not needed.",
        "Tex. Bus. & Com. Code § 503.001", where="US-TX",
    ),
    Duty(
        "profiling_quebec", "notice",
        "This uses technology that can profile you. It is off until you turn it on, by granting consent, and you "
        "can turn it off in the same way.",
        "Act respecting the protection of personal information in the private sector (Quebec), s. 8.1",
        where="CA-QC",
    ),
    Duty("machine", "disclosure", MACHINE, f"{_AI_ACT}, Art. 50(1)"),
    Duty("machine_new_york", "disclosure", MACHINE, "N.Y. Gen. Bus. Law § 1702", where="US-NY"),
    Duty(
        "break_california", "disclosure",
        "You may have been here for a while. You can take a break at any time.",
        "Cal. Bus. & Prof. Code § 22602(c)(2) (SB 243)", where="US-CA", minors=True,
    ),
    Duty(
        "gpc", "opt_out",
        "With `Sec-GPC: 1` nothing about you chooses what is shown, and nothing commercial is.",
        "Global Privacy Control; Cal. Code Regs. tit. 11, § 7025",
    ),
)  # fmt: skip


def find_prohibition(subject: Subject, modality: Modality, now: float | None = None) -> Prohibition | None:
    """The first rule that forbids `modality` for `subject`, if any.

    Exceptions count only with `now` (Unix seconds), and until they expire.

    >>> find_prohibition(Subject("p", context="workplace"), "voice").code
    'context_workplace'
    >>> find_prohibition(Subject("p", context="workplace"), "text") is None
    True
    """
    against = (rule for rule in PROHIBITIONS if rule.applies(subject, modality))
    return next((rule for rule in against if exemption_from(subject, rule, now) is None), None)


def find_needed_exemption(subject: Subject, modality: Modality, now: float) -> Exemption | None:
    """The exception without which `modality` would be forbidden now; None if none is needed."""
    used = (exemption_from(subject, rule, now) for rule in PROHIBITIONS if rule.applies(subject, modality))
    return next(filter(None, used), None)


def exemption_from(subject: Subject, rule: Prohibition, now: float | None) -> Exemption | None:
    """The signed exception from `rule` that is valid at Unix time `now`, if there is one."""
    living = [one for one in subject.exemptions if now is not None and now < one.expires_at]
    return next((e for e in living if e.context == subject.context and e.reason in rule.excuses), None)


def duties_for(subject: Subject, kind: Literal["notice", "disclosure", "opt_out"]) -> tuple[Duty, ...]:
    """The duties of one kind that apply to `subject`.

    >>> [duty.code for duty in duties_for(Subject("p", country="US", region="IL"), "notice")]
    ['emotion_recognition', 'voice_illinois']
    """
    return tuple(duty for duty in DUTIES if duty.kind == kind and duty.applies(subject))


def disclosure_text(subject: Subject) -> str:
    """What to tell `subject` at the start and every three hours: each sentence once.

    >>> disclosure_text(Subject("p", country="DE", age_band="teen"))
    "You are talking to a computer program, not to a human being. It can't feel emotions."
    """
    return " ".join(dict.fromkeys(duty.says for duty in duties_for(subject, "disclosure")))


def is_disclosure_due(last: float | None, now: float) -> bool:
    """Whether the disclosure is due again at Unix time `now`; `last` is the time of the last one.

    >>> is_disclosure_due(None, 0.0), is_disclosure_due(0.0, 10_799.0), is_disclosure_due(0.0, 10_800.0)
    (True, False, True)
    """
    return last is None or not 0 <= now - last < DISCLOSE_EVERY_S


def explain_policy(subject: Subject, now: float) -> dict[str, Any]:
    """All rules and duties that apply to `subject`, as the API shows them."""
    age, source = consent_age(subject.places)
    return {
        "context": subject.context,
        "places": list(subject.places),
        "refused": [
            {"modality": modality, "code": rule.code, "why": rule.why, "source": rule.source}
            for modality in MODALITIES
            if (rule := find_prohibition(subject, modality, now)) is not None
        ],
        "duties": [
            {"code": duty.code, "kind": duty.kind, "says": duty.says, "source": duty.source}
            for duty in DUTIES
            if duty.applies(subject)
        ],
        "consent_age": {"years": age, "source": source},
        "exceptions": [
            {"id": e.id, "context": e.context, "reason": e.reason, "expires_at": e.expires_at}
            for e in subject.exemptions
            if now < e.expires_at
        ],
    }
