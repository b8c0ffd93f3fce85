"""What the store can do: durable consent changes, profile reads, a stream's consent check, exports, erasure.

On SQLite in a temporary folder, and on a PostgreSQL server that is started for this and waits for the disk. Consent
changes come from many people at once, and are compared with the same code at one commit for each row.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import NoReturn

import msgspec
from sqlalchemy import insert, text
from tqdm import tqdm

from assistant.config import Settings
from assistant.consent.ledger import Ledger
from assistant.consent.receipt import Actor
from assistant.decision import Decision, ReadModalities, ToneDecision
from assistant.profile.person import App, Person, Profile, subject
from assistant.recommend.decision import DecidedItem, RankingDecision
from assistant.recommend.ranking import VERSION
from assistant.recommend.slate import TEMPERATURE
from assistant.store import schema
from assistant.store.consents import ConsentRecords
from assistant.store.storage import Storage, open_storage
from assistant.tone.policy import choose
from scripts.bench.postgres import running_postgres

APP = Actor("app", "bench")
RECORDS = 100_000
_ITEM = DecidedItem(
    id="item",
    kind="tip",
    commercial=False,
    propensity=0.25,
    reason="matches what you said you like",
    codes=("interest",),
    parts={"interest": 0.15},
    own=(0.5, 0.0),
)
_RANKING = RankingDecision(
    inputs=("profile.language", "profile.interests"),
    policy=VERSION,
    mood_used=False,
    arm=None,
    active=True,
    temperature=TEMPERATURE,
    serendipity=0.0,
    context=(1.0, *[0.0] * 7),
    items=(_ITEM,) * 5,
)
DECISION = Decision(
    read=ReadModalities((), ()), ranking=_RANKING, tone=ToneDecision.from_directive(choose(None, Profile()))
)
_ENCODED = msgspec.json.encode(DECISION)


@dataclass(frozen=True)
class Bench:
    """One opened database."""

    name: str
    storage: Storage
    app: App
    new_id: Callable[[], str]

    async def person(self, name: str) -> Person:
        return (await self.storage.people.put(self.app, name, Profile(interests=("music", "news"))))[0]

    def ledger(self, most: int) -> tuple[Ledger, ConsentRecords]:
        """A ledger of its own; `most` records share a commit."""
        records = ConsentRecords(self.storage.database, most=most)
        return Ledger(records, notice="1", grant_days=365, clock=time.time, new_id=self.new_id), records


@asynccontextmanager
async def opened(name: str, main: str, keys: str) -> AsyncIterator[Bench]:
    numbers = count()
    settings = Settings(database=main, keys=keys, master_key=os.urandom(32).hex())
    new_id = lambda: f"id{next(numbers):09}"  # noqa: E731
    async with open_storage(settings, clock=time.time, new_id=new_id) as storage:
        await storage.apps.create_key("bench", "general")
        yield Bench(name, storage, await storage.apps.find_app("bench"), new_id)


async def all_done(work: Iterable[Awaitable[object]], total: int, at_once: int, label: str) -> float:
    """Seconds for all of it, so many at once."""
    waiting = iter(work)

    async def take(bar: tqdm[NoReturn]) -> None:
        for one in waiting:
            await one
            bar.update()

    began = time.perf_counter()
    with tqdm(total=total, desc=label, leave=False) as bar:
        await asyncio.gather(*(take(bar) for _ in range(at_once)))
    return time.perf_counter() - began


async def consents(bench: Bench, changes: int, at_once: int) -> None:
    people = [await bench.person(f"c{n}") for n in range(at_once)]

    async def rate(most: int, total: int) -> float:
        ledger, records = bench.ledger(most)
        for person in people:
            await ledger.grants(subject(bench.app, person))

        def change(number: int) -> Awaitable[object]:
            who = subject(bench.app, people[number % at_once])
            granted = number // at_once % 2 == 0
            return ledger.decide(who, "voice", "tone", granted=granted, notice="1", actor=APP)

        seconds = await all_done(map(change, range(total)), total, at_once, f"{bench.name}: {most} a commit")
        await records.close()
        return total / seconds

    together, alone = await rate(512, changes), await rate(1, max(changes // 10, at_once))
    print(
        f"{bench.name}: {together:,.0f} durable consent changes/s from {at_once} people at once; "
        f"one commit for each row: {alone:,.0f}/s; ratio {together / alone:.1f}"
    )


async def reads(bench: Bench, total: int) -> None:
    for number in range(500):
        await bench.person(f"r{number}")
    for at_once in (1, 32):
        work = (bench.storage.people.get(bench.app, f"r{n % 500}") for n in range(total))
        seconds = await all_done(work, total, at_once, f"{bench.name}: reads")
        print(f"{bench.name}: {total / seconds:,.0f} profile reads/s, {at_once} at once")


async def check(bench: Bench, total: int) -> None:
    """What a stream's opening waits for because of consent: the person's living grants and standing."""
    ledger, records = bench.ledger(512)
    people = [await bench.person(f"s{n}") for n in range(200)]
    for person in people:
        for purpose in ("tone", "content"):
            await ledger.decide(subject(bench.app, person), "voice", purpose, granted=True, notice="1", actor=APP)
    for known in (True, False):
        times = []
        for number in tqdm(range(total), desc=f"{bench.name}: checks", leave=False):
            person = people[number % len(people)]
            if not known:
                ledger.forget(person.pseudonym)
            began = time.perf_counter()
            await ledger.grants(subject(bench.app, person))
            await ledger.standing(person.pseudonym)
            times.append((time.perf_counter() - began) * 1000)
        cuts = statistics.quantiles(times, n=100)
        whom = "known person" if known else "person whose records must be read"
        print(f"{bench.name}: consent check of a stream, {whom}: p50 {cuts[49]:.3f} ms, p95 {cuts[94]:.3f} ms")
    await records.close()


async def export(bench: Bench, total: int) -> None:
    person, now = await bench.person("e"), time.time()
    table, storage = schema.decisions, bench.storage
    for start in tqdm(range(0, total, 5000), desc=f"{bench.name}: filling", leave=False):
        rows = [
            {
                "id": bench.new_id(),
                "person": person.pseudonym,
                "at": now + n,
                "body": await storage.vault.seal(person.pseudonym, "decision", _ENCODED),
            }
            for n in range(start, min(start + 5000, total))
        ]
        async with storage.database.write() as connection:
            await connection.execute(insert(table), rows)
    if storage.database.kind == "postgresql":  # its autovacuum would, within a minute of so many new rows
        async with storage.database.write() as connection:
            await connection.execute(text("ANALYZE decisions"))
    longest, last, size = 0.0, time.perf_counter(), 0
    began = last

    async def heartbeat() -> None:
        nonlocal longest, last
        while True:
            await asyncio.sleep(0.001)
            longest, last = max(longest, time.perf_counter() - last), time.perf_counter()

    beating = asyncio.create_task(heartbeat())
    async for chunk in storage.exports.stream_export(bench.app, person):
        size += len(chunk)
    seconds = time.perf_counter() - began
    beating.cancel()
    print(
        f"{bench.name}: export of {total:,} records ({size / 1e6:.0f} MB) in {seconds:.2f} s; "
        f"the loop was held for at most {longest * 1000:.0f} ms"
    )
    began = time.perf_counter()
    await storage.erase(bench.app, [person], APP)
    print(f"{bench.name}: erasure of that person in {time.perf_counter() - began:.2f} s")
    other = await bench.person("small")
    await storage.decisions.add(bench.new_id(), other.pseudonym, now, DECISION)
    began = time.perf_counter()
    await storage.erase(bench.app, [other], APP)
    print(f"{bench.name}: erasure of a person with one record in {(time.perf_counter() - began) * 1000:.0f} ms")


async def measure(args: argparse.Namespace, name: str, main: str, keys: str) -> None:
    async with opened(name, main, keys) as bench:
        if "consents" in args.what:
            await consents(bench, args.changes, args.people)
        if "reads" in args.what:
            await reads(bench, args.reads)
        if "check" in args.what:
            await check(bench, args.checks)
        if "export" in args.what:
            await export(bench, args.records)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parts = ("consents", "reads", "check", "export")
    parser.add_argument("what", nargs="*", default=parts, help=f"some of {', '.join(parts)} (default: all)")
    parser.add_argument(
        "--databases", nargs="+", choices=("sqlite", "postgresql"), default=["sqlite", "postgresql"]
    )
    parser.add_argument("--folder", type=Path, help="where the SQLite files lie (default: a temporary folder)")
    parser.add_argument("--changes", type=int, default=5000)
    parser.add_argument("--people", type=int, default=256, help="who change their consent at once")
    parser.add_argument("--reads", type=int, default=5000)
    parser.add_argument("--checks", type=int, default=2000)
    parser.add_argument("--records", type=int, default=RECORDS)
    args = parser.parse_args()
    unknown = set(args.what) - set(parts)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    with ExitStack() as stack:
        if "sqlite" in args.databases:
            folder = stack.enter_context(tempfile.TemporaryDirectory(dir=args.folder))
            asyncio.run(measure(args, "SQLite", f"sqlite:///{folder}/a.db", f"sqlite:///{folder}/k.db"))
        if "postgresql" in args.databases:
            server = stack.enter_context(running_postgres(durable=True))
            asyncio.run(measure(args, "PostgreSQL", server.create("main"), server.create("keys")))


if __name__ == "__main__":
    main()
