"""Operators come with a token of their identity provider; metrics tell of nobody."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from joserfc import jwk, jwt

from assistant.config import Settings, load_settings
from assistant.errors import AssistantError, ConfigInvalid, Unauthenticated, Unavailable
from assistant.server.http.metrics import Metrics
from assistant.server.http.oidc import Operators
from tests.clock import NOW, Clock
from tests.conftest import OpenHouse

AUDIENCE = "attune-operators"


class Issuer:
    """An identity provider on this machine."""

    def __init__(self) -> None:
        self.keys: dict[str, jwk.RSAKey | jwk.ECKey] = {
            "one": jwk.RSAKey.generate_key(2048),
            "two": jwk.ECKey.generate_key("P-256"),
        }
        self.published = ["one", "two"]
        self.extra: list[dict[str, Any]] = []
        self.about: dict[str, Any] = {}
        self.asked: Counter[str] = Counter()
        self.status = 200
        self.url = ""

    async def discovery(self, request: web.Request) -> web.Response:
        self.asked["discovery"] += 1
        return web.json_response(
            {"issuer": self.url, "jwks_uri": f"{self.url}/keys"} | self.about, status=self.status
        )

    async def jwks(self, request: web.Request) -> web.Response:
        self.asked["keys"] += 1
        published = [self.keys[name].as_dict(private=False) | {"kid": name} for name in self.published]
        return web.json_response({"keys": self.extra + published}, status=self.status)

    def token(self, name: str = "one", *, header: dict[str, Any] | None = None, **change: Any) -> str:
        key = self.keys[name]
        algorithm = "RS256" if isinstance(key, jwk.RSAKey) else "ES256"
        claims = {"iss": self.url, "aud": AUDIENCE, "sub": "op", "iat": NOW, "exp": NOW + 600} | change
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode({"alg": algorithm, "kid": name} | (header or {}), claims, key, algorithms=[algorithm])


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    issuer = Issuer()
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", issuer.discovery)
    app.router.add_get("/keys", issuer.jwks)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    issuer.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield issuer
    await runner.cleanup()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def operators(issuer: Issuer, clock: Clock) -> AsyncIterator[Operators]:
    operators = Operators(issuer.url, AUDIENCE, clock)
    yield operators
    await operators.close()


async def _refusal(operators: Operators, token: str) -> str:
    with pytest.raises(AssistantError) as refused:
        await operators.verify(token)
    return refused.value.code


def _unsigned(header: dict[str, Any], claims: str) -> str:
    return f"{base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip('=')}.{claims}"


class TestAToken:
    @pytest.mark.parametrize("key", ["one", "two"])
    async def test_of_the_provider_is_good_with_either_kind_of_key(
        self, operators: Operators, issuer: Issuer, key: str
    ) -> None:
        assert await operators.verify(issuer.token(key)) == "op"

    async def test_may_be_meant_for_several(self, operators: Operators, issuer: Issuer) -> None:
        await operators.verify(issuer.token(aud=["another", AUDIENCE]))

    @pytest.mark.parametrize(
        "change",
        [
            {"iss": "https://elsewhere.example"},
            {"aud": "another"},
            {"aud": None},
            {"aud": ["another"]},
            {"aud": f"{AUDIENCE}-not"},
            {"exp": None},
            {"exp": "soon"},
            {"exp": True},
            {"sub": None},
            {"sub": 7},
            {"nbf": NOW + 61},
        ],
    )
    async def test_that_says_anything_else_is_refused(
        self, operators: Operators, issuer: Issuer, change: dict[str, Any]
    ) -> None:
        assert await _refusal(operators, issuer.token(**change)) == "token_invalid"

    async def test_expires_a_minute_late_at_most(self, operators: Operators, issuer: Issuer, clock: Clock) -> None:
        token = issuer.token()
        clock.now += 659
        await operators.verify(token)
        clock.now += 1
        assert await _refusal(operators, token) == "token_expired"

    async def test_without_a_signature_is_refused_and_nobody_is_asked(
        self, operators: Operators, issuer: Issuer
    ) -> None:
        claims = issuer.token().split(".")[1]
        for header in ({"alg": "none"}, {"alg": "None", "kid": "one"}, {"kid": "one"}, {"alg": ["RS256"]}):
            assert await _refusal(operators, _unsigned(header, f"{claims}.")) == "token_invalid"
        assert not issuer.asked

    async def test_signed_with_the_public_key_as_a_secret_is_refused(
        self, operators: Operators, issuer: Issuer
    ) -> None:
        public = issuer.keys["one"].as_pem(private=False)
        secret = jwk.OctKey.import_key(base64.urlsafe_b64encode(public))
        claims = {"iss": issuer.url, "aud": AUDIENCE, "sub": "op", "exp": NOW + 600}
        for key in (secret, jwk.OctKey.import_key(b"x" * 64)):
            token = jwt.encode({"alg": "HS256", "kid": "one"}, claims, key, algorithms=["HS256"])
            assert await _refusal(operators, token) == "token_invalid"

    async def test_signed_by_somebody_else_with_the_same_name_of_a_key_is_refused(
        self, operators: Operators, issuer: Issuer
    ) -> None:
        await operators.verify(issuer.token())
        issuer.keys["one"] = jwk.RSAKey.generate_key(2048)
        assert await _refusal(operators, issuer.token()) == "token_invalid"

    async def test_that_names_the_other_kind_of_key_is_refused(self, operators: Operators, issuer: Issuer) -> None:
        assert await _refusal(operators, issuer.token("one", header={"kid": "two"})) == "token_invalid"

    async def test_that_brings_its_own_key_is_refused(self, operators: Operators, issuer: Issuer) -> None:
        own = jwk.RSAKey.generate_key(2048)
        claims = {"iss": issuer.url, "aud": AUDIENCE, "sub": "op", "exp": NOW + 600}
        header = {"alg": "RS256", "jwk": own.as_dict(private=False), "kid": "own"}
        token = jwt.encode(header, claims, own, algorithms=["RS256"])
        assert await _refusal(operators, token) == "token_invalid"

    async def test_that_is_none_is_refused(self, operators: Operators) -> None:
        for text in ("..", "a.b.c", "\udcff.b.c", "e30.e30.", "W10.e30.x", "💥.💥.💥"):
            assert await _refusal(operators, text) == "token_invalid"


class TestTheKeys:
    async def test_are_fetched_once_for_many_tokens(self, operators: Operators, issuer: Issuer) -> None:
        for _ in range(5):
            await operators.verify(issuer.token())
        assert issuer.asked == {"discovery": 1, "keys": 1}

    async def test_are_fetched_again_for_a_new_one_but_not_for_every_stranger(
        self, operators: Operators, issuer: Issuer, clock: Clock
    ) -> None:
        issuer.published = ["one"]
        await operators.verify(issuer.token())
        issuer.published = ["one", "two"]
        assert await _refusal(operators, issuer.token("two")) == "token_invalid", "it was asked a moment ago"
        clock.now += 30
        await operators.verify(issuer.token("two"))
        for _ in range(5):
            assert await _refusal(operators, issuer.token("one", header={"kid": "none"})) == "token_invalid"
        assert issuer.asked["keys"] == 2

    async def test_that_were_withdrawn_open_nothing_after_an_hour(
        self, operators: Operators, issuer: Issuer, clock: Clock
    ) -> None:
        token = issuer.token(exp=NOW + 90_000)
        await operators.verify(token)
        issuer.published = ["two"]
        clock.now += 3600
        assert await _refusal(operators, token) == "token_invalid"

    async def test_are_kept_while_the_provider_is_away(
        self, operators: Operators, issuer: Issuer, clock: Clock
    ) -> None:
        token = issuer.token(exp=NOW + 90_000)
        await operators.verify(token)
        issuer.status = 500
        clock.now += 3600
        await operators.verify(token)

    async def test_that_never_came_are_no_fault_of_the_token(
        self, operators: Operators, issuer: Issuer, clock: Clock
    ) -> None:
        issuer.status = 500
        with pytest.raises(Unavailable) as refused:
            await operators.verify(issuer.token())
        assert refused.value.code == "issuer_unavailable"
        with pytest.raises(Unavailable):
            await operators.verify(issuer.token())
        assert issuer.asked["discovery"] == 1, "it is not asked again at once"
        issuer.status = 200
        clock.now += 30
        await operators.verify(issuer.token())

    @pytest.mark.parametrize(
        "about",
        [{"issuer": "https://elsewhere.example"}, {"jwks_uri": "http://elsewhere.example/"}, {"jwks_uri": 7}],
    )
    async def test_come_from_nobody_but_the_provider(
        self, operators: Operators, issuer: Issuer, about: dict[str, Any]
    ) -> None:
        issuer.about = about
        with pytest.raises(Unavailable):
            await operators.verify(issuer.token())

    async def test_that_are_for_something_else_are_passed_over(self, operators: Operators, issuer: Issuer) -> None:
        shared = {"kty": "oct", "k": "c2VjcmV0", "kid": "one"}
        issuer.extra = [
            shared,
            {"kty": "OKP"},
            {"kty": "RSA", "use": "enc", "kid": "one"},
            {"kty": "EC", "crv": "P-521"},
        ]
        await operators.verify(issuer.token())


async def test_where_no_provider_is_set_nobody_is_an_operator() -> None:
    with pytest.raises(Unauthenticated):
        await Operators("", "", Clock()).verify("a.b.c")


@pytest.mark.parametrize(
    "change",
    [
        {"OIDC_ISSUER": "https://id.example"},
        {"OIDC_AUDIENCE": "a"},
        {"OIDC_ISSUER": "http://id.example", "OIDC_AUDIENCE": "a"},
        {"OIDC_ISSUER": "https://user@id.example", "OIDC_AUDIENCE": "a"},
    ],
)
def test_a_provider_is_named_wholly_and_asked_over_https(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigInvalid, match="oidc"):
        load_settings(None, {f"ATTUNE_{name}": value for name, value in change.items()})
    assert Settings().oidc_issuer == ""


class TestMetrics:
    async def test_are_for_operators_and_keys_that_may(self, open_house: OpenHouse, issuer: Issuer) -> None:
        house = await open_house(affect="absent", oidc_issuer=issuer.url, oidc_audience=AUDIENCE)
        await house.call("GET", "/metrics", status=403)
        key = await house.services.storage.apps.create_key("ops", "general", scopes=["operate"])
        for credential in (key, issuer.token()):
            headers = {"Authorization": f"Bearer {credential}"}
            async with house.client.get("/metrics", headers=headers) as answer:
                assert (answer.status, answer.content_type) == (200, "text/plain")
            async with house.client.get("/v1/operations/aggregates", headers=headers) as answer:
                assert answer.status == 200
        operator = {"Authorization": f"Bearer {issuer.token()}"}
        await house.call("GET", "/v1/people/ada", status=401, headers=operator)

    async def test_count_answers_and_their_times_by_route_and_by_nothing_that_was_sent(
        self, open_house: OpenHouse
    ) -> None:
        house = await open_house(affect="absent")
        key = await house.services.storage.apps.create_key("ops", "general", scopes=["operate"])
        await house.person("ada-canary")
        await house.call("GET", "/v1/people/ada-canary")
        await house.call("GET", "/v1/people/canary", status=404)
        await house.call("GET", "/v1/canary", status=404)
        await house.call("CANARY", "/v1/people/ada-canary", status=400)
        await house.call("PROPFIND", "/v1/people/ada-canary", status=405)
        microphone = await house.stream("ada-canary")
        await microphone.until("session.created")
        async with house.client.get("/metrics", headers={"Authorization": f"Bearer {key}"}) as answer:
            text = await answer.text()
        assert "canary" not in text.lower()
        person = 'method="GET",route="/v1/people/{person}"'
        assert f'attune_requests_total{{{person},status="200"}} 1.0\n' in text
        assert f'attune_requests_total{{{person},status="404"}} 1.0\n' in text
        assert f"attune_request_seconds_count{{{person}}} 2.0\n" in text
        assert f'attune_request_seconds_bucket{{le="+Inf",{person}}} 2.0\n' in text
        assert 'attune_requests_total{method="other",route="unmatched",status="404"} 1.0\n' in text
        assert 'attune_requests_total{method="other",route="unmatched",status="405"} 1.0\n' in text
        assert "attune_streams_open 1.0\n" in text
        assert "attune_updates_shed_total 0.0\n" in text
        for line in text.splitlines():
            if line.startswith("# HELP"):
                assert re.fullmatch(r"# HELP \w+ [\w ,;:'-]+", line), line
                continue
            assert re.fullmatch(r'# TYPE \w+ \w+|\w+(\{(\w+="[^"\\]*",?)+\})? [0-9.e+-]+', line), line

    async def test_show_the_queue_batches_and_lateness_of_every_model_that_runs_in_batches(
        self, open_house: OpenHouse
    ) -> None:
        house = await open_house(affect="absent")
        metrics = Metrics(house.services.batchers)
        assert 'attune_batch_rows_count{model="vad"} 0.0\n' in metrics.text()
        (vad,) = house.services.batchers
        vad.stats.sizes.observe(3)
        vad.stats.lateness_s.observe(0.02)
        vad.stats.refused_late += 1
        text = metrics.text()
        for line in (
            'attune_batch_waiting{model="vad"} 0.0',
            'attune_batch_rows_bucket{le="2.0",model="vad"} 0.0',
            'attune_batch_rows_bucket{le="4.0",model="vad"} 1.0',
            'attune_batch_rows_sum{model="vad"} 3.0',
            'attune_batch_lateness_seconds_bucket{le="0.0",model="vad"} 0.0',
            'attune_batch_lateness_seconds_bucket{le="0.025",model="vad"} 1.0',
            'attune_batch_lateness_seconds_count{model="vad"} 1.0',
            'attune_batch_refused_total{model="vad",reason="busy"} 0.0',
            'attune_batch_refused_total{model="vad",reason="late"} 1.0',
        ):
            assert f"{line}\n" in text
        assert "_created" not in text

    async def test_count_interim_updates_that_were_left_out(self) -> None:
        from assistant.server.live.outbox import Outbox
        from tests.server.live.outbox_events import estimate

        metrics, outbox = Metrics(), Outbox()
        with metrics.shedding(lambda: outbox.shed):
            for _ in range(3):
                outbox.put(estimate(final=False))
            assert "attune_updates_shed_total 2.0\n" in metrics.text()
        assert "attune_updates_shed_total 2.0\n" in metrics.text()
