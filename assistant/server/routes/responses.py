"""OpenAI's Responses API: one turn of a chat in its words, in the tone for the person named by `user`.

Nothing of it is kept here, so each request brings the whole conversation. Functions are passed on; tools that a
server would run itself are refused by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from assistant.chat.response_answer import ResponseHead
from assistant.chat.response_events import ResponseStream
from assistant.chat.response_request import ResponseBody, ResponseRequest, read_response_request
from assistant.server.http.guard import body_bytes
from assistant.server.http.openai import error_event
from assistant.server.http.route import Route
from assistant.server.routes.chat_turn import ChatTurn, answer


@dataclass(frozen=True, slots=True)
class _AsResponse:
    """Words a chat completion as a response."""

    asked: ResponseRequest

    def _head(self, turn: ChatTurn) -> ResponseHead:
        return ResponseHead(turn.id, turn.created, self.asked.said_back, turn.member)

    def whole(self, turn: ChatTurn, completion: dict[str, Any]) -> dict[str, Any]:
        return self._head(turn).whole(completion)

    def stream(self, turn: ChatTurn) -> _Stream:
        return _Stream(ResponseStream(self._head(turn)))


@dataclass(frozen=True, slots=True)
class _Stream:
    events: ResponseStream

    def feed(self, events: bytes) -> bytes:
        return self.events.feed(events)

    def fail(self, error: Exception) -> bytes:
        return self.events.fail(msgspec.json.decode(error_event(error))["error"])


async def post_response(request: web.Request) -> web.StreamResponse:
    """A response to a conversation, whole or in events, in the tone for the person in `user`."""
    asked = read_response_request(await body_bytes(request))
    return await answer(request, asked.chat, _AsResponse(asked))


ROUTES: tuple[Route, ...] = (
    Route("POST", "/v1/responses", post_response, ResponseBody, scope="infer", personal=True, openai=True),
)
