"""The whole system, wired once, visibly.

settings -> database, vault -> apps, people, catalogues, decisions
         -> ledger (issues grants)
         -> models -> batchers -> readers (ask the ledger before every run)
                               -> dictation (words; asks nobody, and infers nothing about the person)
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
from assistant.config import Settings
from assistant.consent.ledger import Ledger
from assistant.conversation.dictation import Dictation
from assistant.conversation.memory import Memory
from assistant.conversation.recommender import Recommender
from assistant.conversation.session import Conversation, Tools
from assistant.errors import ModelInvalid
from assistant.inference.batcher import Batcher
from assistant.inference.card import Card, stem_of
from assistant.inference.model import Model, SessionFactory, onnx_session, open_model
from assistant.profile.person import App, Person
from assistant.recommend.bandits import Exploration
from assistant.store import schema
from assistant.store.apps import Apps
from assistant.store.catalogues import Catalogues
from assistant.store.consents import ConsentRecords
from assistant.store.database import Database, migrate
from assistant.store.decisions import Decisions
from assistant.store.people import People
from assistant.store.rewards import Rewards
from assistant.store.vault import Vault, read_master_key
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
    apps: Apps
    people: People
    catalogues: Catalogues
    decisions: Decisions
    rewards: Rewards
    ledger: Ledger
    tools: Tools
    readers: tuple[Card, ...]
    """Cards of the affect models that were loaded, whose kind is the modality."""
    clock: Callable[[], float]
    new_id: Callable[[], str]

    def conversation(self, app: App, person: Person) -> Conversation:
        """A conversation with one person."""
        return Conversation(self.tools, app, person)

    async def erase(self, person: Person) -> None:
        """Forget a person everywhere: their key, then every row, then grants and mood in memory."""
        await self.people.erase(person)
        await self.rewards.erase(person.pseudonym)
        self.ledger.forget(person.pseudonym)
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
        master_key = read_master_key(settings.master_key_file)
        migrate(settings.database)
        database, keys = Database(settings.database), Database(settings.keys)
        stack.push_async_callback(database.close)
        stack.push_async_callback(keys.close)
        await keys.create(schema.secrets)

        vault = Vault(keys, master_key)
        decisions = Decisions(database, vault)
        catalogues = Catalogues(database, clock)
        ledger = Ledger(
            ConsentRecords(database),
            notice=settings.notice,
            grant_days=settings.grant_days,
            clock=clock,
            new_id=new_id,
        )
        memory = Memory(half_life_s=settings.mood_half_life_s, expires_s=settings.mood_expires_s)
        ledger.listen(None, memory.decided)
        rewards = Rewards(database, vault)
        recommender = Recommender(catalogues, rewards, rewards, exploration=Exploration())
        ledger.listen(None, recommender.decided)

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
            decisions=decisions,
            baselines=decisions,
            affect_budget_s=settings.affect_budget_ms / 1000,
            update_budget_s=settings.update_budget_ms / 1000,
            clock=clock,
            new_id=new_id,
            normal=lambda: unpredictable.gauss(0.0, 1.0),
            holdout=settings.mood_holdout,
        )
        yield Services(
            settings=settings,
            apps=Apps(database, clock),
            people=People(database, vault, clock),
            catalogues=catalogues,
            decisions=decisions,
            rewards=rewards,
            ledger=ledger,
            tools=tools,
            readers=tuple(reader.card for reader in (text, voice) if reader is not None),
            clock=clock,
            new_id=new_id,
        )


async def _opened(name: str, opened: Callable[[], Awaitable[Part]]) -> Part | None:
    try:
        return await opened()
    except ModelInvalid as error:
        log.error("the model %s is not available: %s", name, error)
        return None
