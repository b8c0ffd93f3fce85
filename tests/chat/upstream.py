"""A server of language models for tests: it answers as it was told, and keeps what it was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Answering = Callable[["FakeUpstream", web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]

KEY = "sk-test-1234567890"
USAGE = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}


def part(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "their_own": [1.5, None]}
    return {"id": "c1", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": [choice], **more}


def words(*said: str) -> list[dict[str, Any]]:
    return [part({"role": "assistant", "content": ""}), *(part({"content": w}) for w in said), part({}, "stop")]


def whole(text: str | None = "Hello there.", **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": text, **more}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "their_own": {"deep": [1.25]}}
    return {
        "id": "c1", "object": "chat.completion", "created": 7, "model": "m", "choices": [choice], "usage": USAGE,
        "system_fingerprint": "fp", "their_own": True,
    }  # fmt: skip


async def say(
    request: web.Request, parts: Sequence[Any], *, done: bool = True, ending: str = "\n\n"
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for each in parts:
        if isinstance(each, asyncio.Event):
            await each.wait()
        else:
            await response.write(f"data: {json.dumps(each)}{ending}".encode())
    if done:
        await response.write(f"data: [DONE]{ending}".encode())
    return response


async def _usual(upstream: FakeUpstream, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    if not body.get("stream"):
        return web.json_response(upstream.whole)
    usage = (body.get("stream_options") or {}).get("include_usage")
    more = [part({}) | {"choices": [], "usage": USAGE}] if usage else []
    return await say(request, [*upstream.parts, *more])


@dataclass
class FakeUpstream:
    url: str = ""
    parts: list[Any] = field(default_factory=lambda: words("Hello", " there."))
    whole: dict[str, Any] = field(default_factory=whole)
    answers: list[Answering] = field(default_factory=list)
    """One for each request; afterwards, as usual."""
    asked: list[dict[str, Any]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    headers: list[Any] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """A client went away before its answer was whole."""

    async def chat(self, request: web.Request) -> web.StreamResponse:
        data = await request.read()
        body = json.loads(data)
        self.raw.append(data)
        self.asked.append(body)
        self.headers.append(request.headers)
        answering = self.answers.pop(0) if self.answers else _usual
        try:
            return await answering(self, request, body)
        except (asyncio.CancelledError, ConnectionError):
            self.gone.set()
            raise

    async def models(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "m1", "object": "model"}, {"id": "m2"}]})


def failing(status: int, body: str = "{}") -> Answering:
    async def answer(upstream: FakeUpstream, request: web.Request, body_: dict[str, Any]) -> web.Response:
        return web.Response(status=status, text=body, content_type="application/json")

    return answer


def breaking_off(*parts: Any) -> Answering:
    """Sends some parts, then closes the connection."""

    async def answer(upstream: FakeUpstream, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        if parts:
            await response.prepare(request)
        for each in parts:
            await response.write(f"data: {json.dumps(each)}\n\n".encode())
        assert request.transport is not None
        request.transport.abort()
        return response

    return answer


@asynccontextmanager
async def running_upstream() -> AsyncIterator[FakeUpstream]:
    upstream = FakeUpstream()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", upstream.chat)
    app.router.add_get("/v1/models", upstream.models)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    upstream.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield upstream
    finally:
        await runner.cleanup()


def refusing(words: str, wrong: Callable[[list[str]], bool], *, status: int = 400) -> Answering:
    """Refuses messages whose roles are wrong, as a model's template does; answers the others."""

    async def answer(upstream: FakeUpstream, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if wrong([message["role"] for message in body["messages"]]):
            error = {"message": words, "type": "invalid_request_error", "param": None, "code": status}
            return web.json_response({"error": error}, status=status)
        return await _usual(upstream, request, body)

    return answer


def _unalternating(roles: list[str]) -> bool:
    return any((role == "user") != (at % 2 == 0) for at, role in enumerate(roles))


TEMPLATES: dict[str, Answering] = {
    "qwen": refusing("System message must be at the beginning.", lambda roles: "system" in roles[1:]),
    "qwen in llama.cpp": refusing(
        "System message must be at the beginning.", lambda roles: "system" in roles[1:], status=500
    ),
    "gemma 2": refusing("System role not supported", lambda roles: "system" in roles),
    "gemma 2 in tgi": refusing(
        "Template error: invalid operation: System role not supported", lambda roles: "system" in roles, status=422
    ),
    "gemma 3": refusing(
        "Conversation roles must alternate user/assistant/user/assistant/...",
        lambda roles: _unalternating(roles[1:] if roles[0] == "system" else roles),
    ),
    "mistral 7b": refusing("Conversation roles must alternate user/assistant/user/assistant/...", _unalternating),
    "mistral": refusing(
        "Expected last role User or Tool (or Assistant with prefix True) for serving but got system",
        lambda roles: roles[-1] == "system" or roles.count("system") > 1,
    ),
    "o1": refusing(
        "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
        lambda roles: "system" in roles,
    ),
    "o1-mini": refusing(
        "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
        lambda roles: bool({"system", "developer"} & set(roles)),
    ),
    "anthropic": refusing(
        'messages: Unexpected role "system". Allowed roles are "user" or "assistant".',
        lambda roles: bool({"system", "developer"} & set(roles)),
    ),
    "gemma in gemini": refusing(
        "Developer instruction is not enabled for models/gemma-3-27b-it",
        lambda roles: bool({"system", "developer"} & set(roles)),
    ),
    "deepseek": refusing(
        "Failed to deserialize the JSON body: messages[0].role: unknown variant `developer`",
        lambda roles: "developer" in roles,
    ),
    "openai": refusing("", lambda roles: False),
}
"""How servers and models that people use take the roles of messages."""
