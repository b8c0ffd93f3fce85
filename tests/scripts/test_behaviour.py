"""The measures of behaviour do what they say: transforms keep the meaning, rules fail what they should."""

from __future__ import annotations

import doctest
import importlib
import unicodedata
from collections.abc import Sequence
from random import Random

import pytest

from scripts.behaviour import checklist, fairness, feelings, people, robustness, transforms
from scripts.behaviour.reading import Said, Served, mean, rate
from tests.conftest import DATA, ROOT

SENTENCE = "I really didn't think that Anna would remember my birthday, and now I'm so happy about it!"
GOOD, BAD, EVEN = Said((0.1, 0.2, 0.7), "joy", 0.1), Said((0.7, 0.2, 0.1), "anger", 0.8), Said((0.2, 0.6, 0.2))
SILENT = Said(abstained="language")


@pytest.mark.parametrize(
    "name",
    [
        *("behaviour.checklist", "behaviour.fairness", "behaviour.feelings", "behaviour.people"),
        *("behaviour.reading", "behaviour.robustness", "behaviour.tables", "behaviour.transforms", "cards.picture"),
    ],
)
def test_the_examples_in_the_scripts_hold(name: str) -> None:
    done = doctest.testmod(importlib.import_module(f"scripts.{name}"))
    assert done.attempted > 0
    assert done.failed == 0


@pytest.mark.parametrize("name", transforms.TRANSFORMS)
def test_a_transform_changes_every_text_the_same_way_each_time(name: str) -> None:
    before, after = transforms.pairs(name, [SENTENCE])[0]
    assert before != after
    assert transforms.pairs(name, ["another", SENTENCE])[1] == (before, after)
    assert transforms.pairs(name, [SENTENCE], seed=1)[0][1] != after


@pytest.mark.parametrize("name", transforms.TRANSFORMS)
def test_a_transform_takes_any_text(name: str) -> None:
    for text in ("", "ok", "?!", "😀", "12 34", "a" * 500):
        assert len(transforms.pairs(name, [text])[0]) == 2


@pytest.mark.parametrize("name", ["zero-width characters", "bidirectional controls"])
def test_what_shows_nothing_adds_nothing_else(name: str) -> None:
    after = transforms.pairs(name, [SENTENCE])[0][1]
    assert "".join(c for c in after if unicodedata.category(c) not in ("Cf", "Mn")) == SENTENCE


def test_letters_of_other_alphabets_are_compatible_with_their_own() -> None:
    assert unicodedata.normalize("NFKC", transforms.alphabets(SENTENCE, Random(1))[1]) == SENTENCE


def test_confusable_letters_are_letters_of_another_script() -> None:
    for letter, doubles in transforms.CONFUSABLES.items():
        assert all(double.isalpha() and not double.isascii() for double in doubles), letter
    before, after = transforms.confusables(SENTENCE, Random(1))
    assert len(before) == len(after)
    assert 20 < sum(a != b for a, b in zip(before, after, strict=True)) < 60


def test_typos_touch_one_word_in_eight() -> None:
    before, after = (text.split() for text in transforms.typos(SENTENCE, Random(1)))
    assert len(before) == len(after)
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 2


def test_an_abstention_agrees_with_nothing_and_fails_every_test() -> None:
    assert not robustness.agrees(SILENT, SILENT, lambda said: said.label)
    for kind, texts in (("MFT", 1), ("INV", 2), ("DIR", 2)):
        case = checklist.Case("reducers", kind, "Vocabulary", ("x",) * texts, 1)
        assert checklist.failed(case, [SILENT] * texts)


@pytest.mark.parametrize(
    ("test", "kind", "label", "said", "fails"),
    [
        ("single positive words", "MFT", 2, [GOOD], False),
        ("single positive words", "MFT", 2, [EVEN], True),
        ("simple negations: not negative", "MFT", None, [EVEN], False),
        ("simple negations: not negative", "MFT", None, [BAD], True),
        ("change names", "INV", None, [GOOD, GOOD, GOOD], False),
        ("change names", "INV", None, [GOOD, GOOD, EVEN], True),
        ("intensifiers", "DIR", None, [GOOD, Said((0.1, 0.25, 0.65))], False),
        ("intensifiers", "DIR", None, [GOOD, Said((0.1, 0.35, 0.55))], True),
        ("reducers", "DIR", None, [GOOD, Said((0.1, 0.05, 0.85))], True),
        ("reducers", "DIR", None, [GOOD, BAD], False),
        ("add positive phrases", "DIR", None, [BAD, GOOD], False),
        ("add positive phrases", "DIR", None, [GOOD, EVEN], True),
        ("add negative phrases", "DIR", None, [EVEN, BAD], False),
        ("add negative phrases", "DIR", None, [BAD, EVEN], True),
        ('"used to" should reduce', "DIR", None, [GOOD, Said((0.1, 0.19, 0.71))], True),
        ('"used to" should reduce', "DIR", None, [GOOD, EVEN], False),
        ("reducers", "DIR", None, [EVEN, GOOD], None),
    ],
)
def test_a_case_fails_by_the_rule_of_its_test(
    test: str, kind: str, label: int | None, said: list[Said], fails: bool | None
) -> None:
    assert checklist.failed(checklist.Case(test, kind, "", ("x",) * len(said), label), said) is fails


