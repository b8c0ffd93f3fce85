"""A client for any OpenAI-compatible server: the only module outside the server that uses HTTP.

It passes bytes on and does not read them. It waits a limited time for the connection, the first token, the next
token and the whole answer. It retries, after a random pause, only if no byte of an answer came. A server that keeps
failing gets no requests for a while. Neither the key nor any message is logged or put into errors.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import aiohttp
import msgspec

from assistant.chat.placement import blames_roles
from assistant.chat.relay import Events
from assistant.errors import AssistantError, Unavailable
from assistant.proxies import find_proxy

State = Literal["closed", "open", "probing"]


@dataclass(frozen=True, slots=True)
class Breaker:
    """State of the connection to a server.

    >>> breaker = Breaker(failures_to_open=2, rest_s=10.0).after_failure(0.0).after_failure(1.0)
    >>> breaker.state, breaker.admits(5.0), breaker.admits(11.0)
    ('open', False, True)
    >>> breaker = breaker.after_request(11.0)
    >>> breaker.state, breaker.admits(11.0), breaker.after_success().state
    ('probing', False, 'closed')
    """

    failures_to_open: int = 5
    """Failures in a row after which no requests are sent."""
    rest_s: float = 10.0
    """Seconds until one request may probe the server."""
    failures: int = 0
    state: State = "closed"
    since: float = 0.0
    """When the state started, in seconds of any clock."""

    def admits(self, now: float) -> bool:
        """Whether a request may be sent. While one probes, others may not, for `rest_s` seconds."""
        return self.state == "closed" or now - self.since >= self.rest_s

    def wait_s(self, now: float) -> float:
        """Seconds until it is worth trying again."""
        return 0.0 if self.admits(now) else self.rest_s - (now - self.since)

    def after_request(self, now: float) -> Breaker:
        """The state after a request was sent; the first one after a rest is a probe."""
        return self if self.state == "closed" else replace(self, state="probing", since=now)

    def after_success(self) -> Breaker:
        """The state after an answer came."""
        return replace(self, failures=0, state="closed")

    def after_failure(self, now: float) -> Breaker:
        """The state after no answer came, or one that reports a failure of the server."""
        failures = self.failures + 1
        if self.state == "probing" or failures >= self.failures_to_open:
            return replace(self, failures=failures, state="open", since=now)
        return replace(self, failures=failures)

    def after_abandonment(self, now: float) -> Breaker:
        """The state after the caller left before an answer: it proves nothing, and the next request may probe."""
        return replace(self, state="open", since=now - self.rest_s) if self.state == "probing" else self


log = logging.getLogger(__name__)

_AGAIN = (502, 503, 504)
_KEY_REFUSED = (401, 403)
_LONGEST = 32 * 1024 * 1024
"""Most bytes of a complete answer."""
_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 2.0


class UpstreamRefused(AssistantError):
    """The upstream server refused the request; its status and body are for the client."""

    code = "upstream_refused"

    def __init__(self, status: int, body: bytes, retry_after: str | None) -> None:
        super().__init__("the language model's server refused the request")
        self.status, self.body, self.retry_after = status, body, retry_after


class _Failed(Unavailable):
    """The upstream server did not answer, or not correctly; `again`: a retry may help."""

    code = "upstream_failed"

    def __init__(self, what: str, *, code: str, again: bool = False) -> None:
        super().__init__(f"the language model's server {what}", code=code)
        self.again = again


@dataclass(frozen=True, slots=True)
class Patience:
    """Time limits in seconds, and the number of retries."""

    connect_s: float = 3.0
    first_s: float = 30.0
    """Most seconds until the first token of a stream, all attempts together."""
    between_s: float = 20.0
    """Most seconds between two pieces of a stream."""
    total_s: float = 300.0
    retries: int = 2


def retry_pause_s(attempt: int, chance: float) -> float:
    """Seconds before attempt number `attempt` (from 1): a random share of a time that doubles (full jitter).

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/

    >>> [retry_pause_s(attempt, 1.0) for attempt in (1, 2, 3, 9)], retry_pause_s(3, 0.25)
    ([0.2, 0.4, 0.8, 2.0], 0.2)
    """
    return chance * min(_PAUSE_S * 2.0 ** (attempt - 1), _LONGEST_PAUSE_S)


class Upstream:
    """A client for one upstream server, shared by all chats."""

    def __init__(
        self,
        client: aiohttp.ClientSession,
        url: str,
        key: str,
        patience: Patience,
        *,
        breaker: Breaker | None = None,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._client, self._url, self._patience = client, url.rstrip("/"), patience
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._clock, self._chance = clock, chance
        self.breaker = breaker or Breaker()

    def now(self) -> float:
        """The time by this client's clock, in seconds."""
        return self._clock()

    async def complete(self, payload: bytes, *, since: float | None = None) -> bytes:
        """The complete answer to a request; its time runs from `since`.

        Raises `UpstreamRefused` or `Unavailable`.
        """
        ends = (self._clock() if since is None else since) + self._patience.total_s
        answer = self._answer("POST", "/chat/completions", payload, ends, ends, math.inf)
        async with contextlib.aclosing(answer) as received:
            return b"".join([part async for part in received])

    async def models(self) -> bytes:
        """The server's list of models, unchanged. Raises `UpstreamRefused` or `Unavailable`."""
        ends = self._clock() + self._patience.first_s
        async with contextlib.aclosing(self._answer("GET", "/models", None, ends, ends, math.inf)) as received:
            return b"".join([part async for part in received])

    async def stream(self, payload: bytes, *, since: float | None = None) -> AsyncGenerator[bytes, None]:
        """The data of each event of the answer, as it arrives; its time runs from `since`.

        Raises `UpstreamRefused`, only before the first event, or `Unavailable`, then or later.
        """
        now, events = self._clock() if since is None else since, Events()
        first, ends = now + self._patience.first_s, now + self._patience.total_s
        answer = self._answer("POST", "/chat/completions", payload, first, ends, self._patience.between_s)
        async with contextlib.aclosing(answer) as received:
            async for part in received:
                for data in events.feed(part):
                    yield data

    def _check_breaker(self) -> None:
        now = self._clock()
        if not self.breaker.admits(now):
            raise _Failed("failed several times and gets no requests for a moment", code="upstream_resting")
        self.breaker = self.breaker.after_request(now)

    async def _answer(
        self, method: str, path: str, payload: bytes | None, first: float, ends: float, between_s: float
    ) -> AsyncGenerator[bytes, None]:
        """The parts of an answer; retried until the first part arrives. Times by this client's clock."""
        for attempt in range(1, self._patience.retries + 2):
            self._check_breaker()
            answer = self._attempt(method, path, payload, first, ends, between_s)
            try:
                async with contextlib.aclosing(answer) as parts:
                    async for part in parts:
                        yield part
                return
            except _Failed as failure:
                wait_s = retry_pause_s(attempt, self._chance())
                if not failure.again or attempt > self._patience.retries or self._clock() + wait_s >= first:
                    raise
                log.info("the language model's server is asked again (%s)", failure.code)
            await asyncio.sleep(wait_s)

    async def _attempt(
        self, method: str, path: str, payload: bytes | None, first: float, ends: float, between_s: float
    ) -> AsyncGenerator[bytes, None]:
        began, size = False, 0
        outcome: Literal["given_up", "answered", "failed"] = "given_up"
        try:
            async with contextlib.AsyncExitStack() as stack:
                response = await stack.enter_async_context(self._request(method, path, payload, min(first, ends)))
                await self._check(response, min(first, ends))
                while True:
                    until = min(ends, self._clock() + between_s)
                    part = await self._part(response, until if began else min(first, ends), began=began)
                    if not part:
                        break
                    size += len(part)
                    if size > _LONGEST:
                        raise _Failed("sent too long an answer", code="upstream_invalid")
                    if not began:
                        self.breaker = self.breaker.after_success()
                    began, outcome = True, "answered"
                    yield part
                if not began:
                    raise _Failed("sent an empty answer", code="upstream_invalid", again=True)
        except _Failed:
            outcome = "failed"
            raise
        except UpstreamRefused:
            outcome = "answered"
            raise
        finally:
            self._record_outcome(outcome)

    def _record_outcome(self, outcome: Literal["given_up", "answered", "failed"]) -> None:
        now = self._clock()
        match outcome:
            case "answered":
                self.breaker = self.breaker.after_success()
            case "failed":
                self.breaker = self.breaker.after_failure(now)
            case "given_up":
                self.breaker = self.breaker.after_abandonment(now)

    @contextlib.asynccontextmanager
    async def _request(
        self, method: str, path: str, payload: bytes | None, until: float
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The response; its connection is closed at the end unless the body was read completely."""
        headers = {**self._headers, "Content-Type": "application/json"}
        request = self._client.request(
            method,
            self._url + path,
            data=payload,
            headers=headers,
            allow_redirects=False,  # the key is for this server alone
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._patience.connect_s),
        )
        with _failures(again=True):
            async with asyncio.timeout(max(0.0, until - self._clock())):
                response = await request
        try:
            yield response
        finally:
            if response.content.at_eof():
                response.release()
            else:
                response.close()

    async def _check(self, response: aiohttp.ClientResponse, until: float) -> None:
        if response.status == 200:
            return
        if response.status in _KEY_REFUSED:  # its words might quote the key
            log.error("the language model's server refuses the key (%d)", response.status)
            raise _Failed("refuses this server's key", code="upstream_unauthorized")
        if 400 <= response.status <= 500:
            body = await self._words(response, until)
            if response.status < 500:
                raise UpstreamRefused(response.status, body, response.headers.get("Retry-After"))
            if is_refusal(body):
                raise UpstreamRefused(400, body, None)
        again = response.status in _AGAIN
        raise _Failed(f"answered with {response.status}", code="upstream_failed", again=again)

    async def _words(self, response: aiohttp.ClientResponse, until: float) -> bytes:
        """What it says with an error."""
        with _failures(again=False):
            async with asyncio.timeout(max(0.0, until - self._clock())):
                return await response.content.read(1024 * 1024)

    async def _part(self, response: aiohttp.ClientResponse, until: float, *, began: bool) -> bytes:
        with _failures(again=not began):
            async with asyncio.timeout(max(0.0, until - self._clock())):
                return await response.content.readany()


def is_refusal(body: bytes) -> bool:
    """Whether words that came with a status of 500 refuse the roles: llama.cpp says so where its template does.

    >>> is_refusal(b'{"error": {"code": 500, "message": "System message must be at the beginning."}}')
    True
    >>> is_refusal(b'{"error": "out of memory"}'), is_refusal(b"Internal Server Error")
    (False, False)
    """
    try:
        told = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return isinstance(told, dict) and blames_roles(body.decode())


@contextlib.contextmanager
def _failures(*, again: bool) -> Iterator[None]:
    try:
        yield
    except aiohttp.ConnectionTimeoutError:
        raise _Failed("can't be reached in time", code="upstream_unreachable", again=again) from None
    except TimeoutError:
        raise _Failed("took too long", code="upstream_timeout") from None
    except aiohttp.ClientHttpProxyError as error:
        raise _Failed(f"can't be reached: the proxy answers {error.status}", code="upstream_unreachable") from None
    except aiohttp.ClientConnectorError:
        raise _Failed("can't be reached", code="upstream_unreachable", again=again) from None
    except (aiohttp.ClientError, ConnectionError):
        raise _Failed("closed the connection during an answer", code="upstream_interrupted", again=again) from None


@contextlib.asynccontextmanager
async def open_upstream(url: str, key: str, patience: Patience) -> AsyncIterator[Upstream | None]:
    """Open a client for the server at `url`; None without a URL. Closed at the end.

    Raises `ConfigInvalid` where the environment names a proxy that can't be one.
    """
    if not url:
        yield None
        return
    connector = aiohttp.TCPConnector(limit=0)
    proxy = find_proxy(url, os.environ)
    async with aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), proxy=proxy
    ) as client:
        yield Upstream(client, url, key, patience)
