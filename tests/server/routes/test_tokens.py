"""Person tokens: short-lived, for one person, on every kind of connection, and dead when they are made void."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest

from assistant.errors import Unauthenticated
from assistant.profile.access import APP_SCOPES, PERSON_SCOPES, TOKEN_SCOPES
from assistant.profile.person import App
from assistant.server.http.caller import Caller
from assistant.server.http.signing import Token, read, sign
from assistant.server.live.streams import Watch
from assistant.services import Services
from assistant.store.apps import Apps
from assistant.store.database import Database, StorageFailed
from tests.conftest import House, Microphone, OpenHouse

TOKENS = "/v1/people/ada/tokens"
GRANT = {"modality": "text", "purpose": "tone", "granted": True, "notice": "1"}


async def _token(house: House, **body: Any) -> dict[str, str]:
    """The header with a new token of `ada`."""
    return {"Authorization": f"Bearer {(await house.call('POST', TOKENS, body, status=201))['token']}"}


async def _ended(microphone: Microphone) -> str:
    """The code of the error with which a stream ends."""
    last: dict[str, Any] = {}
    while (message := await microphone.socket.receive(timeout=5)).type is aiohttp.WSMsgType.TEXT:
        last = json.loads(message.data)
    assert microphone.socket.closed
    return str(last["error"]["code"])


@pytest.fixture
async def house(open_house: OpenHouse) -> House:
    house = await open_house(affect="absent")
    await house.person()
    return house


class TestATokenIsHandedOut:
    async def test_for_a_quarter_of_an_hour_and_little_else_where_nothing_is_said(self, house: House) -> None:
        made = await house.call("POST", TOKENS, {}, status=201)
        assert made["scopes"] == ["consent", "infer"] == sorted(TOKEN_SCOPES)
        assert made["expires_in_s"] == 900
        assert made["token"].count(".") == 2

    async def test_and_names_nobody_by_the_id_that_the_app_gave(self, house: House) -> None:
        payload = (await house.call("POST", TOKENS, {}, status=201))["token"].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
        assert "ada" not in claims.values()
        assert len(claims["sub"]) == 32

    async def test_and_is_kept_by_no_cache(self, house: House) -> None:
        async with house.client.post(TOKENS, json={}, headers=house.headers) as answer:
            assert answer.headers["Cache-Control"] == "no-store"

    @pytest.mark.parametrize(
        "body", [{"expires_in_s": 86_401}, {"expires_in_s": 0}, {"scopes": []}, {"scopes": ["fly"]}, {"sub": "x"}]
    )
    async def test_but_not_for_longer_than_a_day_nor_for_what_is_unknown(
        self, house: House, body: dict[str, Any]
    ) -> None:
        await house.call("POST", TOKENS, body, status=400)

    @pytest.mark.parametrize("scope", ["catalogue", "tokens", "operate"])
    async def test_but_not_for_what_is_the_apps(self, house: House, scope: str) -> None:
        assert (await house.call("POST", TOKENS, {"scopes": [scope]}, status=400))["code"] == "scope_unknown"

    async def test_but_not_for_what_the_key_itself_may_not(self, house: House) -> None:
        key = await house.services.storage.apps.create_key("test-general", "general", scopes=["tokens", "consent"])
        headers = {"Authorization": f"Bearer {key}"}
        refused = await house.call("POST", TOKENS, {"scopes": ["infer"]}, status=403, headers=headers)
        assert refused["code"] == "scope_missing"
        await house.call("POST", TOKENS, {"scopes": ["consent"]}, status=201, headers=headers)


class TestWhoHoldsIt:
    async def test_decides_as_the_person_and_the_ledger_says_so(self, house: House) -> None:
        headers = await _token(house)
        receipt = await house.call("POST", "/v1/people/me/consent", GRANT, status=201, headers=headers)
        assert receipt["decided_by"] == {"kind": "person", "evidence": "token"}
        by_app = await house.call("POST", "/v1/people/ada/consent", GRANT | {"granted": False}, status=201)
        assert by_app["decided_by"]["kind"] == "app"

    async def test_may_change_their_own_profile_where_the_token_says_people(self, house: House) -> None:
        headers = await _token(house, scopes=["people"])
        await house.call("PUT", "/v1/people/me", {"language": "de"}, headers=headers)
        assert (await house.call("GET", "/v1/people/ada"))["profile"]["language"] == "de"
        await house.call("GET", "/v1/people/me/consent", status=403, headers=headers)

    async def test_may_until_it_expires(self, house: House) -> None:
        headers = await _token(house, expires_in_s=60)
        house.clock.now += 59
        await house.call("GET", "/v1/people/ada/mood", headers=headers)
        house.clock.now += 1
        refused = await house.call("GET", "/v1/people/ada/mood", status=401, headers=headers)
        assert refused["code"] == "token_expired"

    async def test_may_until_all_are_made_void_and_again_with_a_new_one(self, house: House) -> None:
        headers = await _token(house)
        await house.call("DELETE", TOKENS, status=204)
        refused = await house.call("GET", "/v1/people/me/mood", status=401, headers=headers)
        assert refused["code"] == "token_revoked"
        await house.call("GET", "/v1/people/me/mood", headers=await _token(house))

    async def test_is_nobody_once_erased_and_stays_so_when_the_app_makes_the_person_again(
        self, house: House
    ) -> None:
        headers = await _token(house)
        await house.call("DELETE", "/v1/people/ada", status=204)
        await house.person()
        refused = await house.call("GET", "/v1/people/me/mood", status=401, headers=headers)
        assert refused["code"] == "token_revoked"

    async def test_may_erase_themself_where_the_token_says_rights(self, house: House) -> None:
        await house.call("DELETE", "/v1/people/me", status=204, headers=await _token(house, scopes=["rights"]))
        await house.call("GET", "/v1/people/ada", status=404)


class TestALiveStream:
    async def test_opens_with_a_token_in_the_header_and_needs_no_name(self, house: House) -> None:
        socket = await house.client.ws_connect("/v1/realtime", headers=await _token(house))
        await Microphone(socket).until("session.created")
        assert socket.protocol is None

    async def test_opens_for_a_browser_that_can_only_name_subprotocols(self, house: House) -> None:
        token = (await _token(house))["Authorization"].removeprefix("Bearer ")
        offered = ("realtime", f"openai-insecure-api-key.{token}", "openai-beta.realtime-v1")
        socket = await house.client.ws_connect("/v1/realtime?person=ada", protocols=offered)
        await Microphone(socket).until("session.created")
        assert socket.protocol == "realtime", "the credential is not echoed"

    async def test_opens_where_the_only_subprotocol_is_the_credential_and_logs_nothing_of_it(
        self, house: House, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("DEBUG", logger="aiohttp")
        token = (await _token(house))["Authorization"].removeprefix("Bearer ")
        offered = (f"openai-insecure-api-key.{token}",)
        socket = await house.client.ws_connect("/v1/realtime?person=ada", protocols=offered)
        await Microphone(socket).until("session.created")
        assert socket.protocol == offered[0], "a browser closes where nothing is agreed on"
        assert token not in caplog.text

    async def test_is_refused_for_anybody_else(self, house: House) -> None:
        await house.person("bob")
        for name in ("bob", "nobody"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await house.client.ws_connect(f"/v1/realtime?person={name}", headers=await _token(house))
            assert refused.value.status == 404

    async def test_decides_as_the_person(self, house: House) -> None:
        socket = await house.client.ws_connect("/v1/realtime", headers=await _token(house))
        await socket.send_json({"type": "consent.update", **GRANT})
        updated = await Microphone(socket).until("consent.updated")
        assert updated["consent"]["decided_by"] == {"kind": "person", "evidence": "token"}

    async def test_ends_when_its_token_expires(self, house: House) -> None:
        headers = await _token(house, expires_in_s=60)
        microphone = Microphone(await house.client.ws_connect("/v1/realtime", headers=headers))
        await microphone.until("session.created")
        house.clock.now += 60
        assert await _ended(microphone) == "token_expired"

    async def test_ends_when_its_token_is_made_void_and_no_other_does(self, house: House) -> None:
        await house.person("bob")
        ours = Microphone(await house.client.ws_connect("/v1/realtime", headers=await _token(house)))
        theirs = await house.stream("bob")
        for microphone in (ours, theirs):
            await microphone.until("session.created")
        await house.call("DELETE", TOKENS, status=204)
        assert await _ended(ours) == "token_revoked"
        await theirs.settle()

    async def test_ends_when_its_person_is_erased(self, house: House) -> None:
        microphone = Microphone(await house.client.ws_connect("/v1/realtime", headers=await _token(house)))
        await microphone.until("session.created")
        await house.call("DELETE", "/v1/people/ada", status=204)
        assert await _ended(microphone) == "person_unknown"

    async def test_ends_within_a_quarter_of_a_second_when_another_process_revokes_the_key(
        self, house: House
    ) -> None:
        database = Database(house.services.settings.database)
        try:
            elsewhere = Apps(database, house.clock)
            microphone = await house.stream()
            await microphone.until("session.created")
            await elsewhere.revoke_key((await elsewhere.list_keys())[0].id)
            began = time.monotonic()
            assert await _ended(microphone) == "key_revoked"
            assert time.monotonic() - began < 0.25
        finally:
            await database.close()


def _services(apps: Away) -> Services:
    """As much of them as the watch asks for."""
    return cast(Services, SimpleNamespace(storage=SimpleNamespace(apps=apps, people=apps), clock=lambda: 0.0))


class TestTheWatch:
    CALLER = Caller(App("a", "shop", "general"), "key_1", APP_SCOPES)

    async def test_lets_streams_go_on_while_the_database_is_away_and_ends_them_when_it_stays_away(self) -> None:
        apps, ended = Away(), asyncio.Event()

        def end(code: str) -> None:
            apps.codes.append(code)
            ended.set()

        watch = Watch(_services(apps), every_s=0.001, blind_s=0.02)
        with watch.over(self.CALLER, end):
            await asyncio.wait_for(ended.wait(), 5)
        assert apps.codes == ["storage_failed"]
        assert apps.asked >= 20, "one look is not enough"
        await watch.close()

    async def test_begins_to_count_anew_once_the_database_is_back(self) -> None:
        apps = Away(comes_back=10)
        watch = Watch(_services(apps), every_s=0.001, blind_s=0.015)
        with watch.over(self.CALLER, apps.codes.append):
            await asyncio.wait_for(apps.asked_often.wait(), 5)
        assert apps.codes == []
        await watch.close()

    async def test_asks_nothing_while_no_stream_is_open(self) -> None:
        apps = Away()
        watch = Watch(_services(apps), every_s=0.001)
        with watch.over(self.CALLER, apps.codes.append):
            pass
        for _ in range(100):
            await asyncio.sleep(0)
        assert apps.asked == 0
        await watch.close()


class Away:
    """Keys in a database that can't be reached, or only every tenth time."""

    def __init__(self, comes_back: int | None = None) -> None:
        self.asked, self.comes_back = 0, comes_back
        self.codes: list[str] = []
        self.asked_often = asyncio.Event()

    async def list_ended(self, ids: set[str]) -> dict[str, str]:
        self.asked += 1
        if self.asked >= 60:
            self.asked_often.set()
        if self.comes_back is None or self.asked % self.comes_back:
            raise StorageFailed("gone")
        return {}

    async def epochs(self, people: set[str]) -> dict[str, int]:
        return {}


