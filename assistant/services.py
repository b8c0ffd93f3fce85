"""The whole system, wired once, visibly.

settings -> database, vault -> apps, people, catalogues, decisions
         -> ledger (issues grants)
         -> models -> batchers -> readers (ask the ledger before every run)
         -> tools -> conversations
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from assistant.audio.vad import Vad
from assistant.audio.voice import VoiceReader
from assistant.config import Settings
from assistant.consent.ledger import Ledger
from assistant.conversation.memory import Memory
from assistant.conversation.session import Conversation, Tools
from assistant.errors import ModelInvalid
from assistant.inference.batcher import Batcher
from assistant.inference.model import Model, SessionFactory, onnx_session, open_model
from assistant.profile.person import App, Person
from assistant.store import schema
from assistant.store.database import Database, migrate
from assistant.store.store import Apps, Catalogues, ConsentRecords, Decisions, People
from assistant.store.vault import Vault, read_master_key
from assistant.text.reader import TextReader

log = logging.getLogger(__name__)


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
    ledger: Ledger
    tools: Tools
    clock: Callable[[], float]
    new_id: Callable[[], str]

    def conversation(self, app: App, person: Person) -> Conversation:
        """A conversation with one person."""
        return Conversation(self.tools, app, person)

    async def erase(self, person: Person) -> None:
        """Forget a person everywhere: their key, then every row, then grants and mood in memory."""
        await self.people.erase(person)
        self.ledger.forget(person.pseudonym)
        self.tools.memory.forget(person.pseudonym)

    def health(self) -> dict[str, str]:
        """Which parts work; `absent` is a choice, `unavailable` a fault."""
        missing = "absent" if self.settings.affect == "absent" else "unavailable"
        return {
            "vad": "ready",
            "text": missing if self.tools.text is None else "ready",
            "voice": missing if self.tools.voice is None else "ready",
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
    activity detection. A missing or broken affect model is logged and shown by `/readyz`; everything else works.
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

        quick = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="vad"))
        affect = stack.enter_context(ThreadPoolExecutor(2, thread_name_prefix="affect"))

        def batcher(model: Model, pool: Executor, workers: int) -> Batcher:
            made = Batcher(model, pool, workers=workers)
            stack.push_async_callback(made.close)
            return made

        vad = Vad(batcher(await _load(settings, "vad", session), quick, 1))
        text_model = await _load_affect(settings, settings.text_model, session)
        voice_model = await _load_affect(settings, settings.voice_model, session)
        tools = Tools(
            ledger=ledger,
            memory=memory,
            text=None if text_model is None else TextReader(batcher(text_model, affect, 2), ledger),
            voice=None if voice_model is None else VoiceReader(batcher(voice_model, affect, 2), ledger),
            vad=vad,
            catalogues=catalogues,
            decisions=decisions,
            baselines=decisions,
            affect_budget_s=settings.affect_budget_ms / 1000,
            clock=clock,
            new_id=new_id,
        )
        yield Services(
            settings=settings,
            apps=Apps(database, clock),
            people=People(database, vault, clock),
            catalogues=catalogues,
            decisions=decisions,
            ledger=ledger,
            tools=tools,
            clock=clock,
            new_id=new_id,
        )


async def _load(settings: Settings, name: str, session: SessionFactory) -> Model:
    return await asyncio.to_thread(open_model, settings.models_folder / name, session)


async def _load_affect(settings: Settings, name: str, session: SessionFactory) -> Model | None:
    if settings.affect == "absent":
        return None
    try:
        return await _load(settings, name, session)
    except ModelInvalid as error:
        log.error("the model %s is not available: %s", name, error)
        return None
