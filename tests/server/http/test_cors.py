"""Web pages of other origins: only those of the setting may read an answer."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from assistant.config import load_settings
from assistant.errors import ConfigInvalid
from tests.conftest import House, OpenHouse

OURS, THEIRS = "https://app.example.com", "https://evil.example.com"
ASKING = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}


async def _headers(house: House, method: str, path: str, status: int, **headers: str) -> Mapping[str, str]:
    async with house.client.request(method, path, headers=headers) as answer:
        assert answer.status == status
        return answer.headers


class TestAnOriginOfTheSetting:
    @pytest.fixture
    async def house(self, open_house: OpenHouse) -> House:
        return await open_house(affect="absent", cors_origins=f"{OURS} http://localhost:5173")

    async def test_may_ask_before_and_send_a_token(self, house: House) -> None:
        headers = await _headers(house, "OPTIONS", "/v1/people/ada/messages", 204, Origin=OURS, **ASKING)
        assert headers["Access-Control-Allow-Origin"] == OURS
        assert headers["Access-Control-Allow-Headers"] == "authorization"
        assert "POST" in headers["Access-Control-Allow-Methods"]
        assert "Access-Control-Allow-Credentials" not in headers

    async def test_may_read_answers_and_errors(self, house: House) -> None:
        for path, status in (("/healthz", 200), ("/v1/people/ada", 401), ("/v1/nothing", 404)):
            headers = await _headers(house, "GET", path, status, Origin=OURS)
            assert headers["Access-Control-Allow-Origin"] == OURS
            assert "Origin" in headers["Vary"]

    async def test_is_not_told_of_another_one(self, house: House) -> None:
        for method, path, status in (("OPTIONS", "/v1/people/ada", 405), ("GET", "/healthz", 200)):
            for origin in (
                THEIRS,
                "null",
                f"{OURS}.evil.example.com",
                f"{OURS}:444",
                OURS.replace("https", "http"),
            ):
                headers = await _headers(house, method, path, status, Origin=origin, **ASKING)
                assert not any(name.startswith("Access-Control") for name in headers)
                assert headers["Vary"] == "Origin"

    async def test_can_open_a_stream(self, house: House) -> None:
        await house.person()
        headers = house.headers | {"Origin": OURS}
        async with house.client.ws_connect("/v1/realtime?person=ada", headers=headers) as socket:
            assert (await socket.receive_json())["type"] == "session.created"


async def test_where_nothing_is_set_no_page_may_read_anything(open_house: OpenHouse) -> None:
    house = await open_house(affect="absent")
    headers = await _headers(house, "GET", "/healthz", 200, Origin=OURS)
    assert not any(name.startswith("Access-Control") for name in headers)


@pytest.mark.parametrize(("setting", "with_key"), [("*", False), ("* authorization", True)])
async def test_any_origin_may_send_a_key_only_where_that_was_asked_for(
    open_house: OpenHouse, setting: str, with_key: bool
) -> None:
    house = await open_house(affect="absent", cors_origins=setting)
    headers = await _headers(house, "OPTIONS", "/v1/people/ada", 204, Origin=THEIRS, **ASKING)
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert headers["Access-Control-Allow-Headers"] == ("authorization" if with_key else "")


@pytest.mark.parametrize("wrong", ["example.com", "https://a.example/", "https://*.example.com", "* ,", "null"])
def test_an_origin_is_written_out(wrong: str) -> None:
    with pytest.raises(ConfigInvalid, match="origin"):
        load_settings(None, {"ATTUNE_CORS_ORIGINS": wrong})
