"""A manner for voices: numbers, and W3C SSML 1.1. How far each choice goes is chosen, not measured."""

from __future__ import annotations

import math
import re
from xml.sax.saxutils import escape, quoteattr

from assistant.tone.directive import Manner, Speech

_RATE = {"slow": 0.88, "normal": 1.0, "brisk": 1.08}
_PITCH = {"plain": 1.0, "warm": 1.0, "very_warm": 0.97}
_VOLUME = {"normal": 1.0, "gentle": 0.85}
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NAMESPACE = "http://www.w3.org/2001/10/synthesis"
REPLY = '<mark name="reply"/>'
"""Stands for the reply in a document without one: replace it by the escaped words."""


def speech(manner: Manner) -> Speech:
    """As numbers, on the scales of the Web Speech API.

    >>> speech(Manner()), speech(Manner(pace="slow")).rate
    (Speech(rate=1.0, pitch=1.0, volume=1.0), 0.88)
    """
    return Speech(_RATE[manner.pace], _PITCH[manner.warmth], _VOLUME[manner.directness])


def ssml(manner: Manner, language: str, words: str | None = None) -> str:
    """A whole document with the words, or with a mark in their place; one without `prosody` where all is usual.

    The rate is a percentage of the usual, pitch and volume are relative changes (SSML 1.1, section 3.2.4).

    >>> ssml(Manner(), "en", "1 < 2")[-17:]
    '>1 &lt; 2</speak>'
    >>> "<prosody rate='88%'>" in ssml(Manner(pace="slow"), "en").replace('"', "'")
    True
    """
    inside = REPLY if words is None else escape(_printable(words))
    prosody = _attributes(speech(manner))
    if prosody:
        inside = f"<prosody{prosody}>{inside}</prosody>"
    return f'<speak version="1.1" xmlns="{_NAMESPACE}" xml:lang={quoteattr(_printable(language))}>{inside}</speak>'


def _attributes(how: Speech) -> str:
    parts = {
        "rate": f"{how.rate:.0%}" if how.rate != 1 else "",
        "pitch": f"{how.pitch - 1:+.0%}" if how.pitch != 1 else "",
        "volume": f"{20 * math.log10(how.volume):+.1f}dB" if how.volume != 1 else "",
    }
    return "".join(f' {name}="{value}"' for name, value in parts.items() if value)


def _printable(text: str) -> str:
    """Without the characters that XML 1.0 can't hold."""
    return _NOT_XML.sub("", text)
