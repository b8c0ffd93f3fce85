"""Which web pages may call: the origins of a setting, and no others."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Middleware

from assistant.config import ANY_ORIGIN, ANY_ORIGIN_WITH_KEY
from assistant.server.http.guard import Handler

_METHODS = "GET, POST, PUT, PATCH, DELETE"
_HEADERS = "Content-Type, If-Match, If-None-Match, Sec-GPC"
_SHOWN = "ETag, Retry-After"
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

    @property
    def headers(self) -> str:
        """Names of the headers that a page may send."""
        return f"Authorization, {_HEADERS}" if self.with_key else _HEADERS


def cors(origins: Origins) -> Middleware:
    """Answer preflights, and tell browsers who may read the other answers."""

    @web.middleware
    async def handle(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = origins.allowed(request.headers.get("Origin"))
        if (
            origin is not None
            and request.method == "OPTIONS"
            and "Access-Control-Request-Method" in request.headers
        ):
            answer: web.StreamResponse = web.Response(status=204)
            answer.headers["Access-Control-Allow-Methods"] = _METHODS
            answer.headers["Access-Control-Allow-Headers"] = origins.headers
            answer.headers["Access-Control-Max-Age"] = str(_REMEMBERED_S)
        else:
            answer = await handler(request)
        if answer.prepared:
            return answer
        if origins.exact:
            answer.headers.add("Vary", "Origin")
        if origin is not None:
            answer.headers["Access-Control-Allow-Origin"] = origin
            answer.headers["Access-Control-Expose-Headers"] = _SHOWN
        return answer

    return handle
