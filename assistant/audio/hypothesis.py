"""What is asked of a guess at what was said: does it go round in circles, is it likely, which words will stay."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

LEAST_LOG_PROBABILITY = -1.0
MOST_COMPRESSION = 2.4
"""These two are those of Radford et al. 2022, section 4.5."""
_SILENCE = ((0.6, -0.5), (0.2, -1.0))
"""Where silence is likelier than the first, words must be likelier than the second. Over 240 clips of commands and
acted feelings silence was at most 0.24 likely, and words at least -0.83."""
_ROUNDS = 4
"""A phrase said so often in a row is taken for a loop ..."""
_LOOP = 12
"""... once all rounds together have so many tokens; people do say "no, no, no, no"."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way to decode a stretch of speech."""

    tokens: tuple[int, ...]
    text: str
    log_probability: float
    """Natural logarithm, mean over the tokens and the end."""
    temperature: float
    """0 where the likeliest token was taken each time."""
    ended: bool
    """False where the decoder had to be stopped: it went round in circles, or said more than fits the time."""

    @property
    def poor(self) -> bool:
        """Whether another temperature should be tried."""
        return (
            not self.ended
            or self.log_probability < LEAST_LOG_PROBABILITY
            or compression(self.text) > MOST_COMPRESSION
        )


def best(attempts: Sequence[Attempt]) -> Attempt:
    """The first that isn't poor; else the likeliest of those that ended by themselves, else the first.

    >>> tries = [Attempt((), name, p, 0, ended) for name, p, ended in (("a", -2, True), ("b", -1.5, True))]
    >>> best(tries).text, best([*tries, Attempt((), "c", -0.5, 1, True)]).text
    ('b', 'c')
    >>> best([Attempt((), "round and round", -0.1, 0, False)]).text
    'round and round'
    """
    good = [attempt for attempt in attempts if not attempt.poor]
    if good:
        return good[0]
    ended = [attempt for attempt in attempts if attempt.ended and compression(attempt.text) <= MOST_COMPRESSION]
    return max(ended, key=lambda attempt: attempt.log_probability) if ended else attempts[0]


def compression(text: str) -> float:
    """How much shorter zlib makes the text: above `MOST_COMPRESSION` it says the same again and again.

    >>> compression("He was not an ill disposed young man.") < 1.2, compression("I see. " * 20) > 2.4
    (True, True)
    """
    data = text.encode()
    return len(data) / len(zlib.compress(data))


def circling(tokens: Sequence[int]) -> int:
    """How many tokens at the end only repeat what stands before them; 0 while there is no loop.

    >>> circling([7, 1, 2, 3] + 3 * [1, 2, 3])
    9
    >>> circling([7, 1, 2, 3, 1, 2, 3]), circling([5, 5, 5, 5, 5])
    (0, 0)
    >>> circling(12 * [5])
    11
    """
    count = len(tokens)
    for period in range(1, count // _ROUNDS + 1):
        same = 0
        while same + period < count and tokens[count - 1 - same] == tokens[count - 1 - same - period]:
            same += 1
        if same + period >= max(_LOOP, _ROUNDS * period):
            return same
    return 0


def nobody_speaks(no_speech: float, log_probability: float) -> bool:
    """Whether words are to be dropped: silence is likely, and the words are not.

    >>> nobody_speaks(0.9, -0.7), nobody_speaks(0.9, -0.2), nobody_speaks(0.3, -1.5), nobody_speaks(0.1, -1.5)
    (True, False, True, False)
    """
    return any(no_speech > silence and log_probability < words for silence, words in _SILENCE)


def most_tokens(seconds: float, most: int) -> int:
    """How many tokens can be said in this time: scripts that are spelt byte by byte take about 20 a second.

    >>> most_tokens(1, 224), most_tokens(15, 224)
    (37, 224)
    """
    return min(most, int(12 + 25 * seconds))


def settled(said: Sequence[str], before: str, now: str) -> tuple[str, ...]:
    """The words to add to those already said: what two guesses in a row agree on, from the first word on.

    Words are never taken back: those already said stay, and what follows them is what stands at its place in both
    guesses. It is LocalAgreement-2 (Liu et al. 2020, "Low-latency sequence-to-sequence speech recognition").

    >>> settled((), "He was not.", "He was not an ill")
    ('He', 'was')
    >>> settled(("He", "was"), "He was not an ill", "He was not an ill disposed")
    ('not', 'an', 'ill')
    >>> settled(("He", "was"), "She", "She was")
    ()
    """
    agreed: list[str] = []
    for one, other in zip(before.split(), now.split(), strict=False):
        if one != other:
            break
        agreed.append(one)
    return tuple(agreed[len(said) :])
