"""Errors as OpenAI's API shapes them, on the routes that its clients call."""

from __future__ import annotations

import msgspec
from aiohttp import web

from assistant.chat.upstream import UpstreamRefused
from assistant.server.http.guard import Handler, tell_failure

CHAT, MODELS = "/v1/chat/completions", "/v1/models"


class ChatErrorDetails(msgspec.Struct, kw_only=True):
    """What went wrong, in the words of OpenAI's API."""

    message: str
    type: str
    param: str | None = None
    code: str | None


class ChatFailure(msgspec.Struct):
    """An answer of OpenAI's API that tells what went wrong."""

    error: ChatErrorDetails


@web.middleware
async def openai_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever goes wrong on these routes into an error that OpenAI's clients understand."""
    if request.path not in (CHAT, MODELS):
        return await handler(request)
    try:
        return await handler(request)
    except UpstreamRefused as error:
        headers = {"Retry-After": error.retry_after} if error.retry_after else {}
        return web.Response(status=error.status, body=error.body, content_type="application/json", headers=headers)
    except Exception as error:
        status, code, message, headers = tell_failure(error)
        if status == 429:  # their clients try again at once unless told not to
            headers["x-should-retry"] = "false"
        body = error_json(status, code, message)
        return web.Response(status=status, body=body, content_type="application/json", headers=headers)


def error_json(status: int, code: str, message: str) -> bytes:
    """An error in OpenAI's shape.

    >>> error_json(429, "budget_exceeded", "no more today")
    b'{"error":{"message":"no more today","type":"rate_limit_error","param":null,"code":"budget_exceeded"}}'
    """
    kinds = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
    kind = kinds.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return msgspec.json.encode(ChatFailure(ChatErrorDetails(message=message, type=kind, code=code)))


def error_event(error: Exception) -> bytes:
    """What went wrong in the midst of a stream, as the data of an event."""
    status, code, message, _ = tell_failure(error)
    return error_json(status, code, message)
