"""Every request passes here: who asks, how much they send, and what an error looks like.

This is the only place that knows HTTP status codes. Errors are problem+json (RFC 9457) with a stable `code`; the
log gets the kind of error and where it was raised, never what was sent.
"""

from __future__ import annotations

import logging
import math
import re
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from assistant import errors
from assistant.lenient_json import decode_json
from assistant.services import Services

log = logging.getLogger(__name__)

SERVICES: web.AppKey[Services] = web.AppKey("services", Services)

UNREADABLE: web.RequestKey[bool] = web.RequestKey("unreadable", bool)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Body = TypeVar("Body")

_STATUS: dict[type[errors.AssistantError], int] = {
    errors.Invalid: 400, errors.TooLarge: 413, errors.Unauthenticated: 401, errors.Forbidden: 403,
    errors.NotFound: 404, errors.AlreadyTaken: 409, errors.Premature: 409, errors.Conflict: 412,
    errors.TooMany: 429, errors.Busy: 503, errors.Unavailable: 503,
}  # fmt: skip
_HTTP_CODES = {404: "route_unknown", 405: "method_not_allowed", 413: "too_large"}
_MAX_PERSON = 128
_SURROGATE = re.compile("[\ud800-\udfff]")
"""What aiohttp makes of bytes of a header that are not UTF-8."""
_QUOTE = re.compile("[`']")
_WHERE = re.compile(r" - at `\$(?:\.\w+|\[\.\.\.\])*`$")


def status_of_family(kind: type[errors.AssistantError]) -> int:
    """The HTTP status of a family of errors.

    >>> status_of_family(errors.NotFound), status_of_family(errors.AssistantError)
    (404, 500)
    """
    return next((status for family, status in _STATUS.items() if issubclass(kind, family)), 500)


class Problem(msgspec.Struct):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str


def problem(status: int, code: str, detail: str, headers: dict[str, str] | None = None) -> web.Response:
    """An RFC 9457 answer."""
    body = msgspec.json.encode(Problem(f"urn:attune:error:{code}", code, status, detail, code))
    return web.Response(status=status, body=body, content_type="application/problem+json", headers=headers)


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever goes wrong into an answer that says what to do."""
    try:
        return await handler(request)
    except Exception as error:
        return problem(*tell_failure(error))


def tell_failure(error: Exception) -> tuple[int, str, str, dict[str, str]]:
    """What an answer tells of an error: status, code, message and headers. Raises what is none, as a redirect."""
    if isinstance(error, errors.AssistantError):
        status, headers = status_of_family(type(error)), {}
        if isinstance(error, errors.TooMany):
            headers = {"Retry-After": str(math.floor(error.wait_s) + 1)}
        elif status == 401:
            headers = {"WWW-Authenticate": "Bearer"}
        elif status == 503:
            headers = {"Retry-After": "1"}
        return status, error.code, error.message, headers
    if isinstance(error, web.HTTPException):
        if error.status < 400:
            raise error
        allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        return error.status, _HTTP_CODES.get(error.status, "http_error"), error.reason, allow
    log_unexpected(error)
    return 500, "internal", "something went wrong here; it was logged", {}


async def close_unreadable(request: web.Request, answer: web.StreamResponse) -> None:
    """End the connection with the answer where the rest of the body can't be read: nothing tells where it ends."""
    if UNREADABLE in request:
        answer.headers["Connection"] = "close"
        answer.force_close()


def log_unexpected(error: Exception) -> None:
    """Log where an error came from, without its message: that might quote a person."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    log.error("%s at %s", type(error).__name__, " < ".join(f"{f.name}:{f.lineno}" for f in reversed(frames)))


def checked_id(person: str) -> str:
    """A person's id as an app may choose it. Raises `Invalid` (`person_invalid`)."""
    if not 0 < len(person) <= _MAX_PERSON or not person.isprintable():
        raise errors.Invalid(f"a person's id has 1 to {_MAX_PERSON} printable characters", code="person_invalid")
    return person


def header_of(request: web.Request, name: str, missing: str = "") -> str:
    """A header's text. Raises `Invalid` (`header_invalid`) for bytes that are not UTF-8."""
    value = request.headers.get(name, missing)
    if not value.isascii() and _SURROGATE.search(value):
        raise errors.Invalid(f"the header `{name}` is not UTF-8", code="header_invalid")
    return value


async def body_of(request: web.Request, kind: type[Body], limit: int | None = None) -> Body:
    """The JSON body, checked against `kind`, of at most `limit` bytes (None: as many as the settings say).

    Raises `TooLarge`, `Invalid` with code `invalid_json` (not JSON) or `invalid_request` (another shape).
    """
    return decoded(await body_bytes(request, limit), kind)


async def body_bytes(request: web.Request, limit: int | None = None) -> bytes:
    """The body as it came. Raises `TooLarge`, `Invalid` (`encoding_invalid`)."""
    limit = request.app[SERVICES].settings.max_body_bytes if limit is None else limit
    if (request.content_length or 0) > limit:
        raise errors.TooLarge(f"the body may have at most {limit} bytes")
    data = bytearray()
    try:
        async for part in request.content.iter_any():
            data += part
            if len(data) > limit:
                raise errors.TooLarge(f"the body may have at most {limit} bytes")
    except web.RequestPayloadError:
        request[UNREADABLE] = True
        request.content.feed_eof()
        about = "the body is not what `Content-Encoding` or `Transfer-Encoding` says"
        raise errors.Invalid(about, code="encoding_invalid") from None
    return bytes(data)


def difference(told: str) -> str:
    """What msgspec says of a shape, without the names and values that were sent.

    >>> difference("Invalid enum value 'my secret' - at `$.modality`")
    'Invalid enum value - at `$.modality`'
    >>> difference("Object contains unknown field `my secret`")
    'Object contains unknown field'
    >>> difference("Expected `str`, got `int` - at `$.text`")
    'Expected `str`, got `int` - at `$.text`'
    """
    if told.startswith(("Expected ", "Object missing ")):  # these name our own fields and types
        return told
    where = _WHERE.search(told) if told.startswith("Invalid ") else None
    return _QUOTE.split(told)[0].strip() + (where.group() if where else "")


def decoded(data: bytes | str, kind: type[Body]) -> Body:
    """JSON of a known shape. The errors say where it differs, not what stood there.

    Half a surrogate pair, which a slice in JavaScript leaves, is read as U+FFFD.
    """
    try:
        return decode_json(data, kind)
    except msgspec.ValidationError as error:
        raise errors.Invalid(f"not the expected shape: {difference(str(error))}") from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise errors.Invalid("this is not JSON", code="invalid_json") from None


def converted(data: Any, kind: type[Body]) -> Body:
    """Parsed JSON of a known shape. Raises `Invalid`."""
    try:
        return msgspec.convert(data, type=kind)
    except msgspec.ValidationError as error:
        raise errors.Invalid(f"not the expected shape: {difference(str(error))}") from None
