"""Decides whether a text can be read: the model knows English, but not code, noise or other languages."""

from __future__ import annotations

import logging
import math
import re
from typing import Literal

from py3langid import rank

_NOISE_LETTER = re.compile(r"[^\W\d_]")
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
    if not _NOISE_LETTER.search(text):
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


_MARKS = (
    # calls, blocks, ends of statements
    r"[\w\])]\((?!s\))",
    r"[{}]",
    r";[ \t]*$|\) ?[;:](?=\s|$)",
    # operators, assignments, places in lists, names across modules
    r"[=!<>+*|-]=(?=[\s\w\"'])|&&|\|\||[=-]>(?=\s)|\w::\w|\+\+|\w \+ \w|\w \* \w",
    r"\w\s=\s[\w\[{(\"'$-]|\w=[\"'\w$\[{]",
    r"\w\[\w*\]|\w\.\w+\(",
    # tags, keys of records
    r"</?[a-z]\w*(?:\s[^<>]{0,200})?/?>|<![A-Z]+",
    r"\"[\w ]{1,40}\"\s*:|^[ \t]*[a-z][\w.-]*:(?:\s|$)|^[ \t]*-\s\w+[:\s]|\b[a-z-]+:\s?[^\s;:]{1,40};",
    # statements
    r"^[ \t]*(?:def|class|import|from|return|if|elif|else|for|while|with|try|except|raise|fn|func|let|const|var"
    r"|public|private|static|struct|impl|export|async|await|function)\b(?=.*[(){}\[\];:=])",
    r"^[ \t]*(?:#include|#!|\$ |@\w+[.(]|git\s|docker\s|npm\s|pip\s)",
    r"\b(?:SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE TABLE|FROM|WHERE|SET|VALUES|GROUP BY|ORDER BY|JOIN"
    r"|PRIMARY KEY|NOT NULL|DEFAULT|COUNT|ON CONFLICT)\b(?=.*[=(),;*])",
    # traces and logs
    r"^[ \t]*File \"|, line \d+|^[ \t]*at \S+ ?\(\w+|^Traceback \("
    r"|[A-Za-z](?:Error|Exception)\b|^(?:Error|Exception)\b",
    r"\b(?:INFO|WARN|DEBUG|ERROR)\b|\d\d:\d\d:\d\d[.,]\d+|HTTP/\d",
    # commands and names
    r"\bsudo\s|(?<=\s)--?[A-Za-z][\w-]*\b|\s\|\s\w|\$\w|\*\.\w+|(?<=\s)/\w+/?",
    r"(?<![@\w])[A-Za-z0-9]+_[A-Za-z0-9]|\b[a-z]{2,}[A-Z][a-z]\w*",
)
_MARK = re.compile("|".join(_MARKS), re.MULTILINE)
_CODE_WORD = re.compile(r"[^\W\d_]{2,}")
_LEAST_MARKS = 3
_LEAST_DENSITY = 0.35
"""Marks per word. Prose has less than 0.1, a message that quotes a line of code about 0.2."""


def is_code(text: str) -> bool:
    """Whether marks of code are at least as dense as in a plain program.

    >>> is_code("for (int i = 0; i < 3; i++) { sum += i; }"), is_code('{"id": 7, "tags": ["a", "b"]}')
    (True, True)
    >>> is_code("why does foo() return None when x == 3? I'm so frustrated")
    False
    """
    marks = sum(1 for _ in _MARK.finditer(text))
    if marks < _LEAST_MARKS:
        return False
    words = min(len(text.split()), sum(1 for _ in _CODE_WORD.finditer(text)))
    return marks >= _LEAST_DENSITY * words


log = logging.getLogger(__name__)

UnreadableReason = Literal["empty", "other_language", "code", "random_characters"]

_SAMPLE = 1000
"""Characters in a sample; of a longer text the start, middle and end are samples."""

