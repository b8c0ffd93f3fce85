"""Errors as OpenAI's API shapes them.

A route of OpenAI's API answers in their shape alone; a path or method that is not here at all, below `/v1`, in one
body that has both shapes. Every other route keeps to problem+json.
"""

from __future__ import annotations

import msgspec
from aiohttp import web

from assistant.chat.upstream import UpstreamRefused
from assistant.server.http.guard import Handler, Problem, tell_failure


class ChatErrorDetails(msgspec.Struct, kw_only=True):
    """What went wrong, in the words of OpenAI's API."""

    message: str
    type: str
    param: str | None = None
    code: str | None


class ChatFailure(msgspec.Struct):
    """An answer of OpenAI's API that tells what went wrong."""

    error: ChatErrorDetails


class _Unknown(Problem):
    """An error in both shapes: nothing tells which client asked for what is not here."""

    error: ChatErrorDetails


@web.middleware
async def tell_unknown_routes(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer what is not served below `/v1` so that OpenAI's clients can print it, and ours too."""
    missed = request.match_info.http_exception
    if missed is None or not f"{request.path}/".startswith("/v1/"):
        return await handler(request)
    status, code, _, headers = tell_failure(missed)
    about = "this server has no such path; `/openapi.json` lists those that it has"
    if status == 405:
        about = f"this path takes other methods: {headers['Allow']}"
    both = _Unknown(f"urn:attune:error:{code}", code, status, about, code, _details(status, code, about))
    body = msgspec.json.encode(both)
    return web.Response(status=status, body=body, content_type="application/problem+json", headers=headers)


def openai_errors(handler: Handler) -> Handler:
    """The handler, with whatever goes wrong turned into an error that OpenAI's clients understand."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except UpstreamRefused as error:
            headers = {"Retry-After": error.retry_after} if error.retry_after else {}
            return web.Response(
                status=error.status, body=error.body, content_type="application/json", headers=headers
            )
        except Exception as error:
            status, code, message, headers = tell_failure(error)
            if status == 429:  # their clients try again at once unless told not to
                headers["x-should-retry"] = "false"
            body = error_json(status, code, message, getattr(error, "param", None))
            return web.Response(status=status, body=body, content_type="application/json", headers=headers)

    return handle


def error_json(status: int, code: str, message: str, param: str | None = None) -> bytes:
    """An error in OpenAI's shape.

    >>> error_json(429, "budget_exceeded", "no more today")
    b'{"error":{"message":"no more today","type":"rate_limit_error","param":null,"code":"budget_exceeded"}}'
    """
    return msgspec.json.encode(ChatFailure(_details(status, code, message, param)))


def _details(status: int, code: str, message: str, param: str | None = None) -> ChatErrorDetails:
    kinds = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
    kind = kinds.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return ChatErrorDetails(message=message, type=kind, param=param, code=code)


def error_event(error: Exception) -> bytes:
    """What went wrong in the midst of a stream, as the data of an event."""
    status, code, message, _ = tell_failure(error)
    return error_json(status, code, message)
