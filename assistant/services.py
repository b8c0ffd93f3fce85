"""The whole system, wired once, visibly.

settings -> kept: databases, vault -> apps, people, catalogues, decisions, moods, ledger (issues grants)
         -> models -> batchers -> readers (ask the ledger before every run)
                               -> dictation (words; asks nobody, and infers nothing about the person)
         -> upstream (a server of language models, if there is one), budget
         -> tools -> conversations
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from assistant.audio.encoder import Encoder
from assistant.audio.transcribe import Transcriber
from assistant.audio.vad import Vad
from assistant.audio.voice import VoiceReader, check_baseline
from assistant.chat.budget import Budget, Limit, Prices
from assistant.chat.upstream import Patience, Upstream, open_upstream
from assistant.config import Settings
from assistant.consent.ledger import Ledger
from assistant.consent.receipt import Actor
from assistant.conversation.dictation import Dictation
from assistant.conversation.memory import Memory
from assistant.conversation.session import Conversation
from assistant.conversation.tools import Tools
from assistant.errors import ModelInvalid
from assistant.inference.batcher import Batcher
from assistant.inference.card import Card, stem_of
from assistant.inference.model import Model, SessionFactory, onnx_session, open_model
from assistant.mood.conformal import read_calibration
from assistant.profile.person import App, Person
from assistant.recommend.bandits import Exploration
from assistant.recommend.service import Recommender
from assistant.store.access_log import AccessLog
from assistant.store.apps import Apps
from assistant.store.catalogues import Catalogues
from assistant.store.changes import changes_of
from assistant.store.contexts import Contexts
from assistant.store.decisions import Decisions
from assistant.store.devices import Devices
from assistant.store.people import People
from assistant.store.policies import AppPolicies
from assistant.store.storage import Kept, open_kept
from assistant.text.reader import TextReader

log = logging.getLogger(__name__)

Part = TypeVar("Part")

_STEM_SAMPLES = 150_000
"""Of audio that run through the stem together: with more than three windows of 3 s its layers leave the cache."""
_HEADS_WAITING = 64
"""Rows that may wait for a head: each holds about a megabyte for every three seconds of speech."""


def new_id() -> str:
    """A random id that nobody can guess."""
    return secrets.token_hex(12)


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a server needs."""

    settings: Settings
    kept: Kept
    apps: Apps
    people: People
    catalogues: Catalogues
    decisions: Decisions
    policies: AppPolicies
    ledger: Ledger
    tools: Tools
    upstream: Upstream | None
    """The server of language models; None: the embedded replier answers."""
    budget: Budget
    readers: tuple[Card, ...]
    """Cards of the affect models that were loaded, whose kind is the modality."""
    devices: Devices
    contexts: Contexts
    access: AccessLog
    token_key: bytes
    """Signs the tokens of people."""
    clock: Callable[[], float]
    new_id: Callable[[], str]

    def conversation(self, app: App, person: Person, *, who: str = "", gpc: bool = False) -> Conversation:
        """A conversation with one person; `who` holds it, and `gpc`: their browser sent `Sec-GPC: 1`."""
        return Conversation(self.tools, app, person, who=who, gpc=gpc)

    async def erase(self, app: App, people: list[Person], actor: Actor) -> None:
        """Forget people everywhere: what is kept of them, and their moods in memory."""
        await self.kept.erase(app, people, actor)
        for person in people:
            self.tools.memory.forget(person.pseudonym)
            self.tools.recommender.forget(person.pseudonym)

    def health(self) -> dict[str, str]:
        """Which parts work; `absent` is a choice, `unavailable` a fault."""
        missing = "absent" if self.settings.affect == "absent" else "unavailable"
        mute = "absent" if self.settings.transcriber_model == "none" else "unavailable"
        return {
            "vad": "ready",
            "text": missing if self.tools.text is None else "ready",
            "voice": missing if self.tools.voice is None else "ready",
            "transcription": mute if self.tools.dictation is None else "ready",
        }


