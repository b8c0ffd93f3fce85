"""Responses: OpenAI's own client works unchanged, and what can't be had is refused by its name."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import Response

from assistant.chat.response_answer import ResponseHead
from assistant.chat.response_events import ResponseStream
from assistant.chat.response_request import read_response_request
from assistant.errors import Invalid
from assistant.text.help import mentions_help
from tests.chat.upstream import KEY, USAGE, FakeUpstream, breaking_off, failing, part, running_upstream, say, whole
from tests.conftest import House, OpenHouse

CRISIS = "I want to kill myself"
TOOL: Any = {
    "type": "function",
    "name": "trains",
    "description": "Finds trains",
    "parameters": {"type": "object", "properties": {"to": {"type": "string"}}},
    "strict": False,
}
CALL = {"id": "call_7", "type": "function", "function": {"name": "trains", "arguments": '{"to":"Bonn"}'}}
Opened = Callable[..., Awaitable[tuple[House, openai.AsyncOpenAI]]]


@pytest.fixture
async def upstream() -> AsyncIterator[FakeUpstream]:
    async with running_upstream() as fake:
        yield fake


@pytest.fixture
async def opened(open_house: OpenHouse, upstream: FakeUpstream) -> AsyncIterator[Opened]:
    """A server in front of the fake upstream, and OpenAI's client of it."""
    clients: list[openai.AsyncOpenAI] = []

    async def made(**more: Any) -> tuple[House, openai.AsyncOpenAI]:
        house = await open_house(**{"upstream_url": upstream.url, "upstream_key": KEY} | more)
        clients.append(openai.AsyncOpenAI(api_key=house.key, base_url=f"{house.address}/v1", max_retries=0))
        return house, clients[-1]

    yield made
    for client in clients:
        await client.close()


async def _streamed(client: openai.AsyncOpenAI, text: str, **more: Any) -> Response:
    """The whole response, put together by OpenAI's client from its events."""
    async with client.responses.stream(model="any", input=text, **more) as events:
        async for _ in events:
            pass
        return await events.get_final_response()


async def test_a_text_is_answered_in_the_tone_for_nobody(opened: Opened, upstream: FakeUpstream) -> None:
    _, client = await opened()
    answer = await client.responses.create(
        model="any", input="When is one?", instructions="You help with trains.", max_output_tokens=50
    )
    assert answer.output_text == "Hello there."
    assert (answer.status, answer.object, answer.model) == ("completed", "response", "m")
    assert answer.model_dump()["store"] is False
    assert answer.id.startswith("resp_")
    assert answer.instructions == "You help with trains."
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens) == (11, 3, 14)
    assert set(answer.model_dump()["attune"]) == {"decision", "directive", "safety", "disclosure"}
    sent = upstream.asked[0]
    assert [message["role"] for message in sent["messages"]] == ["system", "user"]
    assert sent["messages"][0]["content"].startswith("You help with trains.")
    assert sent["max_completion_tokens"] == 50


async def test_a_stream_has_the_events_that_the_client_knows(opened: Opened, upstream: FakeUpstream) -> None:
    _, client = await opened()
    events = [event async for event in await client.responses.create(model="any", input="Hi", stream=True)]
    assert [event.type for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].type == "response.completed"
    last = events[-1].response
    assert last.output_text == "Hello there."
    assert last.usage is not None
    assert last.usage.total_tokens == 14
    assert last.model_dump()["attune"]["directive"]["prompt"]
    assert (await _streamed(client, "Hi")).output_text == "Hello there."


async def test_functions_are_passed_on_and_their_outputs_come_back(opened: Opened, upstream: FakeUpstream) -> None:
    _, client = await opened()
    upstream.whole = whole(None, tool_calls=[CALL])
    history: list[Any] = [{"role": "user", "content": "A train to Bonn"}]
    first = await client.responses.create(model="any", input=history, tools=[TOOL], tool_choice="required")
    (call,) = first.output
    assert call.type == "function_call"
    assert (call.call_id, call.name, call.arguments) == ("call_7", "trains", '{"to":"Bonn"}')
    sent = upstream.asked[0]
    assert sent["tools"] == [
        {"type": "function", "function": {name: value for name, value in TOOL.items() if name != "type"}}
    ]
    assert sent["tool_choice"] == "required"
    upstream.whole = whole("At nine.")
    history += [*first.output, {"type": "function_call_output", "call_id": call.call_id, "output": "9:00"}]
    second = await client.responses.create(model="any", input=history, tools=[TOOL])
    assert second.output_text == "At nine."
    _, _, called, output = upstream.asked[1]["messages"]
    assert called == {"role": "assistant", "content": None, "tool_calls": [CALL]}
    assert output == {"role": "tool", "tool_call_id": "call_7", "content": "9:00"}
    history += [*second.output, {"role": "user", "content": "Thanks"}]
    await client.responses.create(model="any", input=history, tools=[TOOL])
    assert upstream.asked[2]["messages"][-2:] == [
        {"role": "assistant", "content": "At nine."},
        {"role": "user", "content": "Thanks"},
    ]


