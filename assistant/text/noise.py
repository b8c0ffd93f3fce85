"""Recognises noise: random keys, hashes, encoded bytes, digits or marks alone."""

from __future__ import annotations

import re

_LETTER = re.compile(r"[^\W\d_]")
_SEPARATORS = ".,;:!?'\"()[]{}<>*#-"
_LEAST_LENGTH = 8
"""Shortest string that can count as meaningless, in characters."""
_DIGIT_CHANGE = re.compile(r"(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])", re.IGNORECASE)
_CASE_CHANGE = re.compile(r"(?<=[a-z])(?=[A-Z])")
_LEAST_CHANGES = 3
# Consonants that English writes in a row, and a row that it doesn't.
_CLUSTER = re.compile(r"ngth|ght|tch|sch|phr|chr|thr|str|spr|scr|[cgpstw]h|ck|([b-df-hj-np-tv-z])\1")
_UNSPEAKABLE = re.compile(r"[bcdfghjklmnpqrstvwxz]{5}")


def is_noise(text: str) -> bool:
    """Whether `text` has no letters, or strings without meaning make up most of it.

    >>> is_noise("8274619 0283"), is_noise("?!"), is_noise("d41d8cd98f00b204e9800998ecf8427e")
    (True, True, True)
    >>> is_noise("dfkjghdfkjgh"), is_noise("a nightstand with strengths"), is_noise("omg brb gr8 COVID19 iPhone")
    (True, False, False)
    """
    if not _LETTER.search(text):
        return True
    strings = text.split()
    meaningless = sum(len(string) for string in strings if _meaningless(string.strip(_SEPARATORS)))
    return 2 * meaningless > sum(map(len, strings))


def _meaningless(string: str) -> bool:
    if len(string) < _LEAST_LENGTH:
        return False
    if len(_DIGIT_CHANGE.findall(string)) >= _LEAST_CHANGES:
        return True
    if string.isascii() and string.isalnum() and len(_CASE_CHANGE.findall(string)) > _LEAST_CHANGES:
        return True
    return string.isalpha() and bool(_UNSPEAKABLE.search(_CLUSTER.sub("h", string.lower())))
