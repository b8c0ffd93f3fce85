"""Every route, asked by everybody who may not: no answer tells more than that they may not."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import pytest

from assistant.profile.access import APP_SCOPES, PERSON_SCOPES, SCOPES, Scope
from assistant.server.app import ROUTES, make_app
from assistant.server.http.signing import Token, sign
from tests.conftest import House, OpenHouse

PERSON = "/v1/people/{person}"
GRANT = {"modality": "text", "purpose": "tone", "granted": True, "notice": "1"}
NOBODY = "nobody"


@dataclass(frozen=True)
class Row:
    """What the table says of one route: what it needs, and a body that it takes."""

    scope: Scope | None
    body: Any = None
    makes: bool = False
    """Makes the person that it names."""
    own: bool = False
    """A person's token may call it though its path names nobody: it concerns whoever holds the token."""


TABLE: dict[tuple[str, str], Row] = {
    ("GET", "/healthz"): Row(None),
    ("GET", "/readyz"): Row(None),
    ("GET", "/openapi.json"): Row(None),
    ("GET", "/asyncapi.json"): Row(None),
    ("GET", "/.well-known/gpc.json"): Row(None),
    ("GET", "/v1/export-schema"): Row(None),
    ("GET", "/v1/twilio"): Row(None),
    ("GET", "/metrics"): Row("operate"),
    ("GET", "/v1/operations/aggregates"): Row("operate"),
    ("GET", "/v1/models"): Row("infer"),
    ("GET", "/v1/models/{model}"): Row("infer"),
    ("POST", "/v1/responses"): Row("infer", {"input": "hello"}, own=True),
    ("POST", "/v1/chat/completions"): Row("infer", {"messages": [{"role": "user", "content": "hello"}]}, own=True),
    ("POST", "/v1/audio/transcriptions"): Row("infer", own=True),
    ("GET", "/v1/decisions/{decision}/explain"): Row("infer", own=True),
    ("POST", "/v1/decisions/{decision}/reward"): Row("infer", {"item": "a", "kind": "click"}, own=True),
    ("POST", "/v1/decisions/{decision}/activate"): Row("infer", own=True),
    ("GET", "/v1/catalogue"): Row("catalogue"),
    ("POST", "/v1/catalogue/validate"): Row("catalogue", {"version": "1", "items": []}),
    ("POST", "/v1/rank"): Row("infer", {"requests": [{"person": "somebody"}]}),
    ("GET", "/v1/reports/recommendations"): Row("catalogue"),
    ("GET", "/v1/reports/fairness"): Row("catalogue"),
    ("GET", "/v1/realtime"): Row("infer"),
    ("GET", "/v1/calls"): Row("infer", own=True),
    ("POST", "/v1/realtime/client_secrets"): Row("tokens", {"user": NOBODY}),
    ("POST", "/v1/realtime/sessions"): Row("tokens", {"user": NOBODY}),
    ("POST", "/v1/realtime/transcription_sessions"): Row("tokens", {"user": NOBODY}),
    ("GET", "/v1/tone-policy"): Row("catalogue"),
    ("PUT", "/v1/tone-policy"): Row("catalogue", {}),
    ("DELETE", "/v1/tone-policy"): Row("catalogue"),
    ("GET", "/v1/tone-policy/schema"): Row(None),
    ("GET", "/v1/policy"): Row("consent"),
    ("PUT", "/v1/catalogue"): Row("catalogue", {"version": "1", "items": []}),
    ("GET", "/v1/profile-schema"): Row("catalogue"),
    ("PUT", "/v1/profile-schema"): Row("catalogue", {"properties": {}}),
    ("GET", "/v1/app"): Row("catalogue"),
    ("PATCH", "/v1/app"): Row("consent", {}),
    ("GET", "/v1/devices/{device}"): Row("people"),
    ("POST", "/v1/erasures"): Row("rights", {"people": ["somebody"]}),
    ("PUT", PERSON): Row("people", {}, makes=True),
    ("PATCH", PERSON): Row("people", {"language": "de"}),
    ("GET", PERSON): Row("people"),
    ("DELETE", PERSON): Row("rights"),
    ("PUT", f"{PERSON}/devices/{{device}}"): Row("people", {"kind": "phone"}),
    ("GET", f"{PERSON}/devices"): Row("people"),
    ("DELETE", f"{PERSON}/devices/{{device}}"): Row("people"),
    ("PUT", f"{PERSON}/context"): Row("people", {"activity": {"value": "walking"}}),
    ("GET", f"{PERSON}/context"): Row("people"),
    ("DELETE", f"{PERSON}/context"): Row("people"),
    ("GET", f"{PERSON}/policy"): Row("consent"),
    ("GET", f"{PERSON}/access"): Row("rights"),
    ("GET", f"{PERSON}/consent"): Row("consent"),
    ("POST", f"{PERSON}/consent"): Row("consent", GRANT),
    ("GET", f"{PERSON}/receipts/{{receipt}}"): Row("consent"),
    ("GET", f"{PERSON}/mood"): Row("infer"),
    ("GET", f"{PERSON}/mood/history"): Row("infer"),
    ("POST", f"{PERSON}/mood/corrections"): Row("infer", {"dimension": "stress", "value": 0.0}),
    ("GET", f"{PERSON}/mood/corrections"): Row("infer"),
    ("DELETE", f"{PERSON}/mood/corrections"): Row("infer"),
    ("POST", f"{PERSON}/messages"): Row("infer", {"text": "hello"}),
    ("POST", f"{PERSON}/rank"): Row("infer", {}),
    ("GET", f"{PERSON}/exposure"): Row("infer"),
    ("GET", f"{PERSON}/export"): Row("rights"),
    ("GET", f"{PERSON}/restriction"): Row("rights"),
    ("POST", f"{PERSON}/restriction"): Row("rights", {"restricted": False}),
    ("GET", f"{PERSON}/objection"): Row("rights"),
    ("POST", f"{PERSON}/objection"): Row("rights", {"objected": False}),
    ("POST", f"{PERSON}/tokens"): Row("tokens", {}),
    ("DELETE", f"{PERSON}/tokens"): Row("tokens"),
}
CLOSED = {route: row for route, row in TABLE.items() if row.scope is not None}
PERSONAL = {route: row for route, row in CLOSED.items() if "{person}" in route[1] or route[1] == "/v1/realtime"}


