"""Words that call for human help are recognised, ordinary and figurative ones are left in peace.

The statements below were written for these tests; none comes from a person or a data set.
"""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.text.crisis import HELP, notice_crisis

few = settings(max_examples=30, deadline=None)

DATA = Path(__file__).parents[1].parent / "shared" / "data" / "text"

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


# What it answers


@pytest.mark.parametrize("country", [country for country in HELP if country != "any"])
def test_the_lines_of_the_country_come_before_those_for_everybody(country: str) -> None:
    for given_as in (country, country.lower()):
        found = notice_crisis("I want to die", given_as)
        assert found is not None
        assert found.resources == HELP[country] + HELP["any"]


@pytest.mark.parametrize("country", [None, "", "XX", "any"])
def test_where_the_country_is_unknown_there_is_still_help(country: str | None) -> None:
    found = notice_crisis("I want to die", country)
    assert found is not None
    assert found.resources == HELP["any"]
    assert any("findahelpline" in line for line in found.resources)


def test_the_answer_is_a_route_to_people_and_repeats_nothing_that_was_said() -> None:
    found = notice_crisis("I want to die, the purple elephant knows", "US")
    assert found is not None
    shown = found.as_json()
    assert (shown["level"], shown["rule"]) == ("crisis", "wish_to_die")
    assert shown["resources"] == list(found.resources)
    assert "elephant" not in str(shown)
    assert "988" in str(shown)


# Figures, where the data are at hand


def test_false_alarms_are_rare_on_everyday_comments() -> None:
    file = DATA / "goemotions" / "dev.tsv.gz"
    if not file.is_file():
        pytest.skip("GoEmotions is not here")
    with gzip.open(file, "rt", encoding="utf-8", newline="") as opened:
        texts = [row["text"] for row in csv.DictReader(opened, delimiter="\t", quoting=csv.QUOTE_NONE)]
    assert len(texts) > 5000
    # none is labelled for risk, so every alarm counts as false here
    assert sum(notice_crisis(text) is not None for text in texts) < 0.005 * len(texts)
