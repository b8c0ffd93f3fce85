"""Ranking and rewards through HTTP, beside a bare handler: `python -m scripts.bench.recommend [--items 1000]`.

Server and client share one process and one loop, so the figures are a floor. A ranking reads consent and the
catalogue, ranks, and keeps its decision durably before it is answered; so is a reward.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import aiohttp
import msgspec
import numpy as np

from assistant.config import Settings, shipped_models
from assistant.recommend.catalogue import Catalogue
from assistant.server.app import running
from assistant.services import open_services
from assistant.store.keys import make_master_key
from scripts.bench.rank import catalogue

AT_ONCE = 32
"""Requests at the same time, where many are counted."""


async def measured(name: str, call: Callable[[int], Awaitable[None]], count: int, at_once: int) -> None:
    """Print p50 and p99 one at a time, then requests a second with some at once."""
    alone = []
    for n in range(count // 4):
        begun = time.perf_counter()
        await call(n)
        alone.append(1000 * (time.perf_counter() - begun))
    numbers = iter(range(count // 4, count + count // 4))

    async def worker() -> None:
        for n in numbers:
            await call(n)

    begun = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(at_once)))
    rate = count / (time.perf_counter() - begun)
    p50, p99 = np.percentile(alone, [50, 99])
    print(
        f"  {name:<34} p50 {p50:7.2f} ms   p99 {p99:7.2f} ms   {rate:7.0f} a second, {at_once} at once", flush=True
    )


async def bench(folder: Path, items: int, count: int) -> None:
    make_master_key(folder / "master.key")
    settings = Settings(
        database=f"sqlite:///{folder}/attune.db",
        keys=f"sqlite:///{folder}/keys.db",
        master_key_file=folder / "master.key",
        port=0,
        models=shipped_models(),
        affect="absent",
        transcriber_model="none",
        log_level="ERROR",
        rate_app="none",
        rate_person="none",
    )
    async with open_services(replace(settings)) as services, running(services) as address:
        key = await services.storage.apps.create_key("bench", "general")
        headers = {"Authorization": f"Bearer {key}"}
        async with aiohttp.ClientSession(address, headers=headers) as client:

            async def call(method: str, path: str, body: object = None) -> bytes:
                data = None if body is None else msgspec.json.encode(body)
                async with client.request(method, path, data=data) as answer:
                    told = await answer.read()
                    assert answer.status < 300, told
                    return told

            await call("PUT", "/v1/catalogue", Catalogue("1", tuple(catalogue(items))))
            await call("PUT", "/v1/people/ada", {"interests": ["tag1", "tag2"]})
            decisions: list[tuple[str, str]] = []

            async def bare(n: int) -> None:
                await call("GET", "/healthz")

            async def person(n: int) -> None:
                await call("GET", "/v1/people/ada")

            async def rank(n: int) -> None:
                told = msgspec.json.decode(await call("POST", "/v1/people/ada/rank", {"slots": 5}))
                decisions.append((told["decision"], told["recommendations"][0]["id"]))

            async def reward(n: int) -> None:
                decision, item = decisions[n % len(decisions)]
                body = {"item": item, "kind": "click", "key": f"k{n}"}
                await call("POST", f"/v1/decisions/{decision}/reward", body)

            print(f"{items} items")
            await measured("bare handler (/healthz)", bare, count, AT_ONCE)
            await measured("a person's profile", person, count, AT_ONCE)
            await measured("rank, cold start", rank, count, AT_ONCE)
            await measured("reward, durable", reward, count, AT_ONCE)
            await measured("rank, after those rewards", rank, count, AT_ONCE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, nargs="+", default=[1_000])
    parser.add_argument("--requests", type=int, default=1_000)
    args = parser.parse_args()
    for items in args.items:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(bench(Path(folder), items, args.requests))


if __name__ == "__main__":
    main()
