"""Checks of a hypothesis of the transcriber: does it loop, is it likely, which of its words are final."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

LEAST_LOG_PROBABILITY = -1.0
MOST_COMPRESSION = 2.4
"""Both limits are from Radford et al. 2022, section 4.5."""
_SILENCE = ((0.6, -0.5), (0.2, -1.0))
"""If silence is more probable than the first number, the log-probability of the words must exceed the second. Over
240 clips of commands and acted emotions, silence had at most 0.24 and the words at least -0.83."""
_ROUNDS = 4
"""A phrase repeated this many times in a row counts as a loop ..."""
_LOOP = 12
"""... if all repetitions together have this many tokens; people do say "no, no, no, no"."""


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
    """False if the decoder had to be stopped: it looped, or produced more than can be said in the time."""

    @property
    def poor(self) -> bool:
        """Whether another temperature should be tried."""
        return (
            not self.ended
            or self.log_probability < LEAST_LOG_PROBABILITY
            or compression(self.text) > MOST_COMPRESSION
        )


def best_attempt(attempts: Sequence[Attempt]) -> Attempt:
    """The first attempt that isn't poor; else the most probable one that ended by itself; else the first.

    >>> tries = [Attempt((), name, p, 0, ended) for name, p, ended in (("a", -2, True), ("b", -1.5, True))]
    >>> best_attempt(tries).text, best_attempt([*tries, Attempt((), "c", -0.5, 1, True)]).text
    ('b', 'c')
    >>> best_attempt([Attempt((), "round and round", -0.1, 0, False)]).text
    'round and round'
    """
    good = [attempt for attempt in attempts if not attempt.poor]
    if good:
        return good[0]
    ended = [attempt for attempt in attempts if attempt.ended and compression(attempt.text) <= MOST_COMPRESSION]
    return max(ended, key=lambda attempt: attempt.log_probability) if ended else attempts[0]


def compression(text: str) -> float:
    """Compression ratio of the text by zlib: above `MOST_COMPRESSION` it repeats itself.

    >>> compression("He was not an ill disposed young man.") < 1.2, compression("I see. " * 20) > 2.4
    (True, True)
    """
    data = text.encode()
    return len(data) / len(zlib.compress(data))


def looping_tokens(tokens: Sequence[int]) -> int:
    """How many tokens at the end only repeat those before them; 0 if there is no loop.

    >>> looping_tokens([7, 1, 2, 3] + 3 * [1, 2, 3])
    9
    >>> looping_tokens([7, 1, 2, 3, 1, 2, 3]), looping_tokens([5, 5, 5, 5, 5])
    (0, 0)
    >>> looping_tokens(12 * [5])
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


def is_silence(no_speech: float, log_probability: float) -> bool:
    """Whether to drop the words: silence is probable, and the words are not.

    >>> is_silence(0.9, -0.7), is_silence(0.9, -0.2), is_silence(0.3, -1.5), is_silence(0.1, -1.5)
    (True, False, True, False)
    """
    return any(no_speech > silence and log_probability < words for silence, words in _SILENCE)


def most_tokens(seconds: float, most: int) -> int:
    """How many tokens can be said in this time, at most `most`: scripts encoded by bytes take about 20 per second.

    >>> most_tokens(1, 224), most_tokens(15, 224)
    (37, 224)
    """
    return min(most, int(12 + 25 * seconds))


def new_final_words(said: Sequence[str], before: str, now: str) -> tuple[str, ...]:
    """The words that became final: those that two hypotheses in a row agree on from the start, without `said`.

    Final words are never changed again: `said` holds those of earlier hypotheses. The method is LocalAgreement-2
    (Liu et al. 2020, "Low-latency sequence-to-sequence speech recognition").

    >>> new_final_words((), "He was not.", "He was not an ill")
    ('He', 'was')
    >>> new_final_words(("He", "was"), "He was not an ill", "He was not an ill disposed")
    ('not', 'an', 'ill')
    >>> new_final_words(("He", "was"), "She", "She was")
    ()
    """
    agreed: list[str] = []
    for one, other in zip(before.split(), now.split(), strict=False):
        if one != other:
            break
        agreed.append(one)
    return tuple(agreed[len(said) :])
