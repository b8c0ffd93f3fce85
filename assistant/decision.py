"""A decision as it is kept for a year: what was chosen, from which inputs, and why. It holds no score of a mood.

Stored as JSON, sealed with the person's key, and exported unchanged. A change that old rows can't be read with
needs a new version.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from assistant.emotion import Mood
from assistant.recommend.decision import RankingDecision
from assistant.tone.directive import Directive, Manner, Never, OfferedCorrection


class ReadModalities(msgspec.Struct, frozen=True):
    """Which modalities the moods came from that were used, by purpose."""

    tone: tuple[str, ...]
    content: tuple[str, ...]


class ToneDecision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a tone was chosen."""

    policy: str
    """Version of the rules."""
    inputs: tuple[str, ...]
    """Names of what was looked at."""
    reasons: tuple[str, ...]
    """Codes of the rules that fired."""
    says: tuple[str, ...]
    """What each of them says."""
    manner: Manner
    without_mood: Manner
    never: tuple[Never, ...]
    correction: OfferedCorrection | None = None
    """What the person can say where the rule that read their mood was wrong about it."""

    @classmethod
    def from_directive(cls, directive: Directive) -> ToneDecision:
        """What is kept of a directive."""
        return cls(
            policy=directive.policy,
            inputs=directive.inputs,
            reasons=tuple(reason.code for reason in directive.reasons),
            says=tuple(reason.says for reason in directive.reasons),
            manner=directive.manner,
            without_mood=directive.without_mood,
            never=directive.never,
            correction=directive.correction,
        )


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=1, tag_field="version"):
    """One choice of a tone, of a ranking, or of both. Rows without a `version` are of version 1."""

    read: ReadModalities
    ranking: RankingDecision | None = None
    tone: ToneDecision | None = None
    limits: tuple[str, ...] = ()
    """Codes of what the person asked not to be done."""


class DecisionLog(Protocol):
    """Where decisions are kept. `store` implements it."""

    async def add(self, decision: str, person: str, at: float, body: Decision) -> None:
        """Keep one; durable when this returns."""


def modalities_of(mood: Mood | None) -> tuple[str, ...]:
    """Which modalities a mood comes from, and `correction` where the person corrected it.

    >>> modalities_of(None)
    ()
    """
    return () if mood is None else tuple(sorted(evidence.modality for evidence in mood.evidence))
