"""Errors as OpenAI's API shapes them, on the routes that its clients call."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec
from aiohttp import web

from assistant.chat.upstream import UpstreamRefused
from assistant.errors import AssistantError, Busy, TooMany, Unavailable
from assistant.server.http.guard import Handler, log_unexpected, status_of

CHAT, MODELS = "/v1/chat/completions", "/v1/models"
_UNEXPECTED = ("internal", "something went wrong here; it was logged")


@web.middleware
async def openai_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever goes wrong on these routes into an error that OpenAI's clients understand."""
    if request.path not in (CHAT, MODELS):
        return await handler(request)
    try:
        return await handler(request)
    except UpstreamRefused as error:
        headers = {"Retry-After": error.retry_after} if error.retry_after else None
        return web.Response(status=error.status, body=error.body, content_type="application/json", headers=headers)
    except AssistantError as error:
        status = 429 if isinstance(error, TooMany) else status_of(error)
        return failure(status, error.code, error.message, _headers(error, status))
    except web.HTTPException as error:
        if error.status < 400:
            raise
        allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        code = "method_not_allowed" if error.status == 405 else "http_error"
        return failure(error.status, code, error.reason, allow)
    except Exception as error:
        log_unexpected(error)
        return failure(500, *_UNEXPECTED)


def failure(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """An error as an answer."""
    body = msgspec.json.encode(error_json(status, code, message))
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


def error_json(status: int, code: str, message: str) -> dict[str, object]:
    """An error in OpenAI's shape.

    >>> error_json(429, "budget_exceeded", "no more today")["error"]["type"]
    'rate_limit_error'
    """
    kinds = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
    kind = kinds.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def error_event(error: Exception) -> bytes:
    """What went wrong in the midst of a stream, as the data of an event."""
    if isinstance(error, AssistantError):
        return msgspec.json.encode(error_json(status_of(error), error.code, error.message))
    log_unexpected(error)
    return msgspec.json.encode(error_json(500, *_UNEXPECTED))


def _headers(error: AssistantError, status: int) -> dict[str, str]:
    if isinstance(error, TooMany):  # their clients try again at once unless told not to
        return {"Retry-After": str(math.floor(error.wait_s) + 1), "x-should-retry": "false"}
    if status == 401:
        return {"WWW-Authenticate": "Bearer"}
    return {"Retry-After": "1"} if isinstance(error, Busy | Unavailable) else {}
