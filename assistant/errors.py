"""Families of errors. Each error has a stable code that clients may rely on; `error_codes` lists them all.

A message says what to do about it and never quotes what a person said. Only `server.http.guard` knows the HTTP
status of a family.
"""

from __future__ import annotations

import re

PLAIN_NAME = re.compile("[A-Za-z_]{1,40}")
"""Names that an error may repeat. No digits: those may be of a key or an id, which no message repeats."""


def quote_name(name: str, otherwise: str) -> str:
    """A name that a client gave, as an error may show it; `otherwise` where it may not be repeated.

    >>> quote_name("voice", "a member"), quote_name("sk-123", "a member")
    ('`voice`', 'a member')
    """
    return f"`{name}`" if PLAIN_NAME.fullmatch(name) else otherwise


class AssistantError(Exception):
    """An error that a caller can understand.

    `code` is stable across versions; the message is for people.
    """

    code = "internal"

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code
        self.param = param
        """The member of the request that it is about, where OpenAI's clients ask for it."""

    @property
    def message(self) -> str:
        """The message for people."""
        return str(self)


class Invalid(AssistantError):
    """The request or file is invalid."""

    code = "invalid_request"


class TooLarge(AssistantError):
    """More data than the limit allows."""

    code = "too_large"


class Unauthenticated(AssistantError):
    """The request has no valid key or token."""

    code = "unauthenticated"


class NotFound(AssistantError):
    """It does not exist in this app."""

    code = "not_found"


class Forbidden(AssistantError):
    """The caller is known but may not do this."""

    code = "forbidden"


class ConsentRequired(Forbidden):
    """There is no valid grant for this inference."""

    code = "consent_required"


class TooMany(AssistantError):
    """The caller sent too many requests, or used up a budget."""

    code = "rate_limited"

    def __init__(self, message: str, *, wait_s: float, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.wait_s = wait_s
        """Seconds after which the caller can try again."""


class Conflict(AssistantError):
    """It changed meanwhile, or is not in the state that the request expects."""

    code = "version_conflict"


class AlreadyTaken(AssistantError):
    """It already belongs to another person."""

    code = "taken"


class Premature(AssistantError):
    """Another step must come first."""

    code = "premature"


class Busy(AssistantError):
    """The server has too much work waiting."""

    code = "busy"


class Unavailable(AssistantError):
    """Something that this needs is missing or broken: a model, the database, the disk."""

    code = "unavailable"


class ModelInvalid(Unavailable):
    """A model folder does not match its card."""

    code = "model_invalid"


class ConfigInvalid(AssistantError):
    """A setting is invalid."""

    code = "config_invalid"
