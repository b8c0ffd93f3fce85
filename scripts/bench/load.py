"""A server of its own and the people who speak to it, for measurements under load."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import aiohttp
import msgspec
import numpy as np
import psutil
from tqdm import tqdm

from assistant.audio import SAMPLE_RATE
from assistant.audio.decode import read_audio
from assistant.audio.pcm import to_pcm16
from assistant.demo.story import RECORDING

FRAME_S = 0.1
SPEECH_S, PAUSE_S = 4.0, 6.0
TRACKS = 8
"""Different ones; how many updates each deserves is seen when they are played alone."""
WITHOUT_WORDS: dict[str, Any] = {"audio": {"input": {"transcription": None}}}
DEAF: dict[str, Any] = {"audio": {"input": {"transcription": None, "turn_detection": None}}}
STOPPED = "input_audio_buffer.speech_stopped"
COMPLETED = "conversation.item.input_audio_transcription.completed"


@dataclass(frozen=True)
class Plan:
    """What the clients do."""

    session: dict[str, Any]
    seconds: float = 30.0
    affect: bool = False
    """People grant the voice for the tone, and their clients acknowledge the notice."""
    spread_s: float = SPEECH_S + PAUSE_S
    """Within which all begin."""


@dataclass
class Heard:
    """What one client did and got; times are of `time.monotonic`, which all processes share."""

    sent: list[float] = field(default_factory=list)
    """When each frame began to be sent."""
    late: float = 0.0
    """The longest that a frame had to wait for its turn (s)."""
    events: list[tuple[float, dict[str, Any]]] = field(default_factory=list)

    def of(self, kind: str) -> list[tuple[float, dict[str, Any]]]:
        return [(at, event) for at, event in self.events if event["type"] == kind]

    def since(self, at: float, end_ms: float) -> float:
        """Seconds from the frame that ends at `end_ms` of this stream to the moment `at`."""
        frame = min(len(self.sent), max(1, -(-round(end_ms) // round(1000 * FRAME_S)))) - 1
        return at - self.sent[frame]


@dataclass(frozen=True)
class Server:
    """A server with its own database, a key, and people."""

    address: str
    key: str
    process: psutil.Process


@contextmanager
def serving(cores: Sequence[int] | None = None) -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "ATTUNE_DATABASE": f"sqlite:///{folder}/a.db",
            "ATTUNE_KEYS": f"sqlite:///{folder}/k.db",
            "ATTUNE_MASTER_KEY_FILE": f"{folder}/a.key",
            "ATTUNE_PORT": "0",
            "ATTUNE_RATE_APP": "none",
            "ATTUNE_RATE_PERSON": "none",
            "ATTUNE_LOG_LEVEL": "WARNING",
            "ATTUNE_MAX_STREAMS": "10000",
            "ATTUNE_MAX_STREAMS_PER_APP": "10000",
        }
        command = [sys.executable, "-m", "assistant"]
        made = subprocess.run(
            [*command, "keys", "create", "--app", "bench"],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
        process = subprocess.Popen([*command, "serve"], env=environment, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            address = process.stdout.readline().split()[-1]
            known = psutil.Process(process.pid)
            if cores is not None:
                for thread in known.threads():
                    os.sched_setaffinity(thread.id, cores)
            with urllib.request.urlopen(f"{address}/readyz", timeout=60):
                pass
            yield Server(address, made.stdout.split()[-1], known)
        finally:
            process.terminate()
            process.wait()


def track(number: int, seconds: float) -> list[bytes]:
    """Frames of one microphone: 4 s of a reading, 6 s of a quiet room, from another moment of both for each."""
    draw = np.random.default_rng(number)
    reading = read_audio(RECORDING)
    parts, length = [], 0
    while length < (seconds + SPEECH_S + PAUSE_S) * SAMPLE_RATE:
        start = draw.integers(len(reading) - round(SPEECH_S * SAMPLE_RATE))
        room = draw.normal(0, 3e-4, round(PAUSE_S * SAMPLE_RATE)).astype(np.float32)
        parts += [reading[start : start + round(SPEECH_S * SAMPLE_RATE)], room]
        length += len(parts[-1]) + len(parts[-2])
    shift = draw.integers(round((SPEECH_S + PAUSE_S) * SAMPLE_RATE))
    sound = np.concatenate(parts)[shift : shift + round(seconds * SAMPLE_RATE)]
    size = round(FRAME_S * SAMPLE_RATE)
    return [to_pcm16(sound[at : at + size]) for at in range(0, len(sound), size)]


async def microphone(
    client: aiohttp.ClientSession,
    person: str,
    frames: Sequence[bytes],
    plan: Plan,
    begin: asyncio.Event,
    ready: asyncio.Event,
) -> Heard:
    """One client: opens, sets the session, acknowledges the notice where it has to, and plays its frames."""
    heard = Heard()
    async with client.ws_connect("/v1/realtime", params={"person": person}, compress=0, max_msg_size=0) as socket:
        await socket.send_json({"type": "session.update", "session": {"type": "transcription", **plan.session}})
        if plan.affect:
            await socket.send_json({"type": "consent.update", "acknowledge": True, "notice": "1"})

        async def listen() -> None:
            updated, acknowledged = False, not plan.affect
            async for message in socket:
                event = msgspec.json.decode(message.data)
                heard.events.append((time.monotonic(), event))
                updated |= event["type"] == "session.updated"
                acknowledged |= event["type"] == "consent.updated"
                if updated and acknowledged:
                    ready.set()

        listening = asyncio.create_task(listen())
        await begin.wait()
        start = time.monotonic() + random.random() * plan.spread_s
        for number, frame in enumerate(frames):
            await asyncio.sleep(start + number * FRAME_S - time.monotonic())
            heard.sent.append(time.monotonic())
            heard.late = max(heard.late, heard.sent[-1] - start - number * FRAME_S)
            await socket.send_bytes(frame)
        await asyncio.sleep(1.5)
        listening.cancel()
    return heard


def cpu_s(process: psutil.Process) -> float:
    """Processor time of a process so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


