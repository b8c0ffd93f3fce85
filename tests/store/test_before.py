"""A database of the version before opens with this one, and nothing in it is lost."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from assistant.consent.records import Audit
from assistant.store.database import Database
from assistant.store.migrate import SchemaUnknown, migrate
from tests.conftest import Databases, House, OpenHouse
from tests.store.schemas import describe_schema

BEFORE = Path(__file__).parent / "before"
MADE: dict[str, Any] = json.loads((BEFORE / "made.json").read_text())
OLD = ("0001", "0002", "0003", "0004", "0005", "0010")


@pytest.fixture
async def before(open_house: OpenHouse, tmp_path: Path) -> House:
    """A server on copies of the old databases, ten minutes later; its key is the old app's."""
    for name in ("main.sqlite", "keys.sqlite", "master.key"):
        shutil.copy(BEFORE / name, tmp_path / f"before-{name}")
    house = await open_house(
        first_id=1000,
        database=f"sqlite:///{tmp_path}/before-main.sqlite",
        keys=f"sqlite:///{tmp_path}/before-keys.sqlite",
        master_key_file=tmp_path / "before-master.key",
    )
    house.key = MADE["key"]
    house.clock.now += 600
    return house


async def exported(house: House) -> list[dict[str, Any]]:
    async with house.client.get("/v1/people/ada/export", headers=house.headers) as answer:
        return [json.loads(line) for line in (await answer.text()).splitlines()]


async def test_people_consents_and_the_chain_are_as_they_were(before: House) -> None:
    assert (await before.call("GET", "/v1/people/ada"))["profile"] == MADE["profile"]
    consents = (await before.call("GET", "/v1/people/ada/consent"))["consents"]
    granted = {(c["modality"], c["purpose"]) for c in consents if c["granted"]}
    assert granted == {("text", "tone"), ("text", "content"), ("text", "remember")}
    await before.call("GET", "/v1/people/eve", status=404)
    audit = Audit(MADE["head"])
    audit.check_records(await before.services.storage.records.after(0))
    assert (audit.broken, audit.seen, audit.head) == (None, True, MADE["head"])


async def test_a_decision_is_explained_as_it_was_made(before: House) -> None:
    expected = MADE["explained"]
    answer = await before.call("GET", f"/v1/decisions/{MADE['messages'][0]}/explain")
    tone, ranking = answer["tone"], answer["ranking"]
    assert answer["at"] == expected["at"]
    assert (tone["manner"], tone["without_mood"]) == (expected["manner"], expected["without_mood"])
    assert [rule["code"] for rule in tone["rules"]] == expected["rules"]
    assert [[item["id"], item["propensity"]] for item in ranking["items"]] == expected["items"]
    assert ranking["inputs"] == expected["inputs"]


async def test_decisions_can_be_activated_and_rewarded_and_count_once(before: House) -> None:
    click = {"kind": "click", "item": MADE["clicked"]}
    assert not (await before.call("POST", f"/v1/decisions/{MADE['ranked']}/reward", click))["counted"]
    done = click | {"kind": "completion"}
    assert (await before.call("POST", f"/v1/decisions/{MADE['ranked']}/reward", done, status=201))["counted"]
    later = await before.call("GET", f"/v1/decisions/{MADE['later']}/explain")
    item = {"kind": "click", "item": later["ranking"]["items"][0]["id"]}
    await before.call("POST", f"/v1/decisions/{MADE['later']}/reward", item, status=409)
    await before.call("POST", f"/v1/decisions/{MADE['later']}/activate")
    assert (await before.call("POST", f"/v1/decisions/{MADE['later']}/reward", item, status=201))["counted"]


async def test_the_person_goes_on_and_exports_old_and_new(before: House) -> None:
    answer = await before.message("Everything is going wrong again.")
    assert answer["mood"] is not None
    records = await exported(before)
    kinds = {kind: sum(1 for record in records if record["record"] == kind) for kind in records[0]["counts"]}
    assert kinds == records[0]["counts"]
    assert (kinds["device"], kinds["context"], kinds["mood"], kinds["decision"], kinds["reward"]) == (1, 2, 4, 6, 1)
    assert {*MADE["messages"], MADE["ranked"], MADE["later"]} < {
        record["id"] for record in records if record["record"] == "decision"
    }
    assert records[-1]["record"] == "end"


async def test_an_erasure_leaves_only_the_ledger(before: House) -> None:
    pseudonym = (await before.known("ada")).pseudonym
    await before.call("DELETE", "/v1/people/ada", status=204)
    await before.call("GET", "/v1/people/ada", status=404)
    await before.call("GET", f"/v1/decisions/{MADE['messages'][0]}/explain", status=404)
    storage = before.services.storage
    assert [record.event for record in await storage.records.history(pseudonym)] == ["granted"] * 3 + ["erased"]
    audit = Audit(MADE["head"])
    audit.check_records(await storage.records.after(0))
    assert (audit.broken, audit.seen) == (None, True)


# The schema


async def test_the_schema_is_the_one_that_the_old_migrations_made_and_the_changes(databases: Databases) -> None:
    database = Database(databases.main)
    async with database.read() as connection:
        found = await connection.run_sync(describe_schema)
    await database.close()
    changes = found["tables"].pop("changes")
    assert [column[0] for column in changes["columns"]] == ["seq", "about", "at"]
    found["triggers"] = [trigger for trigger in found["triggers"] if "changes" not in trigger]
    assert found == json.loads((BEFORE / "schema.json").read_text())[database.kind]


@pytest.mark.parametrize("revision", OLD)
def test_a_database_that_is_too_old_is_refused_with_what_to_do(tmp_path: Path, revision: str) -> None:
    file = tmp_path / "main.sqlite"
    shutil.copy(BEFORE / "main.sqlite", file)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        connection.commit()
    with pytest.raises(SchemaUnknown, match=r"first run `assistant migrate` of the version before") as refused:
        migrate(f"sqlite:///{file}")
    assert repr(revision) in str(refused.value)
    assert refused.value.code == "schema_unknown"


@pytest.mark.slow
def test_postgresql_says_so_too(postgres_databases: Databases) -> None:

    async def age() -> None:
        database = Database(postgres_databases.main)
        async with database.write() as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = '0005'"))
        await database.close()

    asyncio.run(age())
    with pytest.raises(SchemaUnknown, match="'0005'"):
        migrate(postgres_databases.main)
