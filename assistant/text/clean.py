"""Cleans text before it is read: the same step in training and in serving."""

from __future__ import annotations

import re
import unicodedata

from assistant.text.elongation import shorten_elongations
from assistant.text.emoji import LOOSE_JOINER, replace_emoji
from assistant.text.lookalikes import to_latin

# Characters that show nothing: soft hyphen, zero-width space and non-joiner, direction marks, embeddings and
# isolates, word joiner and other invisible operators, byte order mark, variation selectors, tag letters. The
# zero-width joiner is kept apart: it glues emoji ("a family") together, and means nothing between other characters.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200c\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U000e0000-\U000e01ef"
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]"
)
# Accents that NFKC found no letter for, piled up or struck through; other scripts keep their vowel signs.
_ACCENTS = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+")
_MARKS = {
    ord(mark): plain
    for marks, plain in {
        "\u2018\u2019\u201a\u201b\u2032\u00b4\u02b9\u02bb\u02bc\u02c8": "'",
        "\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb": '"',
        "\u2010\u2011\u2012\u2013\u2014\u2015\u2212": "-",
    }.items()
    for mark in marks
}
_BACKTICK = re.compile(r"(?<=[A-Za-z])`(?=[A-Za-z])")
_ENTITY = re.compile(r"&(?:amp;)*(amp|lt|gt|quot|apos|#39|nbsp);")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "nbsp": " "}
_LINK = re.compile(r"(?:[Hh][Tt][Tt][Pp][Ss]?://|\b[Ww][Ww][Ww]\.)\S+")
_HANDLE = re.compile(r"(?<![\w@])@\w+")


def clean(text: str) -> str:
    """Return `text` in plain characters, on one line, so that texts that look or mean the same come out the same.

    Letters that look Latin become Latin (text in another script stays), invisible characters and stray accents are
    removed, emoji and emoticons become words, drawn-out words get their usual length. Handles become `@user` and
    links `http`, as in TweetEval (Barbieri et al. 2020). The time is linear in the length.

    >>> clean("I\\u200b am \\u202eso\\u202c\\n\\n  \\uff48\\uff41\\uff50\\uff50\\uff59 \\U0001f600")
    'I am so happy smiling face'
    >>> clean("і аm sooo h\\u0336a\\u0334ppyyy \u2013 isn\u2019t it?!?! :)")
    "i am so happy - isn't it?! smiling face"
    >>> clean("@sam_b look: https://example.org/a?b=c, or WWW.example.org")
    '@user look: http or http'
    >>> clean("mail me@example.org &amp;amp; Tom")
    'mail me@example.org & Tom'
    >>> clean("st\\u200dop"), clean(" \\x00\\t ")
    ('stop', '')

    Cleaning twice changes nothing:

    >>> once = clean("\\u2026 @anna \\ufb01ne http://x.y <3<3")
    >>> once, clean(once) == once
    ('... @user fine http heart', True)
    """
    if text.isascii():
        text = _INVISIBLE.sub("", text)
    else:
        text = unicodedata.normalize("NFKC", text.translate(_MARKS))
        # Without the invisible characters, letters may have come to stand beside their accents.
        text = unicodedata.normalize("NFKC", LOOSE_JOINER.sub("", _INVISIBLE.sub("", text)))
        text = unicodedata.normalize("NFKC", _ACCENTS.sub("", text))
        text = to_latin(_without_names(text))
    text = _BACKTICK.sub("'", _ENTITY.sub(_entity, text))
    text = shorten_elongations(replace_emoji(_on_one_line(_without_names(text))))
    return _on_one_line(text)


def _without_names(text: str) -> str:
    text = _LINK.sub("http", text)
    return _HANDLE.sub("@user", text) if "@" in text else text


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


def _entity(found: re.Match[str]) -> str:
    return _ENTITIES.get(found.group(1), "'")