def _path(path: str, person: str) -> str:
    for name in ("device", "receipt", "decision", "id"):
        path = path.replace(f"{{{name}}}", "some-id")
    return f"{path}?person={person}" if path == "/v1/realtime" else path.replace("{person}", person)


@dataclass
class World:
    """A server with two people of one app and one of another, and every credential that might be tried."""

    house: House
    credentials: dict[str, str] = field(default_factory=dict)

    async def ask(
        self, route: tuple[str, str], row: Row, person: str, header: str | None
    ) -> tuple[int, str, bytes]:
        """Status, `code` of the problem, and the whole body."""
        headers = {} if header is None else {"Authorization": header}
        async with self.house.client.request(
            route[0], _path(route[1], person), json=row.body, headers=headers
        ) as answer:
            body = await answer.read()
            said = msgspec.json.decode(body) if answer.status >= 400 else {}
            return answer.status, said.get("error", said).get("code", ""), body  # chat has OpenAI's errors

    async def token(self, person: str, **change: Any) -> str:
        """A token of a person, or one that was changed before it was signed."""
        services = self.house.services
        app = (await services.storage.apps.authenticate(self.house.key)).app
        known, epoch = await services.storage.people.find_holder(
            app, (await services.storage.people.get(app, person)).pseudonym
        )
        key = change.pop("key", services.token_key)
        token = Token("t", app.id, known.pseudonym, PERSON_SCOPES, 0.0, self.house.clock() + 900, epoch)
        return sign(replace(token, **change), key)


