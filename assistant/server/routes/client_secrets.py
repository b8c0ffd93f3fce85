"""`/v1/realtime/client_secrets` as OpenAI's API has it: a person's token with which a browser opens streams.

How the session was asked for travels in the token, signed: each stream that it opens begins so. Until it expires it
opens streams; those that are open go on, and end when the person's tokens are made void, like others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from assistant.audio.intake import AudioFormat
from assistant.errors import Forbidden, Invalid, quote_name
from assistant.profile.access import TOKEN_SCOPES
from assistant.profile.person import Person, subject
from assistant.server.contract.client_secret import (
    BetaSecretBody,
    BetaSession,
    ClientSecret,
    ClientSecretAnswer,
    ClientSecretBody,
    ExpiresAfter,
)
from assistant.server.contract.session import TranscriptionSession
from assistant.server.http.caller import Caller
from assistant.server.http.guard import body_bytes, converted, decoded, header_of
from assistant.server.http.route import Route, enter, noted, respond
from assistant.server.http.signing import Token, sign
from assistant.server.live.dialect import SessionOptions, UpdateReader, show_session
from assistant.services import Services

_PERSON = ("safety_identifier", "user")
_PERSON_HEADER = "OpenAI-Safety-Identifier"
_PCM16_HZ = 24_000
_DEFAULT = SessionOptions(AudioFormat("audio/pcm", _PCM16_HZ))
"""OpenAI's default, which their clients rely on without naming it."""


async def post_client_secret(request: web.Request) -> web.Response:
    """A secret with which a browser opens streams for one person, in OpenAI's shape."""
    services, caller = await enter(request)
    body = await _body(request)
    for name in body.keys() - {*ClientSecretBody.__struct_fields__}:
        raise Invalid(f"{quote_name(name, 'a member')} is not known here", code="unknown_member")
    session = _object(body.get("session"), "session")
    person = await _person(request, services, caller, body, session)
    secret, shown = await _make(services, caller, person, session, body.get("expires_after"))
    return _answer(ClientSecretAnswer(secret.value, secret.expires_at, shown))


async def post_beta_session(request: web.Request) -> web.Response:
    """The same in the shape of the beta, whose body is the session itself."""
    services, caller = await enter(request)
    session = await _body(request)
    wanted = _object(session.pop("client_secret", None), "client_secret")
    if wanted.keys() - {"expires_after"}:
        raise Invalid("`client_secret` holds `expires_after` alone", code="unknown_member", param="client_secret")
    person = await _person(request, services, caller, session)
    secret, shown = await _make(services, caller, person, session, wanted.get("expires_after"))
    given = shown.audio.input
    form = None if given.format is None else given.format.type
    if form == "audio/pcm" and given.format is not None:
        form = "pcm16" if given.format.rate == _PCM16_HZ else f"audio/pcm;rate={given.format.rate}"
    beta = BetaSession(
        **msgspec.structs.asdict(shown),
        client_secret=secret,
        input_audio_format=form,
        input_audio_transcription=given.transcription,
        turn_detection=given.turn_detection,
    )
    return _answer(beta)


async def _make(
    services: Services, caller: Caller, person: Person, session: dict[str, Any], expires_after: Any
) -> tuple[ClientSecret, TranscriptionSession]:
    """The secret, and the session that it opens. Raises `Invalid` for whatever can't be had, by its name."""
    lasts = ExpiresAfter() if expires_after is None else converted(expires_after, ExpiresAfter)
    if "infer" not in caller.scopes:
        raise Forbidden("this key can't give what it doesn't have", code="scope_missing")
    options, ignored = _options(session, services)
    now = services.clock()
    _, epoch = await services.storage.people.find_holder(caller.app, person.pseudonym)
    token = Token(
        id=services.new_id(),
        app=caller.app.id,
        person=person.pseudonym,
        scopes=TOKEN_SCOPES & caller.scopes,
        issued_at=now,
        expires_at=now + lasts.seconds,
        epoch=epoch,
        session=_kept(options),
    )
    secret = ClientSecret(sign(token, services.token_key), math.floor(token.expires_at))
    grants = await services.storage.ledger.grants(subject(caller.app, person))
    words = options.transcription is not None and services.conversations.dictation is not None
    shown = show_session(f"sess_{token.id}", secret.expires_at, options, ignored, grants, words=words)
    return secret, shown


def _options(session: dict[str, Any], services: Services) -> tuple[SessionOptions, list[str]]:
    """What the session asks for, and what means nothing here."""
    ignored = []
    if session.get("type") == "realtime":  # there is one type: it hears, and doesn't speak
        ignored.append("type")
        del session["type"]
    reader = UpdateReader(_DEFAULT, services.conversations.dictation)
    options = reader.read({"session": session})
    if reader.faults:
        raise reader.faults[0]
    return options, [*ignored, *reader.ignored]


def _kept(options: SessionOptions) -> Mapping[str, Any]:
    """The options as an update that leads to them."""
    shown = options.show().input
    return {
        "audio": {
            "input": {
                "format": msgspec.to_builtins(shown.format),
                "transcription": msgspec.to_builtins(shown.transcription),
                "turn_detection": msgspec.to_builtins(shown.turn_detection),
            }
        }
    }


async def _person(request: web.Request, services: Services, caller: Caller, *bodies: dict[str, Any]) -> Person:
    """Who will hold the secret: named by the query, the header, or a member of a body, which is taken out of it."""
    named = {request.query["person"]} if "person" in request.query else set()
    if _PERSON_HEADER in request.headers:
        named.add(header_of(request, _PERSON_HEADER))
    for body in bodies:
        for name in _PERSON:
            given = body.pop(name, None)
            if given is not None and not isinstance(given, str):
                raise Invalid(f"`{name}` is a text", param=name)
            if given is not None:
                named.add(given)
    if not named:
        about = "name the person: `?person=ID`, or `safety_identifier` in the body"
        raise Invalid(about, code="person_missing", param="safety_identifier")
    if len(named) > 1:
        raise Invalid("several people are named; a secret is for one", code="person_invalid")
    person = await caller.named(services, named.pop())
    noted(request, services, caller, person.pseudonym)
    return person


async def _body(request: web.Request) -> dict[str, Any]:
    data = await body_bytes(request)
    return decoded(data, dict[str, Any]) if data else {}


def _object(value: Any, name: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Invalid(f"`{name}` is an object", param=name)
    return value


def _answer(shown: msgspec.Struct) -> web.Response:
    answer = respond(shown)
    answer.headers["Cache-Control"] = "no-store"
    return answer


ROUTES: tuple[Route, ...] = (
    Route(
        "POST", "/v1/realtime/client_secrets", post_client_secret, ClientSecretBody, scope="tokens", openai=True,
    ),
    Route("POST", "/v1/realtime/sessions", post_beta_session, BetaSecretBody, scope="tokens", openai=True),
    Route(
        "POST", "/v1/realtime/transcription_sessions", post_beta_session, BetaSecretBody, scope="tokens",
        openai=True,
    ),
)  # fmt: skip
