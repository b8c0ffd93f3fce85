"""A manner in words for a language model, in one line, and for voices: numbers, and W3C SSML 1.1.

Only these sentences are ever used. How far each choice changes a voice is chosen, not measured.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from assistant.tone.directive import Manner, Never, Speech

SENTENCES: dict[tuple[str, str], str] = {
    ("warmth", "plain"): "Keep a plain, factual tone.",
    ("warmth", "warm"): "Be friendly.",
    ("warmth", "very_warm"): "Be warm and kind.",
    ("formality", "casual"): "Use casual language.",
    ("formality", "formal"): "Use formal language.",
    ("pace", "slow"): "Take one thing at a time.",
    ("pace", "brisk"): "Keep a lively pace.",
    ("verbosity", "brief"): "Use short sentences and few of them.",
    ("directness", "gentle"): "Suggest rather than instruct.",
    ("acknowledgement", "light"): "Show briefly that you listened before you help.",
    ("acknowledgement", "explicit"): "Say that this sounds hard, without claiming to know what the person feels.",
    ("humour", "avoid"): "Make no jokes.",
}
NEVER: dict[Never, str] = {
    "diagnose": "Make no diagnosis.",
    "claim_to_know": "Do not say what the person feels.",
    "mirror_anger": "Stay calm, and never answer anger with anger.",
    "upsell": "Do not try to sell anything.",
    "hurry": "Do not press for time or for a decision.",
    "detain": "They are leaving: wish them well, and do not try to keep them.",
}


def prompt(manner: Manner, never: Sequence[Never] = ()) -> str:
    """The fragment for a system prompt.

    >>> prompt(Manner(warmth="very_warm", pace="slow", humour="avoid"), ["diagnose"])
    'Be warm and kind. Take one thing at a time. Make no jokes. Make no diagnosis.'
    """
    sentences = [SENTENCES[choice] for choice in manner.choices().items() if choice in SENTENCES]
    return " ".join([*sentences, *(NEVER[name] for name in never)])


def tag(manner: Manner) -> str:
    """The manner in one line of ASCII, for message metadata: a Dictionary of RFC 9651 with one member.

    In ABNF: `"tone=" warmth 6(";" name "=" value)`, the names in the order of `Manner`, each with its value.

    >>> tag(Manner(pace="slow"))[:42]
    'tone=warm;formality=neutral;pace=slow;verb'
    """
    choices = manner.choices()
    return ";".join([f"tone={choices.pop('warmth')}", *(f"{name}={value}" for name, value in choices.items())])


def difference(manner: Manner, without: Manner, *, used: bool) -> str:
    """What would be different without the mood, in words.

    >>> difference(Manner(pace="slow"), Manner(), used=True)
    'Without the mood: pace normal instead of slow.'
    """
    if not used:
        return "No mood was used."
    both = zip(manner.choices().items(), without.choices().values(), strict=True)
    parts = [f"{name} {would} instead of {was}".replace("_", " ") for (name, was), would in both if was != would]
    return f"Without the mood: {', '.join(parts)}." if parts else "Without the mood the tone would be the same."


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
