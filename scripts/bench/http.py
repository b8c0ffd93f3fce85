"""Requests per second of each route, as a share of `/healthz` on the same server in the same round.

    python -m scripts.bench.http                                 # SQLite, every route, closed loop
    python -m scripts.bench.http --open-loop 200 --routes message-nothing
    python -m scripts.bench.http --postgres                      # the same on PostgreSQL beside SQLite

Closed loop: each of `--connections` sends its next request when it has its answer. Open loop: requests leave at
random moments (Poisson) at a given rate, whatever is unanswered, and a time runs from when its request was due.
The client is a process of its own that does next to nothing: it writes prepared bytes and counts answers.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import numpy as np
import psutil
from tqdm import tqdm

from scripts.bench.postgres import running_postgres

PEOPLE = 50
TEXTS = (
    "Three deadlines tomorrow, I can't sleep and I'm terrified I will mess it all up.",
    "Could you tell me how long the museum is open today, and whether there is a discount?",
    "I finally got the job! I can't believe it, after all these months of trying.",
    "My flight got cancelled again and nobody at the counter would talk to me, so now I sit here at the airport.",
)
GRANT = {"modality": "text", "purpose": "tone", "granted": True, "notice": "1"}
REWARDS = 40_000
"""Most rewards that are prepared for one run: each needs a key of its own."""
Requests = Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Load:
    """One route under load."""

    connections: int
    requests: Callable[[], Requests]


class _Connection(asyncio.Protocol):
    """Sends one request after the other, and counts whole answers."""

    def __init__(self, requests: Requests, answered: Callable[[int], None]) -> None:
        self._requests, self._answered = requests, answered
        self._rest = bytearray()
        self.idle: Callable[[_Connection], None] | None = None
        """Called with this when an answer is whole; None: it goes on at once."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def send(self) -> None:
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        self._rest += data
        end = self._rest.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._rest[:end]).lower()
        at = head.index(b"content-length:") + 15
        length = int(head[at : head.find(b"\r\n", at) if b"\r\n" in head[at:] else None])
        if len(self._rest) < end + 4 + length:
            return
        self._rest.clear()
        self._answered(int(head[9:12]))
        if self.idle is None:
            self.send()
        else:
            self.idle(self)

    def connection_lost(self, error: Exception | None) -> None:
        if error is not None:
            raise SystemExit(f"the server closed a connection: {error}")


async def _closed(address: tuple[str, int], load: Load, seconds: float) -> dict[str, Any]:
    """Answers per second, and times in milliseconds."""
    statuses: dict[int, int] = {}
    requests = load.requests()

    def answered(status: int) -> None:
        statuses[status] = statuses.get(status, 0) + 1

    loop = asyncio.get_running_loop()
    connections = [
        (await loop.create_connection(lambda: _Connection(requests, answered), *address))[1]
        for _ in range(load.connections)
    ]
    for connection in connections:
        connection.send()
    await asyncio.sleep(seconds / 5)  # warm
    statuses.clear()
    began = time.perf_counter()
    await asyncio.sleep(seconds)
    took, counted = time.perf_counter() - began, dict(statuses)
    for connection in connections:
        connection._transport.abort()
    return {"rate": sum(counted.values()) / took, "statuses": counted}


async def _open(address: tuple[str, int], load: Load, seconds: float, rate: float) -> dict[str, Any]:
    statuses: dict[int, int] = {}
    times: list[float] = []
    requests = load.requests()
    loop = asyncio.get_running_loop()
    free: list[_Connection] = []
    due_of: dict[_Connection, float] = {}
    waiting: deque[float] = deque()

    def idle(connection: _Connection) -> None:
        times.append(time.perf_counter() - due_of.pop(connection))
        if waiting:
            start(connection, waiting.popleft())
        else:
            free.append(connection)

    def start(connection: _Connection, due: float) -> None:
        due_of[connection] = due
        connection.send()

    def answered(status: int) -> None:
        statuses[status] = statuses.get(status, 0) + 1

    for _ in range(load.connections):
        _, connection = await loop.create_connection(lambda: _Connection(requests, answered), *address)
        connection.idle = idle
        free.append(connection)
    dice, due = random.Random(0), time.perf_counter()
    end = due + seconds
    while due < end:
        due += dice.expovariate(rate)
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        if free:
            start(free.pop(), due)
        else:
            waiting.append(due)
    while due_of:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    p50, p99 = (1000 * float(np.quantile(times, q)) for q in (0.5, 0.99))
    return {"rate": rate, "statuses": statuses, "p50": p50, "p99": p99}


