"""A whole server in each test: real databases, real models, an HTTP client, and a spy at the ONNX session."""

from __future__ import annotations

import asyncio
import filecmp
import gc
import itertools
import json
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import msgspec
import pytest
from aiohttp import web_app
from hypothesis import settings as hypothesis_settings
from sqlalchemy import create_engine

from assistant.audio.decode import read_audio
from assistant.audio.encoder import Encoder, States
from assistant.audio.pcm import Samples, to_pcm16
from assistant.audio.transcribe import Transcript
from assistant.config import Settings, shipped_models
from assistant.consent.legal_rules import Context
from assistant.conversation.dictation import Dictation
from assistant.inference.batcher import Batcher
from assistant.inference.card import Card
from assistant.inference.model import Model, OnnxSession, SessionFactory, onnx_session, open_model
from assistant.profile.person import App, Person
from assistant.recommend.catalogue import starter
from assistant.server.app import running
from assistant.services import Services, open_services
from assistant.store.keys import make_master_key
from assistant.store.migrate import migrate
from assistant.store.schema import secrets
from scripts.bench.postgres import Server, binaries, running_postgres
from tests.clock import Clock

# The same examples in every run. To search further: pytest --hypothesis-profile=default
hypothesis_settings.register_profile("fixed", derandomize=True)
hypothesis_settings.load_profile("fixed")

# The default of 700 would spend a fifth of the run on looking for garbage.
gc.set_threshold(10_000)

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
_GRAPHS = tuple(shipped_models().glob("*/model.onnx"))
_SESSIONS: dict[Path, OnnxSession] = {}
"""Of the shipped models, opened once in each process."""
_CARDS: dict[Path, Card] = {}
"""Of the shipped models that were opened."""


def pytest_collection_finish() -> None:
    """What was imported stays: the collector need not look at it again and again."""
    gc.collect()
    gc.freeze()


def shared_session(graph: Path) -> OnnxSession:
    """A session on the CPU, which all tests share where the graph is a shipped one, or a copy of it."""
    original = _original(graph)
    if original is None:
        return onnx_session(graph)
    if original not in _SESSIONS:
        _SESSIONS[original] = onnx_session(original)
    return _SESSIONS[original]


def _original(graph: Path) -> Path | None:
    """The shipped graph whose bytes these are."""
    return graph if graph in _GRAPHS else next((one for one in _GRAPHS if filecmp.cmp(one, graph, False)), None)


def shared_model(folder: Path, session: SessionFactory) -> Model:
    """Open a model; the hash of a shipped one is checked once in each process."""
    if not folder.is_relative_to(shipped_models()):
        return open_model(folder, session)
    if folder not in _CARDS:
        _CARDS[folder] = open_model(folder, shared_session).card
    return Model(_CARDS[folder], session(_CARDS[folder].graph))


class Spy:
    """Counts the runs of each model at the ONNX session."""

    def __init__(self, fakes: dict[str, Callable[[], Any]] | None = None) -> None:
        self.runs: Counter[str] = Counter()
        self._fakes = fakes or {}

    @property
    def affect(self) -> int:
        """Runs of what infers something about a person. The stem doesn't: the words need it too."""
        return self.runs["text"] + self.runs["voice"]

    def __call__(self, graph: Path) -> OnnxSession:
        name = graph.parent.name
        return _Spied(shared_session(graph), name, self, self._fakes.get(name))


class Scribe:
    """Finds no words in speech: it tells those that it was given, one text an utterance, then how long it was."""

    languages = ("de", "en")

    def __init__(self, texts: Sequence[str] = (), guesses: Sequence[str] = ()) -> None:
        self.texts, self.guesses, self.fails = list(texts), list(guesses), False
        self.may_go = asyncio.Event()
        self.may_go.set()
        self.asked: list[tuple[int, str | None, bool]] = []
        """Frames of the stem, language, whether the speech went on: of each call."""

    async def transcribe(
        self, heard: States, *, language: str | None, partial: bool, budget_s: float
    ) -> Transcript:
        self.asked.append((len(heard.states), language, partial))
        await self.may_go.wait()
        if self.fails:
            raise RuntimeError("broken")
        texts = self.guesses if partial else self.texts
        text = texts.pop(0) if texts else "" if partial else f"{len(heard.states)} frames"
        return Transcript(text, language or "en", 1.0, 0.0, -0.1, 0.0, True)


class _Spied:
    def __init__(self, session: OnnxSession, name: str, spy: Spy, before: Callable[[], Any] | None) -> None:
        self._session, self._name, self._spy, self._before = session, name, spy, before

    def run(self, outputs: Any, inputs: Any) -> Any:
        self._spy.runs[self._name] += 1
        if self._before is not None:
            self._before()
        return self._session.run(outputs, inputs)

    def get_inputs(self) -> list[Any]:
        return self._session.get_inputs()

    def get_outputs(self) -> list[Any]:
        return self._session.get_outputs()


