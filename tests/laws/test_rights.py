"""A person's rights: to get everything, to be forgotten, to have it kept but not used, to object."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from sqlalchemy import func, select

from assistant.audio.pcm import Samples
from assistant.cli import main
from assistant.config import Settings
from assistant.consent.receipt import Actor
from assistant.emotion import Baseline, Estimate, Reading
from assistant.errors import NotFound
from assistant.profile.export import SCHEMA
from assistant.profile.person import App, ContextPart, Device, Person, Profile, subject
from assistant.recommend.features import SIZE
from assistant.recommend.feedback import Reward
from assistant.store import schema
from assistant.store.aggregates import TOO_FEW
from assistant.store.export import SOURCES
from assistant.store.people import PERSONAL
from assistant.store.storage import Storage, open_storage
from tests.clock import NOW, Clock
from tests.conftest import Databases, House
from tests.decisions import a_decision, an_item

DAY = 86_400.0
MASTER = bytes(range(32))
CANARY = "canary-40c1"
APP = Actor("app", "api")
WORRY = "I am so worried about tomorrow, everything is going wrong."


class Office:
    """What is kept, with an app, and a clock to move."""

    def __init__(self, storage: Storage, app: App, clock: Clock) -> None:
        self.storage, self.app, self.clock = storage, app, clock

    async def person(self, name: str = "ada", **profile: Any) -> Person:
        return (await self.storage.people.put(self.app, name, Profile(**profile)))[0]

    async def allow(self, person: Person, modality: Any, purpose: Any, granted: bool = True) -> None:
        who = subject(self.app, person)
        await self.storage.ledger.decide(who, modality, purpose, granted=granted, notice="1", actor=APP)

    async def full(self, name: str = "ada", decisions: int = 2) -> Person:
        """Somebody of whom there is something of every kind."""
        person = await self.person(name, interests=(CANARY,))
        storage, at, who = self.storage, self.clock.now, person.pseudonym
        await self.allow(person, "text", "remember")
        await self.allow(person, "voice", "tone")
        await self.allow(person, "voice", "tone", False)
        await storage.devices.link(
            self.app, person, Device(id=f"phone of {name}", kind="phone", name="", linked_at=at)
        )
        await storage.contexts.put(who, {"activity": ContextPart("walking", at, at + 60)})
        await storage.baselines.remember(who, "text", Baseline(3, (0.1, 0.2), "session"), at)
        await storage.moods.add_reading(who, a_reading(), at)
        for number in range(decisions):
            await storage.decisions.add(f"{name} {number}", who, at + number, a_decision(an_item(reason=CANARY)))
        clicked = Reward("a", "click", 0.3, 0.1, at, at)
        await storage.rewards.add(self.app.id, who, f"{name} 0", "click a", clicked)
        storage.access.note_access(who, "key_1", "GET /v1/people/{person}")
        await storage.access.flush()
        return person

    async def export(self, person: Person) -> list[dict[str, Any]]:
        chunks = [chunk async for chunk in self.storage.exports.stream_export(self.app, person)]
        return [json.loads(line) for line in b"".join(chunks).splitlines()]

    async def rows(self, person: Person) -> dict[str, int]:
        """Rows about a person, by table."""
        counts = {}
        async with self.storage.database.read() as connection:
            for table in PERSONAL:
                mine = select(func.count()).select_from(table).where(table.c.person == person.pseudonym)
                counts[table.name] = await connection.scalar(mine) or 0
        return counts


def a_reading(modality: Any = "text", stress: float = 0.75) -> Reading:
    return Reading(modality, Estimate(-0.5, 0.2), Estimate(0.3, 0.2), stress, {"fear": 0.6, "neutral": 0.4})


@asynccontextmanager
async def opening(databases: Databases, clock: Clock, **change: Any) -> AsyncIterator[Office]:
    ids = iter(range(10**9))
    settings = replace(Settings(database=databases.main, keys=databases.keys, master_key=MASTER.hex()), **change)
    async with open_storage(settings, clock=clock, new_id=lambda: f"{id(ids):x}-{next(ids)}") as storage:
        key = await storage.apps.create_key("shop", "general")
        yield Office(storage, (await storage.apps.authenticate(key)).app, clock)


@pytest.fixture
async def office(databases: Databases) -> AsyncIterator[Office]:
    async with opening(databases, Clock()) as opened:
        yield opened


# Export


async def test_an_export_has_everything_of_one_person_and_nothing_of_another(office: Office) -> None:
    ada = await office.full("ada")
    await office.full("bob")
    lines = await office.export(ada)
    kinds = Counter(line["record"] for line in lines)
    assert kinds == {
        "export": 1, "person": 1, "consent": 3, "device": 1, "context": 1, "baseline": 1, "mood": 1, "decision": 2,
        "reward": 1, "access": 1, "end": 1,
    }  # fmt: skip
    assert lines[0]["total"] == sum(lines[0]["counts"].values()) == lines[-1]["records"] == len(lines) - 2
    assert "bob" not in json.dumps(lines)
    of = {line["record"]: line for line in lines}
    assert of["person"]["person"] == "ada"
    assert of["person"]["profile"]["interests"] == [CANARY]
    assert of["device"]["data"]["id"] == "phone of ada"
    assert of["context"]["data"] == "walking"
    assert of["baseline"]["data"]["center"] == [0.1, 0.2]
    assert of["mood"]["data"]["stress"] == 0.75
    assert of["decision"]["data"] == json.loads(msgspec.json.encode(a_decision(an_item(reason=CANARY))))
    assert of["access"]["who"] == "key_1"
    assert [line["event"] for line in lines if line["record"] == "consent"] == ["granted", "granted", "withdrawn"]
    assert all(line["receipt"]["receipt"] == line["id"] for line in lines if line["record"] == "consent")


async def test_every_line_of_an_export_is_as_the_schema_says(office: Office) -> None:
    ada = await office.full()
    await office.storage.restrict(office.app, ada, True, APP)
    check = jsonschema.Draft202012Validator(SCHEMA)
    for line in await office.export(ada):
        check.validate(line)
    with pytest.raises(jsonschema.ValidationError):
        check.validate({"record": "mood"})


def test_every_table_about_people_is_in_the_export() -> None:
    assert {source.table.name for source in SOURCES} == {table.name for table in PERSONAL}


async def test_an_export_of_several_chunks_is_whole_and_in_order(office: Office) -> None:
    ada = await office.person()
    sealed = await office.storage.vault.seal(ada.pseudonym, "decision", b"{}")
    rows = [{"id": f"d{n:05}", "person": ada.pseudonym, "at": NOW + n // 7, "body": sealed} for n in range(11_000)]
    async with office.storage.database.write() as connection:
        await connection.execute(schema.decisions.insert(), rows)
    lines = await office.export(ada)
    assert [line["id"] for line in lines if line["record"] == "decision"] == [f"d{n:05}" for n in range(11_000)]
    assert lines[-1] == {"record": "end", "records": 11_001}


async def test_an_erased_person_has_no_export(office: Office) -> None:
    ada = await office.full()
    await office.storage.erase(office.app, [ada], APP)
    with pytest.raises(NotFound):
        await office.export(ada)


# Erasure


async def test_erasure_leaves_no_row_and_a_tombstone(office: Office) -> None:
    ada, bob = await office.full("ada"), await office.full("bob")
    before = await office.rows(ada)
    assert all(before.values()), f"somebody of every kind: {before}"
    await office.storage.erase(office.app, [ada], APP)
    assert not any((await office.rows(ada)).values())
    assert await office.rows(bob) == before
    with pytest.raises(NotFound):
        await office.storage.people.get(office.app, "ada")
    history = await office.storage.ledger.history(ada.pseudonym)
    assert [record.event for record in history] == ["granted", "granted", "withdrawn", "erased"]
    assert await office.storage.ledger.grants(subject(office.app, ada)) == ()


async def test_many_are_erased_at_once(office: Office) -> None:
    people = [await office.full(f"p{n}", decisions=1) for n in range(5)]
    stays = await office.full("stays")
    await office.storage.erase(office.app, people, APP)
    for person in people:
        assert not any((await office.rows(person)).values())
        with pytest.raises(NotFound):
            await office.storage.vault.open(person.pseudonym, "profile", b"")
    assert await office.storage.people.get(office.app, "stays") == stays


# Restriction and objection


async def test_restriction_keeps_everything_and_lets_nothing_be_used_until_it_is_lifted(office: Office) -> None:
    ada = await office.full()
    who, before = subject(office.app, ada), await office.rows(ada)
    (grant,) = await office.storage.ledger.grants(who)
    await office.storage.restrict(office.app, ada, True, APP)
    await office.storage.restrict(office.app, ada, True, APP)
    assert await office.storage.ledger.grants(who) == ()
    assert await office.rows(ada) == before
    await office.storage.restrict(office.app, ada, False, APP)
    assert [(g.modality, g.purpose) for g in await office.storage.ledger.grants(who)] == [
        (grant.modality, grant.purpose)
    ]
    events = [record.event for record in await office.storage.ledger.history(ada.pseudonym)]
    assert events[-2:] == ["restricted", "unrestricted"], "said once each"


async def test_restriction_and_objection_survive_a_restart(databases: Databases) -> None:
    async with opening(databases, Clock()) as office:
        ada = await office.full()
        await office.storage.restrict(office.app, ada, True, APP)
        await office.storage.object(office.app, ada, True, APP)
    async with opening(databases, Clock()) as again:
        standing = await again.storage.ledger.standing(ada.pseudonym)
        assert (standing.restricted, standing.objected) == (True, True)


# Mood history and the purge


async def test_mood_history_is_told_newest_first_in_pages(office: Office) -> None:
    ada = await office.person()
    await office.allow(ada, "text", "remember")
    for number in range(5):
        await office.storage.moods.add_reading(ada.pseudonym, a_reading(stress=number / 10), NOW + number)
    page = await office.storage.moods.list_moods(ada.pseudonym, limit=3)
    rest = await office.storage.moods.list_moods(ada.pseudonym, before=page[-1].seq, limit=3)
    assert [mood.reading["stress"] for mood in (*page, *rest)] == [0.4, 0.3, 0.2, 0.1, 0.0]


async def test_a_mood_lies_sealed_in_the_database(office: Office) -> None:
    ada = await office.full()
    async with office.storage.database.read() as connection:
        body = await connection.scalar(select(schema.moods.c.body).where(schema.moods.c.person == ada.pseudonym))
    assert body is not None
    assert b"stress" not in body
    assert b"0.75" not in body


@pytest.mark.parametrize(
    ("days", "left"),
    [
        (0, {"moods", "remembered", "decisions", "rewards", "accesses", "contexts", "devices"}),
        (29, {"moods", "remembered", "decisions", "rewards", "accesses", "devices"}),
        (31, {"remembered", "decisions", "rewards", "accesses", "devices"}),
        (366, {"devices"}),
    ],
)
async def test_the_purge_removes_what_is_too_old_and_nothing_else(
    office: Office, days: float, left: set[str]
) -> None:
    ada = await office.full()
    office.clock.now += days * DAY
    if days < 365:
        await office.allow(ada, "text", "remember")
    await office.storage.purge.run()
    assert {name for name, count in (await office.rows(ada)).items() if count} == left


async def test_the_terms_are_settings(databases: Databases) -> None:
    async with opening(databases, Clock(), mood_days=2.0, decision_days=1.0) as office:
        ada = await office.full()
        office.clock.now += 1.5 * DAY
        gone = await office.storage.purge.run()
        assert (gone["decisions"], gone["moods"]) == (2, 0)
        office.clock.now += DAY
        assert (await office.storage.purge.run())["moods"] == 1
        assert (await office.rows(ada))["remembered"] == 1


async def test_the_purge_spares_whoever_had_the_use_of_their_data_restricted(office: Office) -> None:
    ada, bob = await office.full("ada"), await office.full("bob")
    await office.storage.restrict(office.app, ada, True, APP)
    await office.storage.restrict(office.app, bob, True, APP)
    await office.storage.restrict(office.app, bob, False, APP)
    office.clock.now += 364 * DAY
    await office.storage.purge.run()
    assert (await office.rows(ada))["moods"] == 1
    assert (await office.rows(bob))["moods"] == 0


@pytest.mark.parametrize("way", ["withdrawn", "expired"])
async def test_a_reward_is_blind_once_the_mood_may_not_be_remembered(databases: Databases, way: str) -> None:
    async with opening(databases, Clock(), grant_days=2) as office:
        ada, at = await office.full(), office.clock.now
        knowing = Reward("b", "click", 0.3, 0.1, at, at, features=(0.1,) * SIZE, felt=0.2)
        await office.storage.rewards.add(office.app.id, ada.pseudonym, "ada 1", "click b", knowing)
        await office.storage.purge.run()
        assert (await office.storage.rewards.after(office.app.id, 0))[1][-1] == knowing
        if way == "withdrawn":
            await office.allow(ada, "text", "remember", False)
        else:
            office.clock.now += 3 * DAY
        await office.storage.purge.run()
        assert (await office.storage.rewards.after(office.app.id, 0))[1][-1] == knowing.blind


@pytest.mark.parametrize("way", ["withdrawn", "expired"])
async def test_what_may_not_be_remembered_any_more_is_removed_by_the_purge(office: Office, way: str) -> None:
    ada = await office.full()
    if way == "withdrawn":
        await office.allow(ada, "text", "remember", False)
    else:
        office.clock.now += 366 * DAY
        async with office.storage.database.write() as connection:  # so that only the grant is old
            await connection.execute(schema.moods.update().values(at=office.clock.now))
            await connection.execute(schema.remembered.update().values(at=office.clock.now))
    await office.storage.purge.run()
    rows = await office.rows(ada)
    assert (rows["moods"], rows["remembered"]) == (0, 0)
    if way == "expired":
        events = [record.event for record in await office.storage.ledger.history(ada.pseudonym)]
        assert events.count("expired") == 1


async def test_a_withdrawal_leaves_the_history_of_the_other_modality(office: Office) -> None:
    ada = await office.full()
    await office.allow(ada, "voice", "remember")
    await office.storage.moods.add_reading(ada.pseudonym, a_reading("voice"), NOW)
    await office.allow(ada, "text", "remember", False)
    await office.storage.purge.run()
    assert [mood.reading["modality"] for mood in await office.storage.moods.list_moods(ada.pseudonym)] == ["voice"]


async def test_what_another_process_wrote_of_somebody_erased_is_removed(office: Office) -> None:
    ada = await office.full()
    await office.storage.erase(office.app, [ada], APP)
    office.storage.access.note_access(ada.pseudonym, "key_1", "GET /v1/people/{person}")
    await office.storage.access.flush()
    assert (await office.rows(ada))["accesses"] == 1
    await office.storage.purge.run()
    assert (await office.rows(ada))["accesses"] == 0


# Aggregates


async def test_aggregates_tell_of_more_than_ten_people_in_rounded_numbers(office: Office) -> None:
    people = [await office.person(f"p{n}") for n in range(63)]
    for person in people[:32]:
        await office.allow(person, "text", "tone")
    for person in people[:12]:
        await office.allow(person, "text", "tone", False)
    for person in people[:5]:
        await office.allow(person, "voice", "tone")
    await office.storage.erase(office.app, people[60:], APP)
    (numbers,) = await office.storage.aggregates.count_by_app(office.app.id)
    assert (numbers["app"], numbers["people"], numbers["granted_ever"]) == ("shop", 60, 30)
    consents = {(c["modality"], c["purpose"]): c["people"] for c in numbers["consents"]}
    assert consents["text", "tone"] == 20
    assert consents["voice", "tone"] is None, "five could be guessed"
    assert numbers["opt_out_rate"] == 0.33
    assert numbers["correction_rate"] is None


async def test_a_small_app_is_told_nothing(office: Office) -> None:
    for number in range(TOO_FEW):
        await office.person(f"p{number}")
    assert await office.storage.aggregates.count_by_app(None) == [
        {"app": "shop", "people": None, "withheld": "insufficient people"}
    ]


# Commands


@pytest.fixture
def operator(sqlite_databases: Databases, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A shell in which the settings lead to the databases."""
    monkeypatch.setenv("ATTUNE_DATABASE", sqlite_databases.main)
    monkeypatch.setenv("ATTUNE_KEYS", sqlite_databases.keys)
    monkeypatch.setenv("ATTUNE_MASTER_KEY", MASTER.hex())
    return sqlite_databases