def _client(wire: Any, address: tuple[str, int], loads: dict[str, Load]) -> None:
    """The client's process: runs what it is told."""
    while (told := wire.recv()) is not None:
        name, seconds, rate = told
        load = loads[name]
        run = _closed(address, load, seconds) if rate is None else _open(address, load, seconds, rate)
        wire.send(asyncio.run(run))


def _request(method: str, path: str, key: str, body: Any = None, **headers: str) -> bytes:
    data = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: bench", f"Authorization: Bearer {key}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + data


@dataclass(frozen=True, slots=True)
class _Cycle:
    requests: tuple[bytes, ...]

    def __call__(self) -> Requests:
        return itertools.cycle(self.requests)


@dataclass(frozen=True, slots=True)
class _Rewards:
    """A reward with a key of its own each time, for one of some decisions."""

    key: str
    decisions: tuple[tuple[str, str], ...]
    """Ids of decisions, each with an item that it recommended."""

    def __call__(self) -> Requests:
        for decision, item in itertools.cycle(self.decisions):
            body = {"item": item, "kind": "click"}
            unique = f"{random.getrandbits(64):x}"
            yield _request("POST", f"/v1/decisions/{decision}/reward", self.key, body, Idempotency_Key=unique)


@contextlib.contextmanager
def attune(database: str | None = None, keys: str | None = None) -> Iterator[tuple[str, str, int]]:
    """A server: its address, a key and its process id."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "ATTUNE_DATABASE": database or f"sqlite:///{folder}/attune.db",
            "ATTUNE_KEYS": keys or f"sqlite:///{folder}/keys.db",
            "ATTUNE_MASTER_KEY_FILE": f"{folder}/attune.key",
            "ATTUNE_PORT": "0",
            "ATTUNE_TRANSCRIBER_MODEL": "none",
            "ATTUNE_RATE_APP": "none",
            "ATTUNE_RATE_PERSON": "none",
        }
        command = [sys.executable, "-m", "assistant"]
        create = [*command, "keys", "create", "--app", "bench"]
        made = subprocess.run(create, env=environment, check=True, capture_output=True, text=True)
        process = subprocess.Popen([*command, "serve"], env=environment, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1], made.stdout.splitlines()[-1], process.pid
        finally:
            process.terminate()
            process.wait()


def _catalogue(items: int) -> dict[str, Any]:
    dice = random.Random(1)
    kinds, tags = ("playlist", "article", "exercise"), ("music", "sleep", "focus", "news", "nature", "sport")
    return {
        "version": "1",
        "items": [
            {
                "id": f"i{number}",
                "kind": dice.choice(kinds),
                "title": f"Item {number}",
                "tags": dice.sample(tags, 2),
                "features": {"energy": round(dice.uniform(-1, 1), 2)},
            }
            for number in range(items)
        ],
    }


async def prepare(address: str, key: str) -> dict[str, Load]:
    """People, grants, a catalogue and decisions, and the load of each route."""
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(headers=headers) as client:

        async def call(method: str, path: str, body: Any) -> Any:
            async with client.request(method, address + path, json=body) as answer:
                assert answer.status < 300, (method, path, answer.status, await answer.text())
                return await answer.json()

        await call("PUT", "/v1/catalogue", _catalogue(1_000))
        for number in range(PEOPLE):
            for kind in ("silent", "open"):
                await call("PUT", f"/v1/people/{kind}{number}", {"interests": ["music", "nature"]})
            await call("POST", f"/v1/people/open{number}/consent", GRANT)
        decisions = []
        for number in range(PEOPLE):
            ranked = await call("POST", f"/v1/people/silent{number}/rank", {"slots": 5})
            decisions += [(ranked["decision"], item["id"]) for item in ranked["recommendations"]]
    numbers = range(PEOPLE)

    def say(kind: str) -> _Cycle:
        return _Cycle(
            tuple(
                _request("POST", f"/v1/people/{kind}{number}/messages", key, {"text": TEXTS[number % len(TEXTS)]})
                for number in numbers
            )
        )

    rank = tuple(_request("POST", f"/v1/people/silent{n}/rank", key, {"slots": 10}) for n in numbers)
    return {
        "healthz": Load(16, _Cycle((_request("GET", "/healthz", key),))),
        "profile": Load(16, _Cycle(tuple(_request("GET", f"/v1/people/silent{n}", key) for n in numbers))),
        "message-nothing": Load(16, say("silent")),
        "message-text": Load(16, say("open")),
        "rank-1000": Load(16, _Cycle(rank)),
        "reward": Load(64, _Rewards(key, tuple(decisions))),
    }


def measure(database: str | None, keys: str | None, args: argparse.Namespace) -> dict[str, list[Any]]:
    """What each route did in each round."""
    with attune(database, keys) as (address, key, pid):
        loads = asyncio.run(prepare(address, key))
        parts = urlsplit(address)
        assert parts.hostname is not None
        assert parts.port is not None
        spawn = multiprocessing.get_context("spawn")
        ours, theirs = spawn.Pipe()
        client = spawn.Process(target=_client, args=(theirs, (parts.hostname, parts.port), loads), daemon=True)
        client.start()
        found: dict[str, list[Any]] = {name: [] for name in ("healthz", *args.routes)}
        server = psutil.Process(pid)
        for _ in tqdm(range(args.rounds), unit="round", leave=False):
            for name in found:
                before = server.cpu_times()
                ours.send((name, args.seconds, None if name == "healthz" else args.open_loop))
                result = ours.recv()
                after = server.cpu_times()
                result["cpu"] = after.user + after.system - before.user - before.system
                wrong = {status: n for status, n in result["statuses"].items() if status >= 300}
                if wrong:
                    print(f"{name}: answers with an error: {wrong}", file=sys.stderr)
                found[name].append(result)
        ours.send(None)
        client.join()
        print(f"memory of the server at the end: {server.memory_info().rss / 1e6:.0f} MB")
    return found


def show(name: str, found: dict[str, list[Any]]) -> None:
    """Print a table: medians over rounds, and each route's share of `/healthz` in the same round."""
    print(f"{name:<18}{'requests/s':>12}{'share':>9}{'p50 ms':>9}{'p99 ms':>9}")
    for route, runs in found.items():
        rate = statistics.median(run["rate"] for run in runs)
        share = statistics.median(
            run["rate"] / base["rate"] for run, base in zip(runs, found["healthz"], strict=True)
        )
        times = [statistics.median(run[q] for run in runs) if q in runs[0] else None for q in ("p50", "p99")]
        shown = "".join(f"{'' if each is None else format(each, '.1f'):>9}" for each in times)
        print(f"{route:<18}{rate:>12.0f}{f'1/{1 / share:.1f}':>9}{shown}")


def main() -> None:
    """Run the benchmark."""
    routes = ("profile", "message-nothing", "message-text", "rank-1000", "reward")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--routes", nargs="+", choices=routes, default=routes, help="which (default: all)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (default 3)")
    parser.add_argument("--seconds", type=float, default=4.0, help="seconds for each route in a round (default 4)")
    parser.add_argument("--open-loop", type=float, metavar="RATE", help="send so many requests a second")
    parser.add_argument("--postgres", action="store_true", help="run on PostgreSQL too, for comparison")
    parser.add_argument("--out", type=Path, help="write everything as JSON")
    args = parser.parse_args()
    all_found = {"sqlite": measure(None, None, args)}
    show("SQLite", all_found["sqlite"])
    if args.postgres:
        with running_postgres(durable=True) as server:
            all_found["postgresql"] = measure(server.create("bench"), server.create("bench_keys"), args)
        show("PostgreSQL", all_found["postgresql"])
    if args.out:
        args.out.write_text(json.dumps(all_found))


if __name__ == "__main__":
    main()
