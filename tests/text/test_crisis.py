"""Words that call for human help are recognised, ordinary and figurative ones are left in peace.

The statements below were written for these tests; none comes from a person or a data set.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import re
import time
from pathlib import Path
from typing import Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.server.contract.shapes import show_help
from assistant.text import crisis
from assistant.text.crisis import RULES, notice_crisis
from assistant.text.help import COUNTRIES, EVERYWHERE
from tests.conftest import DATA as ALL_DATA
from tests.conftest import ROOT, House

few = settings(max_examples=30, deadline=None)

DATA = ALL_DATA / "text"
SAMPLE = ROOT / "scripts" / "crisis" / "sample.csv"

EXPLICIT = [
    "I want to die",
    "I just want to die",
    "I really don't want to live anymore",
    "I do not want to be alive",
    "I don't want to be here any more.",
    "I wish I were dead",
    "I wish I was dead",
    "I wish I had never been born",
    "I hope I don't wake up tomorrow",
    "I want to go to sleep and never wake up",
    "Everyone would be better off without me",
    "They'd all be better off if I were dead",
    "There is no reason to live",
    "I have nothing left to live for",
    "I have no reason to go on living",
    "I'm tired of living",
    "I can't go on living like this",
    "I am thinking about suicide",
    "I have been feeling suicidal for weeks",
    "I'm going to kill myself",
    "I have thoughts of killing myself",
    "I want to end my life",
    "I have decided to take my own life tonight",
    "Tonight I am ending it all",
    "I am planning to end it all tonight",
    "I tried to commit suicide last night",
    "I keep thinking of ending my life",
    "I started cutting myself again",
    "I want to hurt myself",
    "I have been self-harming since spring",
    "I want to overdose on my pills",
    "I'm going to jump off a bridge",
    "I have written my suicide note",
]

ORDINARY = [
    "I nearly died laughing",
    "I could kill myself laughing at this clip",
    "This bug is killing me",
    "I'm dying to see the new film",
    "I'm dead tired, good night",
    "My phone died again",
    "That joke killed me",
    "The deadline is going to be the death of me",
    "Kill the lights, please",
    "How do I kill a hanging process in Linux?",
    "I cut myself shaving this morning",
    "I cut myself while slicing onions, where are the plasters?",
    "I hurt myself playing football yesterday",
    "I burned myself on the oven",
    "I shot myself in the foot with that e-mail",
    "I don't want to live in Berlin anymore",
    "I don't want to be here when the auditors come",
    "There's no point in going on about it",
    "I want this meme to die",
    "I need my old habits to die",
    "I don't want to die",
    "I do not want to die, so I wear a helmet",
    "We watched Suicide Squad last night",
    "I read an article about suicidal whales in a novel",
    "He plays a suicidal poet in the new film",
    "I wish I could sleep until noon and not wake up early",
    "I'm going to crash on the sofa tonight",
    "What time does the pharmacy close?",
    "Life is great, I never want it to end",
    "I took my life savings out of that fund",
    "I'm overwhelmed and sad today",
    "She ended the meeting early",
]


@pytest.mark.parametrize("said", EXPLICIT)
def test_an_explicit_statement_is_recognised(said: str) -> None:
    assert notice_crisis(said) is not None


@pytest.mark.parametrize("said", ORDINARY)
def test_an_ordinary_statement_is_left_in_peace(said: str) -> None:
    assert notice_crisis(said) is None


@pytest.mark.parametrize(
    "mark", ["\u2019", "\u2018", "\u02bc", "\uff07", "\u00b4", "`", ""], ids=lambda m: ascii(m)
)
def test_it_does_not_matter_which_apostrophe_is_typed(mark: str) -> None:
    assert notice_crisis("I really don't want to live anymore".replace("'", mark)) is not None


@pytest.mark.parametrize("said", ["I WANT TO DIE", "i want to die", "I Want To Die!!!", "so. i want to die. bye"])
def test_capitals_and_what_stands_around_do_not_matter(said: str) -> None:
    assert notice_crisis(said) is not None


@few
@given(st.sampled_from(["\u200b", "\u200c", "\u200d", "\u00ad", "\u2060", "\ufeff"]), st.integers(0, 13))
def test_characters_that_can_not_be_seen_hide_nothing(invisible: str, at: int) -> None:
    said = "I want to die"
    assert notice_crisis(said[:at] + invisible + said[at:]) is not None


@pytest.mark.parametrize("space", ["  ", "\n", "\t", "\u00a0", "\u2003", " \u200b "])
def test_spaces_of_any_kind_hide_nothing(space: str) -> None:
    assert notice_crisis("I want to die".replace(" ", space)) is not None


def test_wide_letters_hide_nothing() -> None:
    assert notice_crisis("".join(chr(ord(c) + 0xFEE0) if c != " " else c for c in "I want to die")) is not None


def test_a_joke_beside_a_statement_does_not_hide_it() -> None:
    assert notice_crisis("Ha, I died laughing. But honestly, I want to end my life.") is not None


@few
@given(st.text(max_size=80))
def test_no_text_breaks_it(said: str) -> None:
    notice_crisis(said)


# Every rule, by the reason it gives

FOR_EACH_RULE = {
    "an attempt on one's own life": "Last month I tried to end my life",
    "an attempt, by its name": "I attempted suicide in spring",
    "an attempt, described": "He doesn't know that I held a pistol against my temple",
    "too much medicine, by its name": "I overdosed on Sunday",
    "many pills at once": "I just swallowed a whole bottle of tablets",
    "pills meant to kill": "Are these pills strong enough to kill me",
    "a plan, a note, a date": "I have been planning my suicide since March",
    "how one would do it": "I look up ways to kill myself",
    "when one would do it": "I will kill myself next week",
    "a method": "I am about to hang myself",
    "a fall": "I could jump off that bridge",
    "to jump, and nothing more": "I am up here and I want to jump",
    "into traffic": "I think of walking in front of a bus",
    "a weapon turned on oneself": "I keep the gun pointed at my head",
    "killing oneself": "maybe I should just kill myself",
    "slang for it, and no kilometres": "honestly might kms",
    "ending one's life": "I decided to end my life",
    "ending one's misery": "I will put an end to my misery",
    "not here for long": "I won't be here much longer, I will be dead soon",
    "'end it', of oneself": "Just want to end it all",
    "'end it', with the writer named": "I can't, I'd rather end things",
    "suicide, of oneself": "For weeks I have carried this idea of suicide around",
    "the same, with 'I' left out": "Thinking about suicide again",
    "suicide as a way out": "Suicide seems the only way out",
    "hurting oneself": "I hurt myself when it gets loud in my head",
    "self-harm, by its name": "I'm back to self-harm",
    "cutting": "I keep cutting and nobody sees",
    "cutting, with the writer named": "Nobody knows that I cut every day",
    "a wish to die": "Right now I only want to die",
    "a wish to be dead": "I wish I was dead",
    "to be let die": "Why can't I just die",
    "one should be dead": "I am no good, I should be dead",
    "sorry to be alive": "I hate that I'm still alive",
    "to be killed": "I wish somebody would just kill me",
    "no wish to live": "I don't want to live",
    "tired of living": "I'm so tired of living",
    "death as relief": "I daydream about being dead",
    "death, wished for": "I long for death",
    "not to wake up": "I go to bed hoping that I won't wake up",
    "not to exist": "I wish I didn't exist",
    "whether to live": "I don't know why I should stay alive",
    "no right to live": "I don't deserve to live",
    "others better off": "They are better off without me",
    "what if one died": "I imagine how they'd laugh if I died",
    "nothing to live for": "I have nothing to live for",
    "reasons for living": "Running out of reasons to live",
    "no objection to dying": "I wouldn't mind dying in my sleep",
    "indifferent to living": "I don't care if I live",
    "what alone holds one back": "My dog is the only reason I'm still alive",
    "to leave the world": "I want to leave this world",
    "death beside despair": "I am worthless and think of death",
    "a blade beside despair": "I feel numb and there are razors in the drawer",
    "somebody close may die": "My brother says he wants to kill himself",
    "somebody close hurts themselves": "My daughter has been cutting herself",
    "somebody close is suicidal": "How do I talk to my suicidal friend?",
}


def test_every_rule_has_a_sentence_here() -> None:
    assert list(FOR_EACH_RULE) == [rule.why for rule in RULES]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.why)
def test_a_rule_finds_what_it_is_for(rule: crisis.Rule) -> None:
    said = FOR_EACH_RULE[rule.why]
    plain = crisis._plain(said)
    (pattern,) = [pattern for one, pattern in crisis._COMPILED if one is rule]
    assert any(crisis._is_meant(rule, plain, found) for found in pattern.finditer(plain))
    assert notice_crisis(said) is not None


# Denials, other people, figures of speech

DENIED = [
    "I'm not suicidal",
    "I am not suicidal at all, just tired",
    "I have never been suicidal",
    "I'm no longer suicidal",
    "I would never kill myself",
    "I won't kill myself",
    "I'd never hurt myself",
    "I'm not going to kill myself",
    "I don't want to kill myself",
    "I dont wanna die",
    "I never thought about suicide",
    "I have no intention of killing myself",
    "I have no plans to end my life",
    "I don't self-harm",
]

DENIED_AND_SAID = [
    "I'm not suicidal, but I wish I were dead",
    "I won't do it, but I think about killing myself daily",
    "I don't want to die, but I can't stop cutting myself",
    "I'm not suicidal. I just don't want to exist anymore.",
    "No, I won't kill myself tonight",
    "My kids are why I haven't killed myself",
    "I'm too scared to kill myself",
    "I can't kill myself because of my mother",
    "If this fails I will kill myself",
]

OF_OTHERS = [
    "kys",
    "Go kill yourself",
    "Please don't end your life",
    "He killed himself in 1994",
    "She died by suicide before I was born",
    "People who commit suicide deserve our compassion",
    "If someone is suicidal, listen to them",
    "The suicide rate fell last year",
    "I volunteer for a suicide hotline",
    "I watched a film about suicide",
    "He overdosed on heroin",
    "I hope the villain dies in the last season",
    "I want this meme to die",
]

FIGURES = [
    "I'm dying to see it",
    "I want to die of old age",
    "I want to die on that hill",
    "I'm dead lol",
    "I feel dead tired",
    "I ran ten kms this morning",
    "It is two kms to the station",
    "I could jump for joy",
    "I took 20 mg of my medication",
    "I cut my arm on a fence",
    "I hurt myself at the gym",
    "I ended it with my boyfriend",
    "I want to end it on a good note",
    "I am looking for a place to live",
    "I'm tired of living with roommates",
    "I don't want to live in the city anymore",
    "I don't want to wake up at five tomorrow",
    "There is no point in going on vacation now",
    "I'm better off without him",
    "I took my life savings to the bank",
]


@pytest.mark.parametrize("said", [*DENIED, *OF_OTHERS, *FIGURES])
def test_what_is_denied_or_said_of_others_or_in_a_figure_is_left_in_peace(said: str) -> None:
    assert notice_crisis(said) is None


@pytest.mark.parametrize("said", DENIED_AND_SAID)
def test_a_denial_hides_nothing_that_stands_beside_it(said: str) -> None:
    assert notice_crisis(said) is not None


@pytest.mark.parametrize(
    "said", ["My best friend wants to kill herself", "my mom is suicidal", "My son talks about ending his life"]
)
def test_fear_for_somebody_close_leads_to_help_for_both(said: str) -> None:
    found = notice_crisis(said, "US")
    assert found is not None
    assert found.rule == "concern_for_other"
    assert "close to you" in found.message
    assert any("988" in line for line in found.resources)


# Spelling, slang, disguise


@pytest.mark.parametrize(
    "said",
    [
        "i dont want to live",
        "im gonna kill my self",
        "thinking about sucide",
        "suiside is on my mind",
        "i feel suicidle",
        "i want to unalive myself",
        "i want to off myself",
        "i might ctb",
        "i waaaant to dieeee",
        "i want to k1ll myself",
        "i want to k*ll myself",
        "i want to k i l l myself",
        "i want to k.i.l.l myself",
        "i want to su1c1de",
        "i want to... die",
        "I_want_to_die",
        "(I want to die)",
        "\uff29 want to \U0001d41d\U0001d422\U0001d41e",
    ],
)
def test_slang_and_spelling_hide_nothing(said: str) -> None:
    assert notice_crisis(said) is not None


# Cost and traces


@pytest.mark.parametrize(
    "unit", ["i want to ", "not to want ", "wish i ", "suicide ", "k ", "pills ", "gun my ", "end i", "1*", "aaa"]
)
def test_the_longest_text_costs_little(unit: str) -> None:
    text = (unit * 50_000)[:50_000]
    began = time.process_time()
    notice_crisis(text)
    # about half a second; a rule that backtracks without bound would take hours
    assert time.process_time() - began < 20


def test_no_rule_repeats_a_repetition_without_bound() -> None:
    for _, pattern in crisis._COMPILED:
        assert not re.search(
            r"[*+]\)[*+]", pattern.pattern.replace("(?:that |being |im |i am |still |to be )+", "")
        )


def test_it_keeps_nothing() -> None:
    before = {name: repr(value) for name, value in vars(crisis).items() if not name.startswith("__")}
    notice_crisis("I want to die, the purple elephant knows")
    after = {name: repr(value) for name, value in vars(crisis).items() if not name.startswith("__")}
    assert before == after
    assert "elephant" not in str(after)


def test_it_takes_no_part_in_affect() -> None:
    words = Path(crisis.__file__).read_text(encoding="utf-8")
    imports = re.findall(r"^(?:from|import) ([\w.]+)", words, re.MULTILINE)
    assert {name for name in imports if name.startswith("assistant")} == {
        "assistant.text.clean",
        "assistant.text.crisis_words",
        "assistant.text.help",
    }


# What it answers


@pytest.mark.parametrize("country", COUNTRIES)
def test_the_lines_of_the_country_come_before_those_for_everybody(country: str) -> None:
    for given_as in (country, country.lower()):
        found = notice_crisis("I want to die", given_as)
        assert found is not None
        assert found.resources == tuple(line.says for line in COUNTRIES[country] + EVERYWHERE)


@pytest.mark.parametrize("country", [None, "", "XX", "any"])
def test_where_the_country_is_unknown_there_is_still_help(country: str | None) -> None:
    found = notice_crisis("I want to die", country)
    assert found is not None
    assert found.resources == tuple(line.says for line in EVERYWHERE)
    assert any("findahelpline" in line for line in found.resources)


def test_the_answer_is_a_route_to_people_and_repeats_nothing_that_was_said() -> None:
    found = notice_crisis("I want to die, the purple elephant knows", "US")
    assert found is not None
    shown = msgspec.json.decode(msgspec.json.encode(show_help(found)))
    assert (shown["level"], shown["rule"]) == ("crisis", "wish_to_die")
    assert shown["resources"] == list(found.resources)
    assert "elephant" not in str(shown)
    assert "988" in str(shown)


# Figures, where the data are at hand


@pytest.mark.slow
def test_false_alarms_are_rare_on_everyday_comments() -> None:
    file = DATA / "goemotions" / "dev.tsv.gz"
    if not file.is_file():
        pytest.skip("GoEmotions is not here")
    with gzip.open(file, "rt", encoding="utf-8", newline="") as opened:
        texts = [row["text"] for row in csv.DictReader(opened, delimiter="\t", quoting=csv.QUOTE_NONE)]
    assert len(texts) > 5000
    # none is labelled for risk, so every alarm counts as false here
    assert sum(notice_crisis(text) is not None for text in texts) < 0.005 * len(texts)


def _sample(split: str, label: str) -> list[str]:
    """The labelled sentences, looked up in the data; they are not in the repository."""
    csv.field_size_limit(1 << 24)
    with SAMPLE.open(encoding="utf-8", newline="") as opened:
        lines = [line for line in csv.DictReader(opened) if (line["split"], line["label"]) == (split, label)]
    rows = {}
    for name, file in (("crisis_cssrs500", "users"), ("crisis_sdcnl", "train"), ("goemotions", "train")):
        path = DATA / name / f"{file}.tsv.gz"
        if not path.is_file():
            pytest.skip(f"{name} is not here")
        with gzip.open(path, "rt", encoding="utf-8", newline="") as data:
            quoted: Literal[0, 3] = csv.QUOTE_NONE if name == "goemotions" else csv.QUOTE_MINIMAL
            rows[name] = list(csv.DictReader(data, delimiter="\t", quoting=quoted))
    found = [
        rows[line["set"]][int(line["row"])][line["field"]][int(line["start"]) : int(line["end"])] for line in lines
    ]
    assert [hashlib.sha256(words.encode()).hexdigest()[:12] for words in found] == [
        line["sha256"] for line in lines
    ]
    return found


@pytest.mark.parametrize(("split", "reported"), [("test", 0.895), ("blind", 0.831)])
def test_recall_on_labelled_statements_is_what_was_reported(split: str, reported: float) -> None:
    texts = _sample(split, "yes")
    assert sum(notice_crisis(text) is not None for text in texts) >= reported * len(texts)


def test_few_sentences_from_crisis_forums_that_state_nothing_raise_an_alarm() -> None:
    texts = _sample("test", "no")
    assert sum(notice_crisis(text) is not None for text in texts) <= 0.05 * len(texts)


STATEMENTS_IN_OTHER_LANGUAGES = {
    "de": [
        "Ich will mich umbringen", "ich mag nicht mehr leben", "ich kann nicht mehr, ich will einfach nur sterben",
        "Ich moechte sterben", "Am liebsten wäre ich tot", "ich nehm mir das leben",
        "hab 40 tabletten geschluckt",
        "ich spring jetzt von der brücke", "ich denke jeden tag an selbstmord", "ich hab mich wieder geritzt",
        "ich wünschte ich wäre nie geboren", "meine freundin will sich umbringen was soll ich tun",
        "Ich würde am liebsten einschlafen und nie wieder aufwachen", "ICH WILL STERBEN!!!",
    ],
    "fr": [
        "Je veux mourir", "j'ai envie de mourir", "J’en peux plus, je veux en finir avec la vie",
        "je vais me suicider ce soir", "j'ai pris toute la boîte de somnifères",
        "je me scarifie depuis des mois",
        "je voudrais ne jamais me réveiller", "tout le monde serait mieux sans moi", "Je ne veux plus vivre",
        "ma sœur veut se suicider", "je pense au suicide tous les jours", "je suis fatiguée de vivre",
    ],
    "es": [
        "Quiero morir", "quiero morirme", "Me quiero matar", "ya no quiero vivir", "no tengo ganas de vivir",
        "voy a quitarme la vida", "me corto los brazos", "pienso en suicidarme todo el tiempo",
        "ojalá estuviera muerta", "todos estarían mejor sin mí", "mi hermana quiere suicidarse",
        "tomé todas las pastillas", "estoy cansada de vivir",
    ],
}  # fmt: skip
NO_STATEMENTS_IN_OTHER_LANGUAGES = [
    "ich sterbe vor lachen", "ich bring mich um den Verstand", "mein handy ist tot", "ich will nicht sterben",
    "ich will mich nicht umbringen", "ich möchte nicht mehr in Berlin leben",
    "Der Film handelt von einem Selbstmord",
    "ich könnte ihn umbringen", "ich bin todmüde", "je meurs de faim", "je suis mort de rire", "ça me tue",
    "je ne veux pas mourir", "je ne veux plus vivre à Paris", "ma batterie est morte", "c'est à mourir de rire",
    "mon grand-père est mort", "me muero de risa", "me muero por verte", "no quiero vivir en Madrid",
    "no me quiero morir", "mi abuelo murió", "la película trata de un suicidio", "mato por un café",
    "Il veut mourir, le héros du film", "Elle a essayé de me tuer", "Ha intentado matarme",
]  # fmt: skip


@pytest.mark.parametrize("text", [text for texts in STATEMENTS_IN_OTHER_LANGUAGES.values() for text in texts])
def test_german_french_and_spanish_are_understood(text: str) -> None:
    assert notice_crisis(text) is not None


@pytest.mark.parametrize("text", NO_STATEMENTS_IN_OTHER_LANGUAGES)
def test_denials_and_figures_of_speech_of_other_languages_are_left_in_peace(text: str) -> None:
    assert notice_crisis(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "I don&#39;t want to live anymore", "I don&amp;#39;t want to live anymore", "I want to **kill** myself",
        "I want to *kill* myself", "I want to __kill myself__", "I want to <b>kill</b> myself",
        "<p>I want&nbsp;to die</p>", "I want to ~~live~~ `kill myself`", "I want to k*ll myself",
        "Ich will mich <i>umbringen</i>", "je veux **mourir**",
    ],
)  # fmt: skip
def test_escapes_and_formatting_hide_nothing(text: str) -> None:
    assert notice_crisis(text) is not None


async def test_a_person_who_speaks_german_is_led_to_help(house: House) -> None:
    await house.person(language="de", country="DE")
    assert (await house.message("Ich will mich umbringen"))["safety"]["level"] == "crisis"