def run(databases: Databases, work: Any) -> Any:
    """Do some work on what is kept, between two commands."""

    async def working() -> Any:
        async with opening(databases, Clock()) as office:
            return await work(office)

    return asyncio.run(working())


def test_the_command_exports_restricts_and_erases_one_person(operator: Any, capfdbinary: Any) -> None:
    run(operator, lambda office: office.full())
    one = ["--app", "shop", "--person", "ada"]
    assert main(["people", "export", *one]) == 0
    lines = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert lines[0]["record"] == "export"
    assert lines[-1] == {"record": "end", "records": lines[0]["total"]}
    assert main(["people", "restrict", *one]) == 0
    assert main(["people", "object", *one]) == 0
    assert main(["people", "restrict", *one, "--lift"]) == 0
    assert main(["people", "erase", *one]) == 0
    capfdbinary.readouterr()
    assert main(["people", "export", *one]) == 1
    said = capfdbinary.readouterr()
    assert b"person_unknown" in said.err
    assert b"ada" not in said.out + said.err

    async def events(office: Office) -> list[Any]:
        async with office.storage.database.read() as connection:
            rows = (await connection.execute(select(schema.consents).order_by(schema.consents.c.seq))).all()
        return [(row.event, row.actor) for row in rows[3:]]

    assert run(operator, events) == [
        (event, "operator") for event in ("restricted", "objected", "unrestricted", "erased")
    ]


