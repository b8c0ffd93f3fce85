"""What can go wrong, each with a stable code that clients may rely on.

A message says what to do about it and never quotes what a person said. Only `server.guard` knows which HTTP
status a family becomes.
"""

from __future__ import annotations


class AssistantError(Exception):
    """Something went wrong that a caller can understand.

    `code` is stable across versions; the message is for people.
    """

    code = "internal"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code

    @property
    def message(self) -> str:
        """The sentence for people."""
        return str(self)


class Invalid(AssistantError):
    """The request or file can't be understood as it is."""

    code = "invalid_request"


class TooLarge(AssistantError):
    """More bytes than the limit allows."""

    code = "too_large"


class Unauthenticated(AssistantError):
    """No key, or one that opens nothing."""

    code = "unauthenticated"


class NotFound(AssistantError):
    """No such thing, as far as this app can know."""

    code = "not_found"


class Forbidden(AssistantError):
    """Known, and not allowed."""

    code = "forbidden"


class ConsentRequired(Forbidden):
    """There is no living grant for what was asked."""

    code = "consent_required"


class TooMany(AssistantError):
    """More requests than this caller may send in this time."""

    code = "rate_limited"

    def __init__(self, message: str, *, wait_s: float, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.wait_s = wait_s
        """Seconds after which it is worth trying again."""


class Conflict(AssistantError):
    """It was changed meanwhile, or is not what the request expects; read it again first."""

    code = "version_conflict"


class Taken(AssistantError):
    """It belongs to somebody else already."""

    code = "taken"


class Premature(AssistantError):
    """Something else must come first."""

    code = "premature"


class Busy(AssistantError):
    """Too much work waits already; try again soon."""

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
