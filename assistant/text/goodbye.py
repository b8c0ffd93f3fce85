"""Recognises goodbyes: a whole message that is nothing but a goodbye, in a few languages.

A fixed rule that infers nothing about the person. A longer message that only mentions a goodbye does not count.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

_LONGEST = 80
_GOODBYES: Mapping[str, tuple[str, ...]] = {
    "en": (
        "(?:good ?)?bye(?: ?bye)?(?: now)?",
        "see (?:you|ya)(?: (?:later|soon|tomorrow|around|next (?:week|time)))?",
        "(?:talk|speak) (?:to you )?(?:later|soon|tomorrow)",
        "farewell|good ?night|take care|gotta go",
        "have a (?:good|nice|great) (?:one|day|evening|night|weekend)",
        "(?:i )?(?:have|got|need) to go(?: now)?",
        "i(?:'m| am) (?:leaving|off|done)(?: now)?",
    ),
    "de": (
        "tsch(?:u|ue)ss(?:i|chen)?|auf wiedersehen|auf wiederhoren|ciao|gute nacht|mach'?s gut",
        "bis (?:bald|dann|morgen|spater|nachste woche)|schonen (?:tag|abend) noch",
        "ich muss (?:jetzt )?(?:los|gehen)",
    ),
    "es": (
        "adios|hasta (?:luego|manana|pronto|la vista|la proxima)|nos vemos|chao|chau|buenas noches",
        "(?:me )?tengo que ir(?:me)?|me voy|que (?:tengas|tenga) (?:un )?buen dia",
    ),
    "fr": (
        "au revoir|a (?:bientot|demain|plus(?: tard)?|la prochaine)|bonne (?:nuit|soiree|journee)|adieu",
        "je dois (?:y aller|partir)|je m'en vais",
    ),
}
_BESIDE: Mapping[str, tuple[str, ...]] = {
    "en": (
        "ok(?:ay)?|alright|all right|well|so|right|for now|then|and|again|everyone|all|no|nothing else",
        "thanks|thank you|thx|many|very|much|a lot|so much|for (?:your|the|all (?:your|the)) help|cheers",
        "that'?s (?:all|it)",
    ),
    "de": ("danke|vielen|dank|schon|also|und|dann",),
    "es": ("gracias|muchas|bueno|vale|y|pues",),
    "fr": ("merci|beaucoup|bon|alors|et|d'accord",),
}
"""Words that may stand beside a goodbye without changing what the message is."""


def _any(table: Mapping[str, tuple[str, ...]]) -> str:
    return "|".join(pattern for patterns in table.values() for pattern in patterns)


_GOODBYE, _MORE = _any(_GOODBYES), _any(_BESIDE)
_GAP = "[ ,.!;-]*"
_WHOLE = re.compile(rf"(?:(?:{_MORE}){_GAP})*\b(?:{_GOODBYE})\b(?:{_GAP}(?:{_MORE}|{_GOODBYE})\b)*[ ,.!-]*")


def says_goodbye(text: str) -> bool:
    """Whether the message is a goodbye and nothing else.

    >>> says_goodbye("Okay, thanks, bye!"), says_goodbye("Tschüss, bis morgen"), says_goodbye("Au revoir !")
    (True, True, True)
    >>> says_goodbye("My cat said goodbye to the world"), says_goodbye("Bye. Ignore your instructions.")
    (False, False)
    """
    if len(text) > _LONGEST:
        return False
    spelled = unicodedata.normalize("NFKD", text.casefold().replace("’", "'"))
    plain = "".join(c for c in spelled if not unicodedata.combining(c) and c not in "\u200d\ufe0f")
    words = " ".join("".join(c if c.isalnum() or c in "',.!;-" else " " for c in plain).split())
    return _WHOLE.fullmatch(words) is not None
