"""Client secrets in OpenAI's shape: a person's token for a browser, which opens the session that was asked for."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import openai
import pytest

from tests.conftest import House, Microphone, OpenHouse

PATH = "/v1/realtime/client_secrets"
BETA = ("/v1/realtime/sessions", "/v1/realtime/transcription_sessions")
INPUT = {
    "format": {"type": "audio/pcmu"},
    "transcription": {"model": "gpt-4o-transcribe", "language": "de-DE"},
    "turn_detection": {"type": "server_vad", "silence_duration_ms": 700},
}
SESSION = {"type": "transcription", "audio": {"input": INPUT}}


@pytest.fixture
async def house(open_house: OpenHouse) -> House:
    house = await open_house(words=[])
    await house.person()
    return house


@pytest.fixture
async def client(house: House) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(api_key=house.key, base_url=f"{house.address}/v1", max_retries=0) as made:
        yield made


async def browser(house: House, secret: str, query: str = "?model=gpt-realtime") -> Microphone:
    """A page opens a stream as OpenAI's examples do: it can name subprotocols alone."""
    offered = ("realtime", f"openai-insecure-api-key.{secret}", "openai-agents-sdk.0.1.0")
    socket = await house.client.ws_connect(f"/v1/realtime{query}", protocols=offered)
    assert socket.protocol == "realtime"
    return Microphone(socket)


async def secret_of(house: House, **body: Any) -> dict[str, Any]:
    return dict(await house.call("POST", PATH, {"safety_identifier": "ada", **body}))


async def refused(house: House, body: Any, status: int = 400, path: str = PATH, **more: Any) -> dict[str, Any]:
    told = await house.call("POST", path, body, status=status, **more)
    assert set(told["error"]) == {"message", "type", "param", "code"}
    return dict(told["error"])


class TestOpenaisClient:
    async def test_gets_a_secret_and_the_session(self, client: openai.AsyncOpenAI, house: House) -> None:
        made = await client.realtime.client_secrets.create(
            expires_after={"anchor": "created_at", "seconds": 60},
            session=SESSION,  # type: ignore[arg-type]
            extra_query={"person": "ada"},
        )
        assert made.value.startswith("ek_")
        assert made.expires_at == round(house.clock() + 60)
        session: Any = made.session
        assert (session.type, session.object) == ("transcription", "realtime.transcription_session")
        assert session.audio.input.format.type == "audio/pcmu"
        assert session.audio.input.transcription.language == "de"
        assert session.audio.input.turn_detection.silence_duration_ms == 700
        assert session.ignored == ["transcription.model"]

    async def test_gets_one_for_the_person_in_the_body(self, client: openai.AsyncOpenAI, house: House) -> None:
        for extra in ({"safety_identifier": "ada"}, {"user": "ada"}):
            made = await client.realtime.client_secrets.create(extra_body=extra)
            assert made.expires_at == round(house.clock() + 600)

    @pytest.mark.parametrize("kind", ["sessions", "transcription_sessions"])
    async def test_gets_the_shape_of_the_beta(self, client: openai.AsyncOpenAI, house: House, kind: str) -> None:
        made: Any = await getattr(client.beta.realtime, kind).create(
            input_audio_format="g711_alaw",
            turn_detection=None,
            input_audio_transcription={"model": "whisper-1", "language": "en"},
            extra_body={"user": "ada"},
        )
        assert made.client_secret.value.startswith("ek_")
        assert made.client_secret.expires_at == round(house.clock() + 600)
        assert (made.turn_detection, made.input_audio_transcription.language) == (None, "en")
        microphone = await browser(house, made.client_secret.value)
        heard = (await microphone.until("session.created"))["session"]["audio"]["input"]
        assert (heard["format"], heard["turn_detection"]) == ({"type": "audio/pcma"}, None)


async def test_a_browser_opens_the_session_that_was_asked_for(house: House) -> None:
    made = await secret_of(house, session=SESSION)
    for _ in range(2):  # a secret opens several
        microphone = await browser(house, made["value"])
        created = (await microphone.until("session.created"))["session"]
        assert created["audio"] == made["session"]["audio"]
        assert microphone.of("error") == []
    await microphone.send({"type": "session.update", "session": {"input_audio_format": "pcm16"}})
    updated = (await microphone.until("session.updated"))["session"]["audio"]["input"]
    assert updated["format"]["rate"] == 24_000
    assert updated["transcription"] == {"language": "de"}, "what an update does not name stays"


