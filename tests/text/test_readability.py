"""The text reader knows what it doesn't know: other languages, code, noise and nothing at all."""

from __future__ import annotations

import csv
import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.config import shipped_models
from assistant.consent.grant import EvaluationGate
from assistant.emotion import Abstention
from assistant.errors import ConsentRequired
from assistant.inference.card import read_card
from assistant.server.contract.session import Text
from assistant.text.clean import clean
from assistant.text.readability import unreadable
from assistant.text.reader import LONGEST, TextReader
from tests.conftest import DATA as ALL_DATA
from tests.conftest import House

DATA = ALL_DATA / "text"
GERMAN = "Ich bin heute so müde, dass ich kaum noch stehen kann."
AT_LEAST = {"other_language": 0.95, "code": 0.9, "random_characters": 0.95, "empty": 1.0}


def why(text: str) -> str | None:
    return unreadable(text, clean(text))


def samples() -> Iterator[dict[str, str]]:
    with (Path(__file__).parent / "unreadable.csv").open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


@pytest.mark.parametrize("split", ["dev", "test"])
@pytest.mark.parametrize("kind", AT_LEAST)
def test_what_can_not_be_read_is_told_by_kind(kind: str, split: str) -> None:
    texts = [row["text"] for row in samples() if (row["kind"], row["split"]) == (kind, split)]
    assert texts
    assert sum(why(text) == kind for text in texts) >= AT_LEAST[kind] * len(texts)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "good",
            "lol ok",
            "k",
            "brb",
            "ugh",
            "hmm",
            "omgggg",
            "hahahaha",
            "wtf smh",
            "thx",
            "gr8 m8",
            "Yup",
            "no no no",
        ),
        *("@user omg http://x.y", "@anna", "#blessed", "https://example.org", "😢", ":)", "🤷🏽‍♀️", "<3"),
        *(
            "Zbigniew Brzezinski",
            "Nguyen",
            "Guten Morgen",
            "Schadenfreude!",
            "catchphrase",
            "iPhone 12 Pro",
            "COVID-19",
        ),
        "My grandma always says 'non ce la faccio più' and I love it",
        "He wrote 'спасибо большое' and it made my day",
        "why does foo() return None when x == 3? I'm so frustrated",
        "My build broke again: TypeError: undefined is not a function. I hate this",
        'I got {"error": 500} from the server again and it makes me so angry, three times today',
        "ѕо һарру tоdау",
        "тhіs іs thе bеst dау",
    ],
)
def test_what_may_well_be_english_is_read(text: str) -> None:
    assert why(text) is None


def test_a_long_text_is_judged_on_samples_and_read_if_any_can_be() -> None:
    english = "I was so worried about the exam, and now I am just glad that it is over. "
    assert why(GERMAN * 200) == "other_language"
    assert why(english * 30 + GERMAN * 20) is None
    assert why(GERMAN * 20 + english * 30) is None


def test_without_the_detector_only_the_script_tells_the_language() -> None:
    assert unreadable(GERMAN, GERMAN, detector=False) is None
    assert unreadable("Я сегодня устала", "Я сегодня устала", detector=False) == "other_language"
    assert unreadable("8274 0283", "8274 0283", detector=False) == "random_characters"


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=80))
def test_no_text_breaks_it(text: str) -> None:
    assert why(text) in (None, *AT_LEAST)


