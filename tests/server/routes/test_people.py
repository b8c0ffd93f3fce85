"""Profiles, devices, recent context, corrections and the access log through the API."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from assistant.cli import main
from assistant.consent.receipt import Actor, Event
from assistant.profile.person import Profile
from assistant.server.routes.people import apply_merge_patch
from tests.conftest import House, OpenHouse

NOW = 1_800_000_000.0
CANARY = "canary-7f3a91"
WORRY = "Three deadlines tomorrow, I can't sleep and I'm terrified I will mess it all up."
PATH = "/v1/people/ada"

TEAM = {"type": "string", "enum": ["red", "blue"], "title": "Team"}
ATTRIBUTES: dict[str, Any] = {"team": TEAM, "level": {"type": "integer", "minimum": 1, "maximum": 9}}

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
