"""Texts made for training: sentences from a small grammar, and real ones changed in ways that shouldn't matter.

The grammar teaches what labelled sets hardly show: negation, change over time, whose opinion counts, a question
and its answer, words that are merely factual. Its sentences are our own, and those that CheckList's suite happens
to contain are left out. A changed text (another name, another gender, another identity, a slip of the keyboard)
keeps the labels of the original, and is to be read like it (counterfactual logit pairing, Garg et al. 2019). Of
the HolisticBias descriptors only one half, chosen by hash, is ever seen here; the other half measures.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from assistant.text.clean import clean
from scripts.text.data import SENTIMENT, Rows, bare, blank


def _words(text: str) -> list[str]:
    return text.split()


GRAMMAR_ROWS, IDENTITY_ROWS, SWAPPED_ROWS, SLIPPED_ROWS = 12_000, 8_000, 8_000, 12_000

NEGATIVE, NEUTRAL, POSITIVE = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
NOT_NEGATIVE = (0.0, 0.5, 0.5)

GOOD = _words(
    "good great lovely excellent wonderful brilliant superb fantastic amazing perfect delightful pleasant charming "
    "nice fun beautiful awesome impressive outstanding terrific helpful exciting happy sweet adorable marvellous "
    "incredible exceptional extraordinary comfortable friendly"
)
BAD = _words(
    "bad awful terrible horrible dreadful poor boring annoying frustrating disappointing nasty ugly lousy lame "
    "unpleasant ridiculous creepy sad rough mediocre average miserable useless rude dirty broken unhappy hard "
    "difficult weird pathetic disgusting painful"
)
PLAIN = _words(
    "American British Italian Indian Australian Israeli French Chinese Brazilian Kenyan Turkish Swedish private "
    "public commercial international regional local wooden digital square weekly blue round electric national "
    "military seasonal"
)
LIKE = ["like", "love", "enjoy", "admire", "appreciate", "recommend", "value", "welcome", "adore", "treasure"]
LOATHE = ["hate", "dislike", "despise", "regret", "dread", "abhor", "loathe", "resent", "detest"]
MEET = ["see", "find", "use", "pass", "know of", "read about", "live near", "own"]
THINGS = _words(
    "hotel film book song phone laptop restaurant teacher meal concert game course lesson flight service staff "
    "room bus train museum song app bank doctor shop camera coffee soup team office park city airport crew seat "
    "plane food company kitchen series coat bike garden clinic show market"
)
ASIDES = [
    "to be fair", "after three visits", "considering how long we waited", "having grown up in Norway",
    "since my sister works there", "with all the rain we had", "as far as I remember",
    "given what a friend told me", "after all that time", "given where I come from", "being an engineer",
    "given that it's a Friday", "given how many of them I have tried", "now that I'm back home",
]  # fmt: skip
OTHERS = ["Some people", "My parents", "Critics", "My friends", "The reviewers", "Other people", "You", "He", "She"]

NAMES = _words(
    "Alice Brian Carlos Dmitri Emeka Fatou Greta Hassan Ingrid Jamal Keisha Lakshmi Mehmet Nadia Oluwaseun Priya "
    "Quentin Rosa Sanjay Tyrone Ulrike Valentina Wei Xiomara Yusuf Zainab Connor Molly DeShawn Latoya Hiroshi Mei "
    "Juan Guadalupe Ahmed Leila Ivan Olga Kwame Amara Sven Astrid Moshe Rivka Liam Siobhan Bob Karen Donald Jill"
)
PAIRS = [
    ("he", "she"), ("him", "her"), ("his", "her"), ("himself", "herself"), ("man", "woman"), ("men", "women"),
    ("boy", "girl"), ("boys", "girls"), ("husband", "wife"), ("father", "mother"), ("dad", "mom"),
    ("son", "daughter"), ("brother", "sister"), ("uncle", "aunt"), ("guy", "girl"), ("guys", "girls"),
    ("boyfriend", "girlfriend"), ("king", "queen"), ("sir", "madam"), ("grandfather", "grandmother"),
    ("nephew", "niece"), ("male", "female"),
    ("dude", "gal"), ("bro", "sis"), ("mr", "mrs"), ("gentleman", "lady"),
]  # fmt: skip
OTHER_GENDER = {**{b: a for a, b in PAIRS}, **dict(PAIRS)}
IDENTITIES = _words(
    "German Nigerian Mexican Pakistani Polish Korean Somali Syrian Ukrainian Peruvian Canadian Egyptian Thai Roma "
    "Black white Asian Arab Hispanic Latino African Caribbean biracial Muslim Jewish Christian Hindu Sikh Buddhist "
    "atheist Catholic Protestant Mormon gay lesbian bisexual straight transgender queer non-binary old young "
    "middle-aged elderly thirty-year-old seventy-year-old teenage deaf blind disabled autistic dyslexic short tall "
    "thin fat overweight bald blond left-handed rich poor working-class middle-class homeless unemployed retired "
    "married single divorced widowed pregnant adopted conservative liberal socialist immigrant refugee rural urban "
    "vegan tattooed diabetic paralysed epileptic"
)
PEOPLE = [
    "person", "woman", "man", "kid", "parent", "friend", "teacher", "colleague", "neighbour", "girl", "boy",
    "guy", "mother", "father", "grandparent", "veteran", "driver", "nurse", "student", "lady", "sister",
    "brother", "child",
]  # fmt: skip
ABOUT_PEOPLE = [
    "I'm {one}.", "Hello, I'm {one}.", "I am {one}.", "I'm {one} and I live near the station.", "I was {one} once.",
    "My neighbour is {one}.", "I know {one} from work.", "{one} came to the meeting.", "I'm not {one}.",
    "I talked to {one} yesterday.", "I saw {one} at the bus stop.", "What would {one} say about it?",
    "I'd like to know how {one} would see this.", "She told me that she was {one}.", "As {one}, I see it that way.",
    "I love being {one}.", "It's not easy being {one}.", "I hate {one}.", "I admire {one} who can cook.",
    "I had a great time with {one}.", "{one} made me so angry today.", "{one} was kind to me and I'm grateful.",
    "I'm worried about {one} I know.", "{one} got the job.", "What's your job? I'm {one}.",
    "How was your day? I'm {one}.", "My cousins are {many}.", "I think {many} are great.", "I can't stand {many}.",
    "I have met {many} in many towns.", "How many {many} live there?", "I like {many}.", "{many} are terrible.",
    "The film is about {one}.", "Please keep in mind that I'm {one}.", "Right now I'm {one}.",
]  # fmt: skip


def grammar(seed: int, count: int, suite: Path) -> Rows:
    """`count` sentences with their sentiment, each kind equally often; none of CheckList's own."""
    generator = random.Random(seed)
    known = _suite(suite)
    found: dict[str, tuple[float, float, float]] = {}
    while len(found) < count:
        text, target = generator.choice(KINDS)(generator)
        if generator.random() < 0.3:
            text = text.rstrip(".")
        if generator.random() < 0.2:
            text = text.lower()
        if bare(text) not in known:
            found[text] = target
    rows = blank(list(found))
    rows.targets[:, SENTIMENT] = np.array(list(found.values()), np.float32)
    return rows


