"""Logging: messages of this program in full; of a library only the place of a warning or error, never its text."""

from __future__ import annotations

import logging
from typing import TextIO

_OURS = "assistant"


def write_logs(level: str) -> None:
    """Log to standard error, from this level on."""
    logging.basicConfig(level=level, handlers=[log_handler()])


def log_handler(stream: TextIO | None = None) -> logging.Handler:
    """A handler that writes to `stream`, or to standard error, without anything that could quote a person."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(RedactingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(is_logged)
    return handler


def is_logged(record: logging.LogRecord) -> bool:
    """Whether a record is logged: of libraries only warnings and errors."""
    return is_ours(record) or record.levelno >= logging.WARNING


def is_ours(record: logging.LogRecord) -> bool:
    """Whether this program, and not a library, logged the record.

    >>> [is_ours(logging.makeLogRecord({"name": name})) for name in ("assistant.server", "aiohttp")]
    [True, False]
    """
    return record.name == _OURS or record.name.startswith(f"{_OURS}.")


class RedactingFormatter(logging.Formatter):
    """Leaves out what could quote a person: the messages of errors, and every message of a library.

    aiohttp, asyncio and SQLAlchemy put headers, call arguments and row values into their messages.

    >>> record = logging.LogRecord("aiohttp.server", 40, "/x/web_protocol.py", 451, "bad: %s", ("Ada",), None)
    >>> RedactingFormatter("%(name)s: %(message)s").format(record)
    'aiohttp.server: at web_protocol:451'
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of text."""
        shown = logging.makeLogRecord(record.__dict__)
        if not is_ours(record):
            shown.msg, shown.args = f"at {record.module}:{record.lineno}", None
        if record.exc_info and record.exc_info[0] is not None:
            shown.msg, shown.args = f"{shown.getMessage()} ({record.exc_info[0].__name__})", None
        shown.exc_info = shown.exc_text = shown.stack_info = None
        return super().format(shown)
