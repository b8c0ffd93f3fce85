"""One turn of a chat, whatever the API in which it is asked for: what is ours in the answer, and the answer itself.

The tone goes to the language model as an instruction of our own, made only of enumerated sentences. Whoever is not
known, or not named, gets the tone that knows no mood. Where words of crisis call for human help, the way to it is
in the answer whatever the language model says, or doesn't.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from aiohttp import web

from assistant.chat.budget import Spending, Usage, tokens_in
from assistant.chat.completion import Request, chunk_body, completion_body, usage_chunk
from assistant.chat.embedded import MODEL, help_text, phrases_for, stream_pieces, write_reply
from assistant.chat.relay import DONE, END, Addition, StreamRelay, event, relay_completion
from assistant.chat.tone_upstream import Instruction, ToneUpstream
from assistant.consent.legal_rules import MACHINE
from assistant.errors import AssistantError, Invalid, NotFound
from assistant.profile.person import App, Person, Profile
from assistant.server.contract.shapes import show_directive, show_help
from assistant.server.http.caller import Caller
from assistant.server.http.connection import begin_events, gone, while_connected
from assistant.server.http.route import enter, gpc_of, noted, respond
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
    id: str
    """Of the answer, without what an API writes before it."""
    created: int
    """Unix seconds."""
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
            seed=self.decision or self.id,
            first=self.asked.first,
            safety=self.safety,
        )


class AnswerStream(Protocol):
    """Words one streamed answer."""

    def feed(self, events: bytes) -> bytes:
        """What to send for events of a chat completion, which have all that is ours already."""

    def fail(self, error: Exception) -> bytes:
        """What to send where the answer breaks off; nothing comes after it."""


class Wording(Protocol):
    """How an API words an answer that is made as a chat completion."""

    def whole(self, turn: ChatTurn, completion: dict[str, Any]) -> dict[str, Any]:
        """A complete answer."""

    def stream(self, turn: ChatTurn) -> AnswerStream:
        """An answer in parts."""


async def answer(request: web.Request, asked: Request, wording: Wording) -> web.StreamResponse:
    """Answer a chat, whole or in parts, in the tone for the person whom it names."""
    services, caller = await enter(request)
    response: web.StreamResponse = web.Response()  # for nobody
    async with while_connected(request), contextlib.AsyncExitStack() as stack:
        turn, keep = await _turn(request, services, caller, asked)
        keeping = Keeping(keep)
        stack.push_async_callback(keeping.done)  # it was chosen, whoever is left to hear of it
        answering = _Answering(request, turn, keeping, wording)
        try:
            response = await answering.answer(services, caller.app)
        except AssistantError:
            if turn.safety is None or gone(request):
                raise
            response = await answering.embedded()  # the way to help depends on no other server
    return response


async def _turn(
    request: web.Request, services: Services, caller: Caller, asked: Request
) -> tuple[ChatTurn, Callable[[], Awaitable[None]] | None]:
    """What is ours in the answer, and what writes the decision."""
    new, created = services.new_id(), int(services.clock())
    person = caller.holder if not asked.user else None
    with contextlib.suppress(NotFound, Invalid):
        person = await caller.named(services, asked.user) if asked.user else person
    if person is None:
        safety = notice_crisis(asked.text)
        situation = Situation(Profile(), crisis=safety is not None)
        directive, _ = direct(situation, await services.storage.policies.get(caller.app.id))
        told = phrases_for(Profile().language).disclosure if asked.first else None
        return ChatTurn(asked, new, created, None, directive, None, safety, told), None
    noted(request, services, caller, person.pseudonym)
    conversation = services.conversation(caller.app, person, who=caller.key, gpc=gpc_of(request))
    tuned = await conversation.tune(asked.text, fresh=asked.fresh)
    told = conversation.disclosure(again=asked.first)
    if told is not None:
        told = told.replace(MACHINE, phrases_for(person.profile.language).disclosure)
    turn = ChatTurn(asked, new, created, person, tuned.directive, tuned.decision, tuned.safety, told)
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


@dataclass(frozen=True, slots=True)
class _Answering:
    request: web.Request
    turn: ChatTurn
    keeping: Keeping
    wording: Wording

    async def answer(self, services: Services, app: App) -> web.StreamResponse:
        """The upstream's answer, or the embedded replier's where there is none."""
        turn, asked = self.turn, self.turn.asked
        if asked.refusal is not None:
            raise asked.refusal
        if services.upstream is None:
            return await self.embedded()
        person = None if turn.person is None else turn.person.pseudonym
        with services.budget.spending(app.id, person, asked.most, services.clock()) as spending:
            spending.usage = Usage()  # until something is answered
            ours = Instruction(turn.directive.prompt, services.settings.upstream_model, services.budget.has_limit)
            if asked.stream:
                return await self._streamed(services.upstream, ours, spending)
            self.keeping.begin()
            data = await services.upstream.complete(asked, ours)
            completion, spending.usage = relay_completion(data, turn.addition, asked.most.prompt)
            return respond(self.wording.whole(turn, completion))

    async def _streamed(self, upstream: ToneUpstream, ours: Instruction, spending: Spending) -> web.StreamResponse:
        asked, worded = self.turn.asked, self.wording.stream(self.turn)
        passing = StreamRelay(self.turn.addition, asked.include_usage, asked.most.prompt)
        async with contextlib.aclosing(upstream.stream(asked, ours)) as events:
            first = await anext(events, None)  # what goes wrong before this is an answer with another status
            began = passing.close() if first is None else passing.feed(first)
            response = await begin_events(self.request)
            try:
                await response.write(worded.feed(began))
                self.keeping.begin()
                async for data in events:
                    if data == END:
                        await self.keeping.done()
                    if sent := worded.feed(passing.feed(data)):
                        await response.write(sent)
                await self.keeping.done()
                await response.write(worded.feed(passing.close()))
            except ConnectionError:
                raise
            except Exception as error:
                if not gone(self.request):
                    await response.write(worded.feed(passing.help()) + worded.fail(error))
            finally:
                spending.usage = passing.usage
        await response.write_eof()
        return response

    async def embedded(self) -> web.StreamResponse:
        """The embedded replier's answer. Raises `Invalid` (`replier_limited`), never where help is called for."""
        turn, asked = self.turn, self.turn.asked
        if turn.safety is None and (asked.strict or asked.needs_tool):
            about = (
                "the embedded replier answers in words; for JSON or tools set `upstream_url` to a language model"
            )
            raise Invalid(about, code="replier_limited")
        text, head = turn.embedded(), (f"chatcmpl-{turn.id}", turn.created, MODEL)
        usage = Usage(asked.most.prompt, tokens_in(text))
        if not asked.stream:
            return respond(self.wording.whole(turn, completion_body(*head, text, usage, turn.member)))
        response, worded = await begin_events(self.request), self.wording.stream(turn)
        parts = [
            chunk_body(*head, {"role": "assistant", "content": ""}) | {"attune": turn.member},
            *(chunk_body(*head, {"content": piece}) for piece in stream_pieces(text)),
            chunk_body(*head, {}, finish="stop"),
            *([usage_chunk(*head, usage)] if asked.include_usage else []),
        ]
        for part in parts:
            await response.write(worded.feed(event(msgspec.json.encode(part))))
        await self.keeping.done()
        await response.write(worded.feed(DONE))
        await response.write_eof()
        return response