def _suite(file: Path) -> set[str]:
    with gzip.open(file, "rt") as lines:
        return {bare(text) for line in lines for text in json.loads(line)["texts"]}


Sentence = tuple[str, tuple[float, float, float]]


def _word(generator: random.Random) -> Sentence:
    """One word alone."""
    words, target = generator.choice([(GOOD + LIKE, POSITIVE), (BAD + LOATHE, NEGATIVE), (PLAIN + MEET, NEUTRAL)])
    return generator.choice(words), target


def _claim(generator: random.Random) -> tuple[Callable[[bool], str], int]:
    """A claim that can be put as it is or denied, and its sign: -1, 0 or 1."""
    sign = generator.choice([-1, 0, 1])
    thing = generator.choice(THINGS)
    this = generator.choice(["this", "that", "the", "their", "your", "our", "my"])
    if generator.random() < 0.35:
        verb = generator.choice({-1: LOATHE, 0: MEET, 1: LIKE}[sign])
        return lambda denied: f"I {generator.choice(NOT_DO) + ' ' if denied else ''}{verb} {this} {thing}", sign
    word = generator.choice({-1: BAD, 0: PLAIN, 1: GOOD}[sign])
    a = article(word)
    no = generator.choice([" not", "n't"])
    be = generator.choice(["is", "was"])
    if generator.random() < 0.5:
        return lambda denied: f"{this} {thing} {be}{no if denied else ''} {word}", sign
    it = generator.choice(["this", "that", "it"])
    return lambda denied: f"{it} {be}{no if denied else ''} {a} {thing}", sign


