"""Exceptions from a rule for medical or safety reasons: signed by the operator, one line each.

An exception is a JSON object on one line: its terms and an Ed25519 signature of them. The server knows only the
public key, so write access to its files or database is not enough to create one.
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
from assistant.consent.legal_rules import Context, Exemption, ExemptionReason
from assistant.errors import ConfigInvalid

_MEANING = b"attune:exception:1\n"
"""Signed together with the terms, so that no other signature by the operator can be used for an exception."""


class Terms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The terms of an exception."""

    id: str
    app: str
    """Name of the app that the exception is for."""
    context: Context
    reason: ExemptionReason
    why: str
    """The reason in the operator's own words, for auditors."""
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
        """The exceptions for the app with this name, including expired ones."""
        return tuple(Exemption(t.id, t.context, t.reason, t.expires_at) for t in self.terms if t.app == app)


def exceptions_of(settings: Settings) -> Exceptions:
    """Read the exceptions in the configured file. Raises `ConfigInvalid`."""
    if not settings.exceptions.parts:
        return Exceptions()
    try:
        lines = settings.exceptions.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(
            f"can't read the exceptions in {settings.exceptions}", code="exception_invalid"
        ) from error
    return read_exceptions(lines, settings.exceptions_key)


def sign_terms(terms: Terms, key: Ed25519PrivateKey) -> str:
    """Sign the terms: one line for the file of exceptions."""
    body = msgspec.to_builtins(terms)
    return json.dumps({"terms": body, "signature": key.sign(_MEANING + _canonical(body)).hex()}, sort_keys=True)


def read_exceptions(lines: Iterable[str], public_key: str) -> Exceptions:
    """Check every line against the operator's public key (32 bytes in hexadecimal).

    Raises `ConfigInvalid` (`exception_invalid`) for a line with a wrong signature or shape: a server must not start
    with an exception that nobody answers for.

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
