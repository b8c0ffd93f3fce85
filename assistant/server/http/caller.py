"""Who asks: an app by its key, a person by their token, or an operator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from assistant.consent.receipt import Actor
from assistant.errors import Forbidden, Invalid, NotFound, Unauthenticated
from assistant.profile.access import Scope
from assistant.profile.person import App, Person
from assistant.server.http.guard import checked_id, header_of
from assistant.server.http.signing import read
from assistant.services import Services

ME = "me"
"""In the place of a person's id: whoever holds the token."""
KEY_PROTOCOL = "openai-insecure-api-key."
"""A browser can't set headers of a WebSocket: its credential comes as a subprotocol of this prefix."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent a request in the name of an app."""

    app: App
    key: str
    """Id of the API key, or of the token."""
    scopes: frozenset[Scope]
    holder: Person | None = None
    """Whose token it is; None for an app's key."""
    epoch: int = 0
    """Of the token."""
    expires_at: float | None = None
    """Unix seconds, after which a stream ends; None: it may go on."""
    session: Mapping[str, Any] | None = None
    """How a stream begins, as its client secret says."""

    @property
    def person(self) -> str | None:
        """Pseudonym of the person whose token it is."""
        return None if self.holder is None else self.holder.pseudonym

    def actor(self, evidence: str) -> Actor:
        """As the ledger names them; `evidence` says where the decision came from."""
        return Actor("app", evidence) if self.holder is None else Actor("person", "token")

    def require(self, scope: Scope, *, personal: bool = True) -> None:
        """Raise `Forbidden` (`scope_missing`) unless the caller may do this; `personal`: it concerns one person."""
        if scope not in self.scopes or (self.holder is not None and not personal):
            raise Forbidden(f"this needs the scope `{scope}`", code="scope_missing")

    def may_name(self, person: str) -> str:
        """The id that a path or query means by `person`: a token names nobody but its holder.

        Raises `NotFound` (`person_unknown`), the same whether or not there is such a person.
        """
        if self.holder is None:
            if person == ME:
                raise Invalid("`me` is for a person's token; give the person's id", code="person_invalid")
            return person
        if person not in (ME, self.holder.id):
            raise NotFound("this app has no such person", code="person_unknown")
        return self.holder.id

    async def named(self, services: Services, person: str) -> Person:
        """The person whom a path or query names. Raises `NotFound` (`person_unknown`) or `Invalid`."""
        if self.holder is not None:
            self.may_name(person)
            return self.holder
        return await services.storage.people.get(self.app, checked_id(self.may_name(person)))


CALLER: web.RequestKey[Caller] = web.RequestKey("caller", Caller)
OPERATOR: web.RequestKey[str] = web.RequestKey("operator", str)
"""What the operators' own identity provider calls whoever asks; only where it is one of them."""


def credential_of(request: web.Request) -> str:
    """The key or token that a request brings. Raises `Unauthenticated` (`key_missing`)."""
    scheme, _, credential = header_of(request, "Authorization").partition(" ")
    if scheme.lower() == "bearer" and credential.strip():
        return credential.strip()
    if request.headers.get("Upgrade", "").lower() == "websocket":
        for offered in protocols_of(request):
            if offered.startswith(KEY_PROTOCOL) and len(offered) > len(KEY_PROTOCOL):
                return offered.removeprefix(KEY_PROTOCOL)
    raise Unauthenticated("send your API key as `Authorization: Bearer KEY`", code="key_missing")


def protocols_of(request: web.Request) -> list[str]:
    """The subprotocols that a WebSocket client offers."""
    return [name.strip() for name in header_of(request, "Sec-WebSocket-Protocol").split(",")]


def is_token(credential: str) -> bool:
    """Whether this looks like a JSON Web Token, and not like an API key.

    >>> is_token("att_Zm9v"), is_token("eyJh.eyJz.c2ln")
    (False, True)
    """
    return credential.count(".") == 2


async def caller_of(services: Services, credential: str) -> Caller:
    """Who holds this key or token.

    Raises `Unauthenticated`: `key_unknown`, `key_revoked`, `key_expired`, `token_invalid`, `token_expired` or
    `token_revoked`.
    """
    if not is_token(credential):
        key = await services.storage.apps.authenticate(credential)
        return Caller(key.app, key.id, key.scopes, expires_at=key.expires_at)
    token = read(credential, services.token_key, now=services.clock())
    try:
        app = await services.storage.apps.get(token.app)
        holder, epoch = await services.storage.people.find_holder(app, token.person)
    except NotFound:  # erased, and the token with them
        raise revoked() from None
    if token.epoch != epoch:
        raise revoked()
    # a client secret only opens streams until it expires, as OpenAI's do; making it void ends them
    expires_at = token.expires_at if token.session is None else None
    return Caller(app, token.id, token.scopes, holder, epoch, expires_at, token.session)


def revoked() -> Unauthenticated:
    """The token was made void, or its person erased."""
    return Unauthenticated("this token was made void", code="token_revoked")


async def owner_of(services: Services, caller: Caller, device: str) -> Person:
    """The person to whom a device of the app is linked. Raises `NotFound` (`device_unknown`)."""
    owner = await services.storage.devices.owner(caller.app, checked_id(device))
    try:
        person, _ = await services.storage.people.find_holder(caller.app, owner)
    except NotFound:  # erased just now
        raise NotFound("this app has no such device", code="device_unknown") from None
    return person
