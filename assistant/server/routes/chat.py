"""Chat completions as OpenAI's API has them, in the tone for the person named by `user`.

The tone goes before all messages as a system message of our own, made only of enumerated sentences; the messages
themselves are passed on as they came. Whoever is not known, or not named, gets the tone that knows no mood. Where
words of crisis call for human help, the way to it is in the answer whatever the language model says, or doesn't.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from assistant.chat.budget import Spending, Usage, tokens_in
from assistant.chat.completion import ChatBody, Request, chunk_body, completion_body, read_request, usage_chunk
from assistant.chat.embedded import MODEL, help_text, phrases_for, stream_pieces, write_reply
from assistant.chat.relay import DONE, END, Addition, StreamRelay, event, relay_completion
from assistant.chat.upstream import Upstream
from assistant.consent.legal_rules import MACHINE
from assistant.errors import AssistantError, Invalid, NotFound
from assistant.profile.person import App, Person, Profile
from assistant.server.contract.shapes import show_directive, show_help
from assistant.server.http.caller import Caller
from assistant.server.http.connection import begin_events, gone, while_connected
from assistant.server.http.guard import body_bytes
from assistant.server.http.openai import error_event
from assistant.server.http.route import Route, enter, gpc_of, noted, respond
from assistant.services import Services
from assistant.text.crisis import Safety, notice_crisis
from assistant.tone.directive import Directive
from assistant.tone.policy import direct
from assistant.tone.situation import Situation

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ChatTurn:
    """One request and what is ours in its answer."""

    asked: Request
    chat: str
    """Id of the answer."""
    created: int
    person: Person | None
    directive: Directive
    decision: str | None
    """None where it is about nobody who is known."""
    safety: Safety | None
    disclosure: str | None
    """What to tell whoever asks of whom they talk to, where that is due."""

    @property
    def profile(self) -> Profile:
        """The person's; of somebody unknown one that declares nothing."""
        return Profile() if self.person is None else self.person.profile

    @property
    def member(self) -> dict[str, Any]:
        """The member `attune` of the answer."""
        return {
            "decision": self.decision,
            "directive": show_directive(self.directive),
            "safety": None if self.safety is None else show_help(self.safety),
            "disclosure": self.disclosure,
        }

    @property
    def addition(self) -> Addition:
        """What is added to an answer from elsewhere."""
        help = "" if self.safety is None else help_text(self.safety, self.profile.language)
        return Addition(self.member, help, self.profile.country, self.asked.strict)

    def embedded(self) -> str:
        """What the embedded replier says."""
        return write_reply(
            self.asked.text,
            self.directive.manner,
            language=self.profile.language,
            seed=self.decision or self.chat,
            first=self.asked.first,
            safety=self.safety,
        )


async def post_completion(request: web.Request) -> web.StreamResponse:
    """An answer to a chat, whole or in parts, in the tone for the person in `user`."""
    services, caller = await enter(request)
    asked = read_request(await body_bytes(request))
    answer: web.StreamResponse = web.Response()  # for nobody
    async with while_connected(request), contextlib.AsyncExitStack() as stack:
        turn, keep = await _turn(request, services, caller, asked)
        keeping = Keeping(keep)
        stack.push_async_callback(keeping.done)  # it was chosen, whoever is left to hear of it
        try:
            answer = await _answered(request, services, caller.app, turn, keeping)
        except AssistantError:
            if turn.safety is None or gone(request):
                raise
            answer = await _embedded(request, turn, keeping)  # the way to help depends on no other server
    return answer


async def _turn(
    request: web.Request, services: Services, caller: Caller, asked: Request
) -> tuple[ChatTurn, Callable[[], Awaitable[None]] | None]:
    """What is ours in the answer, and what writes the decision."""
    chat, created = f"chatcmpl-{services.new_id()}", int(services.clock())
    person = caller.holder if not asked.user else None
    with contextlib.suppress(NotFound, Invalid):
        person = await caller.named(services, asked.user) if asked.user else person
    if person is None:
        safety = notice_crisis(asked.text)
        situation = Situation(Profile(), crisis=safety is not None)
        directive, _ = direct(situation, await services.storage.policies.get(caller.app.id))
        told = phrases_for(Profile().language).disclosure if asked.first else None
        return ChatTurn(asked, chat, created, None, directive, None, safety, told), None
    noted(request, services, caller, person.pseudonym)
    conversation = services.conversation(caller.app, person, who=caller.key, gpc=gpc_of(request))
    tuned = await conversation.tune(asked.text, fresh=asked.fresh)
    told = conversation.disclosure(again=asked.first)
    if told is not None:
        told = told.replace(MACHINE, phrases_for(person.profile.language).disclosure)
    turn = ChatTurn(asked, chat, created, person, tuned.directive, tuned.decision, tuned.safety, told)
    return turn, tuned.keep


