"""A thousand canaries through every route, error and stream, at the chattiest log level: none comes out.

Canaries are what people send: texts, transcripts, names, e-mail addresses and keys. They may come back in the
answer to those who asked for them; never in a log, in the metrics, or in what describes a problem.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec
import pytest
from aiohttp import web

from assistant.audio.pcm import Samples
from assistant.commands.log_format import log_handler
from assistant.errors import Invalid
from assistant.server.app import ROUTES, make_app
from assistant.server.http.connection import listen
from assistant.server.http.guard import guard, log_unexpected
from assistant.server.http.metrics import METRICS, Metrics, measured
from tests.conftest import House, OpenHouse

KINDS = ("text {0} is mine", "{0} said so", "{0} Smith", "{0}@example.com", "att_{0}")
BIRD = "kanarie"
HEADERS = (
    "Accept",
    "Accept-Language",
    "If-Match",
    "If-None-Match",
    "Origin",
    "Sec-GPC",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Protocol",
    "User-Agent",
    "X-Forwarded-For",
    "X-Request-Id",
)


@dataclass
class Cage:
    """Makes canaries and listens for them."""

    made: list[str] = field(default_factory=list)
    log: io.StringIO = field(default_factory=io.StringIO)
    problems: list[str] = field(default_factory=list)
    metrics: str = ""

    def bird(self, kind: int | None = None) -> str:
        """A new canary: one of a kind, or of the next kind."""
        number = len(self.made)
        self.made.append(KINDS[number % len(KINDS) if kind is None else kind].format(f"{BIRD}{number:05}"))
        return self.made[-1]

    def name(self) -> str:
        """A canary that may stand in a path."""
        return quote(self.bird(), safe="")

    def key(self) -> str:
        """A canary that may stand in a header."""
        return self.bird(4)

    def heard(self) -> dict[str, int]:
        """Where how many came out."""
        return {
            "log": self.log.getvalue().lower().count(BIRD),
            "problems": sum(problem.lower().count(BIRD) for problem in self.problems),
            "metrics": self.metrics.lower().count(BIRD),
        }

    async def watch(self, answer: aiohttp.ClientResponse) -> None:
        """Keep what describes a problem: the answer and its headers."""
        body = await answer.read()
        if answer.status >= 400:
            self.problems.append(f"{answer.status} {answer.reason} {dict(answer.headers)} {body!r}")

    def watch_event(self, event: dict[str, Any]) -> None:
        """Keep an error of a stream, but for the name that the client itself gave its event."""
        if event["type"] == "error" or event["type"].endswith("failed"):
            error = event["error"] | {"event_id": None}
            self.problems.append(json.dumps(error))


@pytest.fixture
def cage() -> Iterator[Cage]:
    """Everything is logged, in the words of the served program, whatever was set for a logger before."""
    cage, root = Cage(), logging.getLogger()
    loggers = [root, *(one for one in root.manager.loggerDict.values() if isinstance(one, logging.Logger))]
    before = [(one, one.level, one.disabled, one.propagate) for one in loggers]
    for one in loggers:
        one.disabled, one.propagate = False, True
        one.setLevel(logging.NOTSET)
    root.setLevel(logging.DEBUG)
    handler = log_handler(cage.log)
    root.addHandler(handler)
    yield cage
    root.removeHandler(handler)
    for one, level, one.disabled, one.propagate in before:
        one.setLevel(level)


def _filled(kind: Any, cage: Cage) -> Any:
    """A body of the right shape in which every text, and every name that may be chosen, is a canary."""
    if isinstance(kind, msgspec.inspect.StructType):
        return {f.encode_name: _filled(f.type, cage) for f in kind.fields}
    if isinstance(kind, msgspec.inspect.StrType):
        return cage.bird()
    if isinstance(kind, msgspec.inspect.ListType | msgspec.inspect.VarTupleType):
        return [_filled(kind.item_type, cage)]
    if isinstance(kind, msgspec.inspect.DictType):
        return {cage.bird(): _filled(kind.value_type, cage)}
    if isinstance(kind, msgspec.inspect.UnionType):
        return _filled(kind.types[0], cage)
    if isinstance(kind, msgspec.inspect.LiteralType):
        return kind.values[0]
    if isinstance(kind, msgspec.inspect.AnyType):
        return {cage.bird(): cage.bird()}
    return (
        True
        if isinstance(kind, msgspec.inspect.BoolType)
        else 0.5
        if isinstance(kind, msgspec.inspect.FloatType)
        else 1
    )


def _broken(body: Any, cage: Cage) -> Iterator[bytes]:
    """Bodies that can't be taken, each with canaries in another place."""
    bird = cage.bird
    yield f'{{"text": "{bird()}", {bird()}'.encode()
    yield json.dumps({bird(): bird(), "unheard": {bird(): [bird()]}}).encode()
    yield json.dumps([bird()]).encode()
    yield json.dumps(bird()).encode()
    yield bird().encode() + b"\xff\xfe"
    if isinstance(body, dict):
        for name, value in body.items():
            yield json.dumps(body | {name: bird()}).encode()
            yield json.dumps(body | {name: [{bird(): bird()}]}).encode()
            yield json.dumps(body | {name: value, bird(): value}).encode()


