"""Time to the first token of a streamed chat: through Attune, and through a proxy that does nothing else.

    python -m scripts.bench.chat                 # a fake upstream that answers at once; each request in turn
    python -m scripts.bench.chat --first-ms 200  # one that takes as long as a language model

In each round the same text goes through a bare proxy, through Attune for nobody, for a person who granted nothing
and for one who lets text be read, and through the text reader alone, in this process; who is first changes, so that
a noisy machine slows all of them. "added" is the difference to the bare proxy in the same round, "beyond" that less
the text reader in the same round.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from aiohttp import web
from tqdm import tqdm

from assistant.config import shipped_models
from assistant.consent.grant import EvaluationGate
from assistant.inference.batcher import Batcher
from assistant.inference.model import open_model
from assistant.text.reader import TextReader

ARMS = ("bare proxy", "nobody", "no grant", "read", "text reader")
PEOPLE = 50
"""Of each kind: nobody writes ten messages a second."""
WARM = 20
"""Rounds that don't count."""
TEXTS = (
    "Three deadlines tomorrow, I can't sleep and I'm terrified I will mess it all up.",
    "Could you tell me how long the museum is open today, and whether there is a discount?",
    "I finally got the job! I can't believe it, after all these months of trying.",
    "My flight got cancelled again and nobody at the counter would talk to me, so now I sit here at the airport.",
)
WORDS = 20


async def upstream(request: web.Request) -> web.StreamResponse:
    """Streams a few words."""
    await request.read()
    await asyncio.sleep(request.app["first_s"])
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    for number in range(WORDS):
        choice = {"index": 0, "delta": {"content": f" word{number}"}, "finish_reason": None}
        await response.write(f"data: {json.dumps(head | {'choices': [choice]})}\n\n".encode())
    choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
    await response.write(f"data: {json.dumps(head | {'choices': [choice]})}\n\ndata: [DONE]\n\n".encode())
    return response


async def bare(request: web.Request) -> web.StreamResponse:
    """Passes on bytes."""
    async with request.app["client"].post(request.app["url"], data=await request.read()) as answer:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        async for part in answer.content.iter_any():
            await response.write(part)
        return response


def _serve(told: Any, url: str, first_s: float) -> None:
    async def run() -> None:
        app = web.Application()
        app["url"], app["first_s"] = url, first_s
        if url:
            app["client"] = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        app.router.add_post("/v1/chat/completions", bare if url else upstream)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        told.send(f"http://127.0.0.1:{runner.addresses[0][1]}/v1/chat/completions")
        await asyncio.Event().wait()

    asyncio.run(run())


@contextlib.contextmanager
def serving(url: str = "", first_s: float = 0.0) -> Iterator[str]:
    """A process that serves the upstream, or a bare proxy of `url`."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(theirs, url, first_s), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


@contextlib.contextmanager
def attune(url: str) -> Iterator[tuple[str, str]]:
    """A process of Attune before `url`: its address and a key."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "ATTUNE_DATABASE": f"sqlite:///{folder}/attune.db",
            "ATTUNE_KEYS": f"sqlite:///{folder}/keys.db",
            "ATTUNE_MASTER_KEY_FILE": f"{folder}/attune.key",
            "ATTUNE_PORT": "0",
            "ATTUNE_TRANSCRIBER_MODEL": "none",
            "ATTUNE_UPSTREAM_URL": url.removesuffix("/chat/completions"),
        }
        command = [sys.executable, "-m", "assistant"]
        create = [*command, "keys", "create", "--app", "bench"]
        made = subprocess.run(create, env=environment, check=True, capture_output=True, text=True)
        process = subprocess.Popen([*command, "serve"], env=environment, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1], made.stdout.splitlines()[-1]
        finally:
            process.terminate()
            process.wait()


