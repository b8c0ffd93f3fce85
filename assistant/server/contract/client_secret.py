"""Client secrets of the Realtime API: a person's token, and how the streams that it opens begin."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from assistant.server.contract.session import TranscriptionBody, TranscriptionSession, TurnDetection


class ExpiresAfter(msgspec.Struct, forbid_unknown_fields=True):
    """Until when the secret opens streams."""

    anchor: Literal["created_at"] = "created_at"
    seconds: Annotated[int, Meta(ge=10, le=7200)] = 600


class ClientSecretBody(msgspec.Struct):
    """What is asked for. The person is named here, by `?person=`, or by the header `OpenAI-Safety-Identifier`."""

    expires_after: ExpiresAfter | None = None
    session: dict[str, Any] | None = None
    """As in `session.update`."""
    safety_identifier: str | None = None
    user: str | None = None


class BetaSecretBody(msgspec.Struct):
    """What the beta asked for: the members of a session, and these."""

    client_secret: dict[str, ExpiresAfter] | None = None
    safety_identifier: str | None = None
    user: str | None = None


class ClientSecret(msgspec.Struct):
    """A secret that a browser may hold."""

    value: str
    expires_at: int
    """Unix seconds."""


class ClientSecretAnswer(ClientSecret):
    """The same, with the session that it opens."""

    session: TranscriptionSession


class BetaSession(TranscriptionSession, kw_only=True):
    """A session as the beta showed it, with its secret."""

    client_secret: ClientSecret
    input_audio_format: str | None
    input_audio_transcription: TranscriptionBody | None
    turn_detection: TurnDetection | None
