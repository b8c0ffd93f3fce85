"""Operators, known by the tokens of their own OpenID Connect provider."""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import os
from collections.abc import Callable
from typing import Any

import aiohttp
import msgspec
from aiohttp import web
from joserfc import jwk, jwt
from joserfc.errors import JoseError

from assistant.config import is_issuer
from assistant.errors import Unauthenticated, Unavailable
from assistant.proxies import find_proxy

log = logging.getLogger(__name__)

_KINDS = {"RS256": "RSA", "ES256": "EC"}
"""Accepted algorithms, each with the kind of key it takes. None of them is symmetric, and `none` isn't one."""
_FRESH_S = 3600.0
"""Keys are fetched again when they are older."""
_AGAIN_S = 30.0
"""Between two fetches at least, however many tokens name keys that nobody knows."""
_LEEWAY_S = 60.0
"""By which two clocks may differ."""
_ANSWER_S = 5.0
_MAX_ANSWER = 256 * 1024
"""Bytes."""


class Operators:
    """Reads the tokens of one provider. Its keys are fetched when they are first needed."""

    def __init__(self, issuer: str, audience: str, clock: Callable[[], float]) -> None:
        """Raises `ConfigInvalid` where the environment names a proxy that can't be one."""
        self._issuer = issuer
        find_proxy(issuer, os.environ)
        self._audience = audience
        self._clock = clock
        self._keys: list[tuple[dict[str, Any], jwk.Key]] = []
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._fetching = asyncio.Lock()
        self._session: aiohttp.ClientSession | None = None

    async def verify(self, text: str) -> str:
        """What the provider calls the operator whom a token names.

        Raises `Unauthenticated` (`token_invalid`, `token_expired`), and `Unavailable` (`issuer_unavailable`) where
        the provider's keys can't be had.
        """
        if not self._issuer:
            raise _invalid()
        header = _header(text)
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in _KINDS:
            raise _invalid()
        try:
            claims = jwt.decode(text, await self._key(header), algorithms=[algorithm]).claims
        except (JoseError, ValueError, RecursionError):
            raise _invalid() from None
        return self._read(claims)

    async def close(self) -> None:
        """Let go of the connection."""
        if self._session is not None:
            await self._session.close()

    def _read(self, claims: dict[str, Any]) -> str:
        now, audience = self._clock(), claims.get("aud")
        expires: Any = claims.get("exp")
        begins: Any = claims.get("nbf", 0)
        if (
            claims.get("iss") != self._issuer
            or self._audience not in (audience if isinstance(audience, list) else [audience])
            or not isinstance(claims.get("sub"), str)
            or not _is_time(expires)
            or not _is_time(begins)
            or begins > now + _LEEWAY_S
        ):
            raise _invalid()
        if expires <= now - _LEEWAY_S:
            raise Unauthenticated("this token has expired", code="token_expired")
        return str(claims["sub"])

    async def _key(self, header: dict[str, Any]) -> jwk.Key:
        now = self._clock()
        if self._fetched_at is None or now - self._fetched_at >= _FRESH_S:
            await self._fetch()
        if (key := self._find(header)) is None:  # the provider may have a new one
            await self._fetch()
            key = self._find(header)
        if key is None:
            raise _invalid()
        return key

    def _find(self, header: dict[str, Any]) -> jwk.Key | None:
        """The one key that the header can mean."""
        algorithm, name = header["alg"], header.get("kid")
        fitting = [
            key
            for card, key in self._keys
            if card["kty"] == _KINDS[algorithm]
            and card.get("alg", algorithm) == algorithm
            and (name is None or card.get("kid") == name)
        ]
        return fitting[0] if len(fitting) == 1 else None

    async def _fetch(self) -> None:
        """Bring the keys up to date, unless that was just tried."""
        async with self._fetching:
            now = self._clock()
            if self._tried_at is not None and now - self._tried_at < _AGAIN_S:
                if self._fetched_at is None:
                    raise _unavailable()
                return
            self._tried_at = now
            try:
                about = await self._get(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
                where = about.get("jwks_uri")
                if (
                    about.get("issuer") != self._issuer
                    or not isinstance(where, str)
                    or not is_issuer(where.partition("?")[0])
                ):
                    raise ValueError
                cards = (await self._get(where))["keys"]
                self._keys = [(card, jwk.import_key(card)) for card in cards if _signs(card)]
                self._fetched_at = now
            except (aiohttp.ClientError, TimeoutError, JoseError, ValueError, KeyError, TypeError) as error:
                log.warning("the keys of the identity provider can't be had (%s)", type(error).__name__)
                if self._fetched_at is None:
                    raise _unavailable() from None

    async def _get(self, url: str) -> dict[str, Any]:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(_ANSWER_S))
        proxy = find_proxy(url, os.environ)
        async with self._session.get(url, allow_redirects=False, proxy=proxy) as answer:
            if answer.status != 200:
                raise ValueError
            body = await answer.content.read(_MAX_ANSWER)
            while len(body) < _MAX_ANSWER and (more := await answer.content.read(_MAX_ANSWER - len(body))):
                body += more
        return msgspec.json.decode(body, type=dict[str, Any])


def _header(text: str) -> dict[str, Any]:
    part = text.partition(".")[0]
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)), type=dict[str, Any])
    except (binascii.Error, ValueError, RecursionError, msgspec.DecodeError):
        raise _invalid() from None


def _signs(card: Any) -> bool:
    """Whether this is a public key for signatures that are accepted here."""
    return (
        isinstance(card, dict)
        and card.get("kty") in _KINDS.values()
        and card.get("use", "sig") == "sig"
        and (card["kty"] != "EC" or card.get("crv") == "P-256")
    )


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _invalid() -> Unauthenticated:
    return Unauthenticated("this token is not one of an operator", code="token_invalid")


def _unavailable() -> Unavailable:
    return Unavailable("the operators' identity provider can't be reached", code="issuer_unavailable")


OPERATORS: web.AppKey[Operators] = web.AppKey("operators", Operators)
