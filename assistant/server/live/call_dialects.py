"""What telephone services send on the socket of a call, read into one form: bytes or JSON in, events out.

Twilio's messages are the form; those of Telnyx, Plivo and Exotel differ in names and formats, and Vonage sends its
audio as binary frames. Facts come from their documents of media streams:

    https://www.twilio.com/docs/voice/media-streams/websocket-messages
    https://developers.telnyx.com/docs/voice/programmable-voice/media-streaming
    https://www.plivo.com/docs/voice-agents/audio-streaming/concepts/audio-streaming-reference
    https://developer.vonage.com/en/voice/voice-api/concepts/websockets
    https://developer.exotel.com/docs/agentstream/websocket-protocol
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from assistant.audio.intake import AudioFormat
from assistant.errors import Invalid
from assistant.server.http.guard import converted, decoded
from assistant.server.live import call_messages as twilio
from assistant.server.live.call_messages import Side, whole_number


class Service(NamedTuple):
    """How a telephone service names what it sends."""

    name: str
    stream: str
    call: str
    media_format: str
    sample_rate: str
    parameters: str
    number: str


TWILIO = Service(
    "Twilio", "streamSid", "callSid", "mediaFormat", "sampleRate", "customParameters", "sequenceNumber"
)
TELNYX = Service(
    "Telnyx", "stream_id", "call_control_id", "media_format", "sample_rate", "custom_parameters", "sequence_number"
)
PLIVO = Service("Plivo", "streamId", "callId", "mediaFormat", "sampleRate", "extra_headers", "sequenceNumber")
EXOTEL = Service(
    "Exotel", "stream_sid", "call_sid", "media_format", "sample_rate", "custom_parameters", "sequence_number"
)
VONAGE = Service("Vonage", "", "", "content-type", "", "", "")
_BY_STREAM = (TWILIO, TELNYX, PLIVO, EXOTEL)
"""A service is known by what it calls the stream."""

_VONAGE_START = "websocket:connected"
_EVENTS = ("connected", "start", "media", "dtmf", "mark", "stop")
_NOT_NEEDED = ("playedStream", "clearedAudio", "clear", "error")
"""What is said about audio that was sent to the call, which is none, or about the service's own troubles."""
_KINDS = {
    "audio/pcmu": ("audio/x-mulaw", "audio/mulaw", "audio/pcmu", "audio/ulaw", "pcmu", "mulaw", "ulaw",
        "g711_ulaw"),
    "audio/pcma": ("audio/x-alaw", "audio/alaw", "audio/pcma", "pcma", "alaw", "g711_alaw"),
    "audio/pcm": (
        "audio/x-l16", "audio/l16", "l16", "linear16", "audio/pcm", "audio/x-raw", "audio/raw", "pcm", "pcm16",
        "slin", "slin16", "pcm_s16le",
    ),
}  # fmt: skip
_ENCODINGS = {name: kind for kind, names in _KINDS.items() for name in names}
_BY_NAME = "streamSid (Twilio), stream_id (Telnyx), streamId (Plivo) or stream_sid (Exotel)"
_PREFIX = re.compile(r"x-ph-", re.IGNORECASE)
_PAIR = re.compile(r"""\s*["']?([^=:"']+)["']?\s*[=:]\s*["']?(.*?)["']?\s*""", re.DOTALL)


@dataclass(frozen=True, slots=True)
class CallStarted:
    """The stream of a call begins."""

    service: Service
    stream: str
    """The service's id of the stream; empty where it gives none."""
    call: str
    """The service's id of the call; empty where it gives none."""
    format: AudioFormat
    parameters: Mapping[str, str]
    """What the app had the service say."""


@dataclass(frozen=True, slots=True)
class CallAudio:
    """A piece of one side, not decoded yet."""

    side: Side
    payload: str | bytes
    """Base64, or the bytes themselves."""
    stream: str = ""
    at_ms: int | None = None
    """Where it begins, by a clock of the call."""
    number: int | None = None
    """Its place among the messages of the call."""


@dataclass(frozen=True, slots=True)
class CallStopped:
    """The stream is over."""

    stream: str = ""


CallEvent = CallStarted | CallAudio | CallStopped