@pytest.mark.parametrize(
    "given",
    [
        {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 48_000}, "transcription": None}}},
        {"audio": {"input": {"format": "audio/webm;codecs=opus", "turn_detection": {"type": "semantic_vad"}}}},
        {"input_audio_format": "g711_ulaw", "turn_detection": {"type": "none"}},
        {"audio": {"input": {"turn_detection": None, "transcription": {"languages": ["de"]}}}},
        {"audio": {"input": {"format": "audio/mp4"}}},
        {},
    ],
)
async def test_what_is_said_back_is_what_a_stream_begins_with(house: House, given: dict[str, Any]) -> None:
    made = await secret_of(house, session=given)
    microphone = await browser(house, made["value"], "")
    created = (await microphone.until("session.created"))["session"]
    assert created["audio"] == made["session"]["audio"]
    await microphone.settle()
    assert [event["error"]["code"] for event in microphone.of("error")] == ["unknown_event"]


async def test_without_a_format_pcm_is_at_openais_rate(house: House) -> None:
    made = await secret_of(house)
    assert made["session"]["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24_000}


async def test_a_session_that_would_speak_only_hears_and_says_so(house: House) -> None:
    session = {"type": "realtime", "model": "gpt-realtime", "instructions": "Be kind.", "audio": {"output": {}}}
    shown = (await secret_of(house, session=session))["session"]
    assert shown["type"] == "transcription"
    assert sorted(shown["ignored"]) == ["audio.output", "instructions", "model", "type"]


async def test_the_persons_own_decision_opens_the_voice(house: House) -> None:
    made = await secret_of(house)
    assert made["session"]["capabilities"]["affect"] == {"text": [], "voice": []}
    microphone = await browser(house, made["value"])
    grant = {"modality": "voice", "purpose": "tone", "granted": True, "notice": "1"}
    await microphone.send({"type": "consent.update", **grant})
    decided = await microphone.until("consent.updated")
    assert decided["consent"]["decided_by"] == {"kind": "person", "evidence": "token"}


async def test_no_grant_no_inference(house: House, recording: Any) -> None:
    made = await secret_of(house, session={"input_audio_format": {"type": "audio/pcm", "rate": 16_000}})
    microphone = await browser(house, made["value"])
    await microphone.play(recording[: 5 * 16_000])
    await microphone.until("conversation.item.input_audio_transcription.completed")
    assert house.spy.affect == 0


class TestItEnds:
    async def test_a_secret_opens_nothing_after_its_time_but_what_is_open_goes_on(self, house: House) -> None:
        made = await secret_of(house, expires_after={"seconds": 10})
        microphone = await browser(house, made["value"])
        await microphone.until("session.created")
        token = (await house.call("POST", "/v1/people/ada/tokens", {"expires_in_s": 10}, status=201))["token"]
        other = await browser(house, token)
        house.clock.now += 10
        assert (await other.until("error"))["error"]["code"] == "token_expired", "both were looked at"
        await microphone.settle()
        with pytest.raises(aiohttp.WSServerHandshakeError) as told:
            await browser(house, made["value"])
        assert told.value.status == 401

    async def test_streams_end_when_the_persons_tokens_are_made_void(self, house: House) -> None:
        made = await secret_of(house)
        microphone = await browser(house, made["value"])
        await microphone.until("session.created")
        await house.call("DELETE", "/v1/people/ada/tokens", status=204)
        assert (await microphone.until("error"))["error"]["code"] == "token_revoked"
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await browser(house, made["value"])

    async def test_one_that_was_changed_opens_nothing(self, house: House) -> None:
        value = (await secret_of(house))["value"]
        head, payload, signature = value.removeprefix("ek_").split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
        claims["session"] = {"audio": {"input": {"format": "audio/webm"}}}
        changed = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
        with pytest.raises(aiohttp.WSServerHandshakeError) as told:
            await browser(house, f"ek_{head}.{changed}.{signature}")
        assert told.value.status == 401


class TestWho:
    async def test_it_names_nobody_by_the_id_that_the_app_gave(self, house: House) -> None:
        payload = (await secret_of(house))["value"].split(".")[1]
        assert b"ada" not in base64.urlsafe_b64decode(payload + "==")

    async def test_it_is_for_its_person_alone(self, house: House) -> None:
        await house.person("bob")
        made = await secret_of(house)
        for name in ("bob", "nobody"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as told:
                await browser(house, made["value"], f"?person={name}")
            assert told.value.status == 404

    async def test_a_browser_makes_none_with_a_secret(self, house: House) -> None:
        made = await secret_of(house)
        headers = {"Authorization": f"Bearer {made['value']}"}
        assert (await refused(house, {"user": "ada"}, 403, headers=headers))["code"] == "scope_missing"

    async def test_a_key_gives_only_what_it_has(self, house: House) -> None:
        apps = house.services.storage.apps
        key = await apps.create_key("test-general", "general", scopes=["tokens"])
        headers = {"Authorization": f"Bearer {key}"}
        assert (await refused(house, {"user": "ada"}, 403, headers=headers))["code"] == "scope_missing"

    @pytest.mark.parametrize(
        "named",
        [
            {"params": {"person": "ada"}},
            {"headers": {"OpenAI-Safety-Identifier": "ada"}},
            {"json": {"safety_identifier": "ada"}},
            {"json": {"user": "ada"}, "params": {"person": "ada"}},
            {"json": {"session": {"user": "ada"}}},
        ],
    )
    async def test_the_person_is_named_in_one_of_several_places(self, house: House, named: dict[str, Any]) -> None:
        sent = {**named, "headers": house.headers | named.get("headers", {})}
        async with house.client.post(PATH, **sent) as answer:
            assert answer.status == 200
            assert answer.headers["Cache-Control"] == "no-store"

    @pytest.mark.parametrize("path", [PATH, *BETA])
    async def test_a_person_must_be_named_and_known(self, house: House, path: str) -> None:
        assert (await refused(house, {}, path=path))["code"] == "person_missing"
        assert (await refused(house, {"user": "nobody"}, 404, path=path))["code"] == "person_unknown"
        assert (await refused(house, {"user": 7}, path=path))["param"] == "user"
        two = {"user": "ada", "safety_identifier": "bob"}
        assert (await refused(house, two, path=path))["code"] == "person_invalid"

    async def test_the_access_log_notes_it(self, house: House) -> None:
        await secret_of(house)
        assert f"POST {PATH}" in json.dumps(await house.call("GET", "/v1/people/ada/access"))


CANNOT_BE_HAD: list[tuple[dict[str, Any], str]] = [
    ({"expires_in": 60}, "unknown_member"),
    ({"expires_after": 60}, "invalid_request"),
    ({"expires_after": {"anchor": "now"}}, "invalid_request"),
    ({"expires_after": {"seconds": 9}}, "invalid_request"),
    ({"expires_after": {"seconds": 7_201}}, "invalid_request"),
    ({"expires_after": {"minutes": 3}}, "invalid_request"),
    ({"session": "transcription"}, "invalid_request"),
    ({"session": {"colour": 1}}, "unknown_member"),
    ({"session": {"type": "translation"}}, "unsupported_session_type"),
    ({"session": {"audio": {"input": {"format": {"type": "audio/mpeg"}}}}}, "unsupported_audio_format"),
    ({"session": {"audio": {"format": "pcm16"}}}, "unknown_member"),
    ({"session": {"audio": {"input": {"transcription": {"language": "tlh"}}}}}, "unknown_language"),
    ({"session": {"turn_detection": {"type": "psychic"}}}, "unsupported_turn_detection"),
]


async def test_what_cannot_be_had_is_refused_by_name(house: House) -> None:
    for body, code in CANNOT_BE_HAD:
        assert (await refused(house, {"user": "ada", **body}))["code"] == code, body


@pytest.mark.parametrize("path", BETA)
async def test_the_beta_refuses_by_name_too(house: House, path: str) -> None:
    for body, code in (
        ({"colour": 1}, "unknown_member"),
        ({"client_secret": {"expires": 1}}, "unknown_member"),
        ({"client_secret": {"expires_after": {"seconds": 1}}}, "invalid_request"),
        ({"input_audio_format": "mp3"}, "unsupported_audio_format"),
    ):
        assert (await refused(house, {"user": "ada", **body}, path=path))["code"] == code
    made = await house.call("POST", path, {"user": "ada", "client_secret": {"expires_after": {"seconds": 20}}})
    assert made["client_secret"]["expires_at"] == round(house.clock() + 20)
    assert made["input_audio_format"] == "pcm16"


async def test_bodies_that_are_none_are_refused(house: House) -> None:
    for data in (b"[]", b"nonsense", b'"text"', b"\xff"):
        async with house.client.post(f"{PATH}?person=ada", data=data, headers=house.headers) as answer:
            assert answer.status == 400
            assert "error" in await answer.json()


async def test_a_page_of_another_origin_may_ask(open_house: OpenHouse) -> None:
    house = await open_house(cors_origins="https://app.example.com")
    await house.person()
    headers = house.headers | {"Origin": "https://app.example.com"}
    async with house.client.post(PATH, json={"user": "ada"}, headers=headers) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
