"""The log: what this program says itself, and of its libraries only that they said something, and where."""

from __future__ import annotations

import logging
from typing import TextIO

_OURS = "assistant"


def write_logs(level: str) -> None:
    """Log to standard error."""
    logging.basicConfig(level=level, handlers=[teller()])


def teller(stream: TextIO | None = None) -> logging.Handler:
    """Writes to `stream`, or to standard error, what may be told."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(RedactingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(is_told)
    return handler


def is_told(record: logging.LogRecord) -> bool:
    """Whether a record is written: of libraries only warnings and errors."""
    return is_ours(record) or record.levelno >= logging.WARNING


def is_ours(record: logging.LogRecord) -> bool:
    """Whether this program said it.

    >>> [is_ours(logging.makeLogRecord({"name": name})) for name in ("assistant.server", "aiohttp")]
    [True, False]
    """
    return record.name == _OURS or record.name.startswith(f"{_OURS}.")


class RedactingFormatter(logging.Formatter):
    """Leaves out what could quote a person: the messages of errors, and every message of a library.

    aiohttp, asyncio and SQLAlchemy put headers, arguments of calls and values of rows into theirs.

    >>> record = logging.LogRecord("aiohttp.server", 40, "/x/web_protocol.py", 451, "bad: %s", ("Ada",), None)
    >>> RedactingFormatter("%(name)s: %(message)s").format(record)
    'aiohttp.server: at web_protocol:451'
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        shown = logging.makeLogRecord(record.__dict__)
        if not is_ours(record):
            shown.msg, shown.args = f"at {record.module}:{record.lineno}", None
        if record.exc_info and record.exc_info[0] is not None:
            shown.msg, shown.args = f"{shown.getMessage()} ({record.exc_info[0].__name__})", None
        shown.exc_info = shown.exc_text = shown.stack_info = None
        return super().format(shown)
