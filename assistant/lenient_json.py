"""JSON as JavaScript writes it: half a surrogate pair, which slicing a string leaves, is read as U+FFFD."""

from __future__ import annotations

import json
import re
from typing import TypeVar

import msgspec

Value = TypeVar("Value")

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
"""An escape; the group is half a surrogate pair without its other half."""


def decode_json(data: bytes | str, kind: type[Value]) -> Value:
    r"""JSON of a known shape. Raises `msgspec.DecodeError`, `UnicodeError` or `RecursionError`.

    >>> decode_json(r'{"a": "\ud83d \ud83d\ude00"}', dict[str, str])
    {'a': '\ufffd 😀'}
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        return msgspec.json.decode(replace_halves(data), type=kind)


def split_members(data: bytes) -> dict[str, msgspec.Raw]:
    r"""The members of an object, each as it came. Raises as `decode_json` does, and `ValueError`.

    >>> bytes(split_members(rb'{"a": "\ud83d"}')["a"]).decode()
    '"\\ud83d"'
    """
    try:
        return msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        decode_json(data, dict[str, msgspec.Raw])
        return {name: msgspec.Raw(json.dumps(value).encode()) for name, value in json.loads(data).items()}


def split_items(data: msgspec.Raw) -> list[msgspec.Raw]:
    """The items of an array, each as it came."""
    try:
        return msgspec.json.decode(data, type=list[msgspec.Raw])
    except msgspec.DecodeError:
        return [msgspec.Raw(json.dumps(item).encode()) for item in json.loads(bytes(data))]


def replace_halves(data: bytes | str) -> bytes:
    r"""The same JSON with U+FFFD for each escaped half of a surrogate pair without its other half.

    >>> print(replace_halves(r'{"a": "\ud83d \ud83d\ude00 \\ud83d"}').decode())
    {"a": "\ufffd \ud83d\ude00 \\ud83d"}
    """
    encoded = data.encode() if isinstance(data, str) else data
    return _ESCAPE.sub(lambda escape: rb"\ufffd" if escape[1] else escape[0], encoded)