@asynccontextmanager
async def open_services(
    settings: Settings,
    *,
    session: SessionFactory = onnx_session,
    clock: Callable[[], float] = time.time,
    new_id: Callable[[], str] = new_id,
) -> AsyncIterator[Services]:
    """Open the databases and the models, and close them at the end.

    Raises `ConfigInvalid` without a master key, `StorageFailed` without a database, `ModelInvalid` without voice
    activity detection. Another model that is missing or broken is logged and shown by `/readyz`; the rest works.
    """
    async with AsyncExitStack() as stack:
        kept = await stack.enter_async_context(open_kept(settings, clock=clock, new_id=new_id))
        ledger = kept.ledger
        policies = AppPolicies(kept.database, clock)
        memory = Memory(
            half_life_s=settings.mood_half_life_s,
            expires_s=settings.mood_expires_s,
            calibration=read_calibration(),
        )
        ledger.listen(None, memory.decided)
        recommender = Recommender(
            kept.catalogues, kept.rewards, kept.rewards, kept.exposures, exploration=Exploration()
        )
        ledger.listen(None, recommender.decided)
        await stack.enter_async_context(ledger.following(changes_of(kept.database, kept.records)))

        quick = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="vad"))
        affect = stack.enter_context(ThreadPoolExecutor(2, thread_name_prefix="affect"))

        # words take long, and affect is not to wait for them
        writing = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="words"))

        # a head takes a moment, and would wait long behind the next batch of the stem
        heads = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="head"))

        def closing(batcher: Batcher) -> Batcher:
            stack.push_async_callback(batcher.close)
            return batcher

        async def load(name: str) -> Model:
            return await asyncio.to_thread(open_model, settings.models_folder / name, session)

        async def open_text() -> TextReader:
            return TextReader(closing(Batcher(await load(settings.text_model), affect)), ledger)

        stems: dict[str, Encoder] = {}

        async def stem(name: str) -> Encoder:
            if name not in stems:
                batcher = Batcher(await load(name), affect, max_elements=_STEM_SAMPLES)
                stems[name] = Encoder(closing(batcher))
            return stems[name]

        async def open_voice() -> VoiceReader:
            head = await load(settings.voice_model)
            check_baseline(head.card)
            encoder = await stem(stem_of(head.card)[0])
            # heads run row by row: their products are fp32, which differ in the last bit with the size of a batch
            alone = closing(Batcher(head, heads, workers=1, max_elements=1, max_waiting=_HEADS_WAITING))
            return VoiceReader(encoder, alone, ledger)

        async def open_dictation() -> Dictation:
            rest = await load(f"{settings.transcriber_model}-encoder")
            encoder = await stem(stem_of(rest.card)[0])
            decoder = await load(settings.transcriber_model)
            return Dictation(encoder, Transcriber(encoder.card, rest, decoder, writing))

        # every stream may wait for it at once
        activity = Batcher(await load("vad"), quick, workers=1, max_waiting=settings.max_streams)
        vad = Vad(closing(activity))
        absent = settings.affect == "absent"
        text = None if absent else await _opened(settings.text_model, open_text)
        voice = None if absent else await _opened(settings.voice_model, open_voice)
        mute = settings.transcriber_model == "none"
        dictation = None if mute else await _opened(settings.transcriber_model, open_dictation)
        unpredictable = random.SystemRandom()
        tools = Tools(
            ledger=ledger,
            memory=memory,
            text=text,
            voice=voice,
            dictation=dictation,
            vad=vad,
            recommender=recommender,
            decisions=kept.decisions,
            baselines=kept.decisions,
            moods=kept.moods,
            moments=kept.contexts,
            uses=kept.access,
            policies=policies,
            affect_budget_s=settings.affect_budget_ms / 1000,
            update_budget_s=settings.update_budget_ms / 1000,
            clock=clock,
            new_id=new_id,
            normal=lambda: unpredictable.gauss(0.0, 1.0),
            holdout=settings.mood_holdout,
        )
        await stack.enter_async_context(kept.purge.running())
        yield Services(
            settings=settings,
            kept=kept,
            apps=kept.apps,
            people=kept.people,
            catalogues=kept.catalogues,
            decisions=kept.decisions,
            policies=policies,
            ledger=ledger,
            tools=tools,
            upstream=await stack.enter_async_context(
                open_upstream(settings.upstream_url, settings.upstream_key, patience_of(settings))
            ),
            budget=budget_of(settings),
            readers=tuple(reader.card for reader in (text, voice) if reader is not None),
            devices=kept.devices,
            contexts=kept.contexts,
            access=kept.access,
            token_key=kept.vault.derive(b"tokens"),
            clock=clock,
            new_id=new_id,
        )


def patience_of(settings: Settings) -> Patience:
    """How long chats wait for the language model's server."""
    return Patience(
        connect_s=settings.upstream_connect_s,
        first_s=settings.upstream_first_s,
        between_s=settings.upstream_between_s,
        total_s=settings.upstream_total_s,
        retries=settings.upstream_retries,
    )


def budget_of(settings: Settings) -> Budget:
    """What chats may cost in a day."""
    return Budget(
        Prices(settings.price_prompt, settings.price_completion),
        app=Limit(settings.chat_tokens_app, settings.chat_cost_app),
        person=Limit(settings.chat_tokens_person, settings.chat_cost_person),
    )


async def _opened(name: str, opened: Callable[[], Awaitable[Part]]) -> Part | None:
    try:
        return await opened()
    except ModelInvalid as error:
        log.error("the model %s is not available: %s", name, error)
        return None
