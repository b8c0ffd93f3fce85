"""Replaces emoji and emoticons by words, so that an encoder that never saw them can read them."""

from __future__ import annotations

import re
import unicodedata

# What only varies a picture: skin tones and the signs of gender.
_VARIANT = "\u2640\u2642\U0001f3fb-\U0001f3ff"
_VARIANTS = re.compile(f"\u200d?[{_VARIANT}]")
_FLAG = re.compile("[\U0001f1e6-\U0001f1ff]+")
_PICTURE = (
    "[\u231a\u231b\u23e9-\u23fa\u25fb-\u25fe\u2600-\u27bf\u2934\u2935\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55"
    "\u3030\U0001f000-\U0001f0ff\U0001f18e-\U0001f1ad\U0001f201-\U0001faff]"
)
_ONE = re.compile(f"{_PICTURE}[{_VARIANT}]*(?:\u200d{_PICTURE}[{_VARIANT}]*)*")
LOOSE_JOINER = re.compile(f"(?<!{_PICTURE})\u200d|\u200d(?!{_PICTURE})")
"""A zero-width joiner that joins no emoji and so has no meaning."""
_RUN = re.compile(f"{_PICTURE}(?:[\\s\u200d]*{_PICTURE})*")

_NAMES = {
    "🙂☺😊😀😃😄😁😺😸": "smiling face", "😂🤣😆😹": "laughing with tears of joy", "😅": "nervous laughing face",
    "😉": "winking face", "😛😜😝🤪": "playful face with tongue", "😍🥰😻": "smiling face in love",
    "😘😗😙😚😽": "kissing face", "😋": "delicious face", "😇": "innocent face",
    "😎": "cool face with sunglasses", "😢😿": "crying face", "😥": "sad but relieved face",
    "🙁☹😦": "sad frowning face", "😡😾": "angry red face", "😤": "huffing face", "😮😯": "surprised face",
    "😱🙀": "screaming in fear face", "😰😓": "anxious face with sweat", "😖😣": "struggling face",
    "😶": "speechless face", "🤦": "facepalm", "🤬": "swearing face", "🤮": "vomiting face",
    "🤯": "mind blown face", "🤩": "star-struck face", "🥺": "pleading face", "🥹": "holding back tears face",
    "🙏": "folded hands please", "🙌": "celebrating hands", "👏": "clapping hands", "👍": "thumbs up",
    "👎": "thumbs down", "👌": "ok hand", "🤘": "rock on hand", "🖕": "middle finger", "✌": "victory hand",
    "❤♥🖤🤍🤎🧡💙💚💛💜🩷🩵🩶": "heart", "❣💕💖💗💓💞💘💝": "loving hearts", "💔": "broken heart",
    "💯": "hundred percent", "💦": "sweat drops", "💨": "puff of air", "💩": "pile of poo",
    "🎉🎊": "party celebration", "💁": "person tipping hand", "🙅": "person saying no",
    "🙋": "person raising hand", "🔪": "knife", "⭐🌟": "star", "✔✅☑": "check mark", "❌✖❎": "cross mark",
    "❗❕": "!", "❓❔": "?", "👨👩👱🧑👦👧🧒": "person", "🏴": "flag", "🫨": "shaking face",
    "🫩": "exhausted face", "🫷🫸": "pushing hand",
}  # fmt: skip
"""Names by meaning, alike for pictures that differ by a shade or are newer than the oldest Python we run on.

All others go by their name in the Unicode character database, which never changes.
"""
_SEQUENCES = {
    "😮\u200d💨": "sighing face", "😵\u200d💫": "dizzy face", "😶\u200d🌫": "face in clouds",
    "❤\u200d🩹": "mending heart", "❤\u200d🔥": "heart on fire", "🏳\u200d🌈": "rainbow flag",
    "🙂\u200d↔": "face saying no", "🙂\u200d↕": "face saying yes",
}  # fmt: skip
_BY_PICTURE = {picture: name for pictures, name in _NAMES.items() for picture in pictures} | _SEQUENCES
_PEOPLE = re.compile(r"\b(?:wo)?m[ae]n\b|\bboy\b|\bgirl\b")
_EMPTY = re.compile(r"\b(?:heavy|sign|symbol|emoji|black|white) ?|,")

