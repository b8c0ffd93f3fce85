"""Where the tone stands among the messages for a language model, and where to put it after a refusal. Pure.

Not every server takes one more system message: templates of Qwen take one, as the first message; those of Gemma 2
none; o1 wants the role `developer`. So `auto` adds a message only if the app's own messages don't begin with one of
that kind: in that case the tone is added to it, and the roles are the ones that the app sent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from assistant.lenient_json import decode_json, split_items, split_members

Placement = Literal["own", "first_system", "first_user", "developer"]
"""`own`: a system message of its own, before all others. `first_system`: added to the first system or developer
message; `own` where there is none. `first_user`: in the first user message, marked off from the user's words.
`developer`: a message of the role `developer`, before all others."""


_INSTRUCTING = ("system", "developer")
_BEFORE = "[Instructions for the assistant. The user did not write them.]\n"
_AFTER = "\n[End of the instructions. The user's own words follow.]"
_READ = 20_000
"""Characters of a refusal that are read."""
_ABOUT_ROLES = re.compile(
    r"\broles?\b|\.role\b|角色|alternat"
    r"|\b(?:system|developer)[_ -]?(?:messages?|prompts?|instructions?)\b"
    r"|\bsupport\w* \W*(?:system|developer)\b|系统(?:消息|提示|指令)",
    re.IGNORECASE,
)
_ABOUT_TOOLS = re.compile(r"role:? ?\W*(?:tool|function)\b|tool_call", re.IGNORECASE)
_NOT_SYSTEM = re.compile(r"unsupported[ _]value|does not support \W*system|\bdeveloper\b", re.IGNORECASE)


class _Spoken(msgspec.Struct):
    role: str


def roles_of(messages: Sequence[msgspec.Raw]) -> tuple[str, ...]:
    """The role of each message."""
    return tuple(decode_json(message, _Spoken).role for message in messages)


def usual_placement(roles: Sequence[str]) -> Placement:
    """Where `auto` puts the tone at first.

    >>> usual_placement(["system", "user"]), usual_placement(["developer", "user"]), usual_placement(["user"])
    ('first_system', 'first_system', 'own')
    """
    return "first_system" if roles and roles[0] in _INSTRUCTING else "own"


def next_placement(roles: Sequence[str], tried: Sequence[Placement], refusal: str) -> Placement | None:
    """Where `auto` puts the tone after a refusal; None: the refusal is for the app.

    Only a message of ours can be in the way. Where the tone was merged into a message of the app, the roles that
    were refused are the app's own.

    >>> next_placement(["user"], ["own"], "System role not supported")
    'first_user'
    >>> next_placement(["user"], ["own"], "Unsupported value: 'messages[0].role' does not support 'system'")
    'developer'
    >>> next_placement(["user"], ["own", "developer"], "'messages[0].role' does not support 'developer'")
    'first_user'
    >>> next_placement(["user", "system"], ["own"], "System message must be at the beginning.")
    'first_system'
    >>> print(next_placement(["system", "user"], ["first_system"], "System role not supported"))
    None
    >>> print(next_placement(["user"], ["own"], "temperature must be at most 2"))
    None
    """
    if tried[-1] not in ("own", "developer") or not blames_roles(refusal):
        return None
    order: list[Placement] = ["first_user"]
    if any(role in _INSTRUCTING for role in roles):
        order.insert(0, "first_system")
    elif _NOT_SYSTEM.search(refusal[:_READ]):
        order.insert(0, "developer")
    return next((placement for placement in order if placement not in tried), None)


def blames_roles(refusal: str) -> bool:
    """Whether a refusal may be about the roles of the messages.

    It may be wrong about an error that quotes the request; `next_placement` bounds what that costs.

    >>> [blames_roles(words) for words in ("System role not supported", "Developer instruction is not enabled")]
    [True, True]
    >>> blames_roles("Conversation roles must alternate user/assistant/user/assistant/...")
    True
    >>> blames_roles("maximum context length is 8192 tokens"), blames_roles("role 'tool' must follow tool_calls")
    (False, False)
    """
    read = refusal[:_READ]
    # a wrong tool message is the app's; Mistral's "Expected last role User or Tool" is not about one
    return bool(_ABOUT_ROLES.search(_ABOUT_TOOLS.sub("", read)))


def place(messages: Sequence[msgspec.Raw], instruction: str, placement: Placement) -> list[msgspec.Raw]:
    """The messages with the instruction in its place; every other part of them stays as it came.

    >>> asked = [msgspec.Raw(b'{"role":"user","content":"Hi"}')]
    >>> [bytes(message) for message in place(asked, "Be brief.", "developer")]
    [b'{"role":"developer","content":"Be brief."}', b'{"role":"user","content":"Hi"}']
    """
    if not instruction:
        return list(messages)
    if placement == "first_system":
        return _merged(messages, _INSTRUCTING, instruction, ahead=False) or [_new("system", instruction), *messages]
    if placement == "first_user":
        marked = f"{_BEFORE}{instruction}{_AFTER}"
        return _merged(messages, ("user",), marked, ahead=True) or [_new("user", marked), *messages]
    return [_new("developer" if placement == "developer" else "system", instruction), *messages]


def _new(role: str, content: str) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode({"role": role, "content": content}))


def _merged(
    messages: Sequence[msgspec.Raw], roles: Sequence[str], text: str, *, ahead: bool
) -> list[msgspec.Raw] | None:
    """The messages with a text added to the first of these roles; None where that can't be done."""
    at = next((at for at, role in enumerate(roles_of(messages)) if role in roles), None)
    if at is None:
        return None
    members = split_members(bytes(messages[at]))
    content = add_text(bytes(members.get("content", b"null")), text, ahead=ahead)
    if content is None:
        return None
    message = msgspec.Raw(msgspec.json.encode(members | {"content": msgspec.Raw(content)}))
    return [*messages[:at], message, *messages[at + 1 :]]


def add_text(content: bytes, text: str, *, ahead: bool) -> bytes | None:
    r"""The JSON of a message's content with a text before or after it, two lines apart; None: of another shape.

    >>> add_text(rb'"Hi \ud83d"', "Be brief.", ahead=True)
    b'"Be brief.\\n\\nHi \\ud83d"'
    >>> add_text(b'[{"type":"image_url",  "image_url":{"url":"u"}}]', "Be brief.", ahead=True)
    b'[{"type":"text","text":"Be brief."},{"type":"image_url",  "image_url":{"url":"u"}}]'
    >>> add_text(b"null", "Be brief.", ahead=False), add_text(b"7", "Be brief.", ahead=True)
    (b'"Be brief."', None)
    """
    kind = content.strip()[:1]
    if kind == b"[":
        part = msgspec.Raw(msgspec.json.encode({"type": "text", "text": text}))
        parts = split_items(msgspec.Raw(content))
        return msgspec.json.encode([part, *parts] if ahead else [*parts, part])
    ours = msgspec.json.encode(text)
    if kind == b"n" or content.strip() == b'""':
        return ours
    if kind != b'"':
        return None
    first, second = (ours, content.strip()) if ahead else (content.strip(), ours)
    return first[:-1] + rb"\n\n" + second[1:]