async def _through_every_route(house: House, cage: Cage, people: dict[str, str]) -> None:
    for route in make_app(house.services)[ROUTES]:
        for person in people.values():  # the route before may have erased them
            await house.client.put(f"/v1/people/{person}", json={}, headers=house.headers)
        kind = None if route.body is None else msgspec.inspect.type_info(route.body)
        body = {} if kind is None else _filled(kind, cage)

        def path(person: str, route: Any = route) -> str:
            filled = route.path.replace("{person}", person)
            for name in ("device", "receipt", "id"):
                filled = filled.replace(f"{{{name}}}", cage.name())
            return f"{filled}?person={person}&{cage.name()}={cage.name()}"

        async def ask(
            person: str, data: Any, headers: dict[str, str] | None = None, route: Any = route, path: Any = path
        ) -> None:
            given = {"Content-Type": "application/json", **(house.headers if headers is None else headers)}
            async with house.client.request(route.method, path(person), data=data, headers=given) as answer:
                await cage.watch(answer)

        if route.form:
            for name in (*body, cage.bird()):
                form = aiohttp.FormData(default_to_multipart=True)
                form.add_field(name, cage.bird(), filename=cage.bird() if name == "file" else None)
                async with house.client.post(path(people["known"]), data=form, headers=house.headers) as answer:
                    await cage.watch(answer)
        good = json.dumps(body)
        keyless = [
            {"Authorization": f"Bearer {cage.key()}"},
            {"Authorization": f"Bearer {cage.key()}.{cage.key()}.{cage.key()}"},
            {"Authorization": f"{cage.key()} {cage.key()}"},
            {"Authorization": cage.key(), "Cookie": f"session={cage.key()}"},
        ]
        for headers in keyless:
            await ask(people["known"], good, headers)
        shown = {name: cage.key() for name in HEADERS}
        await ask(people["known"], good, house.headers | shown)
        await ask(people["known"], good, house.headers | shown | {"Upgrade": "websocket", "Connection": "upgrade"})
        await ask(cage.name(), good)
        await ask(cage.name() + "x" * 200, good)
        for data in _broken(body, cage):
            await ask(people["known"], data)
        await ask(people["spare"], good)


