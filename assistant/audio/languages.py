"""The language that a client means, as a code of the transcriber."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection

from assistant.errors import Invalid

_ALIASES = {
    "nb": "no", "iw": "he", "in": "id", "ji": "yi", "jv": "jw", "fil": "tl", "cmn": "zh", "mo": "ro",
    "eng": "en", "deu": "de", "ger": "de", "fra": "fr", "fre": "fr", "spa": "es", "ita": "it", "por": "pt",
    "nld": "nl", "dut": "nl", "rus": "ru", "zho": "zh", "chi": "zh", "jpn": "ja", "kor": "ko", "ara": "ar",
    "hin": "hi", "tur": "tr", "pol": "pl", "ukr": "uk", "swe": "sv",
}  # fmt: skip
"""Other codes of the same languages: ISO 639-1 and -3 where they differ from Whisper's."""
_NAMES = {
    "english": "en", "chinese": "zh", "mandarin": "zh", "german": "de", "spanish": "es", "russian": "ru",
    "korean": "ko", "french": "fr", "japanese": "ja", "portuguese": "pt", "turkish": "tr", "polish": "pl",
    "catalan": "ca", "dutch": "nl", "arabic": "ar", "swedish": "sv", "italian": "it", "indonesian": "id",
    "hindi": "hi", "finnish": "fi", "vietnamese": "vi", "hebrew": "he", "ukrainian": "uk", "greek": "el",
    "malay": "ms", "czech": "cs", "romanian": "ro", "danish": "da", "hungarian": "hu", "tamil": "ta",
    "norwegian": "no", "thai": "th", "urdu": "ur", "croatian": "hr", "bulgarian": "bg", "lithuanian": "lt",
    "latin": "la", "maori": "mi", "malayalam": "ml", "welsh": "cy", "slovak": "sk", "telugu": "te",
    "persian": "fa", "farsi": "fa", "latvian": "lv", "bengali": "bn", "serbian": "sr", "azerbaijani": "az",
    "slovenian": "sl", "kannada": "kn", "estonian": "et", "macedonian": "mk", "breton": "br", "basque": "eu",
    "icelandic": "is", "armenian": "hy", "nepali": "ne", "mongolian": "mn", "bosnian": "bs", "kazakh": "kk",
    "albanian": "sq", "swahili": "sw", "galician": "gl", "marathi": "mr", "punjabi": "pa", "sinhala": "si",
    "khmer": "km", "shona": "sn", "yoruba": "yo", "somali": "so", "afrikaans": "af", "occitan": "oc",
    "georgian": "ka", "belarusian": "be", "tajik": "tg", "sindhi": "sd", "gujarati": "gu", "amharic": "am",
    "yiddish": "yi", "lao": "lo", "uzbek": "uz", "faroese": "fo", "pashto": "ps", "turkmen": "tk",
    "nynorsk": "nn", "maltese": "mt", "sanskrit": "sa", "luxembourgish": "lb", "burmese": "my", "tibetan": "bo",
    "tagalog": "tl", "filipino": "tl", "malagasy": "mg", "assamese": "as", "tatar": "tt", "hawaiian": "haw",
    "lingala": "ln", "hausa": "ha", "bashkir": "ba", "javanese": "jw", "sundanese": "su", "deutsch": "de",
    "francais": "fr", "espanol": "es", "italiano": "it", "portugues": "pt", "nederlands": "nl", "svenska": "sv",
    "polski": "pl", "turkce": "tr",
}  # fmt: skip
_DETECT = ("", "auto", "detect", "und", "mul")
_SHOWN = 12


def find_language(given: str, known: Collection[str]) -> str | None:
    """The code of a language that is given as a BCP-47 tag or by name; None: detect it.

    Raises `Invalid` (`unknown_language`), whose message lists some that are known.

    >>> [find_language(given, ("de", "en", "pt")) for given in ("en-US", "pt_BR", "English", "deu", "", "auto")]
    ['en', 'pt', 'en', 'de', None, None]
    """
    plain = unicodedata.normalize("NFKD", given).encode("ascii", "ignore").decode().strip().lower()
    if plain in _DETECT and given.isascii():
        return None
    first = plain.replace("_", "-").partition("-")[0]
    for code in (plain, first, _ALIASES.get(first), _NAMES.get(plain)):
        if code in known:
            return code
    some = ", ".join(sorted(known)[:_SHOWN])
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    raise Invalid(f"this language can't be transcribed; known are {some}{more}", code="unknown_language")
