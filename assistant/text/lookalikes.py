"""Maps letters that look like a Latin letter to that letter.

The pairs follow Unicode's TR39 (confusables), limited to letters that a reader takes for a Latin letter.
"""

from __future__ import annotations

import re

_SMALL_CAPITALS = dict(zip("abcdefghijklmnopqrstuvwyz", "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘꞯʀꜱᴛᴜᴠᴡʏᴢ", strict=True))
_ON_DARK = {chr(ord("A") + place): chr(0x1F150 + place) + chr(0x1F170 + place) for place in range(26)}
_SHAPED = {
    "a": "ɑɐ", "e": "ǝ", "f": "ƒɟ", "g": "ɡ", "h": "ɥ", "i": "ıɩᴉ", "j": "ȷ", "k": "ʞ", "m": "ɯ",
    "q": "ǫ", "r": "ɾɹ", "s": "ʂ", "t": "ʇ", "v": "ʋʌ", "w": "ʍ", "y": "ʎ", "z": "ʐ",
}  # fmt: skip
"""Latin letters in another shape: phonetic and turned ones."""

_STRONG = {
    "a": "аα", "c": "сϲ", "d": "ԁ", "e": "еҽ", "g": "ց", "h": "һհ", "i": "іι", "j": "јϳ", "l": "ӏ",
    "n": "ո", "o": "оοօ", "p": "рρ", "q": "ԛգզ", "s": "ѕ", "u": "υս", "v": "ѵν", "w": "ѡԝա",
    "x": "х", "y": "уү", "A": "ΑАᎪ", "B": "ΒВᏴ", "C": "СϹᏟ", "D": "Ꭰ", "E": "ΕЕᎬ", "F": "Ϝ",
    "G": "ԌᏀ", "H": "ΗНᎻ", "I": "ΙІӀ", "J": "ЈͿᎫ", "K": "ΚКᏦ", "L": "Ꮮ", "M": "ΜМϺᎷ", "N": "Ν",
    "O": "ΟОՕ", "P": "ΡРᏢ", "R": "Ꭱ", "S": "ЅՏᏚ", "T": "ΤТᎢ", "U": "Ս", "V": "ѴᏙ", "W": "ԜᎳ",
    "X": "ΧХ", "Y": "ΥУҮᎩ", "Z": "ΖᏃ",
}  # fmt: skip
"""Letters of other scripts with exactly the shape of a Latin letter."""

_WEAK = {
    "a": "ά", "b": "вβь", "e": "εёέ", "h": "н", "i": "їί", "k": "кκ", "m": "м", "n": "пηή",
    "o": "σό", "r": "г", "t": "тτ", "u": "μύ", "w": "ω", "x": "χ", "y": "γ",
}  # fmt: skip
"""Letters that look Latin only among Latin letters."""


def _table(*rows: dict[str, str]) -> dict[int, str]:
    return {ord(other): latin for row in rows for latin, others in row.items() for other in others}


_SAME_SCRIPT = _table(_SMALL_CAPITALS, _ON_DARK, _SHAPED)
_OTHER_SCRIPT = _table(_STRONG, _WEAK)
_CLEAR_SCRIPT = _table(_STRONG)
_SUSPECT = re.compile("[" + "".join(map(chr, _OTHER_SCRIPT)) + "]")
_WORD = re.compile(r"[^\W\d_]+")
# Letters of other scripts than the Latin one, whose letters lie below U+0370 and in four blocks above.
_FOREIGN = re.compile(r"[^\W\d_\u0000-\u036f\u1d00-\u1eff\u2c60-\u2c7f\ua720-\ua7ff\uab30-\uab6f]")
# Greek, Cyrillic, Armenian and Cherokee: the scripts that the table's letters come from.
_TABLED = re.compile(r"[\u0370-\u058f\u13a0-\u13fd\u1c80-\u1c8f\u1f00-\u1fff\ua640-\ua69f]")
_LATIN = re.compile(r"[A-Za-z]")


def to_latin(text: str) -> str:
    """Replace letters that only look Latin by the Latin ones; words in another script stay as they are.

    >>> to_latin("і аm ѕо hарру"), to_latin("ᴡʜʏ ɴᴏᴛ"), to_latin("тhis is bеst")
    ('i am so happy', 'why not', 'this is best')
    >>> to_latin("Я очень рад"), to_latin("Είμαι χαρούμενος")
    ('Я очень рад', 'Είμαι χαρούμενος')

    A word is changed as a whole or not at all. An ambiguous word stays if other words show that its script is
    intended:

    >>> to_latin("сор"), to_latin("сор из избы")
    ('cop', 'сор из избы')
    """
    text = text.translate(_SAME_SCRIPT)
    if not _SUSPECT.search(text):
        return text
    meant = any(map(_is_foreign, _WORD.findall(text)))
    return _WORD.sub(lambda found: _word(found.group(), meant), text)


def _is_foreign(word: str) -> bool:
    if word.isascii() or _LATIN.search(word):
        return False
    return any(ord(letter) not in _CLEAR_SCRIPT for letter in _TABLED.findall(word))


def _word(word: str, meant: bool) -> str:
    if word.isascii():
        return word
    mixed = bool(_LATIN.search(word))
    if not mixed and meant:
        return word
    known = _OTHER_SCRIPT if mixed else _CLEAR_SCRIPT
    return word.translate(known) if all(ord(letter) in known for letter in _FOREIGN.findall(word)) else word