@dataclass
class House:
    """A running server and a client of the app `test`."""

    services: Services
    client: aiohttp.ClientSession
    address: str
    key: str
    spy: Spy
    clock: Clock
    scribe: Scribe
    """Its transcriber, where it was given `words`."""

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    async def call(self, method: str, path: str, json: Any = None, status: int = 200, **more: Any) -> Any:
        """One request; checks the status and gives the parsed body."""
        more.setdefault("headers", self.headers)
        async with self.client.request(method, path, json=json, **more) as answer:
            body = await answer.text()
            assert answer.status == status, f"{method} {path}: {answer.status} {body}"
            return await answer.json(content_type=None) if body else None

    async def app(self) -> App:
        """The app that holds the key."""
        return (await self.services.storage.apps.authenticate(self.key)).app

    async def known(self, name: str) -> Person:
        """A person of the app, with their pseudonym."""
        return await self.services.storage.people.get(await self.app(), name)

    async def person(self, name: str = "ada", **profile: Any) -> str:
        await self.call("PUT", f"/v1/people/{name}", profile, status=201)
        return f"/v1/people/{name}"

    async def consent(
        self, modality: str, purpose: str, granted: bool = True, name: str = "ada", status: int = 201
    ) -> Any:
        body = {"modality": modality, "purpose": purpose, "granted": granted, "notice": "1"}
        return await self.call("POST", f"/v1/people/{name}/consent", body, status=status)

    async def message(self, text: str, name: str = "ada") -> Any:
        return await self.call("POST", f"/v1/people/{name}/messages", {"text": text})

    async def stream(self, name: str = "ada", headers: dict[str, str] | None = None) -> Microphone:
        sent = self.headers | (headers or {})
        return Microphone(await self.client.ws_connect(f"/v1/realtime?person={name}", headers=sent))


_SOCKETS: set[aiohttp.ClientWebSocketResponse] = set()
"""Of clients of the servers that are open."""


class _Socket(aiohttp.ClientWebSocketResponse):
    """A client's WebSocket, known until it is closed."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        _SOCKETS.add(self)


async def _close_sockets() -> None:
    """Close what a test left open: aiohttp warns of it whenever the garbage collector finds it."""
    while _SOCKETS:
        await _SOCKETS.pop().close()


class Microphone:
    """A client of the stream that keeps every event it was sent."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.raw: list[str] = []
        self.events: list[dict[str, Any]] = []

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    async def send(self, event: dict[str, Any] | str | bytes) -> None:
        if isinstance(event, bytes):
            await self.socket.send_bytes(event)
        elif isinstance(event, str):
            await self.socket.send_str(event)
        else:
            await self.socket.send_json(event)

    async def play(self, samples: Samples, *, quiet_s: float = 1.0) -> None:
        """Send the samples and some silence in frames of 100 ms, as fast as the server takes them."""
        data = to_pcm16(samples) + bytes(round(32_000 * quiet_s))
        for start in range(0, len(data), 3200):
            await self.socket.send_bytes(data[start : start + 3200])

    async def until(self, kind: str, count: int = 1) -> dict[str, Any]:
        """Read on until `count` events of a kind have come, and give the last of them."""
        while len(self.of(kind)) < count:
            message = await self.socket.receive(timeout=60)
            assert message.type is aiohttp.WSMsgType.TEXT, f"closed while waiting for {kind}: {message}"
            self.raw.append(message.data)
            self.events.append(json.loads(message.data))
        return self.of(kind)[count - 1]

    async def settle(self) -> None:
        """Read everything that the server had to say until now: it answers an unknown event in order."""
        name = f"settle{len(self.events)}"
        await self.send({"type": "test.settle", "event_id": name})
        while not any(event["error"]["event_id"] == name for event in self.of("error")):
            await self.until("error", len(self.of("error")) + 1)

    async def acknowledge(self) -> None:
        notice = await self.until("policy.notice")
        await self.send({"type": "consent.update", "acknowledge": True, "notice": notice["notice"]})


