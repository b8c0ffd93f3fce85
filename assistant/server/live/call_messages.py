"""What Twilio Media Streams sends. Numbers come as strings; what is not used may be missing.

https://www.twilio.com/docs/voice/media-streams/websocket-messages
"""

from __future__ import annotations

from typing import Literal

import msgspec

Side = Literal["inbound", "outbound"]


class Connected(msgspec.Struct, tag="connected", tag_field="event"):
    """The first message: which protocol this is."""

    protocol: str = "Call"
    version: str = "1.0.0"


class MediaFormat(msgspec.Struct, rename="camel"):
    """How audio comes; Twilio knows only this one."""

    encoding: str = "audio/x-mulaw"
    sample_rate: int = 8_000
    channels: int = 1


class StartDetails(msgspec.Struct, rename="camel"):
    """The stream that starts, and what `<Parameter>` said."""

    stream_sid: str
    account_sid: str = ""
    call_sid: str = ""
    tracks: list[str] = []
    custom_parameters: dict[str, str] = {}
    media_format: MediaFormat = msgspec.field(default_factory=MediaFormat)


class _OfStream(msgspec.Struct, tag_field="event", rename="camel", kw_only=True):
    stream_sid: str = ""
    sequence_number: str | int = ""


class Start(_OfStream, tag="start"):
    """The second message."""

    start: StartDetails


class MediaDetails(msgspec.Struct):
    """Usually 20 ms of one track."""

    payload: str
    """Base64 of audio in the format of the start."""
    track: Side = "inbound"
    chunk: str | int = ""
    timestamp: str | int = ""
    """Milliseconds, by a clock of the call."""


class Media(_OfStream, tag="media"):
    """Audio."""

    media: MediaDetails


class KeyPressed(msgspec.Struct):
    """A key on the phone."""

    digit: str
    track: str = "inbound_track"


class Dtmf(_OfStream, tag="dtmf"):
    """A key was pressed. Not used."""

    dtmf: KeyPressed


class MarkName(msgspec.Struct):
    """What the sender called it."""

    name: str


class Mark(_OfStream, tag="mark"):
    """Audio that was sent to the call has been played. We send none, so this is not used."""

    mark: MarkName


class StopDetails(msgspec.Struct, rename="camel"):
    """What stopped."""

    account_sid: str = ""
    call_sid: str = ""


class Stop(_OfStream, tag="stop"):
    """The call or the stream is over."""

    stop: StopDetails = msgspec.field(default_factory=StopDetails)


MESSAGES = (Connected, Start, Media, Dtmf, Mark, Stop)
Message = Connected | Start | Media | Dtmf | Mark | Stop


def whole_number(said: str | int) -> int | None:
    """A number that is often written as a string; None where it is none.

    >>> whole_number("20"), whole_number(3), whole_number(""), whole_number("-1")
    (20, 3, None, None)
    """
    text = str(said)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
