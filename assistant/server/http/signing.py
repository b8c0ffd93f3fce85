"""A person's token: a JSON Web Token that a browser or device may hold, signed here and read only here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from assistant.errors import Invalid, Unauthenticated
from assistant.profile.access import PERSON_SCOPES, Scope, format_scopes, parse_scopes

_ALGORITHM = "HS256"
_TYPE = "attune+jwt"
"""Explicit, so that no other token that this key might sign one day passes for one of these (RFC 8725)."""
_ISSUER = "attune"
_EPHEMERAL = "ek_"
"""Stands before a client secret: OpenAI's SDK takes nothing else in a browser."""


@dataclass(frozen=True, slots=True)
class Token:
    """What a token says."""

    id: str
    app: str
    """Id of the app that handed it out."""
    person: str
    """Pseudonym."""
    scopes: frozenset[Scope]
    issued_at: float
    """Unix seconds."""
    expires_at: float
    epoch: int
    """Number of times that the person's tokens had been made void before."""
    session: Mapping[str, Any] | None = None
    """How the streams that a client secret opens begin, as in `session.update`; None: it is no client secret."""


def sign(token: Token, key: bytes) -> str:
    """The token as it is handed out.

    >>> token = Token("t", "shop", "p", frozenset({"infer"}), 0.0, 900.0, 0)
    >>> read(sign(token, bytes(32)), bytes(32), now=899.0) == token
    True
    """
    claims: dict[str, Any] = {
        "iss": _ISSUER,
        "jti": token.id,
        "aud": token.app,
        "sub": token.person,
        "scope": format_scopes(token.scopes),
        "iat": token.issued_at,
        "exp": token.expires_at,
        "epoch": token.epoch,
    }
    if token.session is not None:
        claims["session"] = token.session
    header = {"alg": _ALGORITHM, "typ": _TYPE}
    signed = jwt.encode(header, claims, OctKey.import_key(key), algorithms=[_ALGORITHM])
    return signed if token.session is None else _EPHEMERAL + signed


def read(text: str, key: bytes, *, now: float) -> Token:
    """What a token says that was signed with `key`. Raises `Unauthenticated`: `token_invalid`, `token_expired`."""
    try:
        decoded = jwt.decode(text.removeprefix(_EPHEMERAL), OctKey.import_key(key), algorithms=[_ALGORITHM])
    except (JoseError, ValueError, RecursionError):
        raise _invalid() from None
    claims = decoded.claims
    if decoded.header.get("typ") != _TYPE or claims.get("iss") != _ISSUER:
        raise _invalid()
    try:
        token = Token(
            id=str(claims["jti"]),
            app=str(claims["aud"]),
            person=str(claims["sub"]),
            scopes=parse_scopes(str(claims["scope"]).split()) & PERSON_SCOPES,
            issued_at=float(claims["iat"]),
            expires_at=float(claims["exp"]),
            epoch=int(claims["epoch"]),
            session=None if "session" not in claims else dict(claims["session"]),
        )
    except (KeyError, TypeError, ValueError, Invalid):
        raise _invalid() from None
    if not now < token.expires_at:
        raise Unauthenticated("this token has expired; ask the app for another", code="token_expired")
    return token


def _invalid() -> Unauthenticated:
    return Unauthenticated("this token was not made here", code="token_invalid")