def read_message(data: str | bytes, service: Service | None = None) -> CallEvent | None:
    """One message, of a call of this service (None: it has not begun); None for what is not needed here.

    Raises `Invalid`: `invalid_json`, `unsupported_audio_format`, or `invalid_request` with the field as `param`.

    >>> read_message('{"event": "media", "stream_id": "a", "media": {"payload": "AA=="}}', TELNYX)
    CallAudio(side='inbound', payload='AA==', stream='a', at_ms=None, number=None)
    >>> read_message(b"....", VONAGE)
    CallAudio(side='inbound', payload=b'....', stream='', at_ms=None, number=None)
    >>> read_message('{"event": "websocket:dtmf", "digit": "5", "duration": 260}', VONAGE)
    >>> read_message('{"event": "start", "start": {}}')
    Traceback (most recent call last):
    assistant.errors.Invalid: `start` has no id of the stream: streamSid (Twilio), stream_id (Telnyx), ...
    """
    if service is VONAGE and isinstance(data, bytes):
        return CallAudio("inbound", data)
    said = decoded(data, dict[str, Any])
    event = said.get("event")
    if service is VONAGE:
        return None
    if event == _VONAGE_START:
        return _read_vonage(said)
    if event in _NOT_NEEDED:
        return None
    if event not in _EVENTS:
        known = ", ".join(_EVENTS)
        raise Invalid(f"the first member to read is `event`: {known} or {_VONAGE_START}", param="event")
    if event == "start" and service is None:
        return _read_start(said)
    message: twilio.Message = converted(_in_twilios_words(said, service or TWILIO), twilio.Message)  # type: ignore[arg-type]
    if isinstance(message, twilio.Media):
        media, number = message.media, whole_number(message.sequence_number)
        return CallAudio(media.track, media.payload, message.stream_sid, whole_number(media.timestamp), number)
    return CallStopped(message.stream_sid) if isinstance(message, twilio.Stop) else None


def _read_start(said: dict[str, Any]) -> CallStarted:
    start = said.get("start")
    if not isinstance(start, Mapping):
        raise Invalid("`start` is an object", param="start")
    service = next((each for each in _BY_STREAM if each.stream in start or each.stream in said), None)
    if service is None:
        raise Invalid(f"`start` has no id of the stream: {_BY_NAME}", param="start.streamSid")
    if service is not TWILIO and service.media_format not in start:
        raise Invalid(f"{service.name} says the format of the audio", param=f"start.{service.media_format}")
    form = start.get(service.media_format, {"encoding": "audio/x-mulaw", service.sample_rate: 8_000})
    path = f"start.{service.media_format}"
    if not isinstance(form, Mapping):
        raise Invalid(f"`{path}` is an object", param=path)
    return CallStarted(
        service,
        _text(start.get(service.stream, said.get(service.stream)), f"start.{service.stream}"),
        _text(start.get(service.call, ""), f"start.{service.call}"),
        _format(form, service, path),
        _parameters((said if service is PLIVO else start).get(service.parameters), service),
    )


def _read_vonage(said: dict[str, Any]) -> CallStarted:
    """Vonage's first message: the app's own members stand beside those of Vonage.

    >>> first = {"event": "websocket:connected", "content-type": "audio/l16;rate=16000", "person": "ada", "age": 4}
    >>> started = _read_vonage(first)
    >>> started.format, started.parameters
    (AudioFormat(type='audio/pcm', rate=16000), {'person': 'ada', 'age': '4'})
    """
    own = {name: value for name, value in said.items() if name not in ("event", "content-type", "headers")}
    nested = said.get("headers")
    members = own | (nested if isinstance(nested, dict) else {})
    form = {} if "content-type" not in said else {"encoding": said["content-type"]}
    parameters = {name: _scalar(value) for name, value in members.items()}
    return CallStarted(VONAGE, "", "", _format(form, VONAGE, "content-type"), parameters)


