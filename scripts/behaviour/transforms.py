"""Eight ways of writing a text that should not change how it is read.

Each takes a text and a seeded generator and returns a pair that says the same: the text before and after.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from random import Random

Pair = tuple[str, str]
Transform = Callable[[str, Random], Pair]

CONFUSABLES: Mapping[str, str] = {
    "a": "аɑα", "c": "сϲ", "d": "ԁ", "e": "еҽ", "g": "ɡց", "h": "һհ", "i": "іιı", "j": "јϳ", "k": "κ", "l": "ӏ",
    "n": "ո", "o": "оοօσ", "p": "рρ", "q": "ԛ", "s": "ѕ", "u": "υս", "v": "νѵ", "w": "ԝ", "x": "хχ", "y": "уγ",
    "A": "АΑ", "B": "ВΒ", "C": "СϹ", "E": "ЕΕ", "H": "НΗ", "I": "ІΙ", "J": "Ј", "K": "КΚ", "M": "МΜ", "N": "Ν",
    "O": "ОΟ", "P": "РΡ", "S": "Ѕ", "T": "ТΤ", "X": "ХΧ", "Y": "ҮΥ", "Z": "Ζ",
}  # fmt: skip
"""Letters of other scripts that look like a Latin one: some of those that Unicode Technical Standard 39 lists."""

ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u180e"
DIRECTIONS = "\u200e\u200f\u061c\u2066\u2067\u2068"
OVERRIDES = [("\u202a", "\u202c"), ("\u202d", "\u202c"), ("\u202e", "\u202c"), ("\u2067", "\u2069")]

ALPHABETS = [(0xFF21, 0xFF41), *((start, start + 26) for start in (0x1D400, 0x1D468, 0x1D4D0, 0x1D56C))]
ALPHABETS += [(start, start + 26) for start in (0x1D5A0, 0x1D5D4, 0x1D670)]
"""Where A and a stand: fullwidth; mathematical bold, bold italic, bold script, bold Fraktur, sans-serif, sans-serif
bold, monospace. All of these are without holes."""

FACES = [
    (":)", "🙂"), (":-)", "🙂"), (":D", "😃"), (";)", "😉"), (":P", "😛"), ("<3", "❤️"), ("XD", "😆"),
    (":*", "😘"), (":(", "🙁"), (":-(", "☹️"), (":'(", "😢"), (">:(", "😠"), ("</3", "💔"),
    (":/", "😕"), (":|", "😐"), (":O", "😮"),
]  # fmt: skip
"""An emoticon and the emoji that stands for it."""

WORD = re.compile(r"[^\W\d_]+")


def confusables(text: str, random: Random) -> Pair:
    """Half of the letters that have a double in another script are replaced by one.

    >>> confusables("so cool", Random(1))[1].isascii(), len(confusables("so cool", Random(1))[1])
    (False, 7)
    """
    doubled = [random.choice(CONFUSABLES[c]) if c in CONFUSABLES and random.random() < 0.5 else c for c in text]
    return text, "".join(doubled)


def zero_width(text: str, random: Random) -> Pair:
    """After one character in four comes one that shows nothing."""
    return text, _sprinkled(text, ZERO_WIDTH, random)


def bidirectional(text: str, random: Random) -> Pair:
    """Marks of direction after one character in four, and an override around one word in four."""
    words = text.split(" ")
    for place, word in enumerate(words):
        if random.random() < 0.25:
            start, end = random.choice(OVERRIDES)
            words[place] = f"{start}{word}{end}"
    return text, _sprinkled(" ".join(words), DIRECTIONS, random)


def _sprinkled(text: str, marks: str, random: Random) -> str:
    return "".join(c + (random.choice(marks) if random.random() < 0.25 else "") for c in text)


def alphabets(text: str, random: Random) -> Pair:
    """All letters from a fullwidth or a mathematical alphabet.

    >>> import unicodedata
    >>> unicodedata.normalize("NFKC", alphabets("Well, OK!", Random(1))[1])
    'Well, OK!'
    """
    upper, lower = random.choice(ALPHABETS)

    def styled(c: str) -> str:
        if "A" <= c <= "Z":
            return chr(upper + ord(c) - ord("A"))
        return chr(lower + ord(c) - ord("a")) if "a" <= c <= "z" else c

    return text, "".join(map(styled, text))


def faces(text: str, random: Random) -> Pair:
    """The text with an emoticon at its end, and with the emoji that stands for it.

    Any face may follow any text, so that many contradict it.

    >>> faces("see you", Random(3)) in [(f"see you {a}", f"see you {b}") for a, b in FACES]
    True
    """
    emoticon, emoji = random.choice(FACES)
    return f"{text} {emoticon}", f"{text} {emoji}"


def elongation(text: str, random: Random) -> Pair:
    """In one word of six, and at least in one, a vowel or the last letter stands three to six times.

    >>> elongation("so nice", Random(0))
    ('so nice', 'so niceee')
    """

    def drawn_out(word: str) -> str:
        places = [at for at, c in enumerate(word) if c.lower() in "aeiouy"] or [len(word) - 1]
        at = random.choice(places)
        return word[:at] + word[at] * random.randint(3, 6) + word[at + 1 :]

    return text, _in_some_words(text, drawn_out, random, least=2, every=6)


def typos(text: str, random: Random) -> Pair:
    """In one word of eight, and at least in one, two neighbouring letters are swapped or one is left out.

    The first letter stays, and words of fewer than four letters.

    >>> typos("an absolutely", Random(1))
    ('an absolutely', 'an aboslutely')
    """

    def mistyped(word: str) -> str:
        at = random.randrange(1, len(word) - 1)
        if random.random() < 0.5 and word[at] != word[at + 1]:
            return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        return word[:at] + word[at + 1 :]

    return text, _in_some_words(text, mistyped, random, least=4, every=8)


def _in_some_words(text: str, change: Callable[[str], str], random: Random, *, least: int, every: int) -> str:
    every_word = list(WORD.finditer(text))
    words = [match for match in every_word if len(match[0]) >= least]
    count = max(1, round(len(every_word) / every))
    for match in sorted(random.sample(words, min(count, len(words))), key=lambda m: -m.start()):
        text = text[: match.start()] + change(match[0]) + text[match.end() :]
    return text


def case_and_space(text: str, random: Random) -> Pair:
    """All capitals, all small, each word's first large, or each letter by chance; with stray white space.

    >>> case_and_space("I am", Random(2))[1].lower().split()
    ['i', 'am']
    """
    cases: list[Callable[[str], str]] = [
        str.upper,
        str.lower,
        lambda word: word[:1].upper() + word[1:],
        lambda word: "".join(random.choice((c.lower(), c.upper())) for c in word),
    ]
    case = random.choice(cases)
    words = [case(word) for word in text.split(" ")]
    spaces = [random.choice((" ", " ", "  ", "\t", "\n", "\u00a0", "\r\n ")) for _ in words]
    return text, random.choice(("", " ", "\n")) + "".join(w + s for w, s in zip(words, spaces, strict=True))


TRANSFORMS: Mapping[str, Transform] = {
    "confusable letters": confusables,
    "zero-width characters": zero_width,
    "bidirectional controls": bidirectional,
    "fullwidth and mathematical letters": alphabets,
    "emoji for emoticon": faces,
    "elongation": elongation,
    "typos": typos,
    "case and white space": case_and_space,
}


def pairs(name: str, texts: list[str], *, seed: int = 0) -> list[Pair]:
    """Every text before and after; the same each time, whatever other texts there are.

    >>> pairs("typos", ["nothing here"]) == pairs("typos", ["nothing here", "nor there"])[:1]
    True
    """
    return [TRANSFORMS[name](text, Random(f"{seed} {name} {text}")) for text in texts]
