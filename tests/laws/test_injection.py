"""Whatever a person writes, the instructions are made only of scores, profile and consent.

Each hostile text is compared with a harmless twin: another person of the same profile and consent, at the same turn
of their conversation, of whom the reader says the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import msgspec
import pytest

from assistant.conversation.services import ConversationServices
from assistant.conversation.session import Conversation
from assistant.decision import Decision
from assistant.emotion import Abstention, Estimate, Reading
from assistant.profile.person import ContextPart
from assistant.recommend.bandits import Exploration
from assistant.recommend.catalogue import Catalogue
from assistant.recommend.feedback import Reward
from assistant.recommend.service import Recommender
from assistant.server.contract.shapes import show_directive
from assistant.tone.policy import choose
from assistant.tone.render import NEVER, SENTENCES
from assistant.tone.rules import SHIPPED, Policy
from tests.conftest import House
from tests.laws.hostile import canary, hostile_texts

CALM = Reading("text", Estimate(0.0, 0.3), Estimate(0.0, 0.3), 0.1, {"neutral": 1.0})
STRESSED = Reading("text", Estimate(-0.4, 0.2), Estimate(0.5, 0.2), 0.9, {"fear": 1.0})
SAD = Reading("text", Estimate(-0.6, 0.2), Estimate(-0.5, 0.2), 0.1, {"sadness": 1.0})
ANGRY = Reading("text", Estimate(-0.7, 0.2), Estimate(0.7, 0.2), 0.2, {"anger": 0.9, "neutral": 0.1})
JOYFUL = Reading("text", Estimate(0.8, 0.2), Estimate(0.5, 0.2), 0.0, {"joy": 1.0})


@dataclass(frozen=True)
class Said:
    """Scores that were given before anybody wrote anything."""

    scores: Reading

    def reading(self) -> Reading:
        return self.scores


class Reader:
    """Reads nothing: it says what it was told to say."""

    def __init__(self, scores: Reading) -> None:
        self.scores = scores

    async def read(self, grant: Any, text: str, *, budget_s: float) -> Any:
        return Said(self.scores)


class Recorder:
    """Reads with the real reader, and keeps what it said."""

    def __init__(self, reader: Any) -> None:
        self.reader, self.said = reader, None

    async def read(self, grant: Any, text: str, *, budget_s: float) -> Any:
        self.said = await self.reader.read(grant, text, budget_s=budget_s)
        return self.said


class Replayer:
    """Says again what the recorder heard."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    async def read(self, grant: Any, text: str, *, budget_s: float) -> Any:
        return self.recorder.said


class DecisionsInMemory:
    """A log of decisions in memory."""

    def __init__(self) -> None:
        self.bodies: dict[str, Any] = {}

    async def add(self, decision: str, person: str, at: float, body: Decision) -> None:
        self.bodies[decision] = body


class Nothing:
    """No catalogue, no rewards, nothing shown, no context: no database is asked for any of them."""

    async def get(self, app: str) -> Catalogue:
        return Catalogue(version="", items=())

    async def after(self, app: str, number: int) -> tuple[int, list[Reward]]:
        return number, []

    async def of_person(self, person: str, number: int, most: int) -> tuple[int, list[Reward]]:
        return number, []

    async def snapshot(self, app: str) -> None:
        return None

    async def kinds(self, person: str, most: int) -> list[str]:
        return []

    async def read_context(self, person: str) -> dict[str, ContextPart]:
        return {}


class Shipped:
    """The shipped policy for everybody."""

    async def get(self, app: str) -> Policy:
        return SHIPPED


Twins = tuple[Conversation, Conversation]


@pytest.fixture
async def twins(house: House) -> Callable[..., Any]:
    """Makes two people alike, the first for what is hostile, each with a reader of their own."""
    app = await house.app()
    nothing: Any = Nothing()
    recommender = Recommender(nothing, nothing, nothing, nothing, exploration=Exploration())
    rest: Any = {
        "decisions": DecisionsInMemory(),
        "recommender": recommender,
        "contexts": nothing,
        "policies": Shipped(),
    }
    shared: ConversationServices = replace(house.services.conversations, **rest)

    async def made(name: str, first: Any, second: Any, *, grant: bool = True, **profile: Any) -> Twins:
        found = []
        for who, reader in ((f"{name} 1", first), (f"{name} 2", second)):
            await house.person(who, **profile)
            if grant:
                await house.consent("text", "tone", name=who)
            person = await house.services.storage.people.get(app, who)
            found.append(Conversation(replace(shared, text=reader), app, person))
        return found[0], found[1]

    return made


def shown(answer: Any) -> str:
    return msgspec.json.encode(show_directive(answer.directive)).decode()


