"""The mood is fused only for the purposes that need it, and once where they may use the same."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pytest

from assistant.audio.pcm import Samples
from assistant.conversation.live.events import Affect, Event, Replied
from assistant.conversation.live.stream import Stream
from assistant.conversation.memory import Memory
from assistant.conversation.session import Conversation
from assistant.emotion import Estimate, Modality, Mood, Reading
from assistant.mood.timeline import Timeline
from assistant.recommend.ranking import RankRequest
from tests.conftest import House

Fused = list[tuple[Modality, ...]]
"""Of which modalities a mood was fused, each time."""


class CountingTimeline(Timeline):
    """Notes every fusion."""

    def __init__(self, fused: Fused) -> None:
        super().__init__(half_life_s=60.0, expires_s=900.0)
        self._fused = fused

    def mood(self, now: float, modalities: Collection[Modality]) -> Mood | None:
        self._fused.append(tuple(modalities))
        return super().mood(now, modalities)


async def conversation_of(house: House, *grants: tuple[str, str]) -> tuple[Conversation, Fused]:
    """A conversation with somebody who gave these grants, and the fusions that it will make."""
    await house.person()
    for modality, purpose in grants:
        await house.consent(modality, purpose)
    fused: Fused = []
    memory = Memory(lambda: CountingTimeline(fused), expires_s=900.0)
    services = replace(house.services.conversations, memory=memory)
    return Conversation(services, await house.app(), await house.known("ada")), fused


async def read(conversation: Conversation, modality: Modality) -> Reading:
    grant = await conversation.readings.grant(modality)
    assert grant is not None
    reading = Reading(modality, Estimate(-0.4, 0.2), Estimate(0.4, 0.2), 0.8, {"fear": 1.0})
    await conversation.readings.take_in(grant, reading)
    return reading


async def test_one_fusion_serves_all_purposes_of_the_same_modalities(house: House) -> None:
    conversation, fused = await conversation_of(house, ("voice", "tone"), ("voice", "content"))
    answer = await conversation.reply(None, await read(conversation, "voice"))
    assert answer.mood is not None
    assert fused == [("voice",)]


async def test_purposes_of_different_modalities_have_a_fusion_each(house: House) -> None:
    conversation, fused = await conversation_of(house, ("voice", "tone"), ("text", "content"))
    await read(conversation, "voice")
    await read(conversation, "text")
    await conversation.respond()
    assert sorted(fused) == [("text",), ("voice",), ("voice", "text")]


@pytest.mark.parametrize(
    ("ask", "modalities"),
    [
        (lambda conversation: conversation.readings.mood(), [("voice", "text")]),
        (lambda conversation: conversation.tune("", fresh=False), [("voice",)]),
        (lambda conversation: conversation.choose(RankRequest()), [("text",)]),
    ],
)
async def test_only_the_mood_that_is_asked_for_is_fused(house: House, ask: Any, modalities: Fused) -> None:
    conversation, fused = await conversation_of(house, ("voice", "tone"), ("text", "content"))
    await read(conversation, "voice")
    await read(conversation, "text")
    await ask(conversation)
    assert fused == modalities


async def test_an_utterance_of_a_stream_is_fused_once_to_show_it_and_once_to_answer(
    house: House, recording: Samples
) -> None:
    conversation, fused = await conversation_of(house, ("voice", "tone"), ("voice", "content"))
    events: list[Event] = []
    stream = Stream(conversation, events.append, rules=None)
    await stream.acknowledge("1")
    await stream.hear(recording[16_000:64_000])
    await stream._estimating.wait()
    before = len(fused)
    await stream.commit()
    await stream.wait_for_answers()
    await stream.close()
    final = [event for event in events if isinstance(event, Affect) and event.final]
    assert len(final) == len([event for event in events if isinstance(event, Replied)]) == 1
    assert fused[before:] == [("voice",), ("voice",)]
