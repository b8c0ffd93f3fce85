"""Which web pages may call: the origins of a setting, and no others."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Middleware

from assistant.config import ANY_ORIGIN, ANY_ORIGIN_WITH_KEY
from assistant.server.http.guard import Handler

_METHODS = "GET, POST, PUT, PATCH, DELETE"
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
_MOST_HEADERS = 64
_SHOWN = "ETag, Retry-After, Attune-Ignored"
_REMEMBERED_S = 600


@dataclass(frozen=True, slots=True)
class Origins:
    """Who may call. Cookies are never asked for: nothing here reads one."""

    exact: frozenset[str] = frozenset()
    any: bool = False
    with_key: bool = True
    """Whether a page may send a key or token."""

    @classmethod
    def of(cls, setting: str) -> Origins:
        """As the setting says.

        >>> Origins.of("https://a.example").allowed("https://b.example") is None
        True
        >>> Origins.of("*").with_key, Origins.of("* authorization").with_key
        (False, True)
        """
        if setting in (ANY_ORIGIN, ANY_ORIGIN_WITH_KEY):
            return cls(any=True, with_key=setting == ANY_ORIGIN_WITH_KEY)
        return cls(frozenset(setting.split()))

    def allowed(self, origin: str | None) -> str | None:
        """What to answer this origin; None where it may not call."""
        if self.any:
            return None if origin is None else "*"
        return origin if origin in self.exact else None

    def headers(self, asked: str) -> str:
        """Of the headers that a page asks for, those that it may send: all but a key, where that may not be sent.

        Official clients add headers of their own to every request; what isn't read here does no harm.

        >>> Origins.of("*").headers("authorization, x-stainless-os")
        'x-stainless-os'
        """
        names = [name.strip() for name in asked.split(",")[:_MOST_HEADERS]]
        return ", ".join(
            name for name in names if _HEADER.fullmatch(name) and (self.with_key or name.lower() != "authorization")
        )


def cors(origins: Origins) -> Middleware:
    """Answer preflights."""

    @web.middleware
    async def handle(request: web.Request, handler: Handler) -> web.StreamResponse:
        if (
            request.method != "OPTIONS"
            or "Access-Control-Request-Method" not in request.headers
            or origins.allowed(request.headers.get("Origin")) is None
        ):
            return await handler(request)
        answer = web.Response(status=204)
        answer.headers["Access-Control-Allow-Methods"] = _METHODS
        asked = request.headers.get("Access-Control-Request-Headers", "")
        answer.headers["Access-Control-Allow-Headers"] = origins.headers(asked)
        answer.headers["Access-Control-Max-Age"] = str(_REMEMBERED_S)
        return answer

    return handle


def tell_origin(origins: Origins) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Tell browsers who may read an answer, just before its head is sent: of streamed answers too."""

    async def add_headers(request: web.Request, answer: web.StreamResponse) -> None:
        if origins.exact:
            answer.headers.add("Vary", "Origin")
        origin = origins.allowed(request.headers.get("Origin"))
        if origin is not None:
            answer.headers["Access-Control-Allow-Origin"] = origin
            answer.headers["Access-Control-Expose-Headers"] = _SHOWN

    return add_headers