@pytest.fixture
async def world(open_house: OpenHouse) -> World:
    house = await open_house(affect="absent")
    world = World(house)
    apps, people = house.services.storage.apps, house.services.storage.people
    for name in ("ada", "bob", "eve", "gone"):
        await house.person(name)
    for name in ("revoked", "expired"):
        world.credentials[f"{name} key"] = await apps.create_key("test-general", "general", called=name, days=1)
    keys = {key.name: key.id for key in await apps.list_keys()}
    await apps.revoke_key(keys["revoked"])
    house.clock.now += 86_400
    world.credentials["other"] = await apps.create_key("other", "general", scopes=list(SCOPES))
    other = {"Authorization": f"Bearer {world.credentials['other']}"}
    await house.call("PUT", "/v1/people/theirs", {}, status=201, headers=other)
    world.credentials |= {
        "bob": await world.token("bob"),
        "old": await world.token("ada", expires_at=house.clock()),
        "void": await world.token("eve"),
        "erased": await world.token("gone"),
        "foreign": await world.token("ada", key=b"another key, of 32 bytes exactly"),
        "unknown app": await world.token("ada", app="unknown"),
    }
    app = (await apps.authenticate(house.key)).app
    await people.void_tokens(await people.get(app, "eve"))
    await house.call("DELETE", "/v1/people/gone", status=204)
    return world


async def test_the_table_has_every_route_and_says_what_the_server_says(world: World) -> None:
    app = make_app(world.house.services)
    served = {
        (route.method, route.resource.canonical.rstrip("/"))
        for route in app.router.routes()
        if route.resource is not None
    }
    heads = {("HEAD", r.path) for r in app[ROUTES] if r.method == "GET" and not r.socket}
    assert served - heads == set(TABLE), "a route without a row, or a row without a route"
    assert heads < served
    said = {(r.method, r.path): None if r.open else r.scope for r in app[ROUTES]}
    assert said == {route: row.scope for route, row in TABLE.items()}


async def test_the_head_of_an_answer_is_as_closed_as_the_answer(world: World) -> None:
    for method, path in TABLE:
        if method == "GET" and TABLE[method, path].scope is not None:
            async with world.house.client.head(path.replace("{", "").replace("}", "")) as answer:
                assert answer.status in (401, 405), path


async def test_nothing_opens_without_a_good_credential(world: World) -> None:
    good = world.credentials
    refused = [
        (None, "key_missing"),
        ("Basic YTpi", "key_missing"),
        ("Bearer", "key_missing"),
        ("Bearer nonsense", "key_unknown"),
        ("Bearer kéy", "key_unknown"),
        (f"Bearer {world.house.key}x", "key_unknown"),
        (f"Bearer {good['revoked key']}", "key_revoked"),
        (f"Bearer {good['expired key']}", "key_expired"),
        ("Bearer a.b.c", "token_invalid"),
        (f"Bearer {good['old']}", "token_expired"),
        (f"Bearer {good['void']}", "token_revoked"),
        (f"Bearer {good['erased']}", "token_revoked"),
        (f"Bearer {good['unknown app']}", "token_revoked"),
        (f"Bearer {good['foreign']}", "token_invalid"),
        (f"Bearer {good['old'].rpartition('.')[0]}.", "token_invalid"),
    ]
    for route, row in CLOSED.items():
        for header, code in refused:
            # a person's token means nothing where operators are asked for
            code = "token_invalid" if row.scope == "operate" and code.startswith("token") else code
            status, said, _ = await world.ask(route, row, "ada", header)
            assert (status, said) == (401, code), f"{route} {code}"


async def test_a_key_without_the_scope_opens_nothing_of_it(world: World) -> None:
    apps = world.house.services.storage.apps
    for scope in SCOPES:
        rest = await apps.create_key(
            "test-general", "general", scopes=[other for other in SCOPES if other != scope]
        )
        for route, row in CLOSED.items():
            status, code, _ = await world.ask(route, row, NOBODY, f"Bearer {rest}")
            assert ((status, code) == (403, "scope_missing")) == (row.scope == scope), f"{route} without {scope}"


