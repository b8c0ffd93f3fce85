"""How long a reading tells of a person: what is left of it when a newer one comes, and as time passes.

How alike two utterances of one person are was counted in the scenes of MELD (train): for each dimension, the
correlation of the labels at a distance of 6 to 100 s falls as `c * 2 ** (-seconds / half_life)`, with c near .3.
`scripts/mood/measure.py --only decay` counts again. Films are faster than most lives: a deployment may set its own
half-life, and the other dimensions follow in proportion.
"""

from __future__ import annotations

from dataclasses import dataclass

CARRY = 0.25
"""Weight of an earlier utterance beside a newer one, before time takes its part: mostly, the newer one counts.
Chosen on the conversations of EmoContext (train), where .2 to .4 serve about equally well; in MELD's scenes less
would do."""


@dataclass(frozen=True, slots=True)
class HalfLives:
    """Seconds after which a reading says half as much, by dimension."""

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
