"""Bad input gets its documented code, quickly, and the server and the connection live on."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import sqlite3
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from assistant.audio.pcm import Samples
from assistant.errors import AssistantError
from tests.conftest import House, OpenHouse

PERSON = "/v1/people/ada"
MESSAGES = f"{PERSON}/messages"


async def _problem(house: House, method: str, path: str, status: int, code: str, **more: Any) -> dict[str, Any]:
    more.setdefault("headers", house.headers)
    async with house.client.request(method, path, **more) as answer:
        body: dict[str, Any] = await answer.json(content_type="application/problem+json")
    assert (answer.status, body["status"], body["code"]) == (status, status, code), body
    assert body["detail"]
    return body


def _rename(database: str, old: str, new: str) -> None:
    with contextlib.closing(sqlite3.connect(database)) as other, other:
        other.execute(f"ALTER TABLE {old} RENAME TO {new}")


class TestHttp:
    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (b"", "invalid_json"),
            (b"{", "invalid_json"),
            (b"\xff\xfe\x00", "invalid_json"),
            (b'{"text": NaN}', "invalid_json"),
            (b'{"text": "x", "context": ' + b'{"a":' * 100_000, "invalid_json"),
            (b"[]", "invalid_request"),
            (b"{}", "invalid_request"),
            (b'{"text": 5}', "invalid_request"),
            (b'{"text": "x", "surprise": 1}', "invalid_request"),
            (b'{"text": "' + b"x" * 20_001 + b'"}', "invalid_request"),
            (b'{"text": "\\ud80"}', "invalid_json"),
        ],
    )
    async def test_a_body_that_is_not_what_it_should_be(self, house: House, body: bytes, code: str) -> None:
        await house.person()
        await _problem(house, "POST", MESSAGES, 400, code, data=body)
        assert (await house.message("still here"))["mood"] is None

    async def test_a_body_of_fifty_megabytes(self, house: House) -> None:
        await house.person()

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(50):
                yield b"x" * 1_000_000

        for body in (io.BytesIO(b"x" * 50_000_000), pieces()):
            # the server may close while we still send; what matters is that it lives on
            with contextlib.suppress(aiohttp.ClientConnectionError):
                await _problem(house, "POST", MESSAGES, 413, "too_large", data=body)
            assert (await house.message("still here"))["decision"]

    async def test_the_size_is_refused_before_it_is_sent(self, house: House) -> None:
        await house.person()
        headers = house.headers | {"Content-Length": "50000000", "Expect": "100-continue"}
        reader, writer = await asyncio.open_connection(*house.address.removeprefix("http://").split(":"))
        lines = [f"POST {MESSAGES} HTTP/1.1", "Host: x", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
        writer.write("\r\n".join(lines).encode())
        await writer.drain()
        answer = await reader.readuntil(b"\r\n\r\n")
        while b" 100 " in answer.splitlines()[0]:
            answer = await reader.readuntil(b"\r\n\r\n")
        assert b" 413 " in answer.splitlines()[0]
        writer.close()

    async def test_nobody_known_by_that_name(self, house: House) -> None:
        for method, path, body in (
            ("GET", PERSON, None),
            ("DELETE", PERSON, None),
            ("GET", f"{PERSON}/consent", None),
            ("POST", f"{PERSON}/consent", {"modality": "text", "purpose": "tone", "granted": True, "notice": "1"}),
            ("GET", f"{PERSON}/mood", None),
            ("POST", MESSAGES, {"text": "hello"}),
            ("POST", f"{PERSON}/rank", {}),
        ):
            await _problem(house, method, path, 404, "person_unknown", json=body)

    @pytest.mark.parametrize("name", ["x" * 129, "a%00b", "%E2%80%AE"])
    async def test_a_name_that_no_person_may_have(self, house: House, name: str) -> None:
        await _problem(house, "PUT", f"/v1/people/{name}", 400, "person_invalid", json={})

    @pytest.mark.parametrize(
        ("headers", "code"),
        [
            ({}, "key_missing"),
            ({"Authorization": "Basic YTpi"}, "key_missing"),
            ({"Authorization": "Bearer "}, "key_missing"),
            ({"Authorization": "Bearer nonsense"}, "key_unknown"),
        ],
    )
    async def test_no_key_opens_nothing_but_the_health_routes(
        self, house: House, headers: dict[str, Any], code: str
    ) -> None:
        for method, path in (
            ("GET", PERSON),
            ("PUT", PERSON),
            ("POST", MESSAGES),
            ("PUT", "/v1/catalogue"),
            ("GET", "/v1/realtime?person=ada"),
        ):
            await _problem(house, method, path, 401, code, headers=headers)
        for path in ("/healthz", "/readyz", "/openapi.json"):
            await house.call("GET", path, headers=headers)

    async def test_another_app_can_not_see_a_person(self, house: House) -> None:
        await house.person()
        other = await house.services.storage.apps.create_key("other", "general")
        await _problem(house, "GET", PERSON, 404, "person_unknown", headers={"Authorization": f"Bearer {other}"})

    async def test_routes_and_methods_that_do_not_exist(self, house: House) -> None:
        await _problem(house, "GET", "/v1/nothing", 404, "route_unknown")
        await _problem(house, "POST", PERSON, 405, "method_not_allowed")

    async def test_consent_that_answers_another_notice(self, house: House) -> None:
        await house.person()
        body = {"modality": "text", "purpose": "tone", "granted": True, "notice": "0"}
        await _problem(house, "POST", f"{PERSON}/consent", 400, "notice_outdated", json=body)
        await _problem(house, "POST", f"{PERSON}/consent", 400, "invalid_request", json=body | {"purpose": "sell"})

    async def test_a_catalogue_that_sells_into_distress(self, house: House) -> None:
        item = {"id": "pill", "title": "Pill", "kind": "product", "commercial": True, "affinity": {"stress": 0.1}}
        body = {"version": "1", "items": [item]}
        await _problem(house, "PUT", "/v1/catalogue", 400, "commercial_affinity", json=body)
        await house.person()
        assert (await house.message("hello"))["recommendations"], "the old catalogue still stands"

    async def test_a_database_that_can_not_be_written_is_said_and_nothing_half_done_remains(
        self, house: House
    ) -> None:
        await house.person()
        database = house.services.settings.database.removeprefix("sqlite:///")
        await asyncio.to_thread(_rename, database, "consents", "elsewhere")
        body = {"modality": "text", "purpose": "tone", "granted": True, "notice": "1"}
        await _problem(house, "POST", f"{PERSON}/consent", 503, "storage_failed", json=body)
        await asyncio.to_thread(_rename, database, "elsewhere", "consents")
        assert (await house.message("hello"))["mood"] is None


class TestStream:
    @pytest.mark.parametrize(
        ("frame", "code"),
        [
            ("not json at all", "invalid_json"),
            ("[1, 2]", "invalid_request"),
            ('{"type": "input_audio_buffer.append", "audio": NaN}', "invalid_json"),
            ("{}", "invalid_event"),
            (json.dumps({"type": "dance"}), "unknown_event"),
            (json.dumps({"type": "input_audio_buffer.append"}), "invalid_request"),
            (json.dumps({"type": "input_audio_buffer.append", "audio": "§§"}), "invalid_base64"),
            (json.dumps({"type": "input_audio_buffer.commit"}), "input_audio_buffer_commit_empty"),
            (
                json.dumps(
                    {"type": "session.update", "session": {"audio": {"input": {"format": {"rate": 96_000}}}}}
                ),
                "unsupported_audio_format",
            ),
            (
                json.dumps({"type": "session.update", "session": {"input_audio_format": "opus"}}),
                "unsupported_audio_format",
            ),
            (json.dumps({"type": "session.update", "session": {"type": "realtime"}}), "unsupported_session_type"),
            (
                json.dumps({"type": "session.update", "session": {"turn_detection": {"type": "manual"}}}),
                "unsupported_turn_detection",
            ),
            (json.dumps({"type": "dance", "music": "x" * 70_000}), "event_too_large"),
            (json.dumps({"type": "conversation.item.create", "item": {"content": "hi"}}), "invalid_request"),
            (json.dumps({"type": "consent.update", "modality": "voice"}), "invalid_request"),
            (b"\x00" * 70_000, "frame_too_large"),
        ],
    )
    async def test_a_frame_that_can_not_be_understood_gets_an_error_and_the_stream_goes_on(
        self, house: House, recording: Samples, frame: bytes | str, code: str
    ) -> None:
        await house.person()
        microphone = await house.stream()
        await microphone.send(frame)
        error = (await microphone.until("error"))["error"]
        assert error["code"] == code
        assert error["message"]
        if code == "unsupported_audio_format":
            form = {"type": "audio/pcm", "rate": 16_000}
            await microphone.send({"type": "session.update", "session": {"audio": {"input": {"format": form}}}})
        await microphone.play(recording[: 3 * 16_000])
        await microphone.until("policy.recommendations")

    async def test_an_error_names_the_event_it_is_about(self, house: House) -> None:
        await house.person()
        microphone = await house.stream()
        await microphone.send({"type": "dance", "event_id": "mine-1"})
        assert (await microphone.until("error"))["error"]["event_id"] == "mine-1"

    async def test_a_client_that_vanishes_leaves_nothing_behind(self, house: House, recording: Samples) -> None:
        await house.person()
        microphone = await house.stream()
        await microphone.play(recording[:16_000], quiet_s=0)
        connection = microphone.socket._response.connection
        assert connection is not None
        assert connection.transport is not None
        connection.transport.abort()
        again = await house.stream()
        await again.play(recording[: 3 * 16_000])
        await again.until("policy.recommendations")

    async def test_too_many_streams(self, open_house: OpenHouse) -> None:
        house = await open_house(max_streams=1)
        await house.person()
        first = await house.stream()
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await house.stream()
        assert refused.value.status == 503
        await first.socket.close()
        async with asyncio.timeout(5):  # its place is free as soon as the server has finished with it
            while True:
                with contextlib.suppress(aiohttp.WSServerHandshakeError):
                    await (await house.stream()).socket.close()
                    break

    async def test_an_unknown_person_or_no_key(self, house: House) -> None:
        for headers, status in ((house.headers, 404), ({}, 401)):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await house.client.ws_connect("/v1/realtime?person=nobody", headers=headers)
            assert refused.value.status == status

    async def test_plain_http_on_the_stream_path(self, house: House) -> None:
        await house.person()
        await _problem(house, "GET", "/v1/realtime?person=ada", 400, "websocket_expected")


def test_every_error_family_has_its_own_code() -> None:
    families = [AssistantError]
    for family in families:
        families += family.__subclasses__()
    by_code: dict[str, list[str]] = {}
    for family in families:
        by_code.setdefault(family.code, []).append(f"{family.__module__}.{family.__qualname__}")
    assert not {code: names for code, names in by_code.items() if len(names) > 1}
