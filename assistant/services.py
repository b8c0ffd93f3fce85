"""The whole system, connected once, in the order of the lines below.

settings -> storage: databases, vault, everything that is kept, and the ledger that issues grants
         -> readers: models -> batchers -> text and voice readers, which ask the ledger before every run;
                     dictation, which needs no grant: it finds words, and infers nothing about the person
         -> upstream (a server of language models, if there is one), budget
         -> what conversations share -> conversations
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
from functools import partial
from typing import Any, TypeVar

from assistant.audio.encoder import Encoder
from assistant.audio.transcribe import Transcriber
from assistant.audio.vad import Vad
from assistant.audio.voice import VoiceReader, check_baseline
from assistant.chat.budget import Budget, DailyLimit, Prices
from assistant.chat.tone_upstream import ToneUpstream
from assistant.chat.upstream import Patience, open_upstream
from assistant.config import Settings
from assistant.consent.grant import Gate
from assistant.consent.receipt import Actor
from assistant.conversation.dictation import Dictation
from assistant.conversation.memory import Memory, MoodsUsed
from assistant.conversation.readings import PersonReadings
from assistant.conversation.services import ConversationServices
from assistant.conversation.session import Conversation
from assistant.errors import ModelInvalid
from assistant.inference.batcher import Batcher
from assistant.inference.card import Card, stem_of
from assistant.inference.model import Model, ModelOpener, open_model
from assistant.mood.conformal import read_calibration
from assistant.mood.timeline import Timeline
from assistant.profile.person import App, Person
from assistant.recommend.bandits import Exploration
from assistant.recommend.service import Recommender
from assistant.store.changes import changes_of
from assistant.store.storage import Storage, open_storage
from assistant.text.reader import BATCH_ELEMENTS, TextReader

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
    """Everything that a server needs."""

    settings: Settings
    storage: Storage
    conversations: ConversationServices
    """What conversations share."""
    recommender: Recommender
    upstream: ToneUpstream | None
    """The server of language models; None: the embedded replier answers."""
    budget: Budget
    readers: tuple[Card, ...]
    """Cards of the affect models that were loaded, whose kind is the modality."""
    batchers: tuple[Batcher, ...]
    """Of every model that runs in batches."""
    token_key: bytes
    """Signs the tokens of people."""
    clock: Callable[[], float]
    new_id: Callable[[], str]

    def conversation(self, app: App, person: Person, *, who: str = "", gpc: bool = False) -> Conversation:
        """A conversation with one person; `who` holds it, and `gpc`: their browser sent `Sec-GPC: 1`."""
        return Conversation(self.conversations, app, person, who=who, gpc=gpc)

    def readings(self, app: App, person: Person) -> PersonReadings:
        """What is read of one person, and their mood."""
        return PersonReadings(self.conversations, app, person)

    def moods_used(self, decision: str) -> MoodsUsed | None:
        """The moods that a decision used, while they are in memory and not expired."""
        return self.conversations.memory.moods_used.find(decision, self.clock())

    async def erase(self, app: App, people: list[Person], actor: Actor) -> None:
        """Forget people everywhere: what is stored about them, and their moods in memory."""
        await self.storage.erase(app, people, actor)
        for person in people:
            self.conversations.memory.forget(person.pseudonym)
            self.recommender.forget(person.pseudonym)

    def health(self) -> dict[str, str]:
        """Which parts work; `absent` is a choice, `unavailable` a fault."""
        missing = "absent" if self.settings.affect == "absent" else "unavailable"
        mute = "absent" if self.settings.transcriber_model == "none" else "unavailable"
        return {
            "storage": "ready" if self.storage.database.write_failed_at is None else "unavailable",
            "vad": "ready",
            "text": missing if self.conversations.text is None else "ready",
            "voice": missing if self.conversations.voice is None else "ready",
            "transcription": mute if self.conversations.dictation is None else "ready",
        }


@asynccontextmanager
async def open_services(
    settings: Settings,
    *,
    open_model: ModelOpener = open_model,
    clock: Callable[[], float] = time.time,
    new_id: Callable[[], str] = new_id,
) -> AsyncIterator[Services]:
    """Open the databases and the models, and close them at the end.

    Raises `ConfigInvalid` without a master key, `StorageFailed` without a database, `ModelInvalid` without voice
    activity detection. Another model that is missing or broken is logged and shown by `/readyz`; the rest works.
    """
    async with AsyncExitStack() as stack:
        storage = await stack.enter_async_context(open_storage(settings, clock=clock, new_id=new_id))
        expires_s, calibration = settings.mood_expires_s, read_calibration()
        new_timeline = partial(
            Timeline, half_life_s=settings.mood_half_life_s, expires_s=expires_s, calibration=calibration
        )
        memory = Memory(new_timeline, expires_s=expires_s)
        recommender = Recommender(
            storage.catalogues, storage.rewards, storage.decisions, storage.exposures, exploration=Exploration()
        )
        for listener in (memory.apply_consent, recommender.apply_consent):
            storage.ledger.listen(None, listener)
        await stack.enter_async_context(storage.ledger.following(changes_of(storage.database, storage.records)))
        models = _Models(settings, storage.ledger, open_model, stack)
        vad = await models.open_vad()
        text = voice = dictation = None
        if settings.affect != "absent":
            text = await _available(settings.text_model, models.open_text)
            voice = await _available(settings.voice_model, models.open_voice)
        if settings.transcriber_model != "none":
            dictation = await _available(settings.transcriber_model, models.open_dictation)
        patience = Patience(
            connect_s=settings.upstream_connect_s,
            first_s=settings.upstream_first_s,
            between_s=settings.upstream_between_s,
            total_s=settings.upstream_total_s,
            retries=settings.upstream_retries,
        )
        upstream = await stack.enter_async_context(
            open_upstream(settings.upstream_url, settings.upstream_key, patience)
        )
        unpredictable = random.SystemRandom()
        conversations = ConversationServices(
            ledger=storage.ledger,
            memory=memory,
            text=text,
            voice=voice,
            dictation=dictation,
            vad=vad,
            recommender=recommender,
            decisions=storage.decisions,
            baselines=storage.baselines,
            moods=storage.moods,
            contexts=storage.contexts,
            uses=storage.access,
            policies=storage.policies,
            affect_budget_s=settings.affect_budget_ms / 1000,
            update_budget_s=settings.update_budget_ms / 1000,
            clock=clock,
            new_id=new_id,
            normal=lambda: unpredictable.gauss(0.0, 1.0),
            holdout=settings.mood_holdout,
        )
        await stack.enter_async_context(storage.purge.running())
        yield Services(
            settings=settings,
            storage=storage,
            conversations=conversations,
            recommender=recommender,
            upstream=None if upstream is None else ToneUpstream(upstream, settings.chat_tone_placement),
            budget=Budget(
                Prices(settings.price_prompt, settings.price_completion),
                app=DailyLimit(settings.chat_tokens_app, settings.chat_cost_app),
                person=DailyLimit(settings.chat_tokens_person, settings.chat_cost_person),
            ),
            readers=tuple(reader.card for reader in (text, voice) if reader is not None),
            batchers=tuple(models.batchers),
            token_key=storage.vault.derive(b"tokens"),
            clock=clock,
            new_id=new_id,
        )


class _Models:
    """Loads models and shares the stems and the threads; `stack` closes what was opened."""

    def __init__(self, settings: Settings, gate: Gate, open_model: ModelOpener, stack: AsyncExitStack) -> None:
        self._settings = settings
        self._gate = gate
        self._open_model = open_model
        self._stack = stack
        self._affect = self._threads(2, "affect")
        self._stems: dict[str, Encoder] = {}
        self.batchers: list[Batcher] = []

    async def open_vad(self) -> Vad:
        # every stream may wait for it at once
        waiting = self._settings.max_streams
        return Vad(self._batcher(await self._load("vad"), self._threads(1, "vad"), workers=1, max_waiting=waiting))

    async def open_text(self) -> TextReader:
        model = await self._load(self._settings.text_model)
        return TextReader(self._batcher(model, self._affect, max_elements=BATCH_ELEMENTS), self._gate)

    async def open_voice(self) -> VoiceReader:
        head = await self._load(self._settings.voice_model)
        check_baseline(head.card)
        encoder = await self._stem(stem_of(head.card)[0])
        # a head is quick, and would wait long behind the next batch of the stem
        threads = self._threads(1, "head")
        # heads run row by row: their products are fp32, which differ in the last bit with the size of a batch
        alone = self._batcher(head, threads, workers=1, max_elements=1, max_waiting=_HEADS_WAITING)
        return VoiceReader(encoder, alone, self._gate)

    async def open_dictation(self) -> Dictation:
        name = self._settings.transcriber_model
        rest = await self._load(f"{name}-encoder")
        encoder = await self._stem(stem_of(rest.card)[0])
        decoder = await self._load(name)
        # words take long, and affect must not wait for them
        return Dictation(encoder, Transcriber(encoder.card, rest, decoder, self._threads(1, "words")))

    async def _stem(self, name: str) -> Encoder:
        if name not in self._stems:
            batcher = self._batcher(await self._load(name), self._affect, max_elements=_STEM_SAMPLES)
            self._stems[name] = Encoder(batcher)
        return self._stems[name]

    async def _load(self, name: str) -> Model:
        return await asyncio.to_thread(self._open_model, self._settings.models_folder / name)

    def _batcher(self, model: Model, threads: ThreadPoolExecutor, **limits: Any) -> Batcher:
        batcher = Batcher(model, threads, **limits)
        self.batchers.append(batcher)
        self._stack.push_async_callback(batcher.close)
        return batcher

    def _threads(self, count: int, name: str) -> ThreadPoolExecutor:
        return self._stack.enter_context(ThreadPoolExecutor(count, thread_name_prefix=name))


async def _available(name: str, open_part: Callable[[], Awaitable[Part]]) -> Part | None:
    try:
        return await open_part()
    except ModelInvalid as error:
        log.error("the model %s is not available: %s", name, error)
        return None
