"""Feelings that are named but not felt by the writer: negated, ironic, quoted, another person's.

The sentences are made from the lists below; figures are rates of misreading.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scripts.behaviour.reading import Read, Said, mean

Entry = dict[str, Any]

GOOD = ["happy", "excited", "thrilled", "pleased", "satisfied", "relieved"]
GOOD += ["proud", "delighted", "grateful", "cheerful", "optimistic", "glad"]
BAD = ["sad", "angry", "upset", "scared", "worried", "disappointed"]
BAD += ["stressed", "annoyed", "nervous", "jealous", "ashamed", "depressed"]
NOT = [
    "I'm not {}.",
    "I am not {} about this.",
    "I don't feel {} at all.",
    "I can't say I'm {}.",
    "I was never {} about it.",
    "I'm anything but {} today.",
    "No, I'm not {}, but thanks for asking.",
    "It didn't make me {}.",
    "Nobody here is {}, and neither am I.",
    "I wouldn't call myself {}.",
    "I'm no longer {}.",
    "To be honest, I have hardly ever felt less {}.",
]
ONLY_GOOD = ["I wish I could tell you that I'm {}."]
"""Negates what one would like to feel."""

FELT: Mapping[str, tuple[str, str, str, str]] = {
    "furious": ("I'm furious with you", "is furious with the landlord", "anger", "negative"),
    "hate": ("I hate every one of you", "hates the new manager", "anger", "negative"),
    "heartbroken": ("I'm heartbroken and I can't stop crying", "is heartbroken about the break-up", "sadness",
                    "negative"),
    "lonely": ("I feel so lonely and sad", "feels lonely and sad in the new town", "sadness", "negative"),
    "terrified": ("I'm terrified of what comes next", "is terrified of the dentist", "fear", "negative"),
    "anxious": ("I'm so scared, I can't sleep", "is too scared of the exam to sleep", "fear", "negative"),
    "disgusted": ("You disgust me", "is disgusted by the kitchen", "disgust", "negative"),
    "overjoyed": ("I'm overjoyed, this is the best day of my life", "is overjoyed about the twins", "joy",
                  "positive"),
    "in love": ("I love you more than anything", "is madly in love with a colleague", "joy", "positive"),
    "excited": ("I'm so excited about tomorrow", "is so excited about the trip", "joy", "positive"),
}  # fmt: skip
"""A feeling as it would be quoted, as it would be told of another person, its shared emotion, its sentiment."""

QUOTED = [
    'She said "{}", which was a line from the film.',
    'The play ends with the words "{}".',
    'In chapter three the thief says: "{}."',
    'How do you translate "{}" into Spanish?',
    'The song on the radio goes "{}".',
    'The actor had to say "{}" eleven times before the director nodded.',
    'It said "{}" on the T-shirt in the window.',
    'Our teacher wrote "{}" on the board and asked us to find the verb.',
    '"{}" is the first sentence of the novel.',
    'The subtitle read "{}" for about two seconds.',
]
TOLD = [
    "My neighbour {}.",
    "The man in the story {}.",
    "According to the article, the mayor {}.",
    "My colleague's cousin {}, I'm told.",
    "In the film, the older brother {}.",
    "I read about a woman who {}.",
    "The main character {} in the second season.",
    "They say that the new tenant {}.",
    "The report says that the driver {}.",
    "He asked me whether my aunt {}.",
]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A made sentence; sentences of one frame are resampled together."""

    text: str
    frame: str
    emotion: str = ""
    """The feeling that is named, as a shared emotion."""
    sentiment: str = ""


def negated(words: Sequence[str], frames: Sequence[str]) -> list[Sentence]:
    """Every word in every frame.

    >>> negated(["happy"], NOT)[0].text, len(negated(GOOD, NOT + ONLY_GOOD) + negated(BAD, NOT))
    ("I'm not happy.", 300)
    """
    return [Sentence(frame.format(word), frame) for frame, word in itertools.product(frames, words)]