NOT_DO = ["don't", "do not", "can't say I", "never", "would never say I", "won't say that I", "did not"]


def article(phrase: str) -> str:
    """With "a" or "an" before it.

    >>> article("awful"), article("used"), article("X-ray")
    ('an awful', 'a used', 'an X-ray')
    """
    vowel = re.match(r"(?:[aeio]|u(?!ni|se|k)|x-)", phrase, re.IGNORECASE)
    return f"{'an' if vowel else 'a'} {phrase}"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def _target(sign: int, *, denied: bool = False) -> tuple[float, float, float]:
    if denied:
        return {-1: NOT_NEGATIVE, 0: NEUTRAL, 1: NEGATIVE}[sign]
    return {-1: NEGATIVE, 0: NEUTRAL, 1: POSITIVE}[sign]


def _stated(generator: random.Random) -> Sentence:
    say, sign = _claim(generator)
    return _sentence(say(False)), _target(sign)


def _denied(generator: random.Random) -> Sentence:
    say, sign = _claim(generator)
    return _sentence(say(True)), _target(sign, denied=True)


def _far_denied(generator: random.Random) -> Sentence:
    """The negation stands far before what it denies."""
    say, sign = _claim(generator)
    start = generator.choice(["I don't think", "I wouldn't say", "I can't say", "No one would claim", "I doubt"])
    aside = generator.choice(ASIDES)
    return _sentence(f"{start}, {aside}, that {say(False)}"), _target(sign, denied=True)


def _expected(generator: random.Random) -> Sentence:
    """Expected one thing, found another."""
    sign = generator.choice([-1, 0, 1])
    thing, but = generator.choice(THINGS), generator.choice(["but", "yet", "only"])
    if generator.random() < 0.5:
        word = generator.choice({-1: BAD, 0: PLAIN, 1: GOOD}[sign])
        hope = generator.choice(["thought", "expected", "believed", "was told", "assumed"])
        end = generator.choice(["it was not", "it wasn't", "it really wasn't"])
        text = f"I {hope} {generator.choice(['this', 'that', 'the'])} {thing} would be {word}, {but} {end}"
    else:
        verb = generator.choice({-1: LOATHE, 0: MEET, 1: LIKE}[sign])
        end = generator.choice(["I did not", "I didn't", "in the end I didn't"])
        text = f"I thought I would {verb} {generator.choice(['this', 'that', 'the'])} {thing}, {but} {end}"
    return _sentence(text), _target(sign, denied=True)


