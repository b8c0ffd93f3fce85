"""The embedded replier: short, honest, ready-made answers, so that the product works without a language model.

It does not claim to be human, to know or to feel anything. Its answers depend on the directive, the language, a
simple intent and a seed: the same decision always gets the same words, and the person's words are never repeated.
"""

from __future__ import annotations

import hashlib
import re
from functools import partial

from assistant.chat.phrases import LANGUAGES, Intent, Phrases
from assistant.text.crisis import Safety
from assistant.tone.directive import Manner

MODEL = "attune-embedded"
"""Model name of the replier."""
_ORDER: tuple[Intent, ...] = ("goodbye", "thanks", "greeting", "feeling", "question", "request")
_CURT: tuple[Intent, ...] = ("goodbye", "thanks", "greeting")
_FEW = 6
"""Words: a longer message that starts with a greeting is about something else."""
_READ = 2000
"""Characters in which an intent is looked for."""


def phrases_for(language: str) -> Phrases:
    """The phrases of a language; English if there are none."""
    return LANGUAGES.get(language, LANGUAGES["en"])


def detect_intent(text: str, language: str = "en") -> Intent:
    """The intent of a message, by a few patterns of its language, then of English.

    >>> [detect_intent(text) for text in ("Hi there", "Thanks a lot!", "bye", "I feel so alone", "Play some jazz")]
    ['greeting', 'thanks', 'goodbye', 'feeling', 'request']
    >>> detect_intent("Hello, could you tell me when the next train to Berlin leaves?"), detect_intent("Blue.")
    ('question', 'other')
    >>> detect_intent("Ich bin so müde", "de"), detect_intent("Hello", "de"), detect_intent("merci", "fr")
    ('feeling', 'greeting', 'thanks')
    """
    plain = text[:_READ].strip().lower()
    few = len(plain.split()) <= _FEW
    known = dict.fromkeys((phrases_for(language).signs[intent], LANGUAGES["en"].signs[intent]) for intent in _ORDER)
    for intent, signs in zip(_ORDER, known, strict=True):
        if (few or intent not in _CURT) and any(re.search(sign, plain) for sign in signs):
            return intent
    return "other"


def write_reply(
    text: str, manner: Manner, *, language: str, seed: str, first: bool, safety: Safety | None = None
) -> str:
    """An answer to `text`. `first`: it starts the conversation and says that this is a machine.

    >>> manner = Manner(acknowledgement="explicit", verbosity="brief")
    >>> write_reply("I am so worried", manner, language="en", seed="d1", first=False)
    'That sounds hard. I am here to listen.'
    >>> write_reply("Danke!", Manner(), language="de", seed="d4", first=True)
    'Hier antwortet ein Computerprogramm, kein Mensch. Gerne.'
    """
    spoken = phrases_for(language)
    if safety is not None:
        return help_text(safety, language)
    intent = detect_intent(text, language)
    variants = spoken.says[intent]
    said = variants[hashlib.sha256(seed.encode()).digest()[0] % len(variants)]
    if manner.formality == "casual":
        said = spoken.casual.get(intent, said)
    sentences = [spoken.disclosure] if first else []
    if intent not in _CURT and manner.acknowledgement != "none":
        sentences.append(spoken.explicit if manner.acknowledgement == "explicit" else spoken.light)
    sentences += said[:1] if manner.verbosity == "brief" else said
    return " ".join(sentences)


def help_text(safety: Safety, language: str) -> str:
    """The route to human help as text."""
    spoken = phrases_for(language)
    message = spoken.for_them if safety.rule == "concern_for_other" else spoken.for_you
    return "\n".join((message, *map(partial(str.format, "- {}"), safety.resources)))


def stream_pieces(text: str) -> list[str]:
    """The pieces in which a text is streamed: words with the space before them.

    >>> stream_pieces("You are welcome."), "".join(stream_pieces("a\\n- b  c")) == "a\\n- b  c"
    (['You', ' are', ' welcome.'], True)
    """
    return re.findall(r"\s*\S+|\s+$", text)
