"""A streamed answer in the events of OpenAI's Responses API, made from the chunks of a chat completion. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from assistant.chat.relay import END, Events
from assistant.chat.response_answer import ResponseHead, call_id, call_item, content_part, ending, message_item
from assistant.lenient_json import decode_json


@dataclass(slots=True)
class _Part:
    kind: str
    pieces: list[str] = field(default_factory=list)

    def shown(self) -> dict[str, Any]:
        return content_part(self.kind, "".join(self.pieces))


@dataclass(slots=True)
class _Item:
    """An item of the output that is not whole yet."""

    id: str
    """Without what its type puts before it."""
    parts: list[_Part] = field(default_factory=list)
    """Of a message."""
    call: str | None = None
    """Id of a call; None for a message."""
    name: str = ""
    arguments: list[str] = field(default_factory=list)

    def shown(self, status: str) -> dict[str, Any]:
        if self.call is not None:
            return call_item(self.id, status, self.call, self.name, "".join(self.arguments))
        return message_item(self.id, status, [part.shown() for part in self.parts])


class ResponseStream:
    """Takes the events of a streamed chat completion, in pieces of any size, and gives those of a response."""

    def __init__(self, head: ResponseHead) -> None:
        self._head = head
        self._events = Events()
        self._model: Any = None
        self._items: list[_Item] = []
        self._message: int | None = None
        """Place of the message in the output."""
        self._calls: dict[Any, int] = {}
        """Places of the calls in the output, by their index in the completion."""
        self._finish: Any = None
        self._usage: Any = None
        self._number = 0
        self._began = False
        self._ended = False

    def feed(self, events: bytes) -> bytes:
        """What to send for events of a chat completion."""
        return b"".join(self._take(data) for data in self._events.feed(events))

    def fail(self, error: Mapping[str, Any]) -> bytes:
        """What to send where the answer breaks off; `error`: its `code` and `message`."""
        if self._ended:
            return b""
        self._ended = True
        output = [item.shown("incomplete") for item in self._items]
        told = {"code": error.get("code"), "message": error.get("message") or "the answer broke off"}
        failed = self._head.response(self._model, "failed", output, usage=self._usage, error=told)
        return (
            self._begin()
            + self._event("error", **told, param=error.get("param"))
            + self._event("response.failed", response=failed)
        )

    def _take(self, data: bytes) -> bytes:
        if data == END:
            return self._end()
        chunk = decode_json(data, object)
        if not isinstance(chunk, dict) or self._ended:
            return b""
        if chunk.get("error") is not None:
            error = chunk["error"]
            return self.fail(error if isinstance(error, dict) else {"message": str(error)})
        self._model = chunk.get("model", self._model)
        self._usage = chunk.get("usage") or self._usage
        sent = self._begin()
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else []:
            if not isinstance(choice, dict) or choice.get("index", 0) != 0:
                continue
            self._finish = choice.get("finish_reason") or self._finish
            if isinstance(delta := choice.get("delta"), dict):
                sent += self._say("output_text", delta.get("content")) + self._say("refusal", delta.get("refusal"))
                for call in delta.get("tool_calls") or []:
                    sent += self._call(call)
        return sent

    def _begin(self) -> bytes:
        if self._began:
            return b""
        self._began = True
        started = self._head.response(self._model, "in_progress", [])
        return self._event("response.created", response=started) + self._event(
            "response.in_progress", response=started
        )

    def _say(self, kind: str, text: Any) -> bytes:
        """Words of the message: the text, or why the language model refuses."""
        if not isinstance(text, str) or not text:
            return b""
        sent = b""
        if self._message is None:
            self._message = len(self._items)
            sent += self._add(_Item(self._head.id))
        at, item = self._message, self._items[self._message]
        place = next((place for place, part in enumerate(item.parts) if part.kind == kind), len(item.parts))
        where = {"item_id": f"msg_{item.id}", "output_index": at, "content_index": place}
        if place == len(item.parts):
            item.parts.append(_Part(kind))
            sent += self._event("response.content_part.added", **where, part=content_part(kind, ""))
        item.parts[place].pieces.append(text)
        more: dict[str, Any] = {"logprobs": []} if kind == "output_text" else {}
        return sent + self._event(f"response.{kind}.delta", **where, delta=text, **more)

    def _call(self, call: Any) -> bytes:
        """A call of a function, or more of its arguments."""
        if not isinstance(call, dict):
            return b""
        index = call.get("index", call.get("id"))
        function = call.get("function") or {}
        sent = b""
        if index not in self._calls:
            number = len(self._calls)
            self._calls[index] = len(self._items)
            id = f"{self._head.id}_{number}"
            item = _Item(id, call=call_id(call.get("id"), self._head.id, number), name=function.get("name") or "")
            sent += self._add(item)
        at = self._calls[index]
        arguments = function.get("arguments")
        if isinstance(arguments, str) and arguments:
            self._items[at].arguments.append(arguments)
            sent += self._event(
                "response.function_call_arguments.delta",
                item_id=f"fc_{self._items[at].id}",
                output_index=at,
                delta=arguments,
            )
        return sent

    def _add(self, item: _Item) -> bytes:
        self._items.append(item)
        at = len(self._items) - 1
        return self._event("response.output_item.added", output_index=at, item=item.shown("in_progress"))

    def _end(self) -> bytes:
        if self._ended:
            return b""
        self._ended = True
        status, cut_short = ending(self._finish)
        sent = self._begin()
        items = [item.shown(status) for item in self._items]
        for at, item in enumerate(self._items):  # only now: words of the message may come after a call
            sent += self._finish_parts(at, item)
            sent += self._event("response.output_item.done", output_index=at, item=items[at])
        whole = self._head.response(self._model, status, items, usage=self._usage, cut_short=cut_short)
        return sent + self._event(f"response.{status}", response=whole)

    def _finish_parts(self, at: int, item: _Item) -> bytes:
        """The last events of the parts of an item."""
        if item.call is not None:
            return self._event(
                "response.function_call_arguments.done",
                item_id=f"fc_{item.id}",
                output_index=at,
                name=item.name,
                arguments="".join(item.arguments),
            )
        sent = b""
        for place, part in enumerate(item.parts):
            where = {"item_id": f"msg_{item.id}", "output_index": at, "content_index": place}
            text = "".join(part.pieces)
            said = {"text": text, "logprobs": []} if part.kind == "output_text" else {"refusal": text}
            sent += self._event(f"response.{part.kind}.done", **where, **said)
            sent += self._event("response.content_part.done", **where, part=part.shown())
        return sent

    def _event(self, type: str, **more: Any) -> bytes:
        number, self._number = self._number, self._number + 1
        body = msgspec.json.encode({"type": type, "sequence_number": number, **more})
        return b"event: " + type.encode() + b"\ndata: " + body + b"\n\n"