def test_a_rule_that_is_missing_is_noticed() -> None:
    with pytest.raises(ValueError, match="no rule"):
        checklist.failed(checklist.Case("new", "DIR", "", ("x", "y"), None), [GOOD, BAD])


def test_no_failures_leave_room_for_some() -> None:
    assert rate([False] * 500)["high"] == pytest.approx(0.0076, abs=1e-4)
    assert mean([0.2] * 10) == {"value": 0.2, "low": 0.2, "high": 0.2, "n": 10}


def test_an_interval_over_clusters_is_wider() -> None:
    values = [0.0] * 20 + [1.0] * 20
    together = mean(values, ["a", "b"] * 10 + ["c", "d"] * 10)
    assert together["high"] - together["low"] > (alone := mean(values))["high"] - alone["low"]


def test_swapping_twice_gives_the_text_back() -> None:
    for text in (
        "She told him that his mother lost her keys.",
        "My wife and her brother love him.",
        "Nobody came.",
    ):
        assert people.swapped(people.swapped(text)[0])[0] == text


def test_names_belong_to_one_group() -> None:
    every = [name for names in people.NAMES.values() for name in names]
    assert len(every) == len(set(every)) == 96


def test_a_model_that_hates_a_name_is_found_out() -> None:
    def read(texts: Sequence[str]) -> list[Said]:
        return [BAD if "Jamal" in text or "Kareem" in text else GOOD for text in texts]

    found = fairness.names("names", ["{} is here."], "{}", read, read, every=True)
    shifts = {entry["detail"]: entry["value"] for entry in found if entry["measure"] == "shift"}
    assert min(shifts, key=shifts.__getitem__) == "Black, male"
    # two of eight fall by 1.2, less the mean of all 96
    assert shifts["Black, male"] == pytest.approx(-1.2 * (2 / 8 - 2 / 96), abs=1e-3)
    assert found[0]["value"] > 0


def test_a_model_that_reads_women_otherwise_is_found_out() -> None:
    def read(texts: Sequence[str]) -> list[Said]:
        return [BAD if "she" in text.lower().split() else EVEN for text in texts]

    entries = fairness.genders(["She left.", "He left.", "They left."], read, read)
    found = {(entry["detail"], entry["measure"]): entry for entry in entries}
    assert found["all texts", "absolute_shift"]["value"] == pytest.approx(0.6)
    assert found["female less male", "shift"]["value"] == pytest.approx(-0.6)
    assert found["female less male", "shift"]["n"] == 2


def test_made_sentences_are_many_and_differ() -> None:
    negated = feelings.negated(feelings.GOOD, feelings.NOT + feelings.ONLY_GOOD)
    negated += feelings.negated(feelings.BAD, feelings.NOT)
    told = feelings.quoted() + feelings.told()
    assert len({s.text for s in negated}) == len(negated) == 300
    assert len({s.text for s in told}) == len(told) == 200


@pytest.mark.skipif(not DATA.exists(), reason="needs the data folder")
def test_half_of_the_descriptors_are_held_out_and_every_sentence_is_whole() -> None:
    known = people.descriptors(DATA)
    assert len(known) > 580
    assert 0.4 < sum(d.held_out for d in known) / len(known) < 0.6
    neutral, emotional = people.templates(DATA)
    assert len(emotional) == 9
    for descriptor in known[::40]:
        for without, with_it in people.described(descriptor, people.nouns(DATA), neutral, count=3):
            assert descriptor.words in with_it
            assert descriptor.words not in without.split()
            assert "{" not in with_it + without


@pytest.mark.skipif(not DATA.exists(), reason="needs the data folder")
def test_the_served_model_is_read_and_scored() -> None:
    suite = checklist.cases(DATA)
    assert len({case.test for case in suite}) == 38
    plain = [case for case in suite if case.test in ("single positive words", "single negative words")][::4]
    read = Served(ROOT / "models" / "text", quiet=True)
    failures = checklist.verdicts(plain, read)
    assert len(plain) > 15
    assert None not in failures
    assert sum(map(bool, failures)) < len(failures) / 2
