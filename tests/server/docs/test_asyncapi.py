"""The description of the WebSockets is true: each event that is sent or understood is in it, as it really looks."""

from __future__ import annotations

import ast
import inspect
import re
import typing
from collections.abc import Iterator
from copy import deepcopy
from types import ModuleType
from typing import Any

import jsonschema
import msgspec
import pytest

from assistant.audio.pcm import Samples
from assistant.conversation.live.events import Event
from assistant.server.contract import events
from assistant.server.contract.events import SERVER_EVENTS, events_of
from assistant.server.docs.asyncapi import CLIENT_EVENTS, describe_events, name_of
from assistant.server.docs.examples import HAPPENINGS
from assistant.server.live import realtime
from assistant.server.live.call_messages import MESSAGES, Message
from tests.conftest import House

DOCUMENT = describe_events()
NAMES = {name_of(struct) for struct in SERVER_EVENTS}
_NAME = re.compile(r"[a-z_]+(\.[a-z_]+)+")


def _found(path: str) -> Any:
    """What a reference points at."""
    here: Any = DOCUMENT
    for part in path.removeprefix("#/").split("/"):
        here = here[part.replace("~1", "/").replace("~0", "~")]
    return here


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _strict(node: Any) -> None:
    """Allow no member that is not described."""
    if isinstance(node, dict):
        if node.get("type") == "object" and "properties" in node:
            node["additionalProperties"] = False
        for value in node.values():
            _strict(value)
    elif isinstance(node, list):
        for value in node:
            _strict(value)


def _validator(message: str, *, strict: bool = False) -> jsonschema.Validator:
    schemas = deepcopy(DOCUMENT["components"]["schemas"])
    if strict:
        _strict(schemas)
    payload = DOCUMENT["components"]["messages"][message]["payload"]
    return jsonschema.Draft202012Validator({**payload, "components": {"schemas": schemas}})


MESSAGE_NAMES = sorted(DOCUMENT["components"]["messages"])
_VALIDATORS = {name: _validator(f"server.{name}", strict=True) for name in NAMES}


def _matches(event: dict[str, Any]) -> None:
    _VALIDATORS[event["type"]].validate(event)


class TestTheDocument:
    def test_it_is_asyncapi_3(self) -> None:
        assert DOCUMENT["asyncapi"] == "3.0.0"
        assert {"title", "version"} <= DOCUMENT["info"].keys()
        assert DOCUMENT.keys() <= {
            "asyncapi", "id", "info", "servers", "defaultContentType", "channels", "operations", "components",
        }  # fmt: skip
        names = [name for part in DOCUMENT["components"].values() for name in part]
        assert [name for name in names if not re.fullmatch(r"[\w\d.\-_]+", name)] == []

    def test_every_reference_leads_somewhere(self) -> None:
        for reference in _references(DOCUMENT):
            assert _found(reference), reference

    def test_channels_have_addresses_and_messages_by_reference_to_components(self) -> None:
        addresses = {channel["address"] for channel in DOCUMENT["channels"].values()}
        assert addresses == {"/v1/realtime", "/v1/twilio", "/v1/calls"}
        for channel in DOCUMENT["channels"].values():
            for message in channel["messages"].values():
                assert message["$ref"].startswith("#/components/messages/")

    def test_operations_send_or_receive_messages_of_their_own_channel(self) -> None:
        used = set()
        for operation in DOCUMENT["operations"].values():
            assert operation["action"] in {"send", "receive"}
            channel = operation["channel"]["$ref"]
            assert re.fullmatch(r"#/channels/\w+", channel)
            for message in operation["messages"]:
                assert message["$ref"].startswith(f"{channel}/messages/"), "a subset of those of the channel"
                used.add(_found(message["$ref"])["$ref"].removeprefix("#/components/messages/"))
        assert used == set(MESSAGE_NAMES), "no message is left over"

    @pytest.mark.parametrize("name", MESSAGE_NAMES)
    def test_each_message_says_what_it_is_for_and_its_examples_are_valid(self, name: str) -> None:
        message = DOCUMENT["components"]["messages"][name]
        assert message["summary"]
        assert message["examples"]
        jsonschema.Draft202012Validator.check_schema(message["payload"])
        for example in message["examples"]:
            _validator(name).validate(example["payload"])

    def test_an_event_of_another_shape_is_not_valid(self) -> None:
        with pytest.raises(jsonschema.ValidationError):
            _matches(
                {"type": "input_audio_buffer.speech_started", "event_id": "e", "item_id": 5, "audio_start_ms": 0}
            )
        with pytest.raises(jsonschema.ValidationError):
            _matches({"type": "input_audio_buffer.cleared", "event_id": "e", "undescribed": 1})

    async def test_anybody_may_read_it(self, house: House) -> None:
        assert await house.call("GET", "/asyncapi.json", headers={}) == DOCUMENT
        assert "/asyncapi.json" in (await house.call("GET", "/openapi.json"))["paths"]