class TestACall:
    async def test_is_heard_with_a_token_for_its_person_alone(self, house: House) -> None:
        await house.person("bob")
        token = (await _token(house))["Authorization"].removeprefix("Bearer ")
        for person, reason in (("ada", ""), ("me", ""), ("bob", "person_unknown"), ("nobody", "person_unknown")):
            assert await _call(house, {"key": token, "person": person}) == reason

    async def test_is_not_heard_with_a_token_that_may_not_infer(self, house: House) -> None:
        token = (await _token(house, scopes=["consent"]))["Authorization"].removeprefix("Bearer ")
        assert await _call(house, {"key": token, "person": "ada"}) == "scope_missing"

    async def test_ends_when_the_token_is_made_void(self, house: House) -> None:
        token = (await _token(house))["Authorization"].removeprefix("Bearer ")
        async with house.client.ws_connect("/v1/twilio") as socket:
            await _start(socket, {"key": token, "person": "ada"})
            operator = await house.services.storage.apps.create_key("ops", "general", scopes=["operate"])
            while "attune_streams_open 1" not in await _metrics(house, operator):
                pass
            await house.call("DELETE", TOKENS, status=204)
            assert await _reason(socket) == "token_revoked"


class TestSigning:
    TOKEN = Token("t", "app", "person", frozenset({"infer"}), 1000.0, 1900.0, 3)

    def test_what_was_signed_is_read_as_it_was(self) -> None:
        assert read(sign(self.TOKEN, bytes(32)), bytes(32), now=1899.9) == self.TOKEN

    @pytest.mark.parametrize("place", range(3))
    def test_a_letter_that_changes_anywhere_makes_it_nothing(self, place: int) -> None:
        parts = sign(self.TOKEN, bytes(32)).split(".")
        middle = len(parts[place]) // 2
        letter = "A" if parts[place][middle] != "A" else "B"
        parts[place] = parts[place][:middle] + letter + parts[place][middle + 1 :]
        with pytest.raises(Unauthenticated):
            read(".".join(parts), bytes(32), now=1000.0)

    @pytest.mark.parametrize(
        "header", [{"alg": "none"}, {"alg": "HS512", "typ": "attune+jwt"}, {"alg": "none", "typ": "x"}]
    )
    def test_no_other_algorithm_counts(self, header: dict[str, Any]) -> None:
        payload = sign(self.TOKEN, bytes(32)).split(".")[1]
        first = base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
        for last in ("", "AAAA"):
            with pytest.raises(Unauthenticated, match="not made here"):
                read(f"{first}.{payload}.{last}", bytes(32), now=1000.0)

    def test_what_is_no_token_at_all_is_refused_and_nothing_breaks(self) -> None:
        deep = base64.urlsafe_b64encode(b"[" * 5000).decode().rstrip("=")
        for text in ("..", "a.b.c", "\udcff.\udcff.\udcff", f"{deep}.{deep}.x", "e30.e30.", "💥.💥.💥"):
            with pytest.raises(Unauthenticated, match="not made here"):
                read(text, bytes(32), now=0.0)

    def test_scopes_that_no_person_may_have_are_left_out(self) -> None:
        token = Token("t", "a", "p", frozenset({"infer", "operate", "tokens"}), 0.0, 9.0, 0)
        assert read(sign(token, bytes(32)), bytes(32), now=0.0).scopes == {"infer"} <= PERSON_SCOPES


async def _call(house: House, parameters: dict[str, str]) -> str:
    """Begin a call and hang up; gives the reason why it was not heard."""
    async with house.client.ws_connect("/v1/twilio") as socket:
        await _start(socket, parameters)
        await socket.send_json({"event": "stop", "streamSid": "MZ1", "stop": {}})
        return await _reason(socket)


async def _start(socket: aiohttp.ClientWebSocketResponse, parameters: dict[str, str]) -> None:
    form = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    start = {"streamSid": "MZ1", "customParameters": parameters, "mediaFormat": form, "tracks": ["inbound"]}
    await socket.send_json({"event": "start", "streamSid": "MZ1", "start": start})


async def _metrics(house: House, key: str) -> str:
    async with house.client.get("/metrics", headers={"Authorization": f"Bearer {key}"}) as answer:
        return await answer.text()


async def _reason(socket: aiohttp.ClientWebSocketResponse) -> str:
    message = await socket.receive(timeout=5)
    assert message.type is aiohttp.WSMsgType.CLOSE
    return message.extra or ""
