"""Chat completions as OpenAI's API has them, in the tone for the person named by `user`.

The messages are passed on as they came, and so is the answer, with the member `attune` beside it.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from assistant.chat.completion import ChatBody, read_request
from assistant.chat.relay import event
from assistant.server.http.guard import body_bytes
from assistant.server.http.openai import error_event
from assistant.server.http.route import Route
from assistant.server.routes.chat_turn import ChatTurn, answer


class _AsMade:
    """A chat completion is what an answer is made as."""

    def whole(self, turn: ChatTurn, completion: dict[str, Any]) -> dict[str, Any]:
        return completion

    def stream(self, turn: ChatTurn) -> _AsMade:
        return self

    def feed(self, events: bytes) -> bytes:
        return events

    def fail(self, error: Exception) -> bytes:
        return event(error_event(error))


async def post_completion(request: web.Request) -> web.StreamResponse:
    """An answer to a chat, whole or in parts, in the tone for the person in `user`."""
    return await answer(request, read_request(await body_bytes(request)), _AsMade())


ROUTES: tuple[Route, ...] = (
    Route("POST", "/v1/chat/completions", post_completion, ChatBody, scope="infer", personal=True, openai=True),
)