@pytest.mark.parametrize(
    "quarter", [0, *(pytest.param(quarter, marks=pytest.mark.slow) for quarter in range(1, 4))]
)
async def test_ten_thousand_hostile_texts_change_not_one_byte_of_the_instructions(
    house: House, twins: Any, quarter: int
) -> None:
    one, two = await twins("ada", Reader(STRESSED), Reader(STRESSED))
    for number, text in enumerate(islice(hostile_texts(10_000), quarter, None, 4)):
        hostile = await one.read(text)
        if number < 100:  # what is harmless is always answered the same from here on
            harmless = shown(await two.read(f"Could you move meeting {number}, please?"))
        assert hostile.safety is None
        assert shown(hostile) == harmless, text
        house.clock.now += 150.0
    assert not re.search(r"zq\d{5}x", harmless)
    assert hostile.directive.prompt != choose(None, one.person.profile).prompt  # so the scores do count


@pytest.mark.parametrize("scores", [CALM, SAD, ANGRY, JOYFUL], ids=["calm", "sad", "angry", "joyful"])
async def test_nor_with_other_scores_and_another_profile(house: House, twins: Any, scores: Reading) -> None:
    one, two = await twins("ada", Reader(scores), Reader(scores), formality="formal", language="de")
    for number, text in enumerate(hostile_texts(500, seed=1)):
        hostile, harmless = await one.read(text), await two.read(f"Bitte verschiebe Termin {number}.")
        assert shown(hostile) == shown(harmless), text
        house.clock.now += 70.0


async def test_without_consent_they_change_nothing_either(twins: Any) -> None:
    one, two = await twins("ada", Reader(ANGRY), Reader(JOYFUL), grant=False)
    for number, text in enumerate(hostile_texts(500, seed=2)):
        hostile, harmless = await one.read(text), await two.read(f"Could you move meeting {number}, please?")
        assert shown(hostile) == shown(harmless)
        assert not hostile.directive.mood_used


async def test_no_injection_talks_a_crisis_away_or_writes_its_instructions(twins: Any) -> None:
    one, two = await twins("ada", Reader(JOYFUL), Reader(JOYFUL))
    for number, text in enumerate(hostile_texts(300, seed=3)):
        hostile = await one.read(f"I want to kill myself. {text[-200:]}")
        harmless = await two.read(f"I want to kill myself. It is the {number}th day.")
        assert hostile.safety is not None
        assert shown(hostile) == shown(harmless)
        assert canary(number) not in shown(hostile)


async def test_a_goodbye_and_a_repetition_are_the_only_words_that_count_and_only_as_such(twins: Any) -> None:
    one, two = await twins("ada", Reader(CALM), Reader(CALM))
    attack = next(hostile_texts(1, seed=4))
    for hostile, harmless in (("Bye!", "See you tomorrow."), *((attack, "Where is my train?") for _ in range(4))):
        assert shown(first := await one.read(hostile)) == shown(await two.read(harmless))
    assert first.directive.reasons[0].code == "state_repeated"


@pytest.mark.timeout(300)
async def test_with_the_real_reader_the_instructions_follow_from_what_it_said(house: House, twins: Any) -> None:
    recorder = Recorder(house.services.conversations.text)
    one, two = await twins("ada", recorder, Replayer(recorder))
    read = 0
    for number, text in enumerate(hostile_texts(200, seed=5)):
        recorder.said = None
        hostile = await one.read(text)
        assert recorder.said is not None
        read += not isinstance(recorder.said, Abstention)
        harmless = await two.read(f"Could you move meeting {number}, please?")
        assert shown(hostile) == shown(harmless), text
        assert canary(number) not in shown(hostile)
        house.clock.now += 5.0
    assert read > 100


def test_the_hostile_texts_are_all_different_and_as_hostile_as_they_claim() -> None:
    texts = list(hostile_texts(10_000))
    assert len(set(texts)) == 10_000
    assert sum("ignore all previous" in text.lower() for text in texts) > 200
    instructions = {*SENTENCES.values(), *NEVER.values()}
    assert sum(any(sentence in text for sentence in instructions) for text in texts) > 100


async def test_a_server_that_let_words_in_would_be_caught(twins: Any) -> None:
    class Gullible(Reader):
        """Believes whatever it reads."""

        async def read(self, grant: Any, text: str, *, budget_s: float) -> Any:
            return Said(JOYFUL if "brisk" in text else self.scores)

    one, two = await twins("ada", Gullible(STRESSED), Gullible(STRESSED))
    pairs = [(await one.read(text), await two.read(f"Meeting {n}?")) for n, text in enumerate(hostile_texts(200))]
    assert any(shown(hostile) != shown(harmless) for hostile, harmless in pairs)
