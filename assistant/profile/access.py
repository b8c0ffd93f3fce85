"""API keys, and the scopes of keys and of people's tokens."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from assistant.errors import Invalid
from assistant.profile.person import App

Scope = Literal["people", "consent", "infer", "catalogue", "rights", "tokens", "operate"]

SCOPES: dict[Scope, str] = {
    "people": "profiles, devices and recent context",
    "consent": "read, give and withdraw consent; receipts",
    "infer": "messages, rankings, moods and live streams",
    "catalogue": "what can be recommended, and the app's profile schema",
    "rights": "export, erasure, restriction, objection and the access log",
    "tokens": "create tokens for people, and revoke them",
    "operate": "metrics and aggregates",
}
"""Each scope with what it allows."""

APP_SCOPES: frozenset[Scope] = frozenset(SCOPES) - {"operate"}
"""Default scopes of a key."""
PERSON_SCOPES: frozenset[Scope] = frozenset({"people", "consent", "infer", "rights"})
"""Scopes that a person's token may have; they hold for that person alone."""
TOKEN_SCOPES: frozenset[Scope] = frozenset({"consent", "infer"})
"""Default scopes of a person's token."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key, without the key itself: only its hash is kept."""

    id: str
    name: str
    """The operator's name for the key."""
    app: App
    scopes: frozenset[Scope]
    created_at: float
    """Unix seconds, like the other times."""
    used_at: float | None = None
    """Time of the last use, exact to a minute."""
    expires_at: float | None = None
    revoked_at: float | None = None

    def end_code(self, now: float) -> str | None:
        """Why the key is no longer valid: `key_revoked` or `key_expired`; None if it is valid.

        >>> key = ApiKey("k", "", App("a", "shop", "general"), APP_SCOPES, 0.0, expires_at=10.0)
        >>> key.end_code(9.0), key.end_code(10.0)
        (None, 'key_expired')
        """
        if self.revoked_at is not None and self.revoked_at <= now:
            return "key_revoked"
        return "key_expired" if self.expires_at is not None and self.expires_at <= now else None


def parse_scopes(words: Iterable[str]) -> frozenset[Scope]:
    """Scopes by their names. Raises `Invalid` (`scope_unknown`).

    >>> sorted(parse_scopes("infer consent".split()))
    ['consent', 'infer']
    """
    named = set(words)
    if not named or not named <= SCOPES.keys():
        raise Invalid(f"scopes are one or more of {', '.join(SCOPES)}", code="scope_unknown")
    return frozenset(scope for scope in SCOPES if scope in named)


def format_scopes(scopes: Iterable[Scope]) -> str:
    """Scopes in their usual order, with spaces between them.

    >>> format_scopes(TOKEN_SCOPES)
    'consent infer'
    """
    held = set(scopes)
    return " ".join(scope for scope in SCOPES if scope in held)
