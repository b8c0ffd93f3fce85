"""Decay of readings: how much a reading counts as time passes, and after a newer one.

The half-lives were measured in the scenes of MELD (train): for each dimension, the correlation of the labels of two
utterances of one person, 6 to 100 s apart, falls as `c * 2 ** (-seconds / half_life)`, with c near .3.
`scripts/mood/measure.py --only decay` repeats the measurement. Scenes on TV change faster than most lives: a
deployment may set its own half-life of valence, and the other dimensions follow in proportion.
"""

from __future__ import annotations

from dataclasses import dataclass

CARRY = 0.25
"""Weight of an earlier utterance relative to a newer one, before decay over time. Chosen on the conversations of
EmoContext (train), where .2 to .4 are about equally good; in MELD's scenes a lower value would do."""


@dataclass(frozen=True, slots=True)
class HalfLives:
    """Seconds after which a reading counts half, by dimension."""

    valence_s: float = 32.0
    arousal_s: float = 14.0
    stress_s: float = 12.0
    emotions_s: float = 18.0

    @classmethod
    def scaled(cls, valence_s: float) -> HalfLives:
        """The measured half-lives in proportion to that of valence.

        >>> HalfLives.scaled(64.0)
        HalfLives(valence_s=64.0, arousal_s=28.0, stress_s=24.0, emotions_s=36.0)
        """
        usual = cls()
        by = valence_s / usual.valence_s
        return cls(valence_s, usual.arousal_s * by, usual.stress_s * by, usual.emotions_s * by)