def test_the_command_does_many_out_of_a_file(operator: Any, tmp_path: Path, capfd: Any) -> None:
    async def several(office: Office) -> None:
        for name in ("ada", "b/../b", "carl"):
            await office.full(name)

    run(operator, several)
    ids, out = tmp_path / "ids.txt", tmp_path / "out"
    ids.write_text("ada\nb/../b\nnobody-canary\n\n")
    many = ["--app", "shop", "--file", str(ids)]
    assert main(["people", "export", *many, "--out", str(out)]) == 1, "one is unknown"
    said = capfd.readouterr()
    assert "lines: 3" in said.err
    assert "canary" not in said.out + said.err
    assert sorted(file.name for file in out.iterdir()) == ["ada.ndjson", "b%2F..%2Fb.ndjson"]
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in out.iterdir())
    assert main(["people", "erase", *many]) == 1
    assert main(["people", "export", "--app", "shop", "--person", "ada"]) == 1
    assert main(["people", "export", "--app", "shop", "--person", "carl", "--out", str(tmp_path / "c")]) == 0
    assert main(["people", "erase", "--app", "none", "--person", "carl"]) == 1


# As an app sees it


async def test_an_export_is_streamed_and_has_what_is_only_in_memory(house: House) -> None:
    path = await house.person()
    for purpose in ("tone", "remember"):
        await house.consent("text", purpose)
    await house.message(WORRY)
    async with house.client.get(f"{path}/export", headers=house.headers) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "application/x-ndjson"
        lines = [json.loads(line) for line in (await answer.read()).splitlines()]
    documented = await house.call("GET", "/v1/export-schema", headers={})
    check = jsonschema.Draft202012Validator(documented)
    for line in lines:
        check.validate(line)
    kinds = {line["record"] for line in lines}
    assert {"consent", "moment", "baseline", "mood", "decision", "access", "end"} <= kinds
    await house.call("GET", "/v1/people/nobody/export", status=404)


