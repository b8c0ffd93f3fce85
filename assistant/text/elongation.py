"""Shortens drawn-out words and marks to their usual length."""

from __future__ import annotations

import itertools
import re

_DOUBLED = frozenset(
    """
    aggressive agree ahh all annoyed annoying app apparently apple ass aww bee been beer bell bitter bleed blood
    bloody boo book books boom boot boss bottle bull bully butt call called calls cannot cheer cheers cherry chill
    coffee cookie cool crappy creepy cuddle daddy deep dinner doggy doll door dress eek een eww excellent feed feel
    feeling feels feet fell fill finally fluffy food fool foot football free freedom full fully funny gee geez
    giggle glass gloomy goddamn gonna good goodbye goodness goodnight goofy google goose gotta green grr guess hall
    happen happily happiness happy hell hella hello hill hiss hmm holly hoop hopefully horrible horribly horror
    hurry ill immediately impossible indeed irritated jazz jeez jelly jimmy kill killed killing kiss kisses kitty
    knee less letter little look looking looks loop loose loss mall massive matter meet meeting mess messed miss
    missed missing mmm mommy mood moody moon mushroom need needed needs nigga noob noodle noon off offended office
    oof ooh oops ooze outta pass passed pee pepper pissed pizza poll poo pool poop poor possible pretty proof puff
    pull puppies puppy queen really roof room root rubbish school scoop screen see seek seem seems seen sell shall
    sheep sheesh shh shoot silly skinny sleep sleeping sleepy sloppy small smell smooth snoop soon sooner sorry
    spooky spoon staff still stood stool stoopid stopped stress stressed stuff success suddenly summer sunny
    support suppose supposed sweet sweetie tall teen teeth tell terrible terrified terrifying three till tomorrow
    too took tool tooth totally tree tripping unhappy unless usually wall wanna weed week weekend weep well whee
    wheel will woo wood wool worried worries worry yell yelled yelling yellow yummy zoo zoom
    """.split()  # noqa: SIM905
)
"""Words that people draw out and whose usual spelling has a double letter."""

_RUN = re.compile(r"([A-Za-z])\1\1+", re.IGNORECASE)
# A word behind "&" may be an entity, one before "://" a scheme; letters beside digits are no word.
_WORD = re.compile(r"(?<![&A-Za-z0-9])[A-Za-z]++(?![0-9]|://)")
_ROMAN = re.compile(r"[XVI]*III|XXX[VI]*")
_MOST_RUNS = 4
_LAUGH = re.compile(
    r"\b(?:(?=h[ae]h|ahah|lolo)(?:(?:ha){3,}+h?|(?:he){3,}+h?|(?:ah){3,}+a?|l(?:ol){2,}+))\b", re.IGNORECASE
)
_CALLS = re.compile(r"[!?]{2,}+")
_DOTS = re.compile(r"\.{2,}+")
_MARKS = re.compile(r"([^\w\s!?.])\1{3,}+")


def shorten_elongations(text: str) -> str:
    """Write drawn-out words, laughs and marks as they usually are.

    Of three or more equal letters two stay if that gives a known word, else one. Repeated marks count once: their
    number changed the labels of every sixth text.

    >>> shorten_elongations("soooo happyyyyy, feeeeling goooood!!!!!!")
    'so happy, feeling good!'
    >>> shorten_elongations("noooo wayyyy lmaooo, World War III, ooooo")
    'no way lmao, World War III, oo'
    >>> shorten_elongations("hahahahaha lololol What?!?!?! Hm....")
    'haha lol What?! Hm...'
    """
    if _RUN.search(text):
        text = _WORD.sub(_word, text)
    text = _DOTS.sub("...", _CALLS.sub(_call, _LAUGH.sub(_laugh, text)))
    return _MARKS.sub(r"\1\1\1", text)


def _word(found: re.Match[str]) -> str:
    word = found.group()
    runs = list(_RUN.finditer(word))
    if not runs or _ROMAN.fullmatch(word):
        return word
    if runs[0].span() == (0, len(word)):
        return word[:2]
    if len(runs) <= _MOST_RUNS:
        for counts in itertools.product((2, 1), repeat=len(runs)):
            sized = iter(counts)
            choice = _RUN.sub(lambda run: run.group(1) * next(sized), word)  # noqa: B023
            if choice.lower() in _DOUBLED:
                return choice
    return _RUN.sub(r"\1", word)


def _laugh(found: re.Match[str]) -> str:
    return found.group()[: 3 if found.group()[0] in "lL" else 4]


def _call(found: re.Match[str]) -> str:
    marks = found.group()
    return marks[0] if len(set(marks)) == 1 else "?!"