async def test_calls_come_in_parts(opened: Opened, upstream: FakeUpstream) -> None:
    _, client = await opened()
    upstream.parts = [
        part({"role": "assistant", "content": "Looking."}),
        part({"tool_calls": [{"index": 0, **CALL, "function": {"name": "trains", "arguments": ""}}]}),
        part({"tool_calls": [{"index": 0, "function": {"arguments": '{"to":'}}]}),
        part({"tool_calls": [{"index": 1, "id": "call_8", "function": {"name": "trains", "arguments": "{}"}}]}),
        part({"tool_calls": [{"index": 0, "function": {"arguments": '"Bonn"}'}}]}),
        part({}, "tool_calls"),
    ]
    said, first, second = (await _streamed(client, "A train to Bonn", tools=[TOOL])).output
    assert said.type == "message"
    assert first.type == "function_call"
    assert second.type == "function_call"
    assert (first.call_id, first.arguments) == ("call_7", '{"to":"Bonn"}')
    assert (second.call_id, second.arguments) == ("call_8", "{}")


async def test_the_form_of_the_answer_is_passed_on(opened: Opened, upstream: FakeUpstream) -> None:
    _, client = await opened()
    schema = {"type": "object", "properties": {"at": {"type": "string"}}, "additionalProperties": False}
    form: Any = {"format": {"type": "json_schema", "name": "when", "schema": schema, "strict": True}}
    image = {"type": "input_image", "image_url": "https://a.org/b.png", "detail": "auto"}
    said: Any = [{"role": "user", "content": [{"type": "input_text", "text": "When?"}, image]}]
    await client.responses.create(
        model="any",
        input=said,
        text=form | {"verbosity": "low"},
        reasoning={"effort": "low", "summary": "auto"},
        parallel_tool_calls=True,
        temperature=0.5,
        metadata={"trip": "9"},
        truncation="auto",
        store=True,
        include=["reasoning.encrypted_content"],
    )
    sent = upstream.asked[0]
    assert sent["response_format"]["json_schema"] == {"name": "when", "schema": schema, "strict": True}
    assert sent["messages"][-1]["content"] == [
        {"type": "text", "text": "When?"},
        {"type": "image_url", "image_url": {"url": "https://a.org/b.png", "detail": "auto"}},
    ]
    assert (sent["verbosity"], sent["reasoning_effort"], sent["temperature"]) == ("low", "low", 0.5)
    assert not {"metadata", "store", "include", "truncation", "parallel_tool_calls"} & set(sent)


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"background": True}, "background"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"max_tool_calls": 2}, "max_tool_calls"),
        ({"include": ["file_search_call.results"]}, "include"),
        ({"truncation": "middle"}, "truncation"),
        ({"reasoning": {"summary": "detailed"}}, "reasoning.summary"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [TOOL, {"type": "mcp", "server_label": "a"}]}, "tools[1].type"),
        ({"tools": [TOOL | {"defer_loading": True}]}, "tools[0].defer_loading"),
        ({"tool_choice": {"type": "file_search"}}, "tool_choice"),
        ({"text": {"format": {"type": "grammar"}}}, "text.format.type"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].type"),
        ({"input": [{"type": "reasoning", "summary": []}]}, "input[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]}, None),
        ({"stream_options": {"include_obfuscation": True}}, "stream_options.include_obfuscation"),
        ({"brand_new": 1}, "brand_new"),
    ],
)
def test_what_cant_be_had_is_refused_by_its_name(more: dict[str, Any], param: str | None) -> None:
    refusal = read_response_request(json.dumps({"input": "Hi"} | more).encode()).chat.refusal
    assert refusal is not None
    assert (refusal.code, refusal.param) == ("unsupported_parameter", param or "input[0].content[0].type")