class TestNothingIsLeftOut:
    def test_everything_that_a_stream_tells_has_an_example_and_looks_as_described(self) -> None:
        assert {type(happening) for happening in HAPPENINGS} == set(typing.get_args(Event))
        told = set()
        for beta in (False, True):
            for happening in HAPPENINGS:
                for event in events_of(happening, "an app", beta=beta):
                    _matches(msgspec.json.decode(msgspec.json.encode(event)))
                    told.add(name_of(type(event)))
        assert told <= NAMES

    @pytest.mark.parametrize("module", [realtime, events])
    def test_every_name_of_an_event_in_the_code_is_described(self, module: ModuleType) -> None:
        known = NAMES | CLIENT_EVENTS.keys()
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _NAME.fullmatch(node.value):
                name = node.value
                begins = any(other.startswith(f"{name}.") for other in known)
                assert name in known or begins or name.startswith("realtime."), f"{name} is not described"

    def test_every_event_of_a_client_that_is_described_is_handled(self) -> None:
        handled = inspect.getsource(realtime)
        assert [name for name in CLIENT_EVENTS if f'"{name}"' not in handled] == []

    def test_no_event_is_described_twice(self) -> None:
        assert len(NAMES) == len(SERVER_EVENTS)

    def test_what_twilio_sends_is_what_the_examples_say(self) -> None:
        for struct in MESSAGES:
            (example,) = DOCUMENT["components"]["messages"][f"twilio.{name_of(struct)}"]["examples"]
            assert type(msgspec.convert(example["payload"], Message)) is struct

    async def test_a_whole_session_is_as_described(self, house: House, recording: Samples) -> None:
        await house.person(country="US")
        await house.consent("voice", "tone")
        microphone = await house.stream()
        await microphone.acknowledge()
        await microphone.play(recording[: 5 * 16_000])
        await microphone.until("affect.result")
        for name in CLIENT_EVENTS:
            for example in DOCUMENT["components"]["messages"][f"client.{name}"]["examples"]:
                if example["payload"].get("granted") is not False:
                    await microphone.send(example["payload"])
        await microphone.send(
            {
                "type": "conversation.item.create",
                "item": {"content": [{"type": "input_text", "text": "I want to die"}]},
            }
        )
        await house.consent("voice", "tone", granted=False)
        await microphone.settle()
        for event in microphone.events:
            _matches(event)
        seen = {event["type"] for event in microphone.events}
        assert seen > {
            "session.created", "session.updated", "transcription_session.updated", "policy.notice", "policy.safety",
            "policy.directive", "policy.recommendations", "affect.result", "consent.updated", "error",
            "input_audio_buffer.speech_started", "input_audio_buffer.committed",
        }  # fmt: skip
        assert {error["error"]["code"] for error in microphone.of("error")} <= {
            "unknown_event",
            "input_audio_buffer_commit_empty",
            "audio_unreadable",
        }