_ENGLISH = ("en", "pcm")
"""Labels that count as English; much informal English is detected as Nigerian Pidgin."""
_NO_LANGUAGE = "zxx"
_RATIO, _RATIO_OF_FEW = 50.0, {0: math.inf, 1: math.inf, 2: math.inf, 3: 5000.0, 4: 1000.0}
"""How many times as probable as English another language must be; the second is for few different words.

Chosen on English dev sets and the dev half of tests/unreadable.csv. One or two words are never enough: "Yup" looks
like Quechua and "Bye bye bae" like Luganda.
"""
_NOISE_RATIO, _NOISE_LETTERS = 30.0, 8

# Not words of the language: what `clean` put for names and addresses, and tags run together.
_NAME = re.compile(r"@user\b|\bhttp\b|#\w+")
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_LETTER = re.compile(r"[^\W\d_]")
_LATIN = re.compile(r"[A-Za-z\u00aa-\u036f\u1d00-\u1eff]")


def unreadable(text: str, plain: str, *, detector: bool = True) -> UnreadableReason | None:
    """The reason why `text` (`plain` after cleaning) cannot be read; None if it may be English.

    `empty`: nothing is visible. `other_language`: mostly another script, or another language is much more probable
    than English (py3langid: naive Bayes over byte n-grams, Lui and Baldwin 2012). `code`: many marks of code.
    `random_characters`: no letters, keys pressed at random, hashes and the like. A text is read if any sample of it
    can be read. Without a `detector` languages are recognised by their script alone. Takes about 0.2 ms for a
    message and a few ms at most.

    >>> [unreadable(text, text) for text in ("Ich bin heute so traurig", "Я устала", '{"id": 7, "tags": ["a"]}')]
    ['other_language', 'other_language', 'code']
    >>> [unreadable(text, text) for text in ("dfkjgh sdkfjh qwpxz", "8274 0283", "")]
    ['random_characters', 'random_characters', 'empty']
    >>> [unreadable(text, text) for text in ("lol ok", "@user omg http", "Yup", "My abuela says te quiero mucho")]
    [None, None, None, None]
    """
    if not plain:
        return "empty"
    if all(map(is_code, _samples(text))):
        return "code"
    reasons = [_reason(sample, detector) for sample in _samples(plain)]
    return reasons[0] if all(reasons) else None


def load_detector() -> bool:
    """Load the detector's model now, which takes half a second; returns whether it loaded.

    It unpacks 65 MB into the temporary folder, which may be full.
    """
    try:
        rank("")
    except OSError as error:
        log.warning("other languages in Latin script will be read as English: %s", error.strerror)
        return False
    return True


def _samples(text: str) -> list[str]:
    if len(text) <= 3 * _SAMPLE:
        return [text[start : start + _SAMPLE] for start in range(0, len(text), _SAMPLE)]
    middle = (len(text) - _SAMPLE) // 2
    return [text[:_SAMPLE], text[middle : middle + _SAMPLE], text[-_SAMPLE:]]


def _reason(sample: str, detector: bool) -> UnreadableReason | None:
    named = _NAME.sub(" ", sample)
    if named != sample and not _LETTER.search(named):  # names and tags alone
        return None
    sample = named
    if is_noise(sample):
        return "random_characters"
    letters = _LETTER.findall(sample)
    if 2 * sum(1 for _ in _LATIN.finditer(sample)) < len(letters) and len(letters) > 1:
        return "other_language"
    if not detector:
        return None
    words = [word.lower() for word in _WORD.findall(sample) if _LATIN.search(word)]
    language, ratio = _likelier(" ".join(words))
    if language == _NO_LANGUAGE:
        return "random_characters" if len(letters) >= _NOISE_LETTERS and ratio >= _NOISE_RATIO else None
    least = _RATIO_OF_FEW.get(len(set(words)), _RATIO)
    return "other_language" if ratio >= least and language not in _ENGLISH else None


def _likelier(text: str) -> tuple[str, float]:
    """The most probable language, and how many times as probable as English it is, tempered by the length."""
    ranked = rank(text)
    language, best = ranked[0]
    english = next(score for name, score in ranked if name == _ENGLISH[0])
    return language, math.exp((best - english) / math.sqrt(len(text.encode()) or 1))
