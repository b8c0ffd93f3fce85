"""Who asks: the app by its key."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from assistant.consent.receipt import Actor
from assistant.errors import Unauthenticated
from assistant.profile.person import App
from assistant.server.guard import SERVICES


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent a request."""

    app: App

    def actor(self, evidence: str) -> Actor:
        """As the ledger names them; `evidence` says where the decision came from."""
        return Actor("app", evidence)


async def caller_of(request: web.Request) -> Caller:
    """Who sent this request. Raises `Unauthenticated`."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise Unauthenticated("send your API key as `Authorization: Bearer KEY`", code="key_missing")
    return Caller(await request.app[SERVICES].apps.by_key(key.strip()))
