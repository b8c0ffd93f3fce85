"""What a person, or the signal of their browser, asked not to be done; the answer says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assistant.profile.person import Profile


@dataclass(frozen=True, slots=True)
class Limit:
    """Something that is not done, and why."""

    code: str
    says: str


GPC = Limit(
    "gpc", "Global Privacy Control: nothing about the person chose what is shown, and nothing commercial is."
)
RESTRICTED = Limit("restricted", "The person had the use of their data restricted: it is kept and not used.")
OBJECTED = Limit("objected", "The person objects to profiling: nothing about them chose what is shown.")


def limits_of(*, gpc: bool, restricted: bool, objected: bool) -> tuple[Limit, ...]:
    """The limits that hold.

    >>> [limit.code for limit in limits_of(gpc=True, restricted=False, objected=True)]
    ['gpc', 'objected']
    """
    possible = ((gpc, GPC), (restricted, RESTRICTED), (objected, OBJECTED))
    return tuple(limit for holds, limit in possible if holds)


def content_profile(profile: Profile, limits: Sequence[Limit]) -> Profile:
    """The part of a profile that may choose content: under any limit only the language, which every choice needs.

    >>> content_profile(Profile(language="de", interests=("music",)), (GPC,)).interests
    ()
    """
    return Profile(language=profile.language) if limits else profile


def tone_profile(profile: Profile, limits: Sequence[Limit]) -> Profile:
    """The part of a profile that may choose the tone."""
    return Profile(language=profile.language) if RESTRICTED in limits else profile