@pytest.mark.parametrize(
    "piece", ["a", "\n", "(", "; ", "a.", "a_", "<a ", "FROM ", "\nat ", '"a', "я", "Aa", "d1"]
)
def test_a_megabyte_is_judged_in_a_moment(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    started = time.process_time()
    unreadable(text, text)
    assert time.process_time() - started < 0.5


# Coverage of ordinary English


def _texts(name: str, column: str) -> list[str]:
    file = DATA / name
    if not file.is_file():
        pytest.skip(f"{name} is not here")
    with (
        gzip.open(file, "rt", encoding="utf-8", newline="")
        if file.suffix == ".gz"
        else file.open(encoding="utf-8", newline="") as opened
    ):
        if ".jsonl" in file.name:
            return [text for line in opened for text in json.loads(line)["texts"]]
        return [row[column] for row in csv.DictReader(opened, delimiter="\t")]


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("goemotions/dev.tsv.gz", "text"),
        ("tweeteval_sentiment/val.tsv.gz", "text"),
        ("sst2/dev.tsv", "text"),
        ("emobank/dev.tsv", "text"),
        ("dreaddit/train.tsv.gz", "text"),
        ("meld/dev.tsv", "Utterance"),
        ("checklist_sentiment/tests.jsonl.gz", ""),
    ],
)
def test_at_least_99_of_100_english_texts_are_read(name: str, column: str) -> None:
    texts = _texts(name, column)
    texts = texts[:: len(texts) // 400 + 1]
    assert sum(why(text) is None for text in texts) >= 0.99 * len(texts)


# Through the reader


class NoModel:
    """A batcher whose model must not run."""

    def __init__(self) -> None:
        self.model = SimpleNamespace(card=read_card(shipped_models() / "text"))

    async def run(self, inputs: Any, *, budget_s: float) -> Any:
        raise AssertionError("the model ran")


class Counting(NoModel):
    """A batcher that notes the size of each window."""

    def __init__(self) -> None:
        super().__init__()
        self.windows: list[int] = []

    async def run(self, inputs: Any, *, budget_s: float) -> Any:
        self.windows.append(int(inputs["attention_mask"].sum()))
        outputs = {"emotions": 28, "sentiment": 3, "affect": 3, "affect_deviation": 3}
        return {**{name: np.full(size, 0.5) for name, size in outputs.items()}, "stress": np.float32(0.5)}


@pytest.mark.parametrize(
    "row", [row for row in samples() if row["split"] == "dev"][::7], ids=lambda row: row["detail"]
)
async def test_the_reader_abstains_with_the_reason_and_no_model_runs(row: dict[str, str]) -> None:
    gate = EvaluationGate()
    reader = TextReader(NoModel(), gate)  # type: ignore[arg-type]
    assert await reader.read(gate.issue("text"), row["text"]) == Abstention("text", row["kind"])


async def test_nothing_is_judged_before_the_grant() -> None:
    reader = TextReader(NoModel(), EvaluationGate())  # type: ignore[arg-type]
    with pytest.raises(ConsentRequired):
        await reader.read(EvaluationGate().issue("text"), GERMAN)


async def test_a_long_text_is_cut_evenly_and_wholly() -> None:
    gate, batcher = EvaluationGate(), Counting()
    await TextReader(batcher, gate).read(gate.issue("text"), "good day " * 64)  # type: ignore[arg-type]
    special = 2 * len(batcher.windows)
    assert sum(batcher.windows) == 128 + special
    assert max(batcher.windows) - min(batcher.windows) <= 1


async def test_of_a_very_long_text_no_more_is_read_than_of_the_longest_message() -> None:
    gate, long, longest = EvaluationGate(), Counting(), Counting()
    text = "good day " * 30_000
    await TextReader(long, gate).read(gate.issue("text"), text)  # type: ignore[arg-type]
    await TextReader(longest, gate).read(gate.issue("text"), text[:LONGEST])  # type: ignore[arg-type]
    assert long.windows == longest.windows
    assert 4_400 < sum(long.windows) < 4_600
    assert msgspec.json.schema(Text)["maxLength"] == LONGEST  # so no message is ever cut


class TestMessages:
    async def test_a_message_in_german_is_answered_without_a_mood(self, house: House) -> None:
        await house.person()
        before = await house.message(GERMAN)
        for purpose in ("tone", "content"):
            await house.consent("text", purpose)
        answer = await house.message(GERMAN)
        assert answer["mood"]["abstained"] == "other_language"
        assert answer["mood"]["valence"] is None
        assert house.spy.affect == 0
        assert len(answer["recommendations"]) == len(before["recommendations"]) > 0
        assert answer["directive"].keys() == before["directive"].keys()
        assert answer["directive"]["pace"] == before["directive"]["pace"]

    async def test_an_english_message_after_it_is_read_as_ever(self, house: House) -> None:
        await house.person()
        await house.consent("text", "tone")
        await house.message(GERMAN)
        assert (await house.message("I am so happy today, thank you!"))["mood"]["abstained"] is None
        assert house.spy.runs["text"] == 1
