"""Server-sent events, and the relay of a language model server's answers to the client, with our additions. Pure.

Only the number of an answer's words is kept. If human help must be named, the answer is searched for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from assistant.chat.budget import Usage, tokens_in
from assistant.chat.completion import chunk_body
from assistant.errors import Unavailable
from assistant.lenient_json import decode_json
from assistant.text.help import mentions_help

LONGEST = 4 * 1024 * 1024
"""Most bytes of one event; a larger one is refused."""
_LINE = re.compile(rb"\r\n|\n|\r(?!$)")


class Events:
    """Takes bytes in pieces of any size, returns the data of complete events. Ignores comments and other fields.

    >>> events = Events()
    >>> events.feed(b'data: {"a"'), events.feed(b": 1}\\r\\n\\r\\n: hello\\n\\ndata: x\\ndata:y\\n\\nda")
    ([], [b'{"a": 1}', b'x\\ny'])
    >>> events.feed(b"ta: [DONE]\\n\\n")
    [b'[DONE]']
    """

    def __init__(self) -> None:
        self._rest = bytearray()
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, received: bytes) -> list[bytes]:
        """The data of complete events. Raises `Unavailable` (`upstream_invalid`) if one is too large."""
        self._rest += received
        *lines, rest = _LINE.split(bytes(self._rest))
        self._rest = bytearray(rest)
        whole: list[bytes] = []
        for line in lines:
            if not line:
                if self._data:
                    whole.append(b"\n".join(self._data))
                self._data, self._size = [], 0
            elif line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
                self._size += len(line)
        if len(self._rest) + self._size > LONGEST:
            raise Unavailable(
                "the language model's server sent an event that is too large", code="upstream_invalid"
            )
        return whole


def event(data: bytes) -> bytes:
    r"""Encode one event; `data` is JSON in one line.

    >>> event(b"[DONE]")
    b'data: [DONE]\n\n'
    """
    return b"data: " + data + b"\n\n"


END = b"[DONE]"
"""Data of the last event of a stream."""
DONE = event(END)


@dataclass(frozen=True, slots=True)
class Addition:
    """What we add to an answer."""

    member: Mapping[str, Any]
    """The value of the member `attune`."""
    help: str = ""
    """The route to human help as text, if it must be named; else empty."""
    country: str | None = None
    """The country whose crisis lines count as help."""
    strict: bool = False
    """The answer must be JSON: help is only in the member `attune`."""

    def missing(self, said: str) -> str:
        """The help text to add to an answer; empty if the answer names help already or needs none."""
        if not self.help or self.strict or mentions_help(said, self.country):
            return ""
        return f"\n\n{self.help}" if said.strip() else self.help


def relay_completion(data: bytes, ours: Addition, prompt: int) -> tuple[dict[str, Any], Usage]:
    """A complete answer with our additions, and its usage; `prompt`: approximate tokens that were sent.

    Raises `Unavailable` (`upstream_invalid`) if it is not a completion.
    """
    try:
        answer = decode_json(data, object)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        answer = None
    if not isinstance(answer, dict) or not isinstance(answer.get("choices"), list):
        raise Unavailable(
            "the language model's server sent an answer that is not a chat completion", code="upstream_invalid"
        )
    said = 0
    for choice in answer["choices"]:
        message = choice.get("message") if isinstance(choice, dict) else None
        if isinstance(message, dict):
            content = message.get("content")
            text = content if isinstance(content, str) else ""
            said += tokens_in(text) + _tokens_of_calls(message)
            if missing := ours.missing(text):
                message["content"] = text + missing
    usage = usage_of(answer.get("usage")) or Usage(prompt, said)
    return {**answer, "attune": ours.member}, usage


def usage_of(given: Any) -> Usage | None:
    """The usage that a server reported; None if it is missing or invalid.

    >>> usage_of({"prompt_tokens": 5, "completion_tokens": 2}), usage_of(None), usage_of({"prompt_tokens": "x"})
    (Usage(prompt=5, completion=2, measured=True), None, None)
    """
    if not isinstance(given, dict):
        return None
    prompt, said = given.get("prompt_tokens"), given.get("completion_tokens", 0)
    if not isinstance(prompt, int) or not isinstance(said, int):
        return None
    return Usage(prompt, said, measured=True)


@dataclass(slots=True)
class StreamRelay:
    """Relays one streamed answer, event by event."""

    ours: Addition
    include_usage: bool
    """The client asked for the usage; otherwise it is not passed on."""
    prompt: int
    """Approximate tokens that were sent."""
    _head: dict[str, Any] = field(default_factory=dict)
    _said: dict[int, list[str]] = field(default_factory=dict)
    """Words of each answer, only if help must be named."""
    _helped: set[int] = field(default_factory=set)
    _tokens: int = 0
    _told: Usage | None = None
    _began: bool = False
    _finished: bool = False
    _done: bool = False

    @property
    def usage(self) -> Usage:
        """Usage as the server reported it; otherwise approximate."""
        return self._told or Usage(self.prompt if self._began else 0, self._tokens)

    def feed(self, data: bytes) -> bytes:
        """The bytes to send to the client for one event of the server."""
        if self._done:
            return b""
        if data == END:
            return self._end()
        try:
            part = decode_json(data, object)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Unavailable(
                "the language model's server sent an event that is not JSON", code="upstream_invalid"
            ) from None
        if not isinstance(part, dict):
            return event(data)
        if not self._began:
            self._head = {name: part[name] for name in ("id", "created", "model") if name in part}
        before = b"".join(self._marked(help) for help in self._helps(part))
        self._count(part)
        told = usage_of(part.get("usage"))
        if told is not None:
            self._told = told
            if not self.include_usage and not part.get("choices"):
                return before
        if "error" in part:
            self._finished = True
            return before + self.help() + event(data)
        if self._began:
            return before + event(data)
        return before + self._mark_first(data)

    def close(self) -> bytes:
        """The bytes to send at the end of the stream. Raises `Unavailable` if the server broke off."""
        if self._done:
            return b""
        if not self._finished:
            raise Unavailable(
                "the language model's server closed the connection during an answer", code="upstream_interrupted"
            )
        return self._end()

    def help(self) -> bytes:
        """The route to human help, if it must be named and was not yet: sent before a stream ends in any way."""
        indices = sorted(self._said) or [0]
        return b"".join(self._marked(part) for index in indices for part in self._help(index))

    def _marked(self, part: dict[str, Any]) -> bytes:
        """One event; the first one carries the member `attune`."""
        ours = {} if self._began else {"attune": self.ours.member}
        self._began = True
        return event(msgspec.json.encode({**part, **ours}))

    def _mark_first(self, data: bytes) -> bytes:
        """The server's first event with our member at its end, and byte for byte as it came before that."""
        self._began = True
        whole = data.rstrip()[:-1].rstrip()
        comma = b"" if whole == b"{" else b","
        return event(whole + comma + b'"attune":' + msgspec.json.encode(self.ours.member) + b"}")

    def _end(self) -> bytes:
        self._done = True
        return self.help() + DONE

    def _helps(self, part: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Help that must come before the part that finishes an answer."""
        for choice in _choices(part):
            if choice.get("finish_reason") is not None:
                self._finished = True
                delta = choice.get("delta")
                content = delta.get("content") if isinstance(delta, dict) else None
                if not content:  # a part may say its last words and finish at once: then help comes after it
                    yield from self._help(_index(choice))

    def _help(self, index: int) -> Iterator[dict[str, Any]]:
        if index not in self._helped and (missing := self.ours.missing("".join(self._said.get(index, ())))):
            self._helped.add(index)
            head = self._head
            yield chunk_body(
                head.get("id", ""), head.get("created", 0), head.get("model", ""), {"content": missing}, index=index
            )

    def _count(self, part: dict[str, Any]) -> None:
        for choice in _choices(part):
            delta = choice.get("delta")
            if not isinstance(delta, dict):
                continue
            text = delta.get("content")
            if isinstance(text, str) and text:
                self._tokens += 1  # a part is about a token
                if self.ours.help:
                    self._said.setdefault(_index(choice), []).append(text)
            self._tokens += _tokens_of_calls(delta)


def _choices(part: dict[str, Any]) -> list[dict[str, Any]]:
    choices = part.get("choices")
    return [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []


def _index(choice: dict[str, Any]) -> int:
    index = choice.get("index", 0)
    return index if isinstance(index, int) else 0


def _tokens_of_calls(message: dict[str, Any]) -> int:
    calls = message.get("tool_calls")
    return tokens_in(msgspec.json.encode(calls)) if calls else 0
