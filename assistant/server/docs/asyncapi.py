"""The description of the WebSockets: AsyncAPI 3.0, made from the shapes of the events and their examples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from assistant.error_codes import SERVER_CODES
from assistant.server.contract.call_events import CALL_EVENTS
from assistant.server.contract.events import SERVER_EVENTS
from assistant.server.contract.session import Append, ConsentUpdate, ItemCreate, SessionUpdate
from assistant.server.docs import examples
from assistant.server.live.call_messages import MESSAGES
from assistant.version import __version__

CLIENT_EVENTS: Mapping[str, tuple[type[msgspec.Struct] | None, str]] = {
    "session.update": (SessionUpdate, "Change what is named of the session, and leave the rest"),
    "transcription_session.update": (SessionUpdate, "The same under its name in the beta"),
    "input_audio_buffer.append": (Append, "Audio in the session's format, in a piece of any size"),
    "input_audio_buffer.commit": (None, "The utterance ends here"),
    "input_audio_buffer.clear": (None, "Forget the audio that was not committed"),
    "conversation.item.create": (ItemCreate, "Something written, or speech with its transcript"),
    "consent.update": (ConsentUpdate, "Acknowledge the notice, or grant or withdraw"),
}
"""Each event of a client with its members and what it is for."""

_FRAME = "audio"
_SCHEMAS = "#/components/schemas/{name}"
_ERROR_CODES = {
    "description": "Stable. More codes may be added later.",
    "x-error-codes": [{"code": each.code, "meaning": each.meaning, "remedy": each.remedy} for each in SERVER_CODES],
}
_EVENT_ID = {"type": "string", "description": "Named in the `error` about this event"}


def describe_events() -> dict[str, Any]:
    """The document."""
    members = [struct for struct, _ in CLIENT_EVENTS.values() if struct is not None]
    structs: list[type[msgspec.Struct]] = list(dict.fromkeys([*SERVER_EVENTS, *CALL_EVENTS, *members, *MESSAGES]))
    found, schemas = msgspec.json.schema_components(structs, ref_template=_SCHEMAS)
    understood = msgspec.json.schema_components([*members, *MESSAGES])[1]
    for name in schemas.keys() - understood.keys():
        _require_sent(schemas[name])
    schemas["ErrorDetails"]["properties"]["code"] |= _ERROR_CODES
    schema_of: dict[type[Any] | None, dict[str, Any]] = {None: {}, **dict(zip(structs, found, strict=True))}
    samples = tuple(examples.sent())
    sent = {name_of(struct): _message(struct, schema_of[struct], samples, "type") for struct in SERVER_EVENTS}
    fed = {name_of(struct): _message(struct, schema_of[struct], examples.FED, "type") for struct in CALL_EVENTS}
    called = {name_of(struct): _message(struct, schema_of[struct], examples.CALLED, "event") for struct in MESSAGES}
    received = {
        name: _message_named(name, says, _with_type(name, schema_of[struct]), examples.RECEIVED, "type")
        for name, (struct, says) in CLIENT_EVENTS.items()
    } | {_FRAME: _AUDIO}
    groups = {"server": sent, "client": received, "twilio": called, "calls": fed}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Attune",
            "version": __version__,
            "description": "Voice in, mood and tone out, over WebSockets. Clients ignore events they don't know.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "here": {"host": "{host}", "protocol": "ws", "variables": {"host": {"default": "localhost:8080"}}}
        },
        "channels": {
            "realtime": {
                "address": "/v1/realtime",
                "description": "A live microphone, as in transcription sessions of the OpenAI Realtime API.",
                "messages": _references("server", sent) | _references("client", received),
                "bindings": {"ws": _OPENING},
            },
            "twilio": {
                "address": "/v1/twilio",
                "description": "Twilio Media Streams, and those of Telnyx, Plivo, Exotel and Vonage; "
                "the key and the person come as `<Parameter>`.",
                "messages": _references("twilio", called),
            },
            "calls": {
                "address": "/v1/calls",
                "description": "What is heard in the phone calls of the app's people.",
                "messages": _references("calls", fed),
            },
        },
        "operations": {
            "tell": _operation("send", "realtime", "server", sent) | _SECURED,
            "listen": _operation("receive", "realtime", "client", received) | _SECURED,
            "tellOfCalls": _operation("send", "calls", "calls", fed) | _SECURED,
            "listenToCall": _operation("receive", "twilio", "twilio", called),
        },
        "components": {
            "messages": {
                f"{whose}.{name}": told for whose, group in groups.items() for name, told in group.items()
            },
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def name_of(struct: type[msgspec.Struct]) -> str:
    """What an event calls itself.

    >>> name_of(SERVER_EVENTS[0])
    'session.created'
    """
    return str(struct.__struct_config__.tag)


def _require_sent(schema: dict[str, Any]) -> None:
    """What has a default is sent all the same; only what may be unset, which has none, can be missing."""
    members = schema.get("properties", {})
    required = schema.get("required", [])
    schema["required"] = [name for name, member in members.items() if name in required or "default" in member]


def _with_type(name: str, members: dict[str, Any]) -> dict[str, Any]:
    head = {"type": "object", "required": ["type"], "properties": {"type": {"const": name}, "event_id": _EVENT_ID}}
    return {"allOf": [head, members]} if members else head


def _message(
    struct: type[msgspec.Struct], payload: dict[str, Any], known: Iterable[dict[str, Any]], field: str
) -> dict[str, Any]:
    return _message_named(name_of(struct), (struct.__doc__ or "").strip(), payload, known, field)


def _message_named(
    name: str, summary: str, payload: dict[str, Any], known: Iterable[dict[str, Any]], field: str
) -> dict[str, Any]:
    shown = [{"payload": example} for example in known if example[field] == name]
    return {"name": name, "summary": summary, "payload": payload, "examples": shown}


def _references(whose: str, names: Iterable[str]) -> dict[str, Any]:
    return {f"{whose}.{name}": {"$ref": f"#/components/messages/{whose}.{name}"} for name in names}


def _operation(action: str, channel: str, whose: str, names: Iterable[str]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{whose}.{name}"} for name in names],
    }


_SECURED = {"security": [{"$ref": "#/components/securitySchemes/key"}]}
_WHO = "Who speaks, as your app calls them; not needed with their token"
_DEVICE = "In its place: a device that is linked to the person"
_QUERY = {"person": {"type": "string", "description": _WHO}, "device": {"type": "string", "description": _DEVICE}}
_GPC = {"type": "string", "const": "1", "description": "Global Privacy Control, obeyed to the end"}
_OPENING: dict[str, Any] = {
    "method": "GET",
    "query": {"type": "object", "properties": _QUERY},
    "headers": {"type": "object", "properties": {"Sec-GPC": _GPC}},
    "bindingVersion": "0.1.0",
}
_AUDIO = {
    "name": _FRAME,
    "summary": "A binary frame: audio in the session's format, in a piece of any size up to 64 KiB",
    "contentType": "application/octet-stream",
    "payload": {"type": "string", "format": "binary"},
    "examples": [{"payload": "\x00\x00\x00\x40", "summary": "Two samples of PCM16"}],
}