def _format(form: Mapping[str, Any], service: Service, path: str) -> AudioFormat:
    """The format of the audio, which is never guessed.

    >>> _format({"encoding": "PCMA", "sample_rate": 8000, "channels": 1}, TELNYX, "start.media_format")
    AudioFormat(type='audio/pcma', rate=8000)
    >>> _format({"encoding": "audio/x-l16;rate=16000"}, PLIVO, "start.mediaFormat").rate
    16000
    >>> _format({"encoding": "OPUS", "sample_rate": 16000}, TELNYX, "start.media_format")
    Traceback (most recent call last):
    assistant.errors.Invalid: `start.media_format.encoding` is PCMU, PCMA or L16
    >>> _format({"encoding": "L16"}, TELNYX, "start.media_format").rate
    Traceback (most recent call last):
    assistant.errors.Invalid: `start.media_format.sample_rate` is the rate in Hz
    """
    encoding, where = form.get("encoding"), path if service is VONAGE else f"{path}.encoding"
    if encoding is None:
        raise Invalid(f"`{where}` is missing", param=where)
    name, *details = str(encoding).lower().replace(" ", "").split(";")
    kind = _ENCODINGS.get(name)
    if kind is None:
        raise Invalid(f"`{where}` is PCMU, PCMA or L16", code="unsupported_audio_format", param=where)
    if whole_number(form.get("channels", 1)) != 1:
        about = f"`{path}.channels`: a call has one channel for each track"
        raise Invalid(about, code="unsupported_audio_format", param=f"{path}.channels")
    inside = next((detail[5:] for detail in details if detail.startswith("rate=")), None)
    usual = None if kind == "audio/pcm" else 8_000  # G.711 knows no other
    rate = whole_number(form.get(service.sample_rate, inside or usual or ""))
    where = path if service is VONAGE else f"{path}.{service.sample_rate}"
    if rate is None:
        raise Invalid(f"`{where}` is the rate in Hz", param=where)
    try:
        return AudioFormat.parse({"type": kind, "rate": rate})
    except Invalid as error:
        raise Invalid(f"`{where}`: {error.message}", code="unsupported_audio_format", param=where) from None


def _parameters(given: Any, service: Service) -> dict[str, str]:
    """What the app had the service say, in each form in which it comes.

    >>> _parameters({"person": "ada", "n": 1}, TELNYX), _parameters([{"name": "person", "value": "ada"}], TELNYX)
    ({'person': 'ada', 'n': '1'}, {'person': 'ada'})
    >>> _parameters("X-PH-person=ada;notice=1", PLIVO), _parameters('{"X-PH-person": "ada"}', PLIVO)
    ({'person': 'ada', 'notice': '1'}, {'person': 'ada'})
    >>> _parameters("{X-PH-person: ada, notice: 1}", PLIVO), _parameters(None, PLIVO)
    ({'person': 'ada', 'notice': '1'}, {})
    """
    where = service.parameters if service is PLIVO else f"start.{service.parameters}"
    if given is None:
        return {}
    if isinstance(given, str) and service is PLIVO:
        return {_PREFIX.sub("", name, count=1): value for name, value in _pairs(given)}
    if isinstance(given, list) and all(isinstance(each, dict) and "name" in each for each in given):
        given = {str(each["name"]): each.get("value", "") for each in given}
    if not isinstance(given, Mapping):
        raise Invalid(f"`{where}` is an object", param=where)
    return {_PREFIX.sub("", name, count=1) if service is PLIVO else name: _scalar(v) for name, v in given.items()}


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """The pairs of a text: a JSON object, or names and values with signs between them."""
    try:
        yield from ((name, _scalar(v)) for name, v in msgspec.json.decode(text, type=dict[str, Any]).items())
    except msgspec.DecodeError:
        for part in re.split("[;,]", text.strip("{} ")):
            if pair := _PAIR.fullmatch(part):
                yield pair[1].strip(), pair[2]


def _scalar(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise Invalid(f"`{where}` is a text", param=where)
    return value


def _in_twilios_words(said: dict[str, Any], service: Service) -> dict[str, Any]:
    """A message that is no start, with Twilio's names, and a track without the ending that some give it.

    >>> _in_twilios_words({"event": "stop", "stream_id": "a", "sequence_number": "5"}, TELNYX)
    {'event': 'stop', 'streamSid': 'a', 'sequenceNumber': '5'}
    """
    names = {service.stream: TWILIO.stream, service.number: TWILIO.number}
    message = {names.get(name, name): value for name, value in said.items()}
    media = message.get("media")
    if isinstance(media, dict) and isinstance(media.get("track"), str):
        message["media"] = media | {"track": media["track"].removesuffix("_track")}
    return message