async def _through_a_stream(house: House, cage: Cage, person: str, recording: Samples) -> None:
    bird = cage.bird
    offered = ("realtime", f"openai-insecure-api-key.{cage.key().replace('@', '')}")
    with contextlib.suppress(aiohttp.WSServerHandshakeError):
        await house.client.ws_connect(f"/v1/realtime?person={person}", protocols=offered)
    microphone = await house.stream(person)
    await microphone.play(recording[: 3 * 16_000])
    await microphone.until("conversation.item.input_audio_transcription.completed")
    session = {"type": "session.update", "session": {}}
    frames: list[Any] = [
        bird(),
        f'{{"type": "{bird()}", ',
        {"type": bird()},
        {"type": [bird()]},
        {bird(): bird()},
        {"type": "conversation.item.create", "item": {"content": [{"type": "input_text", "text": bird()}]}},
        {"type": "conversation.item.create", "item": {"id": bird(), "content": [{"type": bird(), "text": bird()}]}},
        {"type": "conversation.item.create", "item": {"content": bird()}},
        {"type": "consent.update", "acknowledge": True, "notice": bird()},
        {"type": "consent.update", "modality": bird(), "purpose": bird(), "granted": True},
        {"type": "consent.update", "modality": "voice", "purpose": "tone", "granted": True, "notice": bird()},
        {"type": "input_audio_buffer.append", "audio": bird()},
        session | {"session": {"type": bird()}},
        session | {"session": {"input_audio_format": bird()}},
        session | {"session": {"audio": {"input": {"format": {"type": bird(), "rate": bird()}}}}},
        session | {"session": {"input_audio_transcription": {"language": bird()}}},
        session | {"session": {"turn_detection": {"type": bird()}}},
        session | {"session": {bird(): bird(), "audio": bird()}},
    ]
    for frame in frames:
        await microphone.send(frame)
    await microphone.settle()
    for event in microphone.events:
        cage.watch_event(event)
    await microphone.socket.close()
    for start in (
        {"customParameters": {"key": cage.key(), "person": bird(), bird(): bird()}},
        {"customParameters": {"key": house.key, "person": bird(), "notice": bird()}},
        {"customParameters": {"key": f"{cage.key()}.{cage.key()}.{cage.key()}", "person": bird()}},
        {"mediaFormat": {"encoding": bird()}, "customParameters": bird()},
    ):
        async with house.client.ws_connect("/v1/twilio") as socket:
            await socket.send_json({"event": "start", "streamSid": bird(), "start": start})
            await socket.send_json({"event": bird(), "streamSid": bird()})
            await socket.send_str(bird())
            async for message in socket:
                cage.problems.append(str(message))
            cage.problems.append(str(socket.close_code))


async def _through_a_socket(house: House, cage: Cage) -> None:
    """What is no HTTP."""
    host, port = house.address.removeprefix("http://").split(":")
    key = cage.key
    for lines in (
        f"{key()} /{key()} HTTP/1.1\r\n\r\n",
        f"GET /{key()}\r\n\r\n",
        f"GET /{key()} HTTP/9.{key()}\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: x\r\n{key()} {key()}\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: x\r\nX: \x00{key()}\r\n\r\n",
        f"POST /v1/erasures HTTP/1.1\r\nHost: x\r\nContent-Length: {key()}\r\n\r\n",
        f"POST /v1/erasures HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{key()}\r\n",
        f"GET /{'x' * 9000}{key()} HTTP/1.1\r\nHost: x\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: x\r\nX: {'y' * 9000}{key()}\r\n\r\n",
        f"{key()}\x16\x03\x01{key()}",
    ):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(lines.encode("latin-1"))
        writer.write_eof()
        with contextlib.suppress(ConnectionError):
            cage.problems.append((await asyncio.wait_for(reader.read(), 60)).decode("latin-1"))
        writer.close()


def _rename(database: str, old: str, new: str) -> None:
    with contextlib.closing(sqlite3.connect(database)) as other, other:
        other.execute(f"ALTER TABLE {old} RENAME TO {new}")


