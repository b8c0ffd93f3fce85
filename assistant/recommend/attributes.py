"""Attributes that no item and no context may have, because a mood must never reach them.

Price, eligibility and queue order are not for a mood to touch, and a mood must come in through consent or not at
all: so what is named like one of these is refused, with its reason. The learned policies cross every feature of an
item with the mood; an attribute that isn't there can't be crossed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from assistant.errors import Invalid


@dataclass(frozen=True, slots=True)
class Refusal:
    """A family of attributes that is refused."""

    code: str
    says: str
    words: frozenset[str]
    """Whole words; a name is split at capitals, digits and signs."""


def _refusal(code: str, says: str, words: str) -> Refusal:
    return Refusal(code, says, frozenset(words.split()))


# fmt: off
OF_ITEMS: tuple[Refusal, ...] = (
    _refusal("attribute_price", "a mood must never reach a price", """
        price prices pricing priced cost costs fee fees discount discounts surcharge premium tariff fare margin
        markup coupon voucher interest apr rent bid bids currency eur usd gbp"""),
    _refusal("attribute_eligibility", "a mood must never decide who may have something", """
        eligible eligibility entitled entitlement entitlements creditworthiness credit risk insurable insurance
        approval approved qualify qualified qualifies underwriting"""),
    _refusal("attribute_queue", "a mood must never change the order of a queue", """
        queue queues queueing wait waiting waitlist priority priorities turn triage sla"""),
)
"""What an item may not carry as a feature."""

OF_CONTEXTS: tuple[Refusal, ...] = (
    *OF_ITEMS,
    _refusal("attribute_mood", "a mood comes from a granted reading, never from a request", """
        mood moods emotion emotions emotional affect affective sentiment valence arousal stress stressed anger angry
        fear sad sadness joy happy happiness anxiety anxious depressed depression distress frustrated frustration
        feeling feelings voice pitch tremor heart pulse hrv eda gsr skin face facial expression keystroke keystrokes
        typing"""),
)
"""What a context may not carry: the same, and whatever stands for a mood."""
# fmt: on


def words_of(name: str) -> tuple[str, ...]:
    """The words of a name, in lower case.

    >>> words_of("unitPrice_EUR2")
    ('unit', 'price', 'eur')
    """
    return tuple(word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name))


def refusal(name: str, family: Sequence[Refusal]) -> Refusal | None:
    """Why an attribute of this name is refused, if it is.

    >>> refusal("monthly_fee", OF_ITEMS).code
    'attribute_price'
    >>> refusal("tempo", OF_ITEMS) is None
    True
    """
    words = words_of(name)
    return next((refusal for refusal in family if not refusal.words.isdisjoint(words)), None)


def check_names(names: Iterable[str], family: Sequence[Refusal], where: str) -> None:
    """Raise `Invalid` with the code of the refusal for the first name that may not be there."""
    for name in names:
        if (refused := refusal(name, family)) is not None:
            raise Invalid(f"{where} may not have {name[:40]!r}: {refused.says}", code=refused.code)