def quoted() -> list[Sentence]:
    return _framed(QUOTED, 0)


def told() -> list[Sentence]:
    return _framed(TOLD, 1)


def _framed(frames: Sequence[str], form: int) -> list[Sentence]:
    return [
        Sentence(frame.format(felt[form]), frame, felt[2], felt[3])
        for frame, felt in itertools.product(frames, FELT.values())
    ]


def measured(tweets: Mapping[str, Sequence[str]], read: Read, floor: Read, stress_threshold: float) -> list[Entry]:
    """All entries; `tweets` by class, irony and non_irony."""
    good, bad = negated(GOOD, NOT + ONLY_GOOD), negated(BAD, NOT)
    found = [
        *_misread(
            "negated good feelings", "read as positive", good, read, floor, lambda s, _: s.label == "positive"
        ),
        *_misread("negated good feelings", "top emotion is joy", good, read, None, lambda s, _: s.emotion == "joy"),
        *_misread("negated bad feelings", "read as negative", bad, read, floor, lambda s, _: s.label == "negative"),
        *_misread("negated bad feelings", "top emotion is a bad one", bad, read, None, _feels_bad),
        *_misread("negated bad feelings", "read as stressed", bad, read, None, _stressed(stress_threshold)),
    ]
    for name, sentences in (("quoted feelings", quoted()), ("feelings told of others", told())):
        found += _misread(name, "sentiment is the named one", sentences, read, floor, _coloured)
        found += _misread(name, "top emotion is the named one", sentences, read, None, _as_named)
        found += _misread(name, "read as stressed", sentences, read, None, _stressed(stress_threshold))
    return found + irony(tweets, read, floor)


def _misread(
    name: str,
    detail: str,
    sentences: Sequence[Sentence],
    read: Read,
    floor: Read | None,
    wrong: Callable[[Said, Sentence], bool],
) -> list[Entry]:
    def share(reader: Read) -> dict[str, Any]:
        said = reader([sentence.text for sentence in sentences])
        hits = [float(wrong(answer, sentence)) for answer, sentence in zip(said, sentences, strict=True)]
        return mean(hits, [sentence.frame for sentence in sentences])

    return [
        {
            "kind": "feelings",
            "name": name,
            "detail": detail,
            "measure": "misread_rate",
            **share(read),
            **({"floor": share(floor)["value"]} if floor else {}),
        }
    ]


def _feels_bad(said: Said, _: Sentence) -> bool:
    return said.emotion in ("anger", "disgust", "fear", "sadness")


def _stressed(threshold: float) -> Callable[[Said, Sentence], bool]:
    return lambda said, _: said.stress is not None and said.stress >= threshold


def _coloured(said: Said, sentence: Sentence) -> bool:
    """Read with the sentiment of the feeling that is only named."""
    return said.label == sentence.sentiment


def _as_named(said: Said, sentence: Sentence) -> bool:
    return said.emotion == sentence.emotion


def irony(tweets: Mapping[str, Sequence[str]], read: Read, floor: Read) -> list[Entry]:
    """How tweets of both classes are read. They carry no label of sentiment, so this is no accuracy."""
    found: list[Entry] = []
    for name, shown in (("irony", "ironic tweets"), ("non_irony", "other tweets")):
        ours, theirs = read(tweets[name]), floor(tweets[name])
        positive = mean([float(said.label == "positive") for said in ours])
        beside = mean([float(said.label == "positive") for said in theirs])["value"]
        valences = [said.valence for said in ours if said.valence is not None]
        low = mean([said.valence for said in theirs if said.valence is not None])["value"]
        same = {"kind": "feelings", "name": shown}
        found += [
            {**same, "detail": "read as positive", "measure": "share", **positive, "floor": beside},
            {**same, "detail": "mean valence", "measure": "valence", **mean(valences), "floor": low},
        ]
    return found