async def test_a_thousand_canaries_and_none_comes_out(
    open_house: OpenHouse, cage: Cage, recording: Samples, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise RuntimeError(cage.bird())

    house = await open_house(
        before={"text": fail}, words=[cage.bird(1) for _ in range(9)], rate_app="none", rate_person="none"
    )
    people = {"known": cage.name(), "spare": cage.name(), "talks": cage.name()}
    for person in people.values():
        async with house.client.put(f"/v1/people/{person}", json={}, headers=house.headers) as answer:
            assert answer.status == 201
        for modality in ("text", "voice"):
            await house.consent(modality, "tone", name=person)
    item = {"id": cage.bird(), "title": cage.bird(), "kind": "article", "tags": [cage.bird()]}
    await house.call("PUT", "/v1/catalogue", {"version": cage.bird(), "items": [item]})
    assert (await house.message(cage.bird(), people["talks"]))["mood"]["abstained"], "the model failed"
    await _through_every_route(house, cage, people)
    await _through_a_stream(house, cage, people["talks"], recording)
    await _through_a_socket(house, cage)
    database = house.services.settings.database.removeprefix("sqlite:///")
    for table in ("decisions", "people", "consents", "api_keys"):
        await asyncio.to_thread(_rename, database, table, "elsewhere")
        for method, path, body in (
            ("POST", "messages", {"text": cage.bird()}),
            ("POST", "consent", {"modality": "text", "purpose": "tone", "granted": True, "notice": "1"}),
            ("GET", "consent", None),
        ):
            url = f"/v1/people/{people['talks']}/{path}"
            async with house.client.request(method, url, json=body, headers=house.headers) as answer:
                await cage.watch(answer)
        await asyncio.to_thread(_rename, database, "elsewhere", table)
    key = await house.services.storage.apps.create_key("ops", "general", scopes=["operate"])
    async with house.client.get("/metrics", headers={"Authorization": f"Bearer {key}"}) as answer:
        cage.metrics = await answer.text()
    assert len(cage.made) >= 1_000
    assert len(cage.problems) > 300
    assert "(RuntimeError)" in cage.log.getvalue(), "what went wrong on purpose was logged"
    printed = "".join(capfd.readouterr()).lower()
    assert cage.heard() | {"printed": printed.count(BIRD)} == {
        "log": 0,
        "problems": 0,
        "metrics": 0,
        "printed": 0,
    }, _where(cage)


async def test_a_server_that_tells_is_found_out(cage: Cage) -> None:
    """The control: the same watching finds one canary in each place where this server lets it out."""

    async def quotes(request: web.Request) -> web.Response:
        raise Invalid(f"I don't understand {await request.text()}")

    async def logs(request: web.Request) -> web.Response:
        logging.getLogger("assistant.server.leak").debug("got %s", await request.text())
        return web.Response()

    async def fails(request: web.Request) -> web.Response:
        raise RuntimeError(await request.text())

    app = web.Application(middlewares=[measured, guard])
    app[METRICS] = Metrics()
    app.router.add_post("/quotes", quotes)
    app.router.add_post("/logs", logs)
    app.router.add_post("/fails", fails)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    assert runner.server is not None
    listening = await listen(runner.server, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    found = []
    async with aiohttp.ClientSession(address) as client:
        for path in ("/fails", "/quotes", "/logs"):
            async with client.post(path, data=cage.bird(1)) as answer:
                await cage.watch(answer)
            found.append(cage.heard() | {"metrics": 0})
    app[METRICS].answered(("GET", cage.bird(1)), 200, 0.1)
    cage.metrics = app[METRICS].text()
    listening.close()
    await runner.cleanup()
    assert found == [
        {"log": 0, "problems": 0, "metrics": 0},
        {"log": 0, "problems": 1, "metrics": 0},
        {"log": 1, "problems": 1, "metrics": 0},
    ]
    assert cage.heard()["metrics"] > 0
    log_unexpected(RuntimeError(cage.bird(1)))
    assert cage.heard()["log"] == 1, "only the kind of an error is logged"


def test_what_libraries_say_is_not_repeated_nor_what_errors_say(cage: Cage) -> None:
    for name in ("aiohttp.server", "asyncio", "sqlalchemy.engine", "assistantish"):
        library = logging.getLogger(name)
        library.warning("bad header %r", cage.bird())
        library.error(cage.bird())
        library.debug("executing %s", cage.bird())
        try:
            raise ValueError(cage.bird())
        except ValueError:
            library.exception("it failed", stack_info=True)
            logging.getLogger("assistant.test").exception("ours failed")
    said = cage.log.getvalue()
    assert BIRD not in said
    assert "ours failed (ValueError)" in said
    assert said.count("aiohttp.server: at test_canaries:") == 3


def _where(cage: Cage) -> str:
    told = [*cage.log.getvalue().splitlines(), *cage.problems, *cage.metrics.splitlines()]
    return "\n".join(text for text in told if BIRD in text.lower())[:4000]
