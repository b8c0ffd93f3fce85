"""Live microphones: WebSocket clients in another process play real recordings in real time. How late is the answer?

    python -m scripts.bench.stream live --streams 50 100 200    # estimates of the voice, while and after it speaks
    python -m scripts.bench.stream words --streams 4            # end of speech to transcript
    python -m scripts.bench.stream ingest --streams 2000        # frames in and nothing else; a core each
    python -m scripts.bench.stream idle --streams 500           # memory of a stream
    python -m scripts.bench.stream withdraw --streams 200       # a withdrawal to the last estimate

Lateness is counted from when the client began to send the frame in which a window ends. Updates are due where the
same recording brings them on a server that has nothing else to do; one that never came is as bad as a late one.
Everybody speaks 40 % of the time and begins at another moment.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import aiohttp
import numpy as np

from assistant.audio import SAMPLE_RATE
from assistant.audio.vad import CHUNK, CONTEXT
from assistant.config import shipped_models
from assistant.inference.model import onnx_session
from scripts.bench.load import (
    COMPLETED,
    DEAF,
    FRAME_S,
    STOPPED,
    TRACKS,
    WITHOUT_WORDS,
    Heard,
    Plan,
    Server,
    consent,
    prepare,
    run,
    serving,
)

IN_TIME_S = 0.15


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
