"""Exceptions from a rule, for medical or safety reasons: signed by the operator, one line each, and audited.

An exception is a JSON object on a line of its own: what it says, and an Ed25519 signature of that. The server knows
only the public key, so nobody who can merely write its files or its database can make one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from assistant.config import Settings
from assistant.consent.policy import Context, Exemption, ExemptionReason
from assistant.errors import ConfigInvalid

_MEANING = b"attune:exception:1\n"
"""Signed with it, so that no other signature of the operator can be taken for one of these."""


class Terms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an exception says."""

    id: str
    app: str
    """The app's name."""
    context: Context
    reason: ExemptionReason
    why: str
    """In the operator's own words, for whoever audits it."""
    issued_at: float
    """Unix seconds, like `expires_at`."""
    expires_at: float


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    terms: dict[str, Any]
    signature: str


@dataclass(frozen=True, slots=True)
class Exceptions:
    """The exceptions that the operator signed."""

    terms: tuple[Terms, ...] = ()

    def for_app(self, app: str) -> tuple[Exemption, ...]:
        """Those of the app with this name, expired or not."""
        return tuple(Exemption(t.id, t.context, t.reason, t.expires_at) for t in self.terms if t.app == app)


def exceptions_of(settings: Settings) -> Exceptions:
    """Those in the file that the settings name. Raises `ConfigInvalid`."""
    if not settings.exceptions.parts:
        return Exceptions()
    try:
        lines = settings.exceptions.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(
            f"can't read the exceptions in {settings.exceptions}", code="exception_invalid"
        ) from error
    return read_exceptions(lines, settings.exceptions_key)


def sign(terms: Terms, key: Ed25519PrivateKey) -> str:
    """A line for the file of exceptions."""
    body = msgspec.to_builtins(terms)
    return json.dumps({"terms": body, "signature": key.sign(_MEANING + _canonical(body)).hex()}, sort_keys=True)


def read_exceptions(lines: Iterable[str], public_key: str) -> Exceptions:
    """Check every line against the operator's public key (32 bytes in hexadecimal).

    Raises `ConfigInvalid` (`exception_invalid`) for a line that was not signed with it or isn't understood: a
    server does not start with a rule passed over for reasons that nobody vouches for.

    >>> read_exceptions([], "").terms
    ()
    """
    written = [line for line in lines if line.strip()]
    if not written:
        return Exceptions()
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
    except ValueError as error:
        raise ConfigInvalid(
            "exceptions need the operator's public key: set ATTUNE_EXCEPTIONS_KEY to 64 hexadecimal digits",
            code="exception_invalid",
        ) from error
    return Exceptions(tuple(_read(number, line, key) for number, line in enumerate(written, 1)))


def _read(number: int, text: str, key: Ed25519PublicKey) -> Terms:
    try:
        line = msgspec.json.decode(text, type=_Line)
        key.verify(bytes.fromhex(line.signature), _MEANING + _canonical(line.terms))
        return msgspec.convert(line.terms, Terms)
    except (InvalidSignature, msgspec.MsgspecError, ValueError) as error:
        raise ConfigInvalid(
            f"exception {number} was not signed with the operator's key, or was changed", code="exception_invalid"
        ) from error


def _canonical(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
