"""Responses of OpenAI's Responses API, made from chat completions. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from assistant.chat.relay import usage_of

_CUT_SHORT: Mapping[str, str] = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Why an answer is incomplete, by the completion's `finish_reason`."""


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """What a response has beside its output."""

    id: str
    """Without `resp_`."""
    created: int
    """Unix seconds."""
    said_back: Mapping[str, Any]
    """The members that repeat the request."""
    attune: Mapping[str, Any]
    """The member `attune`."""

    def response(
        self,
        model: Any,
        status: str,
        output: list[dict[str, Any]],
        *,
        usage: Any = None,
        cut_short: str | None = None,
        error: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The response. `usage`: of the chat completion; `cut_short`: why it is incomplete."""
        return {
            "id": f"resp_{self.id}",
            "object": "response",
            "created_at": self.created,
            "status": status,
            "error": error,
            "incomplete_details": None if cut_short is None else {"reason": cut_short},
            "model": model if isinstance(model, str) else "",
            "output": output,
            "usage": _usage(usage),
            **self.said_back,
            "attune": self.attune,
        }

    def whole(self, completion: Mapping[str, Any]) -> dict[str, Any]:
        """The response that says what a chat completion says.

        >>> choice = {"message": {"content": "Hi"}, "finish_reason": "length"}
        >>> made = ResponseHead("1", 7, {"store": False}, {}).whole({"model": "m", "choices": [choice]})
        >>> made["status"], made["incomplete_details"], made["output"][0]["content"][0]["text"]
        ('incomplete', {'reason': 'max_output_tokens'}, 'Hi')
        """
        choices = completion.get("choices") or []
        choice = choices[0] if choices and isinstance(choices[0], dict) else {}
        message = choice.get("message")
        status, cut_short = ending(choice.get("finish_reason"))
        output = list(_output(message if isinstance(message, dict) else {}, self.id, status))
        return self.response(
            completion.get("model"), status, output, usage=completion.get("usage"), cut_short=cut_short
        )


def ending(finish_reason: Any) -> tuple[str, str | None]:
    """The status of an answer that ended, and why it is incomplete.

    >>> ending("tool_calls"), ending("content_filter")
    (('completed', None), ('incomplete', 'content_filter'))
    """
    cut_short = _CUT_SHORT.get(finish_reason) if isinstance(finish_reason, str) else None
    return ("completed" if cut_short is None else "incomplete"), cut_short


def message_item(id: str, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    """An item of the output that is a message."""
    return {"type": "message", "id": f"msg_{id}", "status": status, "role": "assistant", "content": content}


def content_part(kind: str, text: str) -> dict[str, Any]:
    """A part of a message; `kind`: `output_text` or `refusal`."""
    if kind == "refusal":
        return {"type": kind, "refusal": text}
    return {"type": kind, "text": text, "annotations": [], "logprobs": []}


def call_item(id: str, status: str, call: str, name: str, arguments: str) -> dict[str, Any]:
    """An item of the output that calls a function; `call`: the id that its output must name."""
    return {
        "type": "function_call",
        "id": f"fc_{id}",
        "status": status,
        "call_id": call,
        "name": name,
        "arguments": arguments,
    }


def call_id(given: Any, id: str, number: int) -> str:
    """The id of a call; some servers give none."""
    return given if isinstance(given, str) and given else f"call_{id}_{number}"


def _output(message: Mapping[str, Any], id: str, status: str) -> Iterator[dict[str, Any]]:
    said = ("output_text", message.get("content")), ("refusal", message.get("refusal"))
    if content := [content_part(kind, text) for kind, text in said if isinstance(text, str) and text]:
        yield message_item(id, status, content)
    for number, call in enumerate(message.get("tool_calls") or []):
        function = call.get("function") or {}
        name, arguments = str(function.get("name", "")), str(function.get("arguments", ""))
        yield call_item(f"{id}_{number}", status, call_id(call.get("id"), id, number), name, arguments)


def _usage(given: Any) -> dict[str, Any] | None:
    usage = usage_of(given)
    if usage is None:
        return None

    def detail(of: str, name: str) -> int:
        details = given.get(f"{of}_tokens_details")
        count = details.get(name) if isinstance(details, dict) else None
        return count if isinstance(count, int) else 0

    return {
        "input_tokens": usage.prompt,
        "input_tokens_details": {"cached_tokens": detail("prompt", "cached_tokens"), "cache_write_tokens": 0},
        "output_tokens": usage.completion,
        "output_tokens_details": {"reasoning_tokens": detail("completion", "reasoning_tokens")},
        "total_tokens": usage.total,
    }
