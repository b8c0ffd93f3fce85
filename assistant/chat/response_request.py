"""Requests of OpenAI's Responses API, read as the chat completion that answers them. Pure.

Each member is honoured, or refused by its name: none is passed over. Half a surrogate pair is read, passed on and
said back as U+FFFD.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import msgspec

from assistant.chat.completion import Request, read_request
from assistant.chat.response_input import ChatMessages, Refusals, shaped
from assistant.errors import Invalid
from assistant.lenient_json import decode_json


class TextOptions(msgspec.Struct):
    """Format and length of the answer's text."""

    format: dict[str, Any] | None = None
    verbosity: str | None = None


class ReasoningOptions(msgspec.Struct):
    """How long the language model may think; there is never a summary of what it thought."""

    effort: str | None = None
    summary: str | None = None


class ResponseBody(msgspec.Struct):
    """What is honoured of a request of OpenAI's Responses API. `user`: the person."""

    input: str | list[dict[str, Any]]
    """What was said: a text, or messages, calls of functions and their outputs in order."""
    model: str | None = None
    instructions: str | None = None
    tools: list[dict[str, Any]] | None = None
    """Functions only."""
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    text: TextOptions | None = None
    reasoning: ReasoningOptions | None = None
    metadata: dict[str, str] | None = None
    """Said back, and not passed on."""
    user: str | None = None
    safety_identifier: str | None = None
    """The person, where there is no `user`."""
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    prompt_cache_options: dict[str, Any] | None = None
    service_tier: str | None = None
    include: list[str] | None = None
    truncation: str | None = None
    """Whatever is asked for, nothing is cut."""
    store: bool | None = None
    """Whatever is asked for, no response is kept, and `store` is false in the answer."""
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None


class _Function(msgspec.Struct):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


_AS_THEY_ARE = (
    "model", "temperature", "top_p", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options",
    "service_tier", "user", "safety_identifier", "stream",
)  # fmt: skip
"""Members that a chat completion has too."""
_NOT_KEPT = "needs earlier responses, and this server keeps none: send the whole conversation in `input`"
_MEMBERS_LACKED: Mapping[str, str] = {
    "previous_response_id": _NOT_KEPT,
    "conversation": _NOT_KEPT,
    "background": "needs responses that are kept, and this server keeps none: use `stream`",
    "prompt": "needs a stored prompt, and this server keeps none: use `instructions`",
}


@dataclass(frozen=True, slots=True)
class ResponseRequest:
    """A request for a response."""

    chat: Request
    said_back: Mapping[str, Any]
    """The members of the response that repeat the request."""


def read_response_request(data: bytes) -> ResponseRequest:
    """Read a request. Raises `Invalid`; what can't be had is in the `refusal` of the chat.

    >>> asked = read_response_request(b'{"input": "Hi", "instructions": "Be brief.", "user": "ada"}')
    >>> asked.chat.payload("")
    b'{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"}]}'
    >>> asked.chat.user, asked.said_back["store"], asked.chat.refusal
    ('ada', False, None)
    >>> read_response_request(b'{"input": "Hi", "background": true}').chat.refusal.param
    'background'
    """
    try:
        given = decode_json(data, dict[str, Any])
    except msgspec.ValidationError as error:
        raise Invalid(f"not the expected shape: {error}") from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise Invalid("this is not JSON", code="invalid_json") from None
    refusals = Refusals()
    body = shaped(given, ResponseBody)
    refusals.check_members(given, ResponseBody.__struct_fields__, lacked=_MEMBERS_LACKED)
    _check_values(body, refusals)
    chat: dict[str, Any] = {"messages": _messages(body, refusals), **_tools(body, refusals)}
    chat |= {name: given[name] for name in _AS_THEY_ARE if given.get(name) is not None}
    if body.max_output_tokens is not None:
        chat["max_completion_tokens"] = body.max_output_tokens
    if body.text is not None:
        refusals.check_members(given["text"], TextOptions.__struct_fields__, "text.")
        chat |= {"verbosity": body.text.verbosity} if body.text.verbosity else {}
        chat |= _response_format(body.text.format or {"type": "text"}, refusals)
    if body.reasoning is not None:
        refusals.check_members(given["reasoning"], ReasoningOptions.__struct_fields__, "reasoning.")
        chat |= {"reasoning_effort": body.reasoning.effort} if body.reasoning.effort else {}
    if body.stream:
        chat["stream_options"] = {"include_usage": True}
    asked = replace(read_request(msgspec.json.encode(chat)), refusal=refusals.first)
    return ResponseRequest(asked, _said_back(body))


