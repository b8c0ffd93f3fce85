"""Families of errors. Each error has a stable code that clients may rely on; `error_codes` lists them all.

A message says what to do about it and never quotes what a person said. Only `server.guard` knows which HTTP
status a family becomes.
"""

from __future__ import annotations


class AssistantError(Exception):
    """An error that a caller can understand.

    `code` is stable across versions; the message is for people.
    """

    code = "internal"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code

    @property
    def message(self) -> str:
        """The message for people."""
        return str(self)


class Invalid(AssistantError):
    """The request or file can't be used as it is."""

    code = "invalid_request"


class TooLarge(AssistantError):
    """More bytes than the limit allows."""

    code = "too_large"


class Unauthenticated(AssistantError):
    """There is no valid key or token."""

    code = "unauthenticated"


class NotFound(AssistantError):
    """This app has no such thing."""

    code = "not_found"


class Forbidden(AssistantError):
    """The caller is known, and may not do this."""

    code = "forbidden"


class ConsentRequired(Forbidden):
    """There is no valid grant for this."""

    code = "consent_required"


class TooMany(AssistantError):
    """More than this caller may send in this time."""

    code = "rate_limited"

    def __init__(self, message: str, *, wait_s: float, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.wait_s = wait_s
        """Seconds after which it is worth trying again."""


class Conflict(AssistantError):
    """It was changed meanwhile, or is not what the request expects."""

    code = "version_conflict"


class AlreadyTaken(AssistantError):
    """It belongs to another already."""

    code = "taken"


class Premature(AssistantError):
    """Something else must come first."""

    code = "premature"


class Busy(AssistantError):
    """Too much work waits already."""

    code = "busy"


class Unavailable(AssistantError):
    """Something this needs is missing or broken: a model, the database, the disk."""

    code = "unavailable"


class ModelInvalid(Unavailable):
    """A model folder is not what its card says."""

    code = "model_invalid"


class ConfigInvalid(AssistantError):
    """A setting can't be used."""

    code = "config_invalid"