async def _play(
    address: str, key: str, process: psutil.Process, people: Sequence[str], plan: Plan
) -> tuple[list[Heard], float]:
    tracks = [track(number, plan.seconds) for number in range(min(TRACKS, len(people)))]
    begin, readies = asyncio.Event(), [asyncio.Event() for _ in people]
    headers, connector = {"Authorization": f"Bearer {key}"}, aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(address, headers=headers, connector=connector) as client:
        tasks = []
        for number, (person, ready) in enumerate(zip(people, readies, strict=True)):
            playing = microphone(client, person, tracks[number % TRACKS], plan, begin, ready)
            tasks.append(asyncio.create_task(playing))
            if number % 20 == 19:  # not all handshakes at once
                await asyncio.gather(*(ready.wait() for ready in readies[: len(tasks)]))
        await asyncio.wait_for(asyncio.gather(*(ready.wait() for ready in readies)), 60)
        began = cpu_s(process)  # opening the streams doesn't count
        begin.set()
        return await asyncio.gather(*tasks), cpu_s(process) - began


def _client(connection: Connection, address: str, key: str, pid: int, people: Sequence[str], plan: Plan) -> None:
    connection.send(asyncio.run(_play(address, key, psutil.Process(pid), people, plan)))


async def prepare(server: Server, count: int, *, affect: bool) -> list[str]:
    """People of the bench's app, with the voice granted for the tone where `affect` is measured."""
    people = [f"p{number}" for number in range(count)]
    headers = {"Authorization": f"Bearer {server.key}"}
    async with aiohttp.ClientSession(server.address, headers=headers) as client:
        for person in tqdm(people, desc="people", leave=False):
            async with client.put(f"/v1/people/{person}", json={}) as answer:
                answer.raise_for_status()
            if affect:
                await consent(client, person, granted=True)
    return people


async def consent(client: aiohttp.ClientSession, person: str, *, granted: bool) -> None:
    body = {"modality": "voice", "purpose": "tone", "granted": granted, "notice": "1"}
    async with client.post(f"/v1/people/{person}/consent", json=body) as answer:
        answer.raise_for_status()


def run(server: Server, people: Sequence[str], plan: Plan) -> tuple[list[Heard], float]:
    """Play to the server from another process: what each client saw, and the server's CPU seconds meanwhile."""
    ours, theirs = multiprocessing.Pipe()
    arguments = (theirs, server.address, server.key, server.process.pid, people, plan)
    process = multiprocessing.get_context("spawn").Process(target=_client, args=arguments)
    process.start()
    theirs.close()
    found: tuple[list[Heard], float] = ours.recv()
    process.join()
    return found
