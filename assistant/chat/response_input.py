"""The input of OpenAI's Responses API as the messages of a chat, and what of a request can't be had. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

import msgspec

from assistant.errors import PLAIN_NAME, Invalid

_Shape = TypeVar("_Shape")
_Content = str | list[dict[str, Any]]


class _Item(msgspec.Struct):
    """What is read of an item of the input, whatever its type."""

    type: str | None = None
    role: str | None = None
    content: _Content | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: _Content | None = None


_ITEMS_LACKED: Mapping[str, str] = {
    "item_reference": "refers to an item that is not kept here: send the item itself"
}
_READ_OF_ITEMS: Mapping[str, Collection[str]] = {
    "message": ("type", "id", "status", "role", "content"),
    "function_call": ("type", "id", "status", "call_id", "name", "arguments"),
    "function_call_output": ("type", "id", "status", "call_id", "output"),
}
_ROLES = ("user", "assistant", "system", "developer")
_NOTHING: tuple[Any, ...] = (None, False, [], {}, ["direct"])
"""Values that ask for nothing: `["direct"]` is how a function is called here anyway."""
_WHERE = re.compile(r"`\$\.([A-Za-z_.]+)|field `([A-Za-z_]+)`")


class Refusals:
    """Keeps the first thing of a request that can't be had."""

    def __init__(self) -> None:
        self.first: Invalid | None = None

    def refuse(self, param: str, why: str) -> None:
        """Keep that a member can't be had."""
        if self.first is None:
            self.first = Invalid(f"`{param}` {why}", code="unsupported_parameter", param=param)

    def check_members(
        self,
        given: Mapping[str, Any],
        known: Collection[str],
        at: str = "",
        lacked: Mapping[str, str] | None = None,
    ) -> None:
        """Refuse the members that are not known, unless they ask for nothing."""
        for name, value in given.items():
            if name in known or value in _NOTHING:
                continue
            if PLAIN_NAME.fullmatch(name):
                self.refuse(at + name, (lacked or {}).get(name, "is not supported by this server"))
            else:
                self.refuse(at.rstrip(".") or "body", "has a member that is not supported by this server")


class ChatMessages:
    """Makes the messages of a chat from items, one after the other."""

    def __init__(self, refusals: Refusals) -> None:
        self.messages: list[dict[str, Any]] = []
        self._refusals = refusals

    def add(self, given: dict[str, Any], at: str) -> None:
        """Add what an item says; `at`: its place in the request. Raises `Invalid`."""
        item = shaped(given, _Item, at)
        kind = item.type or ("message" if item.role is not None else "item_reference")
        if kind not in _READ_OF_ITEMS:
            self._refusals.refuse(
                f"{at}type", _ITEMS_LACKED.get(kind, "names an item that this server does not support")
            )
            return
        self._refusals.check_members(given, _READ_OF_ITEMS[kind], at)
        if kind == "function_call":
            self._add_call(item, at)
        elif kind == "function_call_output":
            content = self._content(item.output, "tool", f"{at}output")
            called = _needed(item.call_id, f"{at}call_id")
            self.messages.append({"role": "tool", "tool_call_id": called, "content": content})
        else:
            if item.role not in _ROLES:
                raise Invalid(f"`{at}role` is one of {', '.join(_ROLES)}", param=f"{at}role")
            content = self._content(item.content, item.role, f"{at}content")
            last = self.messages[-1] if self.messages else {}
            if item.role == "assistant" and last.get("tool_calls") and last["content"] is None:
                last["content"] = content  # said beside its calls, whose outputs must follow them at once
            else:
                self.messages.append({"role": item.role, "content": content})

    def _content(self, content: _Content | None, role: str, at: str) -> _Content:
        if content is None or isinstance(content, str):
            return _needed(content, at)
        read = (self._part(part, role, f"{at}[{number}].") for number, part in enumerate(content))
        parts = [part for part in read if part is not None]
        # many servers take only a text where a message has nothing else
        return parts[0]["text"] if len(parts) == 1 and "text" in parts[0] else parts

    def _part(self, part: dict[str, Any], role: str, at: str) -> dict[str, Any] | None:
        """A part of a message in the words of a chat; None if it is refused."""
        match part:
            case {"type": "input_text" | "output_text", "text": str(text)}:
                # of an answer that comes back: a chat has no place for them
                known = ("type", "text", "annotations", "logprobs") if role == "assistant" else ("type", "text")
                self._refusals.check_members(part, known, at)
                return {"type": "text", "text": text}
            case {"type": "refusal", "refusal": str(refusal)} if role == "assistant":
                self._refusals.check_members(part, ("type", "refusal"), at)
                return {"type": "refusal", "refusal": refusal}
            case {"type": "input_image", "image_url": str(url)} if role == "user":
                self._refusals.check_members(part, ("type", "image_url", "detail"), at)
                detail = {"detail": part["detail"]} if part.get("detail") else {}
                return {"type": "image_url", "image_url": {"url": url, **detail}}
            case {"type": "input_text" | "output_text" | "refusal"}:
                raise Invalid(f"`{at.rstrip('.')}` has no text that this role can say", param=at.rstrip("."))
            case _:
                self._refusals.refuse(f"{at}type", "names a part that this server does not support")
                lost = part.get("text")  # it may call for help
                return {"type": "text", "text": lost} if isinstance(lost, str) else None

    def _add_call(self, item: _Item, at: str) -> None:
        """Add a call to the assistant's message before it: a chat has all calls of a turn in one."""
        function = {
            "name": _needed(item.name, f"{at}name"),
            "arguments": _needed(item.arguments, f"{at}arguments"),
        }
        call = {"id": _needed(item.call_id, f"{at}call_id"), "type": "function", "function": function}
        if not self.messages or self.messages[-1]["role"] != "assistant":
            self.messages.append({"role": "assistant", "content": None})
        self.messages[-1].setdefault("tool_calls", []).append(call)


def shaped(given: Any, kind: type[_Shape], at: str = "") -> _Shape:
    """The value as a shape. Raises `Invalid` that names the member which differs."""
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        found = _WHERE.search(str(error))
        param = at + (found[1] or found[2] if found else "")
        raise Invalid(f"not the expected shape: {error}", param=param.rstrip(".") or None) from None


def _needed(value: str | None, param: str) -> str:
    if value is None:
        raise Invalid(f"`{param}` is missing", param=param)
    return value
