"""What official clients, proxies and health checks send, and what they are answered."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket

import pytest
from yarl import URL

from tests.conftest import House, OpenHouse

PAGE = "https://app.example.com"
MESSAGES = "/v1/people/ada/messages"


class TestOtherOrigins:
    @pytest.fixture
    async def house(self, open_house: OpenHouse) -> House:
        house = await open_house(affect="absent", cors_origins=PAGE)
        await house.person()
        return house

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}], "stream": True}),
            ("GET", "/v1/people/ada/export", None),
        ],
    )
    async def test_may_read_answers_that_come_in_parts(
        self, house: House, method: str, path: str, body: object
    ) -> None:
        headers = house.headers | {"Origin": PAGE}
        async with house.client.request(method, path, json=body, headers=headers) as answer:
            assert answer.status == 200
            assert answer.headers["Access-Control-Allow-Origin"] == PAGE
            assert answer.headers["Vary"] == "Origin"
            assert await answer.read()

    @pytest.mark.parametrize(
        "asked",
        ["authorization,content-type,x-stainless-os", "idempotency-key", "OpenAI-Beta, x-stainless-retry-count"],
    )
    async def test_may_send_what_official_clients_add(self, house: House, asked: str) -> None:
        preflight = {
            "Origin": PAGE,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": asked,
        }
        async with house.client.options("/v1/chat/completions", headers=preflight) as answer:
            allowed = answer.headers["Access-Control-Allow-Headers"].lower().split(", ")
        assert allowed == [name.strip().lower() for name in asked.split(",")]

    async def test_are_allowed_no_header_that_is_no_name(self, house: House) -> None:
        preflight = {
            "Origin": PAGE,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "a b, x" * 3 + ", ok, \N{SNOWMAN}",
        }
        async with house.client.options("/v1/models", headers=preflight) as answer:
            assert answer.headers["Access-Control-Allow-Headers"] == "x, ok"


class TestBodies:
    @pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
    async def test_that_are_not_compressed_as_they_say_are_refused(self, house: House, encoding: str) -> None:
        await house.person()
        headers = house.headers | {"Content-Encoding": encoding, "Content-Type": "application/json"}
        for path in (MESSAGES, "/v1/chat/completions"):
            async with house.client.post(path, data=b'{"text": "plain"}', headers=headers) as answer:
                assert answer.status == 400
                known = (
                    b"invalid_http" if encoding == "br" else b"encoding_invalid"
                )  # no decoder of it is installed
                assert known in await answer.read()

    async def test_that_are_compressed_are_read(self, house: House) -> None:
        await house.person()
        headers = house.headers | {"Content-Encoding": "gzip"}
        async with house.client.post(MESSAGES, data=gzip.compress(b'{"text": "Hello"}'), headers=headers) as answer:
            assert answer.status == 200

    @pytest.mark.parametrize(
        "text", [r"I want to kill myself \ud83d", r"\ude00 I want to kill myself", r"\ud83d\ud83d I want to die"]
    )
    async def test_with_half_a_character_are_read_and_lead_to_help(self, house: House, text: str) -> None:
        await house.person()
        async with house.client.post(
            MESSAGES, data=b'{"text": "%s"}' % text.encode(), headers=house.headers
        ) as answer:
            assert answer.status == 200
            assert (await answer.json())["safety"]["level"] == "crisis"


async def send_raw(house: House, line: str, headers: dict[bytes, bytes], body: bytes = b"") -> tuple[int, bytes]:
    """One request written on a bare socket; its status and its answer. HTTP clients send only what is UTF-8."""
    address = URL(house.address)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    sent = {
        b"Host": b"test",
        b"Connection": b"close",
        b"Authorization": house.headers["Authorization"].encode(),
        b"Content-Length": str(len(body)).encode(),
        **headers,
    }
    writer.write(f"{line} HTTP/1.1\r\n".encode() + b"".join(b"%s: %s\r\n" % pair for pair in sent.items()))
    writer.write(b"\r\n" + body)
    answer = await reader.read()
    writer.close()
    return int(answer.split()[1]), answer


class TestHeadersThatAreNotUtf8:
    @pytest.mark.parametrize("value", [b"cl\xe9", b"\xff\xfe", b"caf\xc3"])
    async def test_are_refused_by_name_where_they_are_read(self, house: House, value: bytes) -> None:
        await house.person()
        decision = (await house.message("Hello"))["decision"]
        reward = json.dumps({"item": "none", "kind": "click"}).encode()
        for line, header, body in (
            ("GET /v1/people/ada", b"Authorization", b""),
            ("GET /v1/realtime?person=ada", b"Sec-WebSocket-Protocol", b""),
            (f"POST /v1/decisions/{decision}/reward", b"Idempotency-Key", reward),
        ):
            given = b"Bearer " + value if header == b"Authorization" else value
            more = {b"Upgrade": b"websocket", b"Authorization": b""} if b"WebSocket" in header else {}
            status, answer = await send_raw(house, line, {**more, header: given}, body)
            assert status == 400
            assert b"header_invalid" in answer
            assert header in answer

    @pytest.mark.parametrize("name", [b"Accept", b"Origin", b"If-None-Match", b"Sec-GPC", b"User-Agent", b"X-Mine"])
    async def test_do_no_harm_elsewhere(self, house: House, name: bytes) -> None:
        await house.person()
        status, answer = await send_raw(house, "GET /v1/people/ada", {name: b"cl\xe9"})
        assert status == 200, answer


class TestEntityTags:
    @pytest.mark.parametrize("tag", ['"1"', 'W/"1"', '"7", W/"1"'])
    async def test_match_after_a_proxy_made_them_weak(self, house: House, tag: str) -> None:
        await house.person()
        headers = house.headers | {"If-Match": tag}
        shown = await house.call("PUT", "/v1/people/ada", {"interests": ["music"]}, headers=headers)
        assert shown["version"] == 2
        await house.call("PUT", "/v1/people/ada", {}, headers=headers, status=412)


class TestHealthChecks:
    @pytest.mark.parametrize("path", ["/readyz", "/healthz", "/metrics", "/openapi.json", "/v1/people/ada"])
    async def test_may_ask_for_the_head_alone(self, house: House, path: str) -> None:
        await house.person()
        async with house.client.get(path, headers=house.headers) as answer:
            whole = answer
            assert await answer.read()
        async with house.client.head(path, headers=house.headers) as answer:
            assert (answer.status, await answer.read()) == (whole.status, b"")
            assert answer.headers["Content-Type"] == whole.headers["Content-Type"]

    async def test_an_export_has_a_head_and_no_body(self, house: House) -> None:
        await house.person()
        async with house.client.head("/v1/people/ada/export", headers=house.headers) as answer:
            assert (answer.status, await answer.read()) == (200, b"")
        assert await house.call("GET", "/v1/people/ada")


async def test_a_stream_that_names_nobody_is_told_so(house: House) -> None:
    problem = await house.call("GET", "/v1/realtime", status=400)
    assert problem["code"] == "person_missing"
    assert "?person=" in problem["detail"]


async def test_an_address_of_ipv6_is_a_url(open_house: OpenHouse) -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    house = await open_house(affect="absent", host="::1")
    assert URL(house.address).host == "::1"
    assert house.address.startswith("http://[::1]:")
    assert (await house.call("GET", f"{house.address}/healthz"))["status"] == "ok"