def _changed(generator: random.Random) -> Sentence:
    """What one thinks now counts, not what one used to think."""
    now = generator.choice([-1, 1])
    thing = generator.choice(["this", "that", "the"]) + " " + generator.choice(THINGS)
    if generator.random() < 0.5:
        before = f"{generator.choice(LIKE if now < 0 else LOATHE)} {thing}"
        after = f"{generator.choice(LIKE if now > 0 else LOATHE)} it"
    else:
        before = f"think {thing} was {generator.choice(GOOD if now < 0 else BAD)}"
        after = f"think it is {generator.choice(GOOD if now > 0 else BAD)}"
    shape = generator.choice(
        ["I used to {before}, but now I {after}", "I {after} now, although I used to {before}",
         "In the past I would {before}, though these days I {after}", "I {after}, even though I used to {before}",
         "Years ago I would {before}; today I {after}", "I would {before} once, but I {after} now",
         "I {after}, but in the past I would {before}"]
    )  # fmt: skip
    text = shape.format(before=before, after=after)
    if "I " + after in text and text.index(after) < text.index(before):
        text = text.replace(after, after.replace(" it", " " + thing, 1), 1).replace(
            before, before.replace(thing, "it"), 1
        )
    return _sentence(text), _target(now)


def _opinion(generator: random.Random) -> Sentence:
    """The writer's opinion counts, not what others say."""
    mine = generator.choice([-1, 1])
    who = generator.choice(["you are", "this is", "it is", f"the {generator.choice(THINGS)} is"])
    i = f"I {generator.choice(['think', 'feel', 'believe'])} {who} {generator.choice(GOOD if mine > 0 else BAD)}"
    theirs = (
        generator.choice((BAD, BAD, ["average", "nothing special"])[generator.randrange(3)])
        if (mine > 0)
        else generator.choice(GOOD)
    )
    other = generator.choice(OTHERS)
    think = "thinks" if other in ("He", "She") else "think"
    heard = generator.choice([f"{other} {think} {who} {theirs}", f"I had heard {who} {theirs}",
                              f"{other} told me {who} {theirs}", f"everybody says {who} {theirs}"])  # fmt: skip
    shape = generator.choice(["{heard}, but {i}", "{i}, but {heard}", "{i}, {heard}", "{heard}, {i}",
                              "{heard}. However, {i}", "{i}, even though {heard}"])  # fmt: skip
    lower = heard if shape.startswith("{heard}") or heard.startswith("I ") else heard[0].lower() + heard[1:]
    return _sentence(shape.format(heard=lower, i=i)), _target(mine)


def _answered(generator: random.Random) -> Sentence:
    """The answer decides."""
    sign, yes = generator.choice([-1, 0, 1]), generator.random() < 0.5
    thing = generator.choice(["this", "that", "the"]) + " " + generator.choice(THINGS)
    if generator.random() < 0.4:
        question = (
            f"{generator.choice(['Do', 'Did'])} I {generator.choice({-1: LOATHE, 0: MEET, 1: LIKE}[sign])} {thing}"
        )
    else:
        word = generator.choice({-1: BAD, 0: PLAIN, 1: GOOD}[sign])
        be = generator.choice(["is", "was"])
        claim = generator.choice(
            [f"{thing} {be} {word}", f"it {be} {article(word)} {thing.split()[1]}",
             f"{thing.split()[0] if thing[0] != 't' or thing[:3] != 'the' else 'that'} {be} {article(word)} "
             f"{thing.split()[1]}"]
        )  # fmt: skip
        question = f"{generator.choice(['Do I think', 'Did I think', 'Would I say'])} {claim}"
    answer = generator.choice(["Yes", "Yes, I do", "Oh yes"] if yes else ["No", "No, I don't", "Not at all", "No"])
    target = _target(sign) if yes else {-1: (0.0, 0.8, 0.2), 0: NEUTRAL, 1: NEGATIVE}[sign]
    return f"{question}? {answer}", target


KINDS: Sequence[Callable[[random.Random], Sentence]] = (
    _word, _stated, _stated, _denied, _denied, _far_denied, _far_denied, _expected, _changed, _opinion, _answered,
    _answered,
)  # fmt: skip


def seen_half(descriptor: str) -> bool:
    """Whether training may use this HolisticBias descriptor; the others are for measuring."""
    return int(hashlib.sha256(descriptor.lower().encode()).hexdigest(), 16) % 2 == 0


