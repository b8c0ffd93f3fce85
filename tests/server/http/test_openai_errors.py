"""What OpenAI's clients are told where something is not here, or went wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import openai
import pytest

from tests.chat.upstream import running_upstream
from tests.conftest import House, OpenHouse

Calling = Callable[[openai.AsyncOpenAI], Awaitable[Any]]


@pytest.fixture
async def house(open_house: OpenHouse) -> House:
    return await open_house(affect="absent", max_body_bytes=4_000)


@pytest.fixture
async def client(house: House) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(api_key=house.key, base_url=f"{house.address}/v1", max_retries=0) as made:
        yield made


def details(told: dict[str, Any]) -> tuple[str, str]:
    """Type and code of an error of OpenAI's shape."""
    assert set(told["error"]) == {"message", "type", "param", "code"}
    assert told["error"]["message"]
    return told["error"]["type"], told["error"]["code"]


MISSING: dict[str, Calling] = {
    "moderations": lambda client: client.moderations.create(input="Hi"),
    "embeddings": lambda client: client.embeddings.create(model="m", input="Hi"),
    "images": lambda client: client.images.generate(prompt="Hi"),
    "assistants": lambda client: client.get("/assistants", cast_to=object),
    "files": lambda client: client.files.create(file=b"Hi", purpose="assistants"),
    "a file": lambda client: client.files.content("f1"),
    "completions": lambda client: client.completions.create(model="m", prompt="Hi"),
    "speech": lambda client: client.audio.speech.create(model="m", voice="alloy", input="Hi"),
    "translations": lambda client: client.post("/audio/translations", cast_to=object, body={}),
    "batches": lambda client: client.batches.list(),
    "a batch": lambda client: client.batches.cancel("b1"),
    "vector stores": lambda client: client.vector_stores.list(),
    "tuning": lambda client: client.fine_tuning.jobs.list(),
    "threads": lambda client: client.post("/threads", cast_to=object, body={}),
    "whatever comes next": lambda client: client.post("/brand/new/things", cast_to=object, body={}),
}


@pytest.mark.parametrize("name", MISSING)
async def test_a_path_that_is_not_here_gets_a_message_that_their_client_prints(
    client: openai.AsyncOpenAI, name: str
) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        await MISSING[name](client)
    assert "no such path" in str(raised.value)
    assert (raised.value.code, raised.value.type) == ("route_unknown", "invalid_request_error")


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/moderations", "/v1/people/ada/mod", "/v1/chat/completions/x"])
async def test_the_same_answer_is_one_for_our_clients_too(house: House, path: str) -> None:
    async with house.client.get(path, headers=house.headers) as answer:
        told = await answer.json(content_type="application/problem+json")
    assert (answer.status, told["status"], told["code"]) == (404, 404, "route_unknown")
    assert told["detail"] == told["error"]["message"]
    assert details(told) == ("invalid_request_error", "route_unknown")


async def test_outside_of_v1_errors_are_only_ours(house: House) -> None:
    for path in ("/nothing", "/v10/nothing", "/chat/completions"):
        assert "error" not in await house.call("GET", path, status=404)
    problem = await house.call("GET", "/v1/people/nobody", status=404)
    assert set(problem) == {"type", "title", "status", "detail", "code"}, "a route of our own"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/chat/completions", {"POST"}),
        ("DELETE", "/v1/chat/completions/", {"POST"}),
        ("POST", "/v1/models", {"GET", "HEAD"}),
        ("DELETE", "/v1/models/m1", {"GET", "HEAD"}),
        ("POST", "/v1/people/ada", {"DELETE", "GET", "HEAD", "PATCH", "PUT"}),
    ],
)
async def test_another_method_is_told_which_there_are(
    house: House, method: str, path: str, allowed: set[str]
) -> None:
    async with house.client.request(method, path, headers=house.headers) as answer:
        told = await answer.json(content_type=None)
    assert answer.status == 405
    assert set(answer.headers["Allow"].split(",")) == allowed
    assert details(told) == ("invalid_request_error", "method_not_allowed")
    assert all(name in told["error"]["message"] for name in allowed)


@pytest.mark.parametrize("path", ["/v1/chat/completions/", "/v1/models/"])
async def test_a_slash_at_the_end_does_no_harm(house: House, path: str) -> None:
    body = {"messages": [{"role": "user", "content": "Hi"}]} if "chat" in path else None
    answer = await house.call("GET" if body is None else "POST", path, body)
    assert answer["object"] in ("list", "chat.completion")


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/chat/completions/"])
@pytest.mark.parametrize(
    ("body", "headers", "status", "kind", "code"),
    [
        (b"{", {}, 400, "invalid_request_error", "invalid_json"),
        (b"model=m&messages=Hi", {}, 400, "invalid_request_error", "invalid_json"),
        (b'{"messages": 1}', {"Content-Type": "text/plain"}, 400, "invalid_request_error", "invalid_request"),
        (b"{" + b" " * 5_000, {}, 413, "invalid_request_error", "too_large"),
        (b"{}", {"Content-Encoding": "gzip"}, 400, "invalid_request_error", "encoding_invalid"),
        (b"{}", {"Authorization": "Bearer wrong"}, 401, "authentication_error", "key_unknown"),
        (b"{}", {"Authorization": ""}, 401, "authentication_error", "key_missing"),
        (b"{}", {"Authorization": "Bearer a.b.c"}, 401, "authentication_error", "token_invalid"),
    ],
)
async def test_what_goes_wrong_on_their_routes_has_their_shape(
    house: House, path: str, body: bytes, headers: dict[str, str], status: int, kind: str, code: str
) -> None:
    async with house.client.post(path, data=body, headers=house.headers | headers) as answer:
        told = await answer.json(content_type="application/json")
    assert set(told) == {"error"}
    assert (answer.status, *details(told)) == (status, kind, code)


class TestModels:
    @pytest.mark.parametrize("name", ["m1", "meta-llama/Llama-3", "a/b/c:latest", "ünïcode model"])
    async def test_one_is_found_by_its_name(self, open_house: OpenHouse, name: str) -> None:
        house = await open_house(affect="absent", upstream_url="http://127.0.0.1:9/v1", upstream_model=name)
        async with openai.AsyncOpenAI(api_key=house.key, base_url=f"{house.address}/v1", max_retries=0) as client:
            (listed,) = [model async for model in client.models.list()]
            assert (await client.models.retrieve(name)) == listed
            with pytest.raises(openai.NotFoundError) as raised:
                await client.models.retrieve(f"{name}x")
        assert (raised.value.code, raised.value.param) == ("model_not_found", "model")
        found = await house.call("GET", f"/v1/models/{name}/")
        assert found["id"] == name, "with its slashes as they are, and one at the end"

    async def test_of_an_upstream_are_those_that_it_lists(self, open_house: OpenHouse) -> None:
        async with running_upstream() as upstream:
            house = await open_house(affect="absent", upstream_url=upstream.url)
            assert await house.call("GET", "/v1/models/m2") == {"id": "m2"}
            refused = await house.call("GET", "/v1/models/m3", status=404)
        assert details(refused) == ("invalid_request_error", "model_not_found")

    async def test_of_a_stranger_are_none(self, house: House) -> None:
        headers = {"Authorization": "Bearer wrong"}
        refused = await house.call("GET", "/v1/models/m1", headers=headers, status=401)
        assert details(refused) == ("authentication_error", "key_unknown")