def _check_values(body: ResponseBody, refusals: Refusals) -> None:
    # there is no reasoning in an answer, so nothing of it can be missing
    if any(wanted != "reasoning.encrypted_content" for wanted in body.include or []):
        refusals.refuse("include", "names what no answer here has")
    if body.truncation not in (None, "disabled", "auto"):
        refusals.refuse("truncation", "can only be auto or disabled")
    if body.reasoning is not None and body.reasoning.summary not in (None, "auto"):
        refusals.refuse("reasoning.summary", "can only be `auto`: what was thought is not told here")
    options = dict(body.stream_options or {})
    if options.get("include_usage") is True:  # the usage is always told
        del options["include_usage"]
    refusals.check_members(options, (), "stream_options.")


def _messages(body: ResponseBody, refusals: Refusals) -> list[dict[str, Any]]:
    first = [{"role": "system", "content": body.instructions}] if body.instructions else []
    if isinstance(body.input, str):
        return [*first, {"role": "user", "content": body.input}]
    if not body.input:
        raise Invalid("`input` needs at least one item", param="input")
    read = ChatMessages(refusals)
    for number, item in enumerate(body.input):
        read.add(item, f"input[{number}].")
    return [*first, *read.messages] or [{"role": "user", "content": ""}]  # all of it is refused


def _tools(body: ResponseBody, refusals: Refusals) -> dict[str, Any]:
    """The members of a chat about tools: where there are none it may have no others of them."""
    members: dict[str, Any] = {}
    if tools := [_tool(tool, f"tools[{number}].", refusals) for number, tool in enumerate(body.tools or [])]:
        members["tools"] = tools
        if body.parallel_tool_calls is not None:
            members["parallel_tool_calls"] = body.parallel_tool_calls
    if body.tool_choice is not None and (tools or body.tool_choice not in ("auto", "none")):
        members["tool_choice"] = _tool_choice(body.tool_choice, refusals)
    return members


def _tool(given: dict[str, Any], at: str, refusals: Refusals) -> dict[str, Any]:
    if given.get("type") != "function":
        refusals.refuse(f"{at}type", "can only be `function`: this server has no tools of its own")
        return {}
    function = msgspec.to_builtins(shaped(given, _Function, at))
    refusals.check_members(given, ("type", *function), at)
    return {"type": "function", "function": {name: value for name, value in function.items() if value is not None}}


def _tool_choice(choice: str | dict[str, Any], refusals: Refusals) -> Any:
    match choice:
        case "auto" | "none" | "required":
            return choice
        case {"type": "function", "name": str(name)}:
            return {"type": "function", "function": {"name": name}}
        case {"type": "allowed_tools", "mode": "auto" | "required" as mode, "tools": list(tools)}:
            allowed = {"mode": mode, "tools": [_tool_choice(tool, refusals) for tool in tools]}
            return {"type": "allowed_tools", "allowed_tools": allowed}
    about = "can only be auto, none, required, a function or a list of allowed functions"
    refusals.refuse("tool_choice", about)
    return "auto"


def _response_format(form: dict[str, Any], refusals: Refusals) -> dict[str, Any]:
    """The member `response_format` of a chat; none where the answer is a text."""
    kind = form.get("type")
    if kind not in ("text", "json_object", "json_schema"):
        refusals.refuse("text.format.type", "can only be text, json_object or json_schema")
        return {}
    described = ("name", "schema", "strict", "description") if kind == "json_schema" else ()
    refusals.check_members(form, ("type", *described), "text.format.")
    if kind == "text":
        return {}
    if described and not (isinstance(form.get("name"), str) and isinstance(form.get("schema"), dict)):
        raise Invalid("`text.format` needs a `name` and a `schema`", param="text.format")
    schema = {name: form[name] for name in described if form.get(name) is not None}
    return {"response_format": {"type": kind} | ({"json_schema": schema} if schema else {})}


def _said_back(body: ResponseBody) -> dict[str, Any]:
    text = body.text or TextOptions()
    return {
        "background": False,
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "max_tool_calls": None,
        "metadata": body.metadata or {},
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "previous_response_id": None,
        "prompt_cache_key": body.prompt_cache_key,
        "prompt_cache_retention": body.prompt_cache_retention,
        "reasoning": {"effort": body.reasoning and body.reasoning.effort, "summary": None},
        "safety_identifier": body.safety_identifier,
        "service_tier": body.service_tier,
        "store": False,
        "temperature": body.temperature,
        "text": {"format": text.format or {"type": "text"}, "verbosity": text.verbosity},
        "tool_choice": body.tool_choice or "auto",
        "tools": [{"strict": None, "parameters": None, **tool} for tool in body.tools or []],
        "top_logprobs": 0,
        "top_p": body.top_p,
        "truncation": "disabled",
        "user": body.user,
    }