async def test_mood_history_is_kept_only_with_remember_and_goes_with_it(house: House) -> None:
    path = await house.person()
    await house.consent("text", "tone")
    await house.message(WORRY)
    history = f"{path}/mood/history"
    assert await house.call("GET", history) == {"moods": [], "next": None, "kept_days": 30.0}
    await house.consent("text", "remember")
    await house.message(WORRY)
    (mood,) = (await house.call("GET", history))["moods"]
    assert (mood["modality"], mood["at"]) == ("text", house.clock.now)
    assert mood["stress"] > 0
    await house.consent("text", "remember", granted=False)
    assert (await house.call("GET", history))["moods"] == []
    await house.call("GET", f"{history}?before=soon", status=400)


async def test_a_minor_loses_the_history_with_the_grants(house: House) -> None:
    path = await house.person()
    for purpose in ("tone", "remember"):
        await house.consent("text", purpose)
    await house.message(WORRY)
    await house.call("PUT", path, {"age_band": "minor"})
    await house.services.storage.purge.run()
    assert (await house.call("GET", f"{path}/mood/history"))["moods"] == []


async def test_a_restricted_person_is_not_read_and_gets_what_a_stranger_gets(house: House) -> None:
    path = await house.person(interests=["music"])
    for purpose in ("tone", "content"):
        await house.consent("text", purpose)
    assert (await house.message(WORRY))["mood"] is not None
    runs = house.spy.affect
    assert await house.call("POST", f"{path}/restriction", {"restricted": True}) == {"restricted": True}
    answer = await house.message(WORRY)
    assert answer["mood"] is None
    assert house.spy.affect == runs
    assert not any("interest" in part or part.startswith("mood") for item in answer["recommendations"]
                   for part, value in item["parts"].items() if value)  # fmt: skip
    assert await house.call("GET", f"{path}/mood") is None
    assert (await house.call("GET", path))["profile"]["interests"] == ["music"], "kept, and shown to whoever asks"
    await house.call("POST", f"{path}/restriction", {"restricted": False})
    assert await house.call("GET", f"{path}/restriction") == {"restricted": False}
    assert (await house.message(WORRY))["mood"] is not None