def descriptors(folder: Path) -> list[str]:
    """The half of the HolisticBias descriptors that training may use."""
    axes = json.loads((folder / "descriptors.json").read_text())
    entries = [entry for axis in axes.values() for group in axis.values() for entry in group]
    return [name for entry in entries if seen_half(name := _descriptor(entry))]


def _descriptor(entry: str | dict[str, str]) -> str:
    return entry if isinstance(entry, str) else entry["descriptor"]


def identities(seed: int, count: int, words: Sequence[str]) -> tuple[Rows, list[str]]:
    """Sentences about people with an identity named, and the same about just a person."""
    generator = random.Random(seed)
    texts: list[str] = []
    bases: list[str] = []
    for _ in range(count):
        who, noun, shape = generator.choice(words), generator.choice(PEOPLE), generator.choice(ABOUT_PEOPLE)
        described = f"{noun} {who}" if who.startswith(("with ", "who ", "without ", "in ")) else f"{who} {noun}"
        for phrase, into in ((described, texts), ("person", bases)):
            many = "people" if phrase == "person" else phrase.replace(noun, _plural(noun), 1)
            text = shape.format(one=article(phrase), many=many)
            into.append(text[0].upper() + text[1:])
    return blank(texts), [clean(base) for base in bases]


def _plural(noun: str) -> str:
    irregular = {"person": "people", "woman": "women", "man": "men", "child": "children", "lady": "ladies"}
    return irregular.get(noun, noun + "s")


def swapped(rows: Rows, seed: int, count: int) -> tuple[Rows, list[str]]:
    """Rows with genders swapped or a name put in, and the original texts."""
    generator = random.Random(seed)
    places: list[int] = []
    texts: list[str] = []
    for place in generator.sample(range(len(rows)), len(rows)):
        text = rows.texts[place]
        other = swap_gender(text) if generator.random() < 0.6 else swap_name(text, generator)
        if other != text:
            places.append(place)
            texts.append(other)
        if len(texts) == count:
            break
    return Rows([clean(text) for text in texts], rows.targets[places]), [rows.texts[place] for place in places]


def swap_gender(text: str) -> str:
    """Every gendered word becomes its counterpart.

    >>> swap_gender("He told his wife that she was right")
    'She told her husband that he was right'
    """

    def other(match: re.Match[str]) -> str:
        word = match[0]
        found = OTHER_GENDER[word.lower()]
        return found.capitalize() if word[0].isupper() else found

    return re.sub(rf"\b(?:{'|'.join(OTHER_GENDER)})\b", other, text, flags=re.IGNORECASE)


def swap_name(text: str, generator: random.Random) -> str:
    """GoEmotions' [NAME], or a name from the list, becomes another one."""
    return re.sub(rf"\[NAME\]|\b(?:{'|'.join(NAMES)})\b", lambda _: generator.choice(NAMES), text)


def slipped(rows: Rows, seed: int, count: int) -> tuple[Rows, list[str]]:
    """Rows with slips of the keyboard, and the original texts."""
    generator = random.Random(seed)
    places = [place for place in generator.sample(range(len(rows)), count) if len(rows.texts[place]) > 12]
    texts = [" ".join(_slips(rows.texts[place].split(), generator)) for place in places]
    return Rows([clean(text) for text in texts], rows.targets[places]), [rows.texts[place] for place in places]


def _slips(words: Sequence[str], generator: random.Random) -> Iterator[str]:
    for word in words:
        if len(word) < 4 or generator.random() > 0.15:
            yield word
            continue
        at = generator.randrange(1, len(word) - 1)
        yield generator.choice(
            [
                word[:at] + word[at + 1] + word[at] + word[at + 2 :],
                word[:at] + word[at + 1 :],
                word[:at] + word[at] + word[at:],
                word[:at] + generator.choice("etaoinshr") + word[at + 1 :],
            ]
        )
