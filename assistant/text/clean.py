"""Make text plain before it is read: the same step in training and in serving."""

from __future__ import annotations

import re
import unicodedata

# Characters that show nothing: soft hyphen, zero-width space and non-joiner, direction marks, embeddings and
# isolates, word joiner and other invisible operators, byte order mark, tag letters. The zero-width joiner is
# kept apart: it glues emoji ("a family") together, and means nothing between other characters.
_INVISIBLE = re.compile(
    "[\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\U000e0001\U000e0020-\U000e007f]"
)
_EMOJI = "\u00a9\u00ae\u203c-\u3299\ufe0f\U0001f000-\U0001faff"
_LOOSE_JOINER = re.compile(f"(?<![{_EMOJI}])\u200d|\u200d(?![{_EMOJI}])")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")
_LINK = re.compile(r"(?:https?://|\bwww\.)\S+", re.IGNORECASE)
_HANDLE = re.compile(r"(?<![\w@])@\w+")
_SPACE = re.compile(r"\s+")


def clean(text: str) -> str:
    """Return `text` in NFKC, on one line, without invisible characters, and without names or addresses.

    Handles become `@user` and links `http`, as in TweetEval (Barbieri et al. 2020). Emoji stay.

    >>> clean("I\\u200b am \\u202eso\\u202c\\n\\n  \\uff48\\uff41\\uff50\\uff50\\uff59 \\U0001f600")
    'I am so happy 😀'
    >>> clean("@sam_b look: https://example.org/a?b=c, or WWW.example.org")
    '@user look: http or http'
    >>> clean("mail me@example.org")
    'mail me@example.org'
    >>> clean("\\U0001f468\\u200d\\U0001f469") == "\\U0001f468\\u200d\\U0001f469"
    True
    >>> clean("st\\u200dop")
    'stop'
    >>> clean(" \\x00\\t ")
    ''

    Cleaning twice changes nothing:

    >>> once = clean("\\u2026 @anna \\ufb01ne http://x.y")
    >>> once, clean(once) == once
    ('... @user fine http', True)
    """
    text = unicodedata.normalize("NFKC", text)
    text = _LOOSE_JOINER.sub("", _INVISIBLE.sub("", text))
    text = _CONTROL.sub("", text)
    text = _HANDLE.sub("@user", _LINK.sub("http", text))
    # Without the invisible characters, letters may have come to stand beside their accents.
    return unicodedata.normalize("NFKC", _SPACE.sub(" ", text).strip())