@dataclass(frozen=True)
class Databases:
    """URLs of a main database with the newest schema and no rows, and of an empty one for the keys."""

    main: str
    keys: str


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server for the whole run."""
    if binaries() is None:
        pytest.skip("there is no PostgreSQL here")
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def template(postgres: Server) -> str:
    migrate(postgres.create("template"))
    return "template"


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the newest schema and no rows, to be copied."""
    file = tmp_path_factory.mktemp("migrated") / "attune.db"
    migrate(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def migrated_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file for keys with its tables and no rows, to be copied."""
    file = tmp_path_factory.mktemp("migrated") / "keys.db"
    engine = create_engine(f"sqlite:///{file}")
    secrets.create_all(engine)
    engine.dispose()
    return file


@pytest.fixture
def sqlite_databases(tmp_path: Path, migrated: Path) -> Databases:
    shutil.copy(migrated, tmp_path / "attune.db")
    return Databases(f"sqlite:///{tmp_path}/attune.db", f"sqlite:///{tmp_path}/keys.db")


_NUMBERS = itertools.count()


@pytest.fixture
def postgres_databases(postgres: Server, template: str) -> Databases:
    name = f"test{next(_NUMBERS)}"
    return Databases(postgres.create(name, template), postgres.create(f"{name}keys"))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def databases(request: pytest.FixtureRequest) -> Databases:
    """Databases of each kind in turn: what takes this fixture is tested on both."""
    name = "sqlite_databases" if request.param == "sqlite" else "postgres_databases"
    found: Databases = request.getfixturevalue(name)
    return found


class OpenHouse(Protocol):
    """Opens a server; see the fixture `open_house`."""

    async def __call__(
        self,
        context: Context = "general",
        before: dict[str, Callable[[], Any]] | None = None,
        first_id: int = 0,
        words: Sequence[str] | None = None,
        guesses: Sequence[str] = (),
        **change: Any,
    ) -> House: ...


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    make_master_key(tmp_path / "master.key")
    return Settings(
        database=f"sqlite:///{tmp_path}/attune.db",
        keys=f"sqlite:///{tmp_path}/keys.db",
        master_key_file=tmp_path / "master.key",
        port=0,
        models=shipped_models(),
        affect_budget_ms=10_000,
        update_budget_ms=10_000,
        transcriber_model="none",
        mood_holdout=0.0,
    )


@pytest.fixture
async def open_house(
    settings: Settings, tmp_path: Path, migrated: Path, migrated_keys: Path
) -> AsyncIterator[OpenHouse]:
    """Opens servers, each with its own databases.

    Ids count from `first_id`, `change` replaces settings, and `before[name]` is called in the model's thread
    before each of its runs. There is no transcription, but with `words` to find (and `guesses` of them before), or
    with a `transcriber_model`.
    """
    houses = itertools.count()
    async with AsyncExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(1))

        async def opened(
            context: Context = "general",
            before: dict[str, Callable[[], Any]] | None = None,
            first_id: int = 0,
            words: Sequence[str] | None = None,
            guesses: Sequence[str] = (),
            **change: Any,
        ) -> House:
            spy, clock, ids = Spy(before), Clock(), itertools.count(first_id)
            folder = tmp_path / f"house{next(houses)}"
            folder.mkdir()
            shutil.copy(migrated, folder / "attune.db")  # ten times as fast as Alembic
            shutil.copy(migrated_keys, folder / "keys.db")
            own = {"database": f"sqlite:///{folder}/attune.db", "keys": f"sqlite:///{folder}/keys.db"}
            services = await stack.enter_async_context(
                open_services(
                    replace(settings, **(own | change)),
                    open_model=partial(shared_model, session=spy),
                    clock=clock,
                    new_id=lambda: f"id{next(ids):06}",
                )
            )
            scribe = Scribe(words or (), guesses)
            if words is not None:
                stem = Batcher(shared_model(services.settings.models_folder / "stem", spy), pool)
                stack.push_async_callback(stem.close)
                conversations = replace(services.conversations, dictation=Dictation(Encoder(stem), scribe))
                services = replace(services, conversations=conversations)
            address = await stack.enter_async_context(running(services))
            client = await stack.enter_async_context(aiohttp.ClientSession(address, ws_response_class=_Socket))
            stack.push_async_callback(_close_sockets)
            key = await services.storage.apps.create_key(f"test-{context}", context)
            house = House(services, client, address, key, spy, clock, scribe)
            await house.call(
                "PUT", "/v1/catalogue", data=_STARTER, headers=house.headers | {"Content-Type": "application/json"}
            )
            return house

        yield opened
    # aiohttp remembers the handlers of a thousand applications, and with them all that each had opened (10 MB)
    web_app._cached_build_middleware.cache_clear()


@pytest.fixture
async def house(open_house: OpenHouse) -> House:
    return await open_house()


_STARTER = msgspec.json.encode(starter())


@pytest.fixture(scope="session")
def recording() -> Samples:
    """The demo's recording: three utterances of a LibriVox reading."""
    return read_audio(ROOT / "assistant" / "demo" / "reading.flac")


@pytest.fixture(scope="session")
def data() -> Path:
    """The labelled data, where it is present."""
    if not DATA.is_dir():
        pytest.skip("the labelled data is not here")
    return DATA
