"""A whole server in each test: real databases, real models, an HTTP client, and a spy at the ONNX session."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from assistant.config import Settings, shipped_models
from assistant.inference.model import Session, SessionFactory, onnx_session
from assistant.recommend.catalogue import starter
from assistant.server.app import make_app
from assistant.services import Services, open_services
from assistant.store.vault import make_master_key

DATA = Path(__file__).parents[1].parent / "shared" / "data"
_SESSIONS: dict[Path, Session] = {}
NOW = 1_800_000_000.0


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class Spy:
    """Counts the runs of each model at the ONNX session."""

    def __init__(self) -> None:
        self.runs: Counter[str] = Counter()

    @property
    def affect(self) -> int:
        return self.runs["text"] + self.runs["voice"]

    def __call__(self, graph: Path) -> Session:
        if graph not in _SESSIONS:
            _SESSIONS[graph] = onnx_session(graph)
        return _Spied(_SESSIONS[graph], graph.parent.name, self)


class _Spied:
    def __init__(self, session: Session, name: str, spy: Spy) -> None:
        self._session, self._name, self._spy = session, name, spy

    def run(self, outputs: Any, inputs: Any) -> Any:
        self._spy.runs[self._name] += 1
        return self._session.run(outputs, inputs)

    def get_inputs(self) -> list[Any]:
        return self._session.get_inputs()

    def get_outputs(self) -> list[Any]:
        return self._session.get_outputs()


@dataclass
class House:
    """A running server and a client of the app `test`."""

    services: Services
    client: TestClient[Any, Any]
    key: str
    spy: Spy
    clock: Clock

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

    async def stream(self, name: str = "ada") -> aiohttp.ClientWebSocketResponse:
        return await self.client.ws_connect(f"/v1/realtime?person={name}", headers=self.headers)


OpenHouse = Callable[..., Awaitable[House]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    make_master_key(tmp_path / "master.key")
    return Settings(
        database=f"sqlite:///{tmp_path}/attune.db",
        keys=f"sqlite:///{tmp_path}/keys.db",
        master_key_file=tmp_path / "master.key",
        models=shipped_models(),
        affect_budget_ms=10_000,
    )


@pytest.fixture
async def open_house(settings: Settings) -> AsyncIterator[OpenHouse]:
    """Opens servers; `change` replaces settings, `session` the way that models are loaded."""
    async with AsyncExitStack() as stack:

        async def opened(context: str = "general", session: SessionFactory | None = None, **change: Any) -> House:
            from dataclasses import replace

            spy, clock, ids = Spy(), Clock(), itertools.count()
            services = await stack.enter_async_context(
                open_services(
                    replace(settings, **change),
                    session=session or spy,
                    clock=clock,
                    new_id=lambda: f"id{next(ids):06}",
                )
            )
            client = TestClient(TestServer(make_app(services)))
            await stack.enter_async_context(client)
            key = await services.apps.create_key(f"test-{context}", context)  # type: ignore[arg-type]
            house = House(services, client, key, spy, clock)
            await house.call(
                "PUT", "/v1/catalogue", data=_STARTER, headers=house.headers | {"Content-Type": "application/json"}
            )
            return house

        yield opened


@pytest.fixture
async def house(open_house: OpenHouse) -> House:
    return await open_house()


def _encode_starter() -> bytes:
    import msgspec

    return msgspec.json.encode(starter())


_STARTER = _encode_starter()
