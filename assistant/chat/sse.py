"""Parses server-sent events from bytes (HTML Living Standard, 9.2). Pure: no network."""

from __future__ import annotations

import re

from assistant.errors import Unavailable

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