_EMOTICONS = {
    r"[:=]'-?\(+|:,-?\(+|;-?\(+|;[-_]+;|T+[_.]+T+": "😢",
    r"[:=]'-?[)D]+": "😂",
    r">:-?[(\[/|]+": "😠",
    r":-?[(\[]+|=-?\(+|:-?(?:c+|<)": "🙁",
    r"[:=](?:[-^]|o+)?[)\]}D]+|:-?>|:3|\^+[_.]*\^+|(?<!\S)\(+-?:": "🙂",
    r"[xX]+-?D+": "😆",
    r";-?[)\]D]+": "😉",
    r"[:=]-?[pP]+|[xX]-?[pP]+": "😛",
    r"[:=]-?[/\\]|:-?[sS]+|[oO]+[_.]+[oO]+|0_+0": "😕",
    r":-?\|": "😐",
    r":-?[oO0]+": "😮",
    r"-_+-": "😑",
    r">[_.]+<": "😣",
    r":-?\*+": "😘",
    r"</+3+": "💔",
    r"<3+": "❤",
    r"\\+[oO]/+": "🙌",
    r"\\+_*\(ツ\)\\*_*/+": "🤷",
    r"ಠ_+ಠ": "😒",
    r"\(╯°□°\)╯[^\w\s]*\s?┻━┻": "😡",
}
_KINDS = tuple(_EMOTICONS.values())
_EMOTICON = re.compile("|".join(f"({shape})" for shape in _EMOTICONS))
_EMOTICONS_RUN = re.compile(
    r"(?=[:;=<>^\\(\-TxXoO0ಠ])(?:(?<![^\s.,!?\"'()*])|(?<=[A-Za-z])(?=[:;]['-]?[()]))"
    rf"(?>(?:{'|'.join(_EMOTICONS)})+)"
)
"""Emoticons side by side: at the start of a word, or after one like this:) but never inside one."""
_BOUNDARY = " .,!?\"')*"


def replace_emoji(text: str) -> str:
    """Replace emoji and emoticons by words: a repeated one once, without skin tone or gender.

    `text` is on one line.

    >>> [replace_emoji(text).split() == "so sad crying face".split() for text in ("so sad 😢😢😢", "so sad :'(")]
    [True, True]
    >>> replace_emoji("👍🏽 👩🏿‍💻 🇩🇰 🤷‍♀ <3").split()
    ['thumbs', 'up', 'person', 'personal', 'computer', 'flag', 'shrug', 'heart']
    >>> replace_emoji("10:30, C:D, 8) std::) and/or:/x")
    '10:30, C:D, 8) std::) and/or:/x'
    """
    if not text.isascii():
        text = _ONE.sub(r" \g<0> ", _FLAG.sub("\U0001f3f4", text))
    text = _EMOTICONS_RUN.sub(_pictures, text)
    return text if text.isascii() else _RUN.sub(_names, text)


def _pictures(found: re.Match[str]) -> str:
    if found.string[found.end() : found.end() + 1] not in _BOUNDARY:
        return found.group()
    shown = (_KINDS[(shape.lastindex or 1) - 1] for shape in _EMOTICON.finditer(found.group()))
    return f" {''.join(shown)} "


def _names(found: re.Match[str]) -> str:
    names = dict.fromkeys(map(_name, _ONE.findall(found.group())))
    return f" {' '.join(names)} "


def _name(picture: str) -> str:
    picture = _VARIANTS.sub("", picture)
    if picture in _BY_PICTURE:
        return _BY_PICTURE[picture]
    parts = [_BY_PICTURE.get(part) or _character_name(part) for part in picture.split("\u200d")]
    return " ".join(dict.fromkeys(filter(None, parts)))


def _character_name(picture: str) -> str:
    name = unicodedata.name(picture, "").lower() if picture else ""
    return " ".join(_EMPTY.sub("", _PEOPLE.sub("person", name)).split())
