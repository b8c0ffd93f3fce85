"""Profiles, devices, recent context, corrections and the access log: what is declared about a person."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from assistant.cli import main
from assistant.consent.receipt import Actor, Event
from assistant.emotion import Estimate, Reading
from assistant.errors import AlreadyTaken, Conflict, Invalid, NotFound
from assistant.mood.correction import Correction
from assistant.mood.timeline import Timeline
from assistant.profile.attribute_schema import SENSITIVE, check_attributes, check_schema, sensitive_topic
from assistant.profile.context import LIFETIMES_S, PARTS, ContextPart, check_part, lifetime_s
from assistant.profile.person import MAX_DEVICES, App, Device, Person, Profile, QuietHours, is_quiet, time_zone
from assistant.server.routes.people import apply_merge_patch
from assistant.store import schema as tables
from assistant.store.access_log import AccessLog
from assistant.store.apps import Apps
from assistant.store.contexts import Contexts
from assistant.store.database import Database
from assistant.store.devices import Devices
from assistant.store.keys.masters import LocalKeys
from assistant.store.keys.vault import Vault, open_vault
from assistant.store.people import People
from tests.conftest import Databases, House, OpenHouse

NOW = 1_800_000_000.0
CANARY = "canary-7f3a91"
WORRY = "Three deadlines tomorrow, I can't sleep and I'm terrified I will mess it all up."
PATH = "/v1/people/ada"


def refused(check: Any, *arguments: Any) -> str:
    with pytest.raises(Invalid) as error:
        check(*arguments)
    assert CANARY not in error.value.message, "an error does not quote what a person sent"
    return error.value.code


# The app's own attributes


TEAM = {"type": "string", "enum": ["red", "blue"], "title": "Team"}
ATTRIBUTES: dict[str, Any] = {
    "team": TEAM,
    "level": {"type": "integer", "minimum": 1, "maximum": 9},
    "ratio": {"type": "number"},
    "member": {"type": "boolean"},
    "colours": {"type": "array", "items": {"type": "string", "maxLength": 10}, "maxItems": 2},
}


def test_attributes_of_the_schema_are_accepted() -> None:
    check_schema(ATTRIBUTES)
    check_attributes(ATTRIBUTES, {"team": "red", "level": 9, "ratio": 1, "member": True, "colours": ["a", "b"]})
    check_attributes(ATTRIBUTES, {})


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ({"shoe": 42}, "attribute_unknown"),
        ({"team": CANARY}, "attribute_invalid"),
        ({"team": 1}, "attribute_invalid"),
        ({"level": 0}, "attribute_invalid"),
        ({"level": 10}, "attribute_invalid"),
        ({"level": True}, "attribute_invalid"),
        ({"level": 1.5}, "attribute_invalid"),
        ({"ratio": "1"}, "attribute_invalid"),
        ({"ratio": float("nan")}, "attribute_invalid"),
        ({"member": 1}, "attribute_invalid"),
        ({"colours": "red"}, "attribute_invalid"),
        ({"colours": ["a", "b", "c"]}, "attribute_invalid"),
        ({"colours": [CANARY]}, "attribute_invalid"),
        ({"colours": [["a"]]}, "attribute_invalid"),
    ],
)
def test_attributes_beside_the_schema_are_refused(attributes: dict[str, Any], code: str) -> None:
    assert refused(check_attributes, ATTRIBUTES, attributes) == code


@pytest.mark.parametrize(
    "schema",
    [
        {"Team": TEAM},
        {"": TEAM},
        {"a" * 65: TEAM},
        {"team": None},
        {"team": {}},
        {"team": {"type": "object"}},
        {"team": {"type": ["string"]}},
        {"team": {"type": "string", "pattern": "(a+)+$"}},
        {"team": {"type": "string", "enum": []}},
        {"team": {"type": "string", "enum": [1]}},
        {"team": {"type": "string", "maxLength": 0}},
        {"team": {"type": "integer", "minimum": "1"}},
        {"team": {"type": "array"}},
        {"team": {"type": "array", "items": {"type": "array", "items": {"type": "string"}}}},
        {f"a{i}": TEAM for i in range(65)},
    ],
)
def test_only_a_small_part_of_json_schema_is_understood(schema: dict[str, Any]) -> None:
    assert refused(check_schema, schema) == "schema_invalid"


@pytest.mark.parametrize(
    "name",
    ["stress", "mood_today", "last_emotion", "is_sad_sentiment", "diagnosis", "mental_health", "religion",
     "ethnicity", "sexual_orientation", "political_party", "trade_union", "voiceprint", "credit_limit",
     "churn_risk", "max_price", "personality_type", "depression"],
)  # fmt: skip
def test_an_attribute_may_not_be_named_after_what_a_profile_must_not_hold(name: str) -> None:
    assert refused(check_schema, {name: TEAM}) == "attribute_sensitive"


@pytest.mark.parametrize("name", ["team", "embrace_change", "temperature_unit", "seat", "nickname", "saddle"])
def test_harmless_names_are_left_alone(name: str) -> None:
    assert sensitive_topic(name) is None


def test_every_kind_of_sensitive_name_is_found_in_camel_case_too() -> None:
    for what, roots in SENSITIVE.items():
        for root in roots:
            assert sensitive_topic(f"last{root.title().replace('_', '')}") or "_" in root, (what, root)


# Quiet hours


@pytest.mark.parametrize(
    ("clock", "quiet"),
    [("21:59", False), ("22:00", True), ("23:59", True), ("00:00", True), ("06:59", True), ("07:00", False)],
)
def test_quiet_hours_go_past_midnight(clock: str, quiet: bool) -> None:
    midnight = NOW - NOW % 86_400
    hours, minutes = map(int, clock.split(":"))
    assert is_quiet(QuietHours("22:00", "07:00"), midnight + hours * 3600 + minutes * 60) == quiet


def test_quiet_hours_follow_the_person_s_time_zone_and_summer_time() -> None:
    nap = QuietHours("13:00", "14:00", "Europe/Berlin")
    winter, summer = 1_800_014_400.0, 1_783_944_000.0  # each 12:00 UTC
    assert (winter % 86_400, summer % 86_400) == (43_200, 43_200)
    assert is_quiet(nap, winter)
    assert not is_quiet(nap, summer), "it is 14:00 there"
    assert not is_quiet(nap, winter, "America/New_York")
    assert not is_quiet(None, winter)


@pytest.mark.parametrize("name", ["Mars/Olympus", "../etc/passwd", "", "/etc/passwd", CANARY, "Europe"])
def test_a_time_zone_must_exist(name: str) -> None:
    assert refused(time_zone, name) == "time_zone_unknown"


# Recent context


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"latitude": 52.51, "longitude": 13.4}, "location_precise"),
        ({"latitude": 52.5, "longitude": 13.377}, "location_precise"),
        ({"latitude": 91.0, "longitude": 0.0}, "location_invalid"),
        ({"latitude": 0.0, "longitude": float("nan")}, "location_invalid"),
    ],
)
def test_a_precise_location_is_refused(value: dict[str, float], code: str) -> None:
    assert refused(check_part, "location", value) == code


def test_every_tenth_of_a_degree_is_coarse_enough() -> None:
    for tenths in range(-1800, 1801):
        place = {"latitude": 0.0, "longitude": tenths / 10}
        assert check_part("location", place) == place


def test_each_part_has_a_usual_and_a_longest_life() -> None:
    for part in PARTS:
        usual, most = LIFETIMES_S[part]
        assert lifetime_s(part, None) == usual <= most == lifetime_s(part, most)
        assert refused(lifetime_s, part, most + 1) == "ttl_invalid"


# Merge patch: the examples of RFC 7396, appendix A


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch(target: Any, patch: Any, result: Any) -> None:
    assert apply_merge_patch(target, patch) == result


# The store, on each kind of database


class Store:
    def __init__(self, main: Database, vault: Vault) -> None:
        self.now = NOW
        self.main = main
        self.apps = Apps(main, self.clock)
        self.people = People(main, vault, self.clock)
        self.devices = Devices(main, vault, self.clock)
        self.contexts = Contexts(main, vault, self.clock)
        self.access = AccessLog(main, self.clock)

    def clock(self) -> float:
        return self.now

    async def person(self, app: App, name: str = "ada") -> Person:
        return (await self.people.put(app, name, Profile()))[0]

    async def app(self, name: str = "test") -> App:
        return (await self.apps.authenticate(await self.apps.create_key(name, "general"))).app

    async def everything(self) -> str:
        """All that stands in the main database, as text."""
        found = []
        async with self.main.read() as connection:
            for table in tables.main.sorted_tables:
                found += [repr(tuple(row)) for row in (await connection.execute(select(table))).all()]
        return "\n".join(found)


@asynccontextmanager
async def _opened(databases: Databases) -> AsyncIterator[Store]:
    main, keys = Database(databases.main), Database(databases.keys)
    try:
        store = Store(main, await open_vault(keys, LocalKeys([bytes(range(32))])))
        yield store
        await store.apps.close()
    finally:
        await main.close()
        await keys.close()


@pytest.fixture
async def store(databases: Databases) -> AsyncIterator[Store]:
    async with _opened(databases) as opened:
        yield opened


def speaker(id: str = "kitchen", name: str = "") -> Device:
    return Device(id, "speaker", name, NOW)


async def test_of_two_changes_that_expect_the_same_version_one_is_refused(store: Store) -> None:
    app = await store.app()
    person = await store.person(app)

    async def change(language: str) -> bool:
        try:
            await store.people.put(app, "ada", Profile(language=language), if_version=person.version)
        except Conflict:
            return False
        return True

    done = await asyncio.gather(*(change(language) for language in ("de", "fr", "it", "es")))
    assert sum(done) == 1
    assert (await store.people.get(app, "ada")).version == 2


async def test_changes_that_expect_nothing_all_count(store: Store) -> None:
    app = await store.app()
    await asyncio.gather(*(store.people.put(app, "ada", Profile(interests=(str(i),))) for i in range(5)))
    assert (await store.people.get(app, "ada")).version == 5


async def test_only_one_makes_somebody_who_must_be_new(store: Store) -> None:
    app = await store.app()
    made = await asyncio.gather(
        *(store.people.put(app, "ada", Profile(), if_version=0) for _ in range(4)), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in made) == ["Conflict"] * 3 + ["tuple"]


async def test_a_device_is_linked_found_and_unlinked(store: Store) -> None:
    app = await store.app()
    ada = await store.person(app)
    assert await store.devices.link(app, ada, speaker())
    assert await store.devices.link(app, ada, Device("phone", "phone", "", NOW + 1))
    assert not await store.devices.link(app, ada, speaker(name="Kitchen")), "known already, and changed"
    assert [(device.id, device.name) for device in await store.devices.list_devices(ada.pseudonym)] == [
        ("kitchen", "Kitchen"),
        ("phone", ""),
    ]
    assert await store.devices.owner(app, "kitchen") == ada.pseudonym
    await store.devices.unlink(app, ada, "kitchen")
    with pytest.raises(NotFound):
        await store.devices.owner(app, "kitchen")
    with pytest.raises(NotFound):
        await store.devices.unlink(app, ada, "kitchen")


async def test_a_device_belongs_to_one_person_of_an_app_at_a_time(store: Store) -> None:
    app, other = await store.app(), await store.app("other")
    ada, bob, stranger = await store.person(app), await store.person(app, "bob"), await store.person(other)
    await store.devices.link(app, ada, speaker())
    with pytest.raises(AlreadyTaken):
        await store.devices.link(app, bob, speaker())
    with pytest.raises(NotFound):
        await store.devices.unlink(app, bob, "kitchen")
    assert await store.devices.link(other, stranger, speaker()), "another app's kitchen is another kitchen"
    await store.devices.unlink(app, ada, "kitchen")
    assert await store.devices.link(app, bob, speaker())


async def test_two_people_who_link_a_device_at_once_don_t_both_get_it(store: Store) -> None:
    app = await store.app()
    people = [await store.person(app, name) for name in ("ada", "bob", "eve")]
    done = await asyncio.gather(
        *(store.devices.link(app, person, speaker()) for person in people), return_exceptions=True
    )
    assert sorted(str(type(result).__name__) for result in done) == ["AlreadyTaken", "AlreadyTaken", "bool"]


async def test_a_person_has_only_so_many_devices(store: Store) -> None:
    app = await store.app()
    ada = await store.person(app)
    for number in range(MAX_DEVICES):
        await store.devices.link(app, ada, speaker(str(number)))
    with pytest.raises(Invalid) as refused:
        await store.devices.link(app, ada, speaker("one more"))
    assert refused.value.code == "too_many_devices"


async def test_recent_context_is_told_until_its_time_is_over(store: Store) -> None:
    ada = await store.person(await store.app())
    await store.contexts.put(
        ada.pseudonym,
        {
            "activity": ContextPart("cooking", NOW, NOW + 60),
            "time_zone": ContextPart("Europe/Paris", NOW, NOW + 600),
        },
    )
    assert set(await store.contexts.read_context(ada.pseudonym)) == {"activity", "time_zone"}
    store.now += 60
    assert set(await store.contexts.read_context(ada.pseudonym)) == {"time_zone"}
    await store.contexts.put(ada.pseudonym, {"time_zone": ContextPart("Asia/Tokyo", store.now, store.now + 9)})
    assert (await store.contexts.read_context(ada.pseudonym))["time_zone"].value == "Asia/Tokyo"
    await store.contexts.put(ada.pseudonym, {}, gone=["time_zone"])
    assert await store.contexts.read_context(ada.pseudonym) == {}


async def test_devices_and_context_are_sealed_and_erased_with_the_person(store: Store) -> None:
    app = await store.app()
    ada, bob = await store.person(app), await store.person(app, "bob")
    for person in (ada, bob):
        await store.devices.link(app, person, speaker(f"{CANARY} {person.id}", CANARY))
        await store.contexts.put(person.pseudonym, {"searches": ContextPart([CANARY], NOW, NOW + 60)})
        store.access.note_access(person.pseudonym, "key_1", "GET /v1/people/{person}")
    await store.access.flush()
    assert CANARY not in await store.everything()
    assert ada.pseudonym in await store.everything()
    await store.people.erase(ada)
    assert ada.pseudonym not in await store.everything()
    assert len(await store.devices.list_devices(bob.pseudonym)) == 1
    assert len(await store.access.list_accesses(bob.pseudonym)) == 1


async def test_equal_accesses_become_one_row_with_a_count(store: Store) -> None:
    for second in range(3):
        store.now = NOW + second
        store.access.note_access("p", "key_1", "GET /v1/people/{person}")
    store.access.note_access("p", "key_2", "GET /v1/people/{person}")
    store.access.note_access("q", "key_1", "GET /v1/people/{person}")
    found = await store.access.list_accesses("p")
    assert [(a.who, a.count, a.at, a.last_at) for a in found] == [
        ("key_2", 1, NOW + 2, NOW + 2),
        ("key_1", 3, NOW, NOW + 2),
    ]
    store.access.note_access("p", "key_1", "GET /v1/people/{person}")
    assert [a.count for a in await store.access.list_accesses("p")] == [1, 1, 3], "what was written is not changed"


async def test_the_access_log_is_paged_newest_first(store: Store) -> None:
    for number in range(5):
        store.access.note_access("p", "key_1", f"action {number}")
    first = await store.access.list_accesses("p", limit=2)
    rest = await store.access.list_accesses("p", before=first[-1].seq, limit=9)
    assert [a.action for a in (*first, *rest)] == [f"action {n}" for n in (4, 3, 2, 1, 0)]


async def test_accesses_are_written_by_themselves_and_at_the_end(sqlite_databases: Databases) -> None:
    async with _opened(sqlite_databases) as store:

        async def rows() -> int:
            async with store.main.read() as connection:
                return int(await connection.scalar(text("SELECT count(*) FROM accesses")) or 0)

        async with store.access.writing():
            for number in range(1_000):  # so many that they are written at once
                store.access.note_access("p", "key_1", f"action {number}")
            async with asyncio.timeout(30):
                while not await rows():  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            store.access.note_access("p", "key_1", "the last")
        assert await rows() == 1_001


async def test_accesses_wait_for_a_database_that_is_gone(sqlite_databases: Databases) -> None:
    async with _opened(sqlite_databases) as store:
        async with store.main.write() as connection:
            await connection.execute(text("ALTER TABLE accesses RENAME TO elsewhere"))
        store.access.note_access("p", "key_1", "read")
        with pytest.raises(Exception, match="database"):
            await store.access.flush()
        store.access.note_access("p", "key_1", "read")
        async with store.main.write() as connection:
            await connection.execute(text("ALTER TABLE elsewhere RENAME TO accesses"))
        assert [a.count for a in await store.access.list_accesses("p")] == [2]


# Corrections


TENSE = Reading("text", Estimate(-0.6, 0.2), Estimate(0.6, 0.2), 0.9, {"fear": 0.8, "joy": 0.2})
CALM = Correction("stress", False, NOW)


def timeline() -> Timeline:
    return Timeline(half_life_s=60, expires_s=900)


def test_what_the_person_says_wins_over_what_is_read_now_and_later() -> None:
    line = timeline()
    line.add_reading(TENSE, NOW)
    line.correct(CALM)
    mood = line.mood(NOW, ["text"])
    assert mood is not None
    assert mood.stress == 0
    assert mood.valence == line.mood(NOW, ["text"]).valence  # type: ignore[union-attr]
    assert [e.modality for e in mood.evidence] == ["text", "correction"]
    line.add_reading(TENSE, NOW + 800)
    line.add_reading(TENSE, NOW + 1600)
    later = line.mood(NOW + 1600, ["text"])
    assert later is not None
    assert later.stress == 0, "it is remembered for the session"


def test_after_a_silence_the_session_and_its_corrections_are_over() -> None:
    line = timeline()
    line.add_reading(TENSE, NOW)
    line.correct(CALM)
    assert line.corrections(NOW + 899)
    assert not line.corrections(NOW + 900)
    line.add_reading(TENSE, NOW + 900)
    mood = line.mood(NOW + 900, ["text"])
    assert mood is not None
    assert mood.stress == pytest.approx(0.9)
    assert [e.modality for e in mood.evidence] == ["text"]


def test_each_dimension_is_corrected_by_itself_and_the_last_word_counts() -> None:
    line = timeline()
    line.add_reading(TENSE, NOW)
    for correction in (
        Correction("valence", 0.9, NOW),
        Correction("valence", 0.4, NOW),
        Correction("arousal", -0.5, NOW),
        Correction("emotion", "joy", NOW),
        Correction("stress", True, NOW),
    ):
        line.correct(correction)
    mood = line.mood(NOW, ["text"])
    assert mood is not None
    assert (mood.valence.mean, mood.arousal.mean, mood.stress) == (0.4, -0.5, 1.0)
    assert mood.emotions == {"fear": 0.0, "joy": 1.0}


def test_a_correction_alone_makes_no_mood_and_goes_with_the_last_reading() -> None:
    line = timeline()
    line.correct(CALM)
    assert line.mood(NOW, ["text", "voice"]) is None
    line.add_reading(TENSE, NOW)
    line.forget("text")
    assert not line.corrections(NOW)


def test_the_deviation_from_the_usual_is_that_of_the_corrected_mood() -> None:
    line = timeline()
    usual = replace(TENSE, valence=Estimate(0.1, 0.2), observation=(0.1, 0.0), model="m")
    for _ in range(30):
        line.add_reading(usual, NOW)
    line.correct(Correction("valence", 0.5, NOW))
    mood = line.mood(NOW, ["text"])
    assert mood is not None
    assert mood.from_usual["valence"] == pytest.approx(0.4, abs=0.01)


# The API


@pytest.fixture
async def house(open_house: OpenHouse) -> House:
    """A server without affect models: profiles need none."""
    return await open_house(affect="absent")


async def header(house: House, method: str, path: str, json: Any = None, **headers: str) -> tuple[int, Any]:
    async with house.client.request(method, path, json=json, headers=house.headers | headers) as answer:
        return answer.status, answer.headers.get("ETag")


async def test_a_whole_profile_is_kept_and_shown(house: House) -> None:
    whole: dict[str, Any] = {
        "language": "de",
        "country": "DE",
        "region": "BE",
        "age_band": "adult",
        "interests": ["music"],
        "goals": ["run ten kilometres"],
        "preferences": {"coffee": "black"},
        "formality": "formal",
        "plain_language": True,
        "short_sentences": True,
        "quiet_hours": {"start": "22:00", "end": "07:00", "time_zone": "Europe/Berlin"},
        "attributes": {},
    }
    await house.person(**whole)
    shown = await house.call("GET", PATH)
    assert shown["profile"] == whole
    assert set(whole) == set(asdict(Profile())), "every member is tried here"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"mood": "sad"}, "invalid_request"),
        ({"goals": ["x" * 201]}, "invalid_request"),
        ({"quiet_hours": {"start": "25:00", "end": "07:00"}}, "invalid_request"),
        ({"quiet_hours": {"start": "07:00", "end": "07:00"}}, "quiet_hours_invalid"),
        ({"quiet_hours": {"start": "22:00", "end": "07:00", "time_zone": "Nowhere"}}, "time_zone_unknown"),
        ({"region": "IL"}, "region_invalid"),
        ({"preferences": {"mental_health": "fine"}}, "attribute_sensitive"),
        ({"attributes": {"team": "red"}}, "attribute_unknown"),
        ({"age_band": "senior"}, "invalid_request"),
    ],
)
async def test_a_profile_that_can_not_be_kept_is_refused(house: House, body: dict[str, Any], code: str) -> None:
    assert (await house.call("PUT", PATH, body, status=400))["code"] == code


async def test_the_app_s_schema_decides_which_attributes_there_are(house: House) -> None:
    await house.call("PUT", "/v1/profile-schema", {"properties": ATTRIBUTES})
    assert (await house.call("GET", "/v1/profile-schema"))["properties"] == ATTRIBUTES
    await house.person(attributes={"team": "red", "level": 3})
    assert (await house.call("GET", PATH))["profile"]["attributes"] == {"team": "red", "level": 3}
    wrong = await house.call("PATCH", PATH, {"attributes": {"team": "green"}}, status=400)
    assert wrong["code"] == "attribute_invalid"
    refused = await house.call("PUT", "/v1/profile-schema", {"properties": {"stress": TEAM}}, status=400)
    assert refused["code"] == "attribute_sensitive"
    other = await house.services.storage.apps.create_key("other", "general")
    headers = {"Authorization": f"Bearer {other}"}
    assert (await house.call("GET", "/v1/profile-schema", headers=headers))["properties"] == {}


async def test_a_change_that_expects_another_version_is_refused(house: House) -> None:
    assert await header(house, "PUT", PATH, {}) == (201, '"1"')
    assert await header(house, "GET", PATH) == (200, '"1"')
    assert await header(house, "PUT", PATH, {"language": "de"}, **{"If-Match": '"1"'}) == (200, '"2"')
    for method in ("PUT", "PATCH"):
        conflict = await house.call(
            method, PATH, {"language": "fr"}, status=412, headers=house.headers | {"If-Match": '"1"'}
        )
        assert conflict["code"] == "version_conflict"
    assert (await header(house, "PATCH", PATH, {}, **{"If-Match": '"7", "2"'}))[0] == 200
    assert (await header(house, "PATCH", PATH, {}, **{"If-Match": 'W/"3"'}))[0] == 200, (
        "proxies that compress make a tag weak"
    )
    assert (await header(house, "PATCH", PATH, {}, **{"If-Match": "*"}))[0] == 200
    assert (await house.call("GET", PATH))["profile"]["language"] == "de"


async def test_somebody_can_be_made_only_where_there_is_nobody(house: House) -> None:
    assert (await header(house, "PUT", PATH, {}, **{"If-Match": "*"}))[0] == 412
    assert (await header(house, "PUT", PATH, {}, **{"If-None-Match": "*"}))[0] == 201
    assert (await header(house, "PUT", PATH, {}, **{"If-None-Match": "*"}))[0] == 412


async def test_what_a_client_has_is_not_sent_again(house: House) -> None:
    await house.person()
    assert await header(house, "GET", PATH, **{"If-None-Match": '"1"'}) == (304, '"1"')
    assert (await header(house, "GET", PATH, **{"If-None-Match": '"2"'}))[0] == 200


async def test_a_patch_changes_only_what_it_names(house: House) -> None:
    await house.person(
        language="de", country="DE", interests=["music"], preferences={"coffee": "black", "tea": "no"}
    )
    patched = await house.call(
        "PATCH", PATH, {"country": None, "interests": ["art"], "preferences": {"tea": None, "milk": "yes"}}
    )
    profile = patched["profile"]
    assert (profile["language"], profile["country"], profile["interests"]) == ("de", None, ["art"])
    assert profile["preferences"] == {"coffee": "black", "milk": "yes"}
    assert (await house.call("PATCH", PATH, {"mood": "sad"}, status=400))["code"] == "invalid_request"
    assert (await house.call("PATCH", "/v1/people/nobody", {}, status=404))["code"] == "person_unknown"
    for depth in (100, 900, 2_000, 100_000):
        deep = '{"a":' * depth + "1" + "}" * depth
        headers = house.headers | {"Content-Type": "application/merge-patch+json"}
        await house.call("PATCH", PATH, data=deep, headers=headers, status=400)
    headers["Content-Type"] = "text/plain"
    assert (await house.call("PATCH", PATH, data="{}", headers=headers, status=400))["code"] == "invalid_patch"


async def test_patches_at_once_lose_nothing(house: House) -> None:
    await house.person()
    await asyncio.gather(*(house.call("PATCH", PATH, {"preferences": {f"p{i}": "x"}}) for i in range(4)))
    assert set((await house.call("GET", PATH))["profile"]["preferences"]) == {f"p{i}" for i in range(4)}


async def test_quiet_hours_and_accessibility_reach_the_tone(house: House) -> None:
    await house.person(short_sentences=True, quiet_hours={"start": "00:00", "end": "06:00", "time_zone": "UTC"})
    day = await house.message("Hello")
    assert day["directive"]["verbosity"] == "brief"
    assert day["quiet_hours"] is False
    await house.call("PUT", f"{PATH}/context", {"time_zone": {"value": "America/New_York"}})
    night = await house.message("Hello")
    assert night["quiet_hours"] is True, "the person is travelling, and it is night where they are"
    assert "profile_quiet_hours" in {reason["code"] for reason in night["directive"]["reasons"]}


async def test_one_person_is_found_by_each_of_their_devices_until_it_is_unlinked(house: House) -> None:
    await house.person()
    await house.person("bob")
    for device, kind in (("kitchen", "speaker"), ("browser 1", "web"), ("pixel", "phone")):
        await house.call("PUT", f"{PATH}/devices/{device}", {"kind": kind}, status=201)
        assert (await house.call("GET", f"/v1/devices/{device}"))["person"] == "ada"
    taken = await house.call("PUT", "/v1/people/bob/devices/kitchen", {"kind": "speaker"}, status=409)
    assert taken["code"] == "device_linked"
    await house.call("DELETE", f"{PATH}/devices/kitchen", status=204)
    assert (await house.call("GET", "/v1/devices/kitchen", status=404))["code"] == "device_unknown"
    assert {d["id"] for d in (await house.call("GET", f"{PATH}/devices"))["devices"]} == {"browser 1", "pixel"}
    await house.call("DELETE", PATH, status=204)
    assert (await house.call("GET", "/v1/devices/pixel", status=404))["code"] == "device_unknown"


async def test_a_speaker_that_knows_only_itself_opens_the_stream_of_whoever_it_belongs_to(house: House) -> None:
    await house.person(country="US", region="CA", age_band="teen")
    await house.call("PUT", f"{PATH}/devices/kitchen", {"kind": "speaker"}, status=201)
    async with house.client.ws_connect("/v1/realtime?device=kitchen", headers=house.headers) as socket:
        assert (await socket.receive_json())["type"] == "session.created"
        assert "break" in (await socket.receive_json())["text"], "it is the stream of a minor in California"
    await house.call("DELETE", f"{PATH}/devices/kitchen", status=204)
    assert (await house.call("GET", "/v1/realtime?device=kitchen", status=404))["code"] == "device_unknown"


async def test_recent_context_comes_and_goes_in_parts(house: House) -> None:
    await house.person()
    body = {
        "location": {"value": {"latitude": 52.5, "longitude": 13.4}},
        "searches": {"value": ["running shoes"]},
        "activity": {"value": "cooking", "ttl_s": 60},
    }
    shown = await house.call("PUT", f"{PATH}/context", body)
    assert shown["activity"]["expires_at"] == house.clock.now + 60
    assert shown["time_zone"] is None
    house.clock.now += 60
    shown = await house.call("PUT", f"{PATH}/context", {"searches": None})
    assert [part for part, known in shown.items() if known] == ["location"]
    await house.call("DELETE", f"{PATH}/context", status=204)
    assert not any((await house.call("GET", f"{PATH}/context")).values())


@pytest.mark.parametrize(
    ("part", "code"),
    [
        ({"location": {"value": {"latitude": 52.5163, "longitude": 13.4}}}, "location_precise"),
        ({"location": {"value": {"latitude": 52.5}}}, "invalid_request"),
        ({"location": {"value": {"street": CANARY}}}, "invalid_request"),
        ({"location": {"value": {"place": "Berlin"}, "ttl_s": 9e9}}, "ttl_invalid"),
        ({"activity": {"value": "x", "ttl_s": 0}}, "invalid_request"),
        ({"time_zone": {"value": CANARY}}, "time_zone_unknown"),
        ({"searches": {"value": ["x"] * 21}}, "too_many_searches"),
        ({"heart_rate": {"value": 70}}, "invalid_request"),
    ],
)
async def test_context_that_can_not_be_kept_is_refused(house: House, part: dict[str, Any], code: str) -> None:
    await house.person()
    refused = await house.call("PUT", f"{PATH}/context", part, status=400)
    assert refused["code"] == code
    assert CANARY not in str(refused)


async def test_i_m_not_stressed_wins_at_once_and_can_be_taken_back(open_house: OpenHouse) -> None:
    house = await open_house()
    await house.person()
    for purpose in ("tone", "content"):
        await house.consent("text", purpose)
    before = await house.message(WORRY)
    assert before["mood"]["stress"] > 0.6
    assert "mood_stressed" in {reason["code"] for reason in before["directive"]["reasons"]}

    corrected = await house.call("POST", f"{PATH}/mood/corrections", {"stress": False, "valence": 0.3})
    assert corrected["mood"]["stress"] == 0
    assert corrected["mood"]["evidence"][-1]["modality"] == "correction"
    after = await house.message(WORRY)
    assert after["mood"]["stress"] == 0
    assert "mood_stressed" not in {reason["code"] for reason in after["directive"]["reasons"]}
    assert (await house.call("GET", f"{PATH}/mood"))["valence"]["mean"] == 0.3

    assert len((await house.call("GET", f"{PATH}/mood/corrections"))["corrections"]) == 2
    await house.call("DELETE", f"{PATH}/mood/corrections", status=204)
    assert (await house.call("GET", f"{PATH}/mood"))["stress"] > 0.6

    accesses = (await house.call("GET", f"{PATH}/access"))["accesses"]
    assert {access["purpose"] for access in accesses if access["action"] == "mood"} == {"tone", "content"}


async def test_a_correction_needs_no_grant_and_makes_no_mood(open_house: OpenHouse) -> None:
    house = await open_house()
    await house.person()
    said = await house.call("POST", f"{PATH}/mood/corrections", {"emotion": "joy"})
    assert said["mood"] is None
    assert await house.call("GET", f"{PATH}/mood") is None
    assert (await house.message(WORRY))["mood"] is None
    assert house.spy.affect == 0
    for wrong in ({}, {"stress": "no"}, {"valence": 2}, {"emotion": "boredom"}):
        await house.call("POST", f"{PATH}/mood/corrections", wrong, status=400)


async def test_a_person_sees_who_read_and_used_their_data_but_no_key(house: House) -> None:
    await house.person()
    for _ in range(3):
        await house.call("GET", PATH)
    await house.message("Hello")
    shown = await house.call("GET", f"{PATH}/access")
    actions = {access["action"]: access["count"] for access in shown["accesses"]}
    assert actions["GET /v1/people/{person}"] >= 1
    assert "POST /v1/people/{person}/messages" in actions
    assert "mood" not in actions, "no mood was used"
    assert house.key not in str(shown)
    said = {access[name] for access in shown["accesses"] for name in ("who", "action", "purpose")}
    assert not any(value == "ada" or "/ada" in value for value in said), (
        "a key's id may hold these letters by chance"
    )
    first = await house.call("GET", f"{PATH}/access?limit=1")
    assert len(first["accesses"]) == 1
    older = await house.call("GET", f"{PATH}/access?before={first['next']}")
    assert all(access["seq"] < first["next"] for access in older["accesses"])
    for wrong in ("limit=0", "limit=x", "before=-1", "before=99999999999999999999"):
        await house.call("GET", f"{PATH}/access?{wrong}", status=400)


async def test_an_operator_who_exports_on_the_command_line_is_seen_too(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.person()
    for name in ("database", "keys", "master_key_file"):
        monkeypatch.setenv(f"ATTUNE_{name.upper()}", str(getattr(house.services.settings, name)))
    asked = ["people", "export", "--app", "test-general", "--person", "ada", "--out", str(tmp_path / "ada.ndjson")]
    assert await asyncio.to_thread(main, asked) == 0
    accesses = (await house.call("GET", f"{PATH}/access"))["accesses"]
    assert ("operator", "people export") in {(access["who"], access["action"]) for access in accesses}


async def test_another_person_is_not_in_it(house: House) -> None:
    await house.person()
    await house.person("bob")
    await house.call("GET", "/v1/people/bob/devices")
    actions = [a["action"] for a in (await house.call("GET", f"{PATH}/access"))["accesses"]]
    assert "GET /v1/people/{person}/devices" not in actions


@pytest.mark.parametrize(("event", "tone"), [("restricted", "neutral"), ("objected", "formal")])
async def test_who_restricts_or_objects_is_ranked_blind(house: House, event: Event, tone: str) -> None:
    await house.person(formality="formal", interests=["music"])
    before = await house.message("Hello")
    assert any(item["parts"]["interest"] for item in before["recommendations"])
    person = await house.known("ada")
    await house.services.storage.ledger.record_event(person.pseudonym, event, Actor("app", "api"), app="")
    after = await house.message("Hello")
    assert [limit["code"] for limit in after["limits"]] == [event]
    assert not any(item["parts"]["interest"] for item in after["recommendations"])
    assert after["directive"]["formality"] == tone
    safety = await house.message("I want to kill myself")
    assert safety["safety"]["level"] == "crisis", "the way to help is never limited"