async def test_a_refusal_is_the_answer_unless_help_is_called_for(opened: Opened, upstream: FakeUpstream) -> None:
    house, client = await opened()
    with pytest.raises(openai.BadRequestError) as refused:
        await client.responses.create(model="any", input="Hi", background=True)
    assert (refused.value.code, refused.value.param) == ("unsupported_parameter", "background")
    with pytest.raises(openai.BadRequestError) as misshapen:
        await client.responses.create(model="any", input=[])
    assert (misshapen.value.code, misshapen.value.param) == ("invalid_request", "input")
    for said in (CRISIS, [{"role": "user", "content": [{"type": "input_video", "text": CRISIS}]}]):
        answer = await house.call("POST", "/v1/responses", json={"input": said, "background": True})
        assert mentions_help(answer["output"][0]["content"][0]["text"], None)
    assert upstream.asked == []


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "input"),
        ({"input": []}, "input"),
        ({"input": 7}, "input"),
        ({"input": "Hi", "temperature": "hot"}, "temperature"),
        ({"input": "Hi", "max_output_tokens": 0}, "max_output_tokens"),
        ({"input": [{"role": "narrator", "content": "Hi"}]}, "input[0].role"),
        ({"input": [{"type": "function_call_output", "output": "9:00"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call", "call_id": "c", "name": "trains"}]}, "input[0].arguments"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": "Hi", "text": {"format": {"type": "json_schema"}}}, "text.format"),
    ],
)
def test_another_shape_is_refused_by_the_member(body: dict[str, Any], param: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_response_request(json.dumps(body).encode())
    assert (refused.value.code, refused.value.param) == ("invalid_request", param)


@pytest.mark.parametrize("member", ["user", "safety_identifier"])
async def test_the_person_is_known_here_alone(opened: Opened, upstream: FakeUpstream, member: str) -> None:
    house, client = await opened()
    await house.call("PUT", "/v1/people/ada", status=201, json={})
    named: Any = {member: "ada", "prompt_cache_key": "ada"}
    answer = await client.responses.create(model="any", input="Hi", **named)
    assert answer.model_dump()["attune"]["decision"]
    assert b"ada" not in upstream.raw[0]


@pytest.mark.parametrize("stream", [False, True])
async def test_help_is_in_the_answer_when_the_upstream_is_away(
    opened: Opened, upstream: FakeUpstream, stream: bool
) -> None:
    _, client = await opened()
    upstream.answers = [failing(500), failing(500), failing(500)]
    answer: Any
    if stream:
        answer = await _streamed(client, CRISIS)
    else:
        answer = await client.responses.create(model="any", input=CRISIS)
    assert mentions_help(answer.output_text, None)
    assert answer.model_dump()["attune"]["safety"]


async def test_help_comes_after_the_words_of_an_answer_that_has_none(opened: Opened) -> None:
    _, client = await opened()
    text = (await _streamed(client, CRISIS)).output_text
    assert text.startswith("Hello there.")
    assert mentions_help(text, None)


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter",) * 2])
async def test_an_answer_that_was_cut_says_so(
    opened: Opened, upstream: FakeUpstream, finish: str, reason: str
) -> None:
    _, client = await opened()
    upstream.whole["choices"][0]["finish_reason"] = finish
    upstream.parts[-1] = part({}, finish)
    once = await client.responses.create(model="any", input="Hi")
    events = [event async for event in await client.responses.create(model="any", input="Hi", stream=True)]
    last = events[-1]
    assert last.type == "response.incomplete"
    for answer in (once, last.response):
        assert answer.status == "incomplete"
        assert answer.incomplete_details is not None
        assert answer.incomplete_details.reason == reason


async def test_a_stream_that_breaks_off_fails(opened: Opened, upstream: FakeUpstream) -> None:
    _, client = await opened()
    upstream.answers = [breaking_off(part({"role": "assistant", "content": "Hel"}))]
    *_, told, last = [event async for event in await client.responses.create(model="any", input="Hi", stream=True)]
    assert told.type == "error"
    assert told.code == "upstream_interrupted"
    assert last.type == "response.failed"
    assert (last.response.status, last.response.output_text) == ("failed", "Hel")
    assert last.response.error is not None
    assert last.response.error.message == told.message


async def test_an_error_of_the_upstream_in_a_stream_is_told(opened: Opened, upstream: FakeUpstream) -> None:
    _, client = await opened()

    async def overloaded(_: Any, request: Any, body: Any) -> Any:
        error = {"error": {"message": "overloaded", "code": "busy"}}
        return await say(request, [part({"content": "Hel"}), error], done=False)

    upstream.answers = [overloaded]
    *_, told, last = [event async for event in await client.responses.create(model="any", input="Hi", stream=True)]
    assert told.type == "error"
    assert (told.code, told.message) == ("busy", "overloaded")
    assert last.type == "response.failed"


async def test_the_embedded_replier_answers_without_an_upstream(opened: Opened) -> None:
    _, client = await opened(upstream_url="")
    once = await client.responses.create(model="any", input="Good morning")
    assert once.output_text
    assert (await _streamed(client, "Good morning")).output_text
    with pytest.raises(openai.BadRequestError) as refused:
        await client.responses.create(model="any", input="Good morning", tools=[TOOL], tool_choice="required")
    assert refused.value.code == "replier_limited"


async def test_responses_are_not_kept(opened: Opened) -> None:
    _, client = await opened()
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve("resp_1")


@given(st.lists(st.integers(1, 40), max_size=30))
def test_the_same_events_come_of_pieces_of_any_size(sizes: list[int]) -> None:
    chunks = [part({"role": "assistant", "content": "Hé"}), part({"refusal": "No."}), part({}, "stop", usage=USAGE)]
    data = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"
    head = ResponseHead("1", 7, {}, {})
    in_pieces, rest = ResponseStream(head), data
    sent = b""
    for size in sizes:
        sent, rest = sent + in_pieces.feed(rest[:size]), rest[size:]
    assert sent + in_pieces.feed(rest) == ResponseStream(head).feed(data)


@given(st.binary(max_size=60) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda more: st.lists(more, max_size=3) | st.dictionaries(
        st.sampled_from(["input", "role", "content", "type", "text", "tools", "name", "output", "stream"]), more
    ),
    max_leaves=12,
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_whatever_is_sent_is_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(Invalid):
        read_response_request(data)
