"""Live microphones: WebSocket clients in another process play real recordings in real time. How late is the answer?

    python scripts/bench/stream.py live --streams 50 100 200    # estimates of the voice, while and after it speaks
    python scripts/bench/stream.py words --streams 4            # end of speech to transcript
    python scripts/bench/stream.py ingest --streams 2000        # frames in and nothing else; a core each
    python scripts/bench/stream.py idle --streams 500           # memory of a stream
    python scripts/bench/stream.py withdraw --streams 200       # a withdrawal to the last estimate

Lateness is counted from when the client began to send the frame in which a window ends. Updates are due where the
same recording brings them on a server that has nothing else to do; one that never came is as bad as a late one.
Everybody speaks 40 % of the time and begins at another moment.
"""

from __future__ import annotations

import argparse
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
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import numpy as np
import psutil
from tqdm import tqdm

from assistant.audio import SAMPLE_RATE
from assistant.audio.decode import read_audio
from assistant.audio.pcm import to_pcm16
from assistant.audio.vad import CHUNK, CONTEXT
from assistant.config import shipped_models
from assistant.demo.story import RECORDING
from assistant.inference.model import onnx_session

FRAME_S = 0.1
SPEECH_S, PAUSE_S = 4.0, 6.0
TRACKS = 8
"""Different ones; how many updates each deserves is seen when they are played alone."""
IN_TIME_S = 0.15
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


def percentile(values: Sequence[float], share: float) -> str:
    return f"{1000 * float(np.quantile(values, share)):.0f} ms" if len(values) else "none"


def bare_s(chunks: int, windows: Sequence[float]) -> float:
    """CPU seconds of nothing but the same model runs: so many chunks, alone, and stem and head of windows (s)."""
    vad, stem, head = (onnx_session(shipped_models() / name / "model.onnx") for name in ("vad", "stem", "voice"))
    frame = {"samples": np.zeros((1, CONTEXT + CHUNK), np.float32), "state": np.zeros((2, 1, 128), np.float32)}
    total, tried = 0.0, min(chunks, 2_000)
    if tried:
        began = time.process_time()
        for _ in range(tried):
            vad.run(None, frame)
        total += (time.process_time() - began) * chunks / tried
    noise = np.random.default_rng(0).normal(0, 0.1, 16 * SAMPLE_RATE).astype(np.float32)
    for length in sorted(set(windows)):
        count, audio = list(windows).count(length), noise[None, : round(length * SAMPLE_RATE)]
        tried = min(count, 50)
        began = time.process_time()
        for _ in range(tried):
            states, loudness = stem.run(None, {"audio": audio})
            head.run(None, {"states": states, "loudness": loudness})
        total += (time.process_time() - began) * count / tried
    return total


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


def live(args: argparse.Namespace) -> None:
    """Updates while somebody speaks and the estimate after: how many come in time, and how late they are."""
    plan = Plan(WITHOUT_WORDS, args.seconds, affect=True)
    print(f"{'streams':>8}{'due':>7}{'in time':>9}{'p50':>9}{'p95':>9}{'final p95':>11}{'frame waits':>13}"
          f"{'CPU':>7}{'x bare':>8}")  # fmt: skip
    with serving() as server:
        people = asyncio.run(prepare(server, max(TRACKS, *args.streams), affect=True))
        alone = [len(_updates(one)) for one in run(server, people[:TRACKS], plan)[0]]
        for streams in args.streams:
            heard, used = run(server, people[:streams], plan)
            due = sum(alone[number % TRACKS] for number in range(streams))
            updates = [late for one in heard for late in _updates(one)]
            finals = [
                one.since(at, event["audio_end_ms"])
                for one in heard
                for at, event in one.of("affect.result")
                if event["final"]
            ]
            windows = [event["window_s"] for one in heard for _, event in one.of("affect.result")]
            bare = bare_s(round(streams * args.seconds * SAMPLE_RATE / CHUNK), windows)
            good = sum(late <= IN_TIME_S for late in updates) / due
            print(f"{streams:>8}{due:>7}{good:>9.1%}{percentile(updates, 0.5):>9}{percentile(updates, 0.95):>9}"
                  f"{percentile(finals, 0.95):>11}{percentile([one.late for one in heard], 1):>13}"
                  f"{used / args.seconds:>7.2f}{used / bare:>8.1f}", flush=True)  # fmt: skip
    print(
        "in time: of the updates that were due, those within 150 ms; frame waits: the longest that a client had to"
    )
    print(
        "wait before it could send; CPU: cores that the server used; x bare: its CPU time by that of the same runs"
    )
    print("of the models without a server")


def _updates(one: Heard) -> list[float]:
    """How late each estimate in the middle of an utterance was (s)."""
    return [one.since(at, event["audio_end_ms"]) for at, event in one.of("affect.result") if not event["final"]]


