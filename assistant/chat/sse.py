"""Server-sent events as a stream of bytes brings them (HTML Living Standard, 9.2): pure, no network."""

from __future__ import annotations

import re

from assistant.errors import Unavailable

LONGEST = 4 * 1024 * 1024
"""Bytes of one event; more is no event."""
_LINE = re.compile(rb"\r\n|\n|\r(?!$)")


class Events:
    """Takes bytes in any pieces, gives the data of whole events. Comments and other fields are left out.

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
        """The events that are complete by now. Raises `Unavailable` (`upstream_invalid`) for one without an end."""
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
            raise Unavailable("the language model's server sent an event without an end", code="upstream_invalid")
        return whole


def event(data: bytes) -> bytes:
    r"""One event; `data` is JSON in one line.

    >>> event(b"[DONE]")
    b'data: [DONE]\n\n'
    """
    return b"data: " + data + b"\n\n"


END = b"[DONE]"
"""The data of the last event."""
DONE = event(END)
