"""Proxies: found as other programs find them, and gone through on the way to a language model's server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

from assistant.errors import ConfigInvalid
from assistant.proxies import find_proxy
from assistant.server.http.oidc import Operators
from tests.chat.upstream import KEY, FakeUpstream, running_upstream
from tests.conftest import OpenHouse

API = "https://api.example.com/v1"
PROXY = "http://proxy:3128"
SAID = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.mark.parametrize(
    "environment",
    [
        {"HTTPS_PROXY": PROXY},
        {"https_proxy": PROXY},
        {"https_proxy": "proxy:3128"},
        {"HTTPS_PROXY": "http://other:1", "https_proxy": PROXY},
        {"HTTPS_PROXY": PROXY, "https_proxy": ""},
        {"ALL_PROXY": PROXY},
        {"all_proxy": f" {PROXY} "},
        {"HTTPS_PROXY": PROXY, "NO_PROXY": "example.org, notapi.example.com,10.0.0.0/8"},
        {"HTTPS_PROXY": PROXY, "NO_PROXY": "api.example.com:8443"},
        {"HTTPS_PROXY": PROXY, "NO_PROXY": "ample.com"},
    ],
)
def test_it_is_found_where_other_programs_find_it(environment: dict[str, str]) -> None:
    assert find_proxy(API, environment) == PROXY


@pytest.mark.parametrize(
    ("url", "no_proxy"),
    [
        (API, "example.com"),
        (API, ".example.com"),
        (API, "*.example.com"),
        (API, "localhost api.EXAMPLE.com"),
        (API, "api.example.com:443"),
        (API, "*"),
        ("https://10.1.2.3/v1", "10.0.0.0/8"),
        ("https://10.1.2.3:8443/v1", "10.1.2.3:8443"),
        ("https://[fd00::7]/v1", "fd00::/8"),
        ("https://localhost:11434/v1", ""),
        ("https://127.0.0.1/v1", ""),
        ("https://[::1]:8080/v1", ""),
        ("", ""),
    ],
)
def test_these_are_reached_directly(url: str, no_proxy: str) -> None:
    assert find_proxy(url, {"HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy}) is None
    assert find_proxy(url, {"HTTPS_PROXY": PROXY, "no_proxy": no_proxy}) is None


def test_nothing_goes_through_the_proxy_of_another_scheme() -> None:
    assert find_proxy(API, {"HTTP_PROXY": PROXY}) is None
    assert find_proxy("http://api.example.com", {"HTTPS_PROXY": PROXY}) is None
    assert find_proxy(API, {}) is None


@pytest.mark.parametrize(
    "given", ["socks5://secret@proxy:1", "http://", "http://[", "http://proxy:99999", "ftp://a"]
)
def test_what_is_no_proxy_is_refused_without_its_value(given: str) -> None:
    with pytest.raises(ConfigInvalid, match=r"HTTPS_PROXY must be like") as refused:
        find_proxy(API, {"HTTPS_PROXY": given})
    assert refused.value.code == "proxy_invalid"
    assert "secret" not in str(refused.value)


def test_the_identity_provider_is_reached_by_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "socks5://proxy:1")
    with pytest.raises(ConfigInvalid, match="https_proxy"):
        Operators("https://id.example.com", "attune", lambda: 0.0)


@dataclass
class Proxy:
    """Passes requests on to one server, whatever host they name; refuses tunnels."""

    to: str
    url: str = ""
    heads: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head.decode())
        if head.startswith(b"CONNECT"):
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        else:
            target = urlsplit(self.to)
            there, back = await asyncio.open_connection(target.hostname, target.port)
            line, rest = head.split(b"\r\n", 1)
            method, url, version = line.split()
            path = urlsplit(url.decode()).path.encode()
            back.write(b" ".join((method, path, version)) + b"\r\nConnection: close\r\n" + rest)
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            back.write(await reader.readexactly(length))
            writer.write(await there.read())
            back.close()
        await writer.drain()
        writer.close()


@pytest.fixture
async def upstream() -> AsyncIterator[FakeUpstream]:
    async with running_upstream() as fake:
        yield fake


@pytest.fixture
async def proxy(upstream: FakeUpstream) -> AsyncIterator[Proxy]:
    made = Proxy(upstream.url)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://ada:pass@127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield made


async def test_a_chat_goes_through_it(
    open_house: OpenHouse, upstream: FakeUpstream, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    house = await open_house(upstream_url="http://models.example:8000/v1", upstream_key=KEY)
    answer = await house.call("POST", "/v1/chat/completions", json=SAID)
    assert answer["choices"][0]["message"]["content"] == "Hello there."
    assert proxy.heads[0].startswith("POST http://models.example:8000/v1/chat/completions ")
    assert "Proxy-Authorization: Basic YWRhOnBhc3M=" in proxy.heads[0]
    assert upstream.headers[0]["Authorization"] == f"Bearer {KEY}"


async def test_a_netrc_puts_no_password_on_the_way(
    open_house: OpenHouse,
    upstream: FakeUpstream,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    file = tmp_path_factory.mktemp("home") / "netrc"
    file.write_text("machine 127.0.0.1 login ada password canary\n")
    monkeypatch.setenv("NETRC", str(file))
    house = await open_house(upstream_url=upstream.url, upstream_key="")
    await house.call("POST", "/v1/chat/completions", json=SAID)
    assert "Authorization" not in upstream.headers[0]


async def test_a_proxy_that_refuses_is_told(
    open_house: OpenHouse, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", proxy.url)
    house = await open_house(upstream_url="https://models.example/v1", upstream_key=KEY)
    told = await house.call("POST", "/v1/chat/completions", status=503, json=SAID)
    assert (told["error"]["code"], "407" in told["error"]["message"]) == ("upstream_unreachable", True)
    assert proxy.heads[0].startswith("CONNECT models.example:443 ")
    assert KEY not in "".join(proxy.heads)