async def first_token(client: aiohttp.ClientSession, url: str, key: str, body: dict[str, Any]) -> float:
    """Milliseconds until the first event of an answer; reads on to its end."""
    began = time.perf_counter()
    async with client.post(url, json=body, headers={"Authorization": f"Bearer {key}"}) as answer:
        assert answer.status == 200, await answer.text()
        await answer.content.readuntil(b"\n\n")
        took = time.perf_counter() - began
        await answer.read()
    return 1000 * took


async def prepare(client: aiohttp.ClientSession, address: str, key: str) -> None:
    """People who grant nothing, and people who let text be read for the tone."""
    headers = {"Authorization": f"Bearer {key}"}
    grant = {"modality": "text", "purpose": "tone", "granted": True, "notice": "1"}
    for kind in ("silent", "open"):
        for number in range(PEOPLE):
            person = f"{address}/v1/people/{kind}{number}"
            async with client.put(person, json={}, headers=headers) as answer:
                assert answer.status == 201
            if kind == "open":
                async with client.post(f"{person}/consent", json=grant, headers=headers) as answer:
                    assert answer.status == 201


async def measure(proxy: str, address: str, key: str, rounds: int) -> dict[str, np.ndarray]:
    """Milliseconds to the first token of each arm, or of the text reader: one for each round."""
    users = {"no grant": "silent", "read": "open"}
    ours = f"{address}/v1/chat/completions"
    found: dict[str, list[float]] = {arm: [] for arm in ARMS}
    gate = EvaluationGate()
    grant = gate.issue("text")
    with ThreadPoolExecutor(2) as pool:
        batcher = Batcher(open_model(shipped_models() / "text"), pool)
        reader = TextReader(batcher, gate)

        async def timed(arm: str, number: int) -> float:
            text = TEXTS[number % len(TEXTS)]
            if arm == "text reader":
                began = time.perf_counter()
                await reader.read(grant, text, budget_s=10.0)
                return 1000 * (time.perf_counter() - began)
            body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": text}]}
            if arm in users:
                body["user"] = f"{users[arm]}{number % PEOPLE}"
            return await first_token(client, proxy if arm == "bare proxy" else ours, key, body)

        async with aiohttp.ClientSession() as client:
            await prepare(client, address, key)
            for number in tqdm(range(-WARM, rounds), unit="round", leave=False):
                turn = number % len(ARMS)
                for arm in ARMS[turn:] + ARMS[:turn]:
                    took = await timed(arm, number)
                    if number >= 0:
                        found[arm].append(took)
        await batcher.close()
    return {arm: np.array(times) for arm, times in found.items()}


def told(added: np.ndarray, draws: int = 1000) -> str:
    """Median and 95th percentile over rounds, and the latter's bootstrap interval."""
    drawn = np.random.default_rng(0).choice(added, (draws, len(added)))
    low, high = np.quantile(np.quantile(drawn, 0.95, axis=1), (0.025, 0.975))
    return f"{np.median(added):>11.2f}{np.quantile(added, 0.95):>11.2f}   {low:.2f} to {high:.2f}"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=400, help="requests through each (default 400)")
    parser.add_argument("--first-ms", type=float, default=0.0, help="how long the upstream thinks (default 0)")
    parser.add_argument("--out", type=Path, help="write all times as JSON")
    args = parser.parse_args()
    with serving(first_s=args.first_ms / 1000) as url, serving(url) as proxy, attune(url) as (address, key):
        times = asyncio.run(measure(proxy, address, key, args.rounds))
    print(f"{'to the first token, ms':<24}{'p50':>8}{'p95':>8}{'added p50':>11}{'added p95':>11}   95 % of that")
    for arm, each in times.items():
        line = f"{arm:<24}{np.median(each):>8.2f}{np.quantile(each, 0.95):>8.2f}"
        print(line + (told(each - times["bare proxy"]) if arm in ARMS[1:4] else ""))
    beyond = times["read"] - times["bare proxy"] - times["text reader"]
    print(f"{'read, beyond the reader':<40}{told(beyond)}")
    if args.out:
        args.out.write_text(json.dumps({arm: list(each) for arm, each in times.items()}))


if __name__ == "__main__":
    main()
