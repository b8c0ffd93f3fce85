"""How many words of a transcript are wrong."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import numpy as np

from assistant.bootstrap import Figure, compute_interval, draw_resamples

_ASIDE = re.compile(r"\[[^\]]*\]|\([^)]*\)")
_NUMBERS = {"1": "one", "2": "two", "3": "three", "8": "eight", "12": "twelve", "16": "sixteen", "20": "twenty"}
RESAMPLES = 2000


def words(text: str) -> list[str]:
    """Lower case, without asides in brackets; marks and punctuation part words, as in Whisper's basic normaliser.

    >>> words("Mr. Dashwood's ill-disposed [laughs]!")
    ['mr', 'dashwood', 's', 'ill', 'disposed']
    """
    plain = _ASIDE.sub("", unicodedata.normalize("NFKC", text.lower()))
    return "".join(" " if unicodedata.category(letter)[0] in "MSP" else letter for letter in plain).split()


def spelt(found: Sequence[str]) -> list[str]:
    """Numbers as words, as far as the commands have them.

    >>> spelt(["12", "ounce"])
    ['twelve', 'ounce']
    """
    return [_NUMBERS.get(word, word) for word in found]


def distance(wanted: Sequence[str], found: Sequence[str]) -> int:
    """The fewest words to change, add or leave out (Levenshtein 1966).

    >>> distance("a b c d".split(), "a x c".split()), distance([], ["a"])
    (2, 1)
    """
    row = list(range(len(found) + 1))
    for count, want in enumerate(wanted, 1):
        corner, row[0] = row[0], count
        for at, have in enumerate(found, 1):
            corner, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, corner + (want != have))
    return row[-1]


def missed(phrases: Sequence[Sequence[str]], found: Sequence[str]) -> int:
    """How many phrases don't stand in the words, each as a whole.

    >>> missed([["iced", "coffee"], ["sugar"]], "a coffee with sugar".split())
    1
    """
    line = f" {' '.join(found)} "
    return sum(f" {' '.join(phrase)} " not in line for phrase in phrases)


def rate(errors: Sequence[float], sizes: Sequence[int]) -> Figure:
    """Errors in a hundred words (or phrases), with a 95 % bootstrap interval over clips.

    From errors and sizes clip by clip; from differences of two transcribers' errors, their paired difference.
    """
    wrong, size = np.asarray(errors, float), np.asarray(sizes, float)
    drawn = [
        100 * wrong[picks].sum(axis=1) / np.maximum(size[picks].sum(axis=1), 1)
        for picks in draw_resamples(len(wrong), RESAMPLES, np.random.default_rng(0))
    ]
    return Figure(float(100 * wrong.sum() / size.sum()), *compute_interval(np.concatenate(drawn)))