async def test_a_live_stream_stops_hearing_a_person_who_restricts(house: House, recording: Samples) -> None:
    path = await house.person()
    await house.consent("voice", "tone")
    microphone = await house.stream()
    await microphone.acknowledge()
    await microphone.play(recording[:32_000], quiet_s=0)
    await microphone.until("affect.result")
    await house.call("POST", f"{path}/restriction", {"restricted": True})
    await microphone.settle()
    ended, runs = len(microphone.events), house.spy.runs["voice"]
    await microphone.play(recording[32_000:])
    await microphone.settle()
    assert not [e for e in microphone.events[ended:] if e["type"] == "affect.result"]
    assert house.spy.runs["voice"] == runs


async def test_an_objection_ends_profiling_for_content_and_leaves_the_tone(house: House) -> None:
    path = await house.person(interests=["music"])
    for purpose in ("tone", "content"):
        await house.consent("text", purpose)
    await house.call("POST", f"{path}/objection", {"objected": True})
    answer = await house.message(WORRY)
    assert answer["directive"]["mood_used"]
    assert not any(value for item in answer["recommendations"] for part, value in item["parts"].items()
                   if "interest" in part or part.startswith("mood"))  # fmt: skip
    assert await house.call("GET", f"{path}/objection") == {"objected": True}
    await house.call("POST", f"{path}/objection", {"objected": "yes"}, status=400)