async def test_a_token_without_the_scope_opens_nothing_of_it_for_its_own_person(world: World) -> None:
    for route, row in PERSONAL.items():
        token = await world.token("ada", scopes=frozenset(PERSON_SCOPES - {row.scope}))
        status, code, _ = await world.ask(route, row, "ada", f"Bearer {token}")
        assert (status, code) == (403, "scope_missing"), route


async def test_a_persons_token_opens_nothing_that_is_the_apps(world: World) -> None:
    for route, row in CLOSED.items():
        if (route not in PERSONAL and not row.own) or row.scope == "tokens":
            status, code, _ = await world.ask(route, row, "bob", f"Bearer {world.credentials['bob']}")
            refused = (401, "token_invalid") if row.scope == "operate" else (403, "scope_missing")
            assert (status, code) == refused, route


async def test_another_persons_token_and_an_unknown_person_look_the_same(world: World) -> None:
    token = f"Bearer {world.credentials['bob']}"
    for route, row in PERSONAL.items():
        if row.scope not in PERSON_SCOPES:
            continue
        about_ada = await world.ask(route, row, "ada", token)
        assert about_ada[:2] == (404, "person_unknown"), route
        assert about_ada == await world.ask(route, row, NOBODY, token), route
        assert about_ada == await world.ask(route, row, "theirs", token), route


async def test_another_apps_person_and_an_unknown_person_look_the_same(world: World) -> None:
    key = f"Bearer {world.house.key}"
    for route, row in PERSONAL.items():
        if row.makes:
            continue
        theirs = await world.ask(route, row, "theirs", key)
        assert theirs[:2] == (404, "person_unknown"), route
        assert theirs == await world.ask(route, row, NOBODY, key), route
        assert theirs == await world.ask(route, row, "gone", key), route


async def test_bulk_erasure_touches_nobody_of_another_app(world: World) -> None:
    await world.house.call("POST", "/v1/erasures", {"people": ["theirs", NOBODY]})
    other = {"Authorization": f"Bearer {world.credentials['other']}"}
    await world.house.call("GET", "/v1/people/theirs", headers=other)


async def test_a_person_is_made_by_an_app_for_itself_alone(world: World) -> None:
    key = world.credentials["other"]
    assert (await world.ask(("PUT", PERSON), Row("people", {}), "ada", f"Bearer {key}"))[0] == 201
    assert (await world.ask(("DELETE", PERSON), Row("rights"), "ada", f"Bearer {key}"))[0] == 204
    await world.house.call("GET", "/v1/people/ada")


async def test_a_persons_token_opens_what_is_theirs_by_their_id_and_as_me(world: World) -> None:
    token = f"Bearer {await world.token('ada')}"
    for route, row in PERSONAL.items():
        if row.scope in PERSON_SCOPES and route != ("DELETE", PERSON):
            for name in ("ada", "me"):
                status, code, _ = await world.ask(route, row, name, token)
                assert status not in (401, 403), (route, name, code)
                assert code != "person_unknown", (route, name)


async def test_me_is_nobody_where_an_app_asks(world: World) -> None:
    for route, row in PERSONAL.items():
        status, code, _ = await world.ask(route, row, "me", f"Bearer {world.house.key}")
        assert (status, code) == (400, "person_invalid"), route


async def test_the_description_says_which_scope_each_route_needs(world: World) -> None:
    paths = (await world.house.call("GET", "/openapi.json"))["paths"]
    for (method, path), row in TABLE.items():
        if path in ("/v1/realtime", "/v1/calls", "/v1/twilio"):
            assert path not in paths
            continue
        needs = [] if row.scope is None else [{"key": [row.scope]}]
        assert paths[path][method.lower()]["security"] == needs, path


async def test_keys_have_every_scope_but_that_of_operators_where_none_is_named(world: World) -> None:
    made = [key for key in await world.house.services.storage.apps.list_keys() if key.app.name == "test-general"]
    assert made[0].scopes == APP_SCOPES == frozenset(SCOPES) - {"operate"}
