"""Chat completions in the shapes of OpenAI's API: reading requests and building answers. Pure.

Everything that is not read here is passed on unchanged, byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from assistant.chat.budget import Usage, tokens_in
from assistant.chat.placement import Placement, place
from assistant.errors import Invalid
from assistant.lenient_json import decode_json, split_items, split_members

_READ = 20_000
"""Characters of the last message that are read; of a longer one the start and the end."""
_COMPLETION_TOKENS = 1024
"""Tokens that are reserved for an answer if the request names no limit."""
_PER_MESSAGE = 4
"""Approximate tokens around each message."""


class StreamOptions(msgspec.Struct):
    """Options of a stream."""

    include_usage: bool | None = None


class ResponseFormat(msgspec.Struct):
    """Format of the answer: `text`, or a kind of JSON."""

    type: str = "text"


class ChatBody(msgspec.Struct):
    """The part of an OpenAI request that is read; everything else is passed on. `user`: the person."""

    messages: list[msgspec.Raw]
    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None
    safety_identifier: str | None = None
    """The person, where there is no `user`."""
    tool_choice: Any = None
    response_format: ResponseFormat | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n: int | None = None


class _Message(msgspec.Struct):
    role: str
    content: Any = None


@dataclass(frozen=True, slots=True)
class Request:
    """A request for a chat completion."""

    body: Mapping[str, msgspec.Raw]
    messages: tuple[msgspec.Raw, ...]
    model: str
    user: str | None
    stream: bool
    include_usage: bool
    """The stream should end with its usage."""
    text: str
    """The last message of the user, as far as it is read; empty if there is none."""
    fresh: bool
    """It is new: only instructions come after it."""
    first: bool
    """There is no answer yet: the conversation starts."""
    strict: bool
    """The answer must be JSON, so nothing can be added to it."""
    needs_tool: bool
    """The answer must call a tool."""
    most: Usage
    """The most tokens that it can use, approximately."""
    refusal: Invalid | None = None
    """What of it can't be had: the answer, unless help is called for."""

    def payload(
        self, instruction: str, placement: Placement = "own", *, model: str = "", include_usage: bool = False
    ) -> bytes:
        """The request for the upstream server: with our instruction in its place, without the user's id."""
        body: dict[str, Any] = dict(self.body)
        names = body.pop("user", None), body.pop("safety_identifier", None)
        if body.get("prompt_cache_key") in names:  # clients also name the person there
            body.pop("prompt_cache_key", None)
        body["messages"] = place(self.messages, instruction, placement)
        if model:
            body["model"] = model
        if include_usage and self.stream and not self.include_usage:
            given = body.get("stream_options")
            options = msgspec.json.decode(given) if given is not None else None
            body["stream_options"] = {**(options or {}), "include_usage": True}
        return msgspec.json.encode(body)


def read_request(data: bytes) -> Request:
    """Read a request; only the parts that are used are checked. Raises `Invalid`.

    >>> asked = read_request(b'{"messages": [{"role": "user", "content": "Hi"}], "user": "ada", "seed": 7}')
    >>> asked.text, asked.fresh, asked.first, asked.user
    ('Hi', True, True, 'ada')
    >>> asked.payload("Be friendly.")
    b'{"messages":[{"role":"system","content":"Be friendly."},{"role": "user", "content": "Hi"}],"seed":7}'
    """
    try:
        body = split_members(data)
        asked = decode_json(data, ChatBody)
        messages = [decode_json(message, _Message) for message in asked.messages]
    except msgspec.ValidationError as error:
        raise Invalid(f"not the expected shape: {error}") from None
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise Invalid("this is not JSON", code="invalid_json") from None
    if not messages:
        raise Invalid("`messages` needs at least one message")
    spoken = [message.role for message in messages if message.role not in ("system", "developer")]
    last = next((message for message in reversed(messages) if message.role == "user"), None)
    answers = max(1, asked.n or 1)
    longest = max(0, asked.max_completion_tokens or asked.max_tokens or _COMPLETION_TOKENS)
    return Request(
        body=body,
        messages=tuple(split_items(body["messages"])),
        model=asked.model or "",
        user=asked.user or asked.safety_identifier or None,
        stream=bool(asked.stream),
        include_usage=asked.stream_options is not None and bool(asked.stream_options.include_usage),
        text="" if last is None else readable_part(text_of(last.content)),
        fresh=bool(spoken) and spoken[-1] == "user",
        first="assistant" not in spoken,
        strict=asked.response_format is not None and asked.response_format.type != "text",
        needs_tool=asked.tool_choice not in (None, "auto", "none"),
        most=Usage(prompt_tokens(asked.messages), answers * longest),
    )


def text_of(content: Any) -> str:
    """The text of a message's content, which is a string or a list of parts.

    >>> text_of([{"type": "text", "text": "Look"}, {"type": "image_url"}, {"type": "text", "text": 1}])
    'Look'
    """
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = (part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text")
    return "\n".join(text for text in texts if isinstance(text, str))


def readable_part(text: str) -> str:
    """The part of a text that is read: all, or the start and the end.

    >>> len(readable_part("a" * 50_000)), readable_part("Hi")
    (20001, 'Hi')
    """
    half = _READ // 2
    return text if len(text) <= _READ else f"{text[:half]}\n{text[-half:]}"


def prompt_tokens(messages: list[msgspec.Raw]) -> int:
    """Approximate number of tokens of the messages."""
    return sum(tokens_in(bytes(message)) + _PER_MESSAGE for message in messages)


def completion_body(
    chat: str, created: int, model: str, text: str, usage: Usage, attune: Mapping[str, Any]
) -> dict[str, Any]:
    """A complete answer of the embedded replier."""
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    answer = {"id": chat, "object": "chat.completion", "created": created, "model": model, "choices": [choice]}
    return answer | {"usage": usage.as_json(), "attune": attune}


def chunk_body(
    chat: str, created: int, model: str, delta: Mapping[str, Any], *, index: int = 0, finish: str | None = None
) -> dict[str, Any]:
    """One chunk of a streamed answer."""
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
    return {"id": chat, "object": "chat.completion.chunk", "created": created, "model": model, "choices": [choice]}


def usage_chunk(chat: str, created: int, model: str, usage: Usage) -> dict[str, Any]:
    """The last chunk of a streamed answer, if the request asked for its usage."""
    return chunk_body(chat, created, model, {}) | {"choices": [], "usage": usage.as_json()}