async def test_many_people_are_erased_in_one_call(house: House) -> None:
    for name in ("ada", "bob", "carl"):
        await house.person(name)
    done = await house.call("POST", "/v1/erasures", {"people": ["ada", "nobody", "bob"]})
    assert done == {
        "erased": 2,
        "people": [
            {"person": "ada", "erased": True},
            {"person": "nobody", "erased": False},
            {"person": "bob", "erased": True},
        ],
    }
    await house.call("GET", "/v1/people/ada", status=404)
    await house.call("GET", "/v1/people/carl")
    await house.call("POST", "/v1/erasures", {"people": []}, status=400)


# Raw audio stays in memory


class Watch:
    """Collects every regular file that this process has open for writing, whoever opened it and how."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self._looks = 0
        self._looked = threading.Condition()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    async def look(self) -> None:
        """Wait until it has looked everywhere at least once from now on."""
        enough = self._looks + 2

        def wait() -> None:
            with self._looked:
                self._looked.wait_for(lambda: self._looks >= enough)

        await asyncio.to_thread(wait)

    def _run(self) -> None:
        while not self._over.wait(0.0005):
            for number in os.listdir("/proc/self/fd"):  # noqa: PTH208
                with suppress(OSError):  # closed meanwhile
                    place = os.readlink(f"/proc/self/fd/{number}")  # noqa: PTH115
                    if place.startswith("/") and not place.startswith(("/dev/", "/proc/", "/sys/")):
                        flags = Path(f"/proc/self/fdinfo/{number}").read_text().split("flags:", 1)[1].split()[0]
                        if int(flags, 8) & (os.O_WRONLY | os.O_RDWR):
                            self.seen.add(place)
            with self._looked:
                self._looks += 1
                self._looked.notify_all()


@pytest.mark.skipif(not Path("/proc/self/fdinfo").is_dir(), reason="the watch needs Linux's /proc")
class TestFilesDuringAStream:
    async def test_no_file_but_the_databases_is_open_for_writing_while_somebody_speaks(
        self, house: House, recording: Samples, tmp_path: Path
    ) -> None:
        await house.person()
        for purpose in ("tone", "content", "remember"):
            await house.consent("voice", purpose)
        with Watch() as before:
            await before.look()
        size = sum(file.stat().st_size for file in files(tmp_path))
        with Watch() as watch:
            microphone = await house.stream()
            await microphone.acknowledge()
            await microphone.play(recording)
            await microphone.settle()
            await watch.look()
            await microphone.socket.close()
        assert microphone.of("affect.result"), "it was heard"
        databases = {str(file) for file in files(tmp_path) if ".db" in file.name}
        assert databases & watch.seen, "the watch sees what is written"
        assert watch.seen - before.seen - databases == set()
        grown = sum(file.stat().st_size for file in files(tmp_path)) - size
        assert grown < len(recording), "by less than half of the audio"

    async def test_the_watch_would_have_seen_a_file(self, tmp_path: Path) -> None:
        with Watch() as watch, (tmp_path / "audio.raw").open("wb"):
            await watch.look()
        assert str(tmp_path / "audio.raw") in watch.seen


def files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]