def words(args: argparse.Namespace) -> None:
    """The end of speech to its transcript."""
    for streams in args.streams:
        with serving() as server:
            people = asyncio.run(prepare(server, streams, affect=False))
            heard, _ = run(server, people, Plan({}, args.seconds))
        late = []
        for one in heard:
            stops = {event["item_id"]: event["audio_end_ms"] for _, event in one.of(STOPPED)}
            late += [
                one.since(at, stops[event["item_id"]])
                for at, event in one.of(COMPLETED)
                if event["item_id"] in stops
            ]
        print(
            f"{streams} streams, {len(late)} transcripts: p50 {percentile(late, 0.5)}, p95 {percentile(late, 0.95)}"
        )


def ingest(args: argparse.Namespace) -> None:
    """Frames in and nothing else, the server on one core and the clients on another."""
    for streams in args.streams:
        with serving([0]) as server:
            people = asyncio.run(prepare(server, streams, affect=False))
            heard, used = run(server, people, Plan(DEAF, args.seconds, spread_s=FRAME_S))
        sent = sum(len(one.sent) for one in heard)
        waits = percentile([one.late for one in heard], 0.95)
        print(f"{streams} streams: {sent} frames in {args.seconds:g} s, {used / args.seconds:.2f} cores; "
              f"the longest wait before a frame could be sent, p95 of the streams: {waits}")  # fmt: skip


def idle(args: argparse.Namespace) -> None:
    """What a stream that nobody speaks into costs in memory."""

    async def opened(server: Server, people: Sequence[str]) -> float:
        headers, connector = {"Authorization": f"Bearer {server.key}"}, aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(server.address, headers=headers, connector=connector) as client:
            before = server.process.memory_info().rss
            sockets = [await client.ws_connect("/v1/realtime", params={"person": p}, compress=0) for p in people]
            for socket in sockets:
                await socket.send_bytes(bytes(2 * CHUNK * 4))
                await socket.receive()
            await asyncio.sleep(2)
            found = (server.process.memory_info().rss - before) / len(people)
            for socket in sockets:
                await socket.close()
        return found

    for streams in args.streams:
        with serving() as server:
            people = asyncio.run(prepare(server, streams, affect=False))
            asyncio.run(opened(server, people[:50]))  # what every first stream brings along
            print(f"{streams} idle streams: {asyncio.run(opened(server, people)) / 1000:.0f} KB each")


def withdraw(args: argparse.Namespace) -> None:
    """A withdrawal by HTTP, in the middle of it all, to the last estimate that its stream still sends."""

    async def withdrawn(server: Server, people: Sequence[str]) -> dict[str, float]:
        headers, asked = {"Authorization": f"Bearer {server.key}"}, {}
        await asyncio.sleep(args.seconds / 2)
        async with aiohttp.ClientSession(server.address, headers=headers) as client:
            for person in people:
                asked[person] = time.monotonic()
                await consent(client, person, granted=False)
        return asked

    for streams in args.streams:
        with serving() as server:
            people = asyncio.run(prepare(server, streams, affect=True))
            with ThreadPoolExecutor(1) as pool:
                playing = pool.submit(run, server, people, Plan(WITHOUT_WORDS, args.seconds, affect=True))
                asked = asyncio.run(withdrawn(server, people))
                heard = dict(zip(people, playing.result()[0], strict=True))
        last = [
            max((at for at, _ in heard[person].of("affect.result")), default=0.0) - begun
            for person, begun in asked.items()
        ]
        after = [max(0.0, late) for late in last]
        before = sum(at < asked[person] for person in people for at, _ in heard[person].of("affect.result"))
        print(f"{streams} streams, {before} estimates before their withdrawals; {sum(late > 0 for late in last)} "
              f"streams sent one after, at most {percentile(after, 1)} later")  # fmt: skip


def kernels() -> str:
    """What the processor can do for int8."""
    flags = Path("/proc/cpuinfo").read_text().split("flags", 1)[-1].split("\n", 1)[0].split()
    known = [name for name in ("avx2", "avx512_vnni", "avx_vnni", "amx_int8", "amx_bf16") if name in flags]
    return f"{os.cpu_count()} cores, {', '.join(known) or 'no int8 kernels'}"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = {"live": (live, [50, 100, 200]), "words": (words, [4]), "ingest": (ingest, [2_000]),
            "idle": (idle, [500]), "withdraw": (withdraw, [200])}  # fmt: skip
    parser.add_argument("what", choices=what, help="what to measure")
    parser.add_argument("--streams", type=int, nargs="+", help="microphones at once")
    parser.add_argument("--seconds", type=float, default=30.0, help="that each plays (%(default)s)")
    args = parser.parse_args()
    measure, usual = what[args.what]
    args.streams = args.streams or usual
    print(kernels())
    measure(args)


if __name__ == "__main__":
    main()