class Keeping:
    """Writes a decision beside the answer: once, and when nobody waits for a first word any more."""

    def __init__(self, keep: Callable[[], Awaitable[None]] | None) -> None:
        self._keep = keep
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Begin to write."""
        if self._task is None:
            self._task = asyncio.create_task(self._write())

    async def done(self) -> None:
        """Wait until it is written: whoever has the whole answer can ask why. It goes on if this is cancelled."""
        self.begin()
        assert self._task is not None
        await asyncio.shield(self._task)

    async def _write(self) -> None:
        try:
            if self._keep is not None:
                await self._keep()
        except Exception as error:  # the answer is on its way already
            log.error("a decision could not be kept (%s)", type(error).__name__)


async def _answered(
    request: web.Request, services: Services, app: App, turn: ChatTurn, keeping: Keeping
) -> web.StreamResponse:
    if services.upstream is None:
        return await _embedded(request, turn, keeping)
    person = None if turn.person is None else turn.person.pseudonym
    with services.budget.spending(app.id, person, turn.asked.most, services.clock()) as spending:
        spending.usage = Usage()  # until something is answered
        payload = turn.asked.payload(
            turn.directive.prompt, model=services.settings.upstream_model, include_usage=services.budget.has_limit
        )
        if turn.asked.stream:
            return await _streamed(request, services.upstream, payload, turn, spending, keeping)
        keeping.begin()
        data = await services.upstream.complete(payload)
        body, spending.usage = relay_completion(data, turn.addition, turn.asked.most.prompt)
        return respond(body)


async def _streamed(
    request: web.Request, upstream: Upstream, payload: bytes, turn: ChatTurn, spending: Spending, keeping: Keeping
) -> web.StreamResponse:
    passing = StreamRelay(turn.addition, turn.asked.include_usage, turn.asked.most.prompt)
    async with contextlib.aclosing(upstream.stream(payload)) as events:
        first = await anext(events, None)  # what goes wrong before this is an answer with another status
        began = passing.close() if first is None else passing.feed(first)
        response = await begin_events(request)
        try:
            await response.write(began)
            keeping.begin()
            async for data in events:
                if data == END:
                    await keeping.done()
                if sent := passing.feed(data):
                    await response.write(sent)
            await keeping.done()
            await response.write(passing.close())
        except ConnectionError:
            raise
        except Exception as error:
            if not gone(request):
                await response.write(passing.help() + event(error_event(error)))
        finally:
            spending.usage = passing.usage
    await response.write_eof()
    return response


async def _embedded(request: web.Request, turn: ChatTurn, keeping: Keeping) -> web.StreamResponse:
    """The embedded replier's answer. Raises `Invalid` (`replier_limited`), never where help is called for."""
    if turn.safety is None and (turn.asked.strict or turn.asked.needs_tool):
        about = "the embedded replier answers in words; for JSON or tools set `upstream_url` to a language model"
        raise Invalid(about, code="replier_limited")
    text = turn.embedded()
    usage = Usage(turn.asked.most.prompt, tokens_in(text))
    if not turn.asked.stream:
        return respond(completion_body(turn.chat, turn.created, MODEL, text, usage, turn.member))
    response = await begin_events(request)
    head = (turn.chat, turn.created, MODEL)
    parts = [
        chunk_body(*head, {"role": "assistant", "content": ""}) | {"attune": turn.member},
        *(chunk_body(*head, {"content": piece}) for piece in stream_pieces(text)),
        chunk_body(*head, {}, finish="stop"),
        *([usage_chunk(*head, usage)] if turn.asked.include_usage else []),
    ]
    for part in parts:
        await response.write(event(msgspec.json.encode(part)))
    await keeping.done()
    await response.write(DONE)
    await response.write_eof()
    return response


ROUTES: tuple[Route, ...] = (
    Route("POST", "/v1/chat/completions", post_completion, ChatBody, scope="infer", personal=True, openai=True),
)
