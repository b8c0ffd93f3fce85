"""The tone reaches every kind of model: where a template refuses one more message, it is sent another way."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest

from assistant.chat.completion import read_request
from assistant.chat.placement import Placement, blames_roles
from assistant.chat.tone_upstream import Instruction, PlacementSetting, ToneUpstream
from assistant.chat.upstream import Patience, Upstream, UpstreamRefused
from tests.chat.upstream import KEY, TEMPLATES, FakeUpstream, breaking_off, failing, part, running_upstream
from tests.clock import Clock

PATIENT = Patience(connect_s=5.0, first_s=20.0, between_s=20.0, total_s=20.0, retries=0)
TONE = "Speak gently."
USER = {"role": "user", "content": "When is one?"}
SYSTEM = {"role": "system", "content": "You help with trains."}
DEVELOPER = {"role": "developer", "content": "You help with trains."}
ASSISTANT = {"role": "assistant", "content": "At nine."}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}}

Opened = Callable[..., ToneUpstream]


@pytest.fixture
async def fake() -> AsyncIterator[FakeUpstream]:
    async with running_upstream() as upstream:
        yield upstream


@pytest.fixture
async def opened(fake: FakeUpstream) -> AsyncIterator[Opened]:
    async with aiohttp.ClientSession() as client:

        def new(setting: PlacementSetting = "auto", clock: Clock | None = None) -> ToneUpstream:
            return ToneUpstream(Upstream(client, fake.url, KEY, PATIENT, clock=clock or Clock()), setting)

        yield new


async def send(upstream: ToneUpstream, *messages: Any, stream: bool = False, **more: Any) -> bytes:
    asked = read_request(json.dumps({"model": "m", "messages": messages, "stream": stream, **more}).encode())
    if not stream:
        return await upstream.complete(asked, Instruction(TONE))
    return b"\n".join([data async for data in upstream.stream(asked, Instruction(TONE))])


def roles(asked: dict[str, Any]) -> list[str]:
    return [message["role"] for message in asked["messages"]]


ALONE: dict[str, tuple[Placement, int]] = {
    "qwen": ("own", 1),
    "qwen in llama.cpp": ("own", 1),
    "gemma 2": ("first_user", 2),
    "gemma 2 in tgi": ("first_user", 2),
    "gemma 3": ("own", 1),
    "mistral 7b": ("first_user", 2),
    "mistral": ("own", 1),
    "o1": ("developer", 2),
    "o1-mini": ("first_user", 3),
    "anthropic": ("first_user", 2),
    "gemma in gemini": ("first_user", 3),
    "deepseek": ("own", 1),
    "openai": ("own", 1),
}
"""What is taken where the app sends no instructions, and after how many requests."""


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("template", TEMPLATES)
async def test_each_template_gets_the_tone_and_the_second_request_goes_at_once_right(
    fake: FakeUpstream, opened: Opened, template: str, stream: bool
) -> None:
    fake.answers = [TEMPLATES[template]] * 9
    upstream = opened()
    placement, requests = ALONE[template]
    for asked in (requests, requests + 1):
        assert b"Hello" in await send(upstream, USER, stream=stream)
        assert len(fake.asked) == asked
    first, second = fake.asked[-2:]
    assert first["messages"] == second["messages"]
    assert TONE in json.dumps(first["messages"])
    assert fake.asked[-1]["messages"][-1]["content"].endswith(USER["content"])
    assert upstream.outcomes[placement, "taken"] == 2
    assert sum(upstream.outcomes.values()) == requests + 1


@pytest.mark.parametrize("template", ["qwen", "qwen in llama.cpp", "gemma 3", "mistral", "openai"])
async def test_the_app_s_own_system_message_takes_the_tone(
    fake: FakeUpstream, opened: Opened, template: str
) -> None:
    fake.answers = [TEMPLATES[template]]
    await send(opened(), SYSTEM, USER)
    merged = {"role": "system", "content": f"{SYSTEM['content']}\n\n{TONE}"}
    assert [asked["messages"] for asked in fake.asked] == [[merged, USER]]


@pytest.mark.parametrize("template", ["o1", "openai"])
async def test_the_app_s_own_developer_message_takes_the_tone(
    fake: FakeUpstream, opened: Opened, template: str
) -> None:
    fake.answers = [TEMPLATES[template]]
    await send(opened(), DEVELOPER, USER)
    assert [roles(asked) for asked in fake.asked] == [["developer", "user"]]
    assert fake.asked[0]["messages"][0]["content"] == f"{DEVELOPER['content']}\n\n{TONE}"


async def test_of_several_system_messages_the_first_takes_the_tone(fake: FakeUpstream, opened: Opened) -> None:
    await send(opened(), SYSTEM, {**SYSTEM, "content": "It is night."}, USER)
    first, *others = fake.asked[0]["messages"]
    assert TONE in first["content"]
    assert others == [{**SYSTEM, "content": "It is night."}, USER]


async def test_a_system_message_further_on_takes_the_tone_where_no_other_may_be(
    fake: FakeUpstream, opened: Opened
) -> None:
    async def one_at_most(upstream: FakeUpstream, request: Any, body: Any) -> Any:
        if roles(body).count("system") > 1:
            return await TEMPLATES["qwen"](upstream, request, body)
        return await TEMPLATES["openai"](upstream, request, body)

    fake.answers = [one_at_most] * 9
    upstream = opened()
    for _ in range(2):
        await send(upstream, USER, ASSISTANT, SYSTEM, USER)
    assert [roles(asked).count("system") for asked in fake.asked] == [2, 1, 1]
    assert TONE in fake.asked[1]["messages"][2]["content"]


async def test_parts_of_the_user_s_message_stay_as_they_came(fake: FakeUpstream, opened: Opened) -> None:
    fake.answers = [TEMPLATES["gemma 2"]] * 2
    parts = [{"type": "text", "text": "What is it? 🐈"}, IMAGE]
    await send(opened(), {"role": "user", "content": parts, "name": "ada"}, ASSISTANT, USER)
    first, *others = fake.asked[1]["messages"]
    assert (first["content"][1:], first["name"], others) == (parts, "ada", [ASSISTANT, USER])
    assert first["content"][0]["type"] == "text"


async def test_what_is_merged_is_marked_off_from_the_user_s_words(fake: FakeUpstream, opened: Opened) -> None:
    await send(opened("first_user"), USER)
    [message] = fake.asked[0]["messages"]
    ours, end, theirs = message["content"].partition("The user's own words follow.]")
    assert ours.startswith("[Instructions for the assistant. The user did not write them.]\n" + TONE)
    assert end
    assert theirs == f"\n\n{USER['content']}"


async def test_half_a_character_of_the_user_is_merged_as_it_came(fake: FakeUpstream, opened: Opened) -> None:
    asked = read_request(rb'{"messages": [{"role": "user", "odd": 1.10, "content": "Hi \ud83d \u00fc"}]}')
    await opened("first_user").complete(asked, Instruction(TONE))
    assert rb"\n\nHi \ud83d" in fake.raw[0]


@pytest.mark.parametrize(
    ("setting", "messages", "expected"),
    [
        ("own", [USER], ["system", "user"]),
        ("own", [SYSTEM, USER], ["system", "system", "user"]),
        ("first_system", [USER], ["system", "user"]),
        ("first_system", [USER, SYSTEM, USER], ["user", "system", "user"]),
        ("first_system", [DEVELOPER, USER], ["developer", "user"]),
        ("first_user", [SYSTEM, USER], ["system", "user"]),
        ("first_user", [SYSTEM], ["user", "system"]),
        ("first_user", [ASSISTANT, USER], ["assistant", "user"]),
        ("developer", [USER], ["developer", "user"]),
        ("developer", [SYSTEM, USER], ["developer", "system", "user"]),
    ],
)
async def test_a_setting_holds_and_nothing_else_is_tried(
    fake: FakeUpstream, opened: Opened, setting: Placement, messages: list[Any], expected: list[str]
) -> None:
    await send(opened(setting), *messages)
    assert roles(fake.asked[0]) == expected
    assert json.dumps(fake.asked[0]["messages"]).count(TONE) == 1
    fake.answers = [failing(400, '{"error": {"message": "System role not supported"}}')]
    with pytest.raises(UpstreamRefused):
        await send(opened(setting), *messages)
    assert len(fake.asked) == 2


# What is not about the roles


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "temperature must be at most 2"),
        (400, "This model's maximum context length is 8192 tokens"),
        (400, "Invalid parameter: messages with role 'tool' must be a response to a message with 'tool_calls'."),
        (404, "The model `m` does not exist or has no system role"),
        (429, "system role: rate limit"),
    ],
)
async def test_a_refusal_of_something_else_is_passed_on_at_once(
    fake: FakeUpstream, opened: Opened, status: int, words: str, stream: bool
) -> None:
    body = json.dumps({"error": {"message": words}})
    fake.answers = [failing(status, body)]
    with pytest.raises(UpstreamRefused) as raised:
        await send(opened(), USER, stream=stream)
    assert (raised.value.status, raised.value.body.decode(), len(fake.asked)) == (status, body, 1)


async def test_what_never_fits_is_passed_on_after_few_tries_and_nothing_is_remembered(
    fake: FakeUpstream, opened: Opened
) -> None:
    upstream = opened()
    last = '{"error": {"message": "role `user` is not allowed"}}'
    unsupported = failing(400, '{"error": {"message": "messages[0].role does not support system"}}')
    for _ in range(2):
        fake.answers, fake.asked = [unsupported, unsupported, failing(422, last), failing(400)], []
        with pytest.raises(UpstreamRefused) as raised:
            await send(upstream, USER)
        assert (raised.value.status, raised.value.body.decode()) == (422, last)
        assert [roles(asked) for asked in fake.asked] == [["system", "user"], ["developer", "user"], ["user"]]


@pytest.mark.parametrize("messages", [[SYSTEM, USER], [SYSTEM, SYSTEM, USER], [DEVELOPER, USER]])
async def test_what_is_wrong_with_the_app_s_own_roles_is_the_app_s_to_hear(
    fake: FakeUpstream, opened: Opened, messages: list[Any]
) -> None:
    fake.answers = [TEMPLATES["anthropic"]] * 9
    with pytest.raises(UpstreamRefused, match="refused the request"):
        await send(opened(), *messages)
    assert len(fake.asked) == 1


async def test_an_answer_that_began_is_not_asked_for_again(fake: FakeUpstream, opened: Opened) -> None:
    error = {"error": {"message": "System role not supported", "code": 400}}
    fake.answers = [breaking_off(part({"content": "Hel"}), error)]
    with pytest.raises(Exception, match="closed the connection"):
        await send(opened(), USER, stream=True)
    assert len(fake.asked) == 1


# What is remembered


async def test_it_is_remembered_for_the_model_and_for_an_hour(fake: FakeUpstream, opened: Opened) -> None:
    clock = Clock()
    upstream = opened(clock=clock)
    fake.answers = [TEMPLATES["gemma 2"]] * 99

    async def requests(model: str) -> int:
        before = len(fake.asked)
        await send(upstream, USER, model=model)
        return len(fake.asked) - before

    assert [await requests("a"), await requests("a"), await requests("b"), await requests("b")] == [2, 1, 2, 1]
    clock.now += 3599
    assert await requests("a") == 1
    clock.now += 1
    assert [await requests("a"), await requests("a")] == [2, 1]


async def test_a_log_tells_what_was_taken_and_nothing_that_was_said(
    fake: FakeUpstream, opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    fake.answers = [TEMPLATES["gemma 2"]] * 9
    upstream = opened()
    for _ in range(2):
        await send(upstream, USER, model="secret-model")
    told = [record.getMessage() for record in caplog.records if "tone" in record.getMessage()]
    assert told == ["the language model's server refused the tone as own and took it as first_user"]
    assert all(word not in caplog.text for word in (USER["content"], TONE, "secret-model"))


@pytest.mark.parametrize(
    "words",
    [
        "System role not supported",
        '{"detail":[{"loc":["body","messages",0,"role"],"msg":"Input should be \'user\' or \'assistant\'"}]}',
        "After the optional system message(s), user and assistant roles should be alternating.",
        "Only user and assistant roles are supported, with the exception of an initial optional system message!",
        "litellm.BadRequestError: this provider does not support system prompts",
        "This model does not support system",
        "模型不支持系统消息",
        "messages 的角色错误",
    ],
)
def test_words_that_blame_roles_in_other_ways(words: str) -> None:
    assert blames_roles(words)


@pytest.mark.parametrize(
    "words",
    ["Internal system error", "`system_fingerprint` is read-only", "the parole officer", "unknown tool", ""],
)
def test_words_that_blame_something_else(words: str) -> None:
    assert not blames_roles(words)
