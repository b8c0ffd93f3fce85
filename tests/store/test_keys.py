"""API keys: made, listed, replaced, revoked; kept only as hashes; their use noted without anybody waiting."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from assistant.cli import main
from assistant.errors import Invalid, NotFound, Unauthenticated
from assistant.profile.access import APP_SCOPES
from assistant.store.apps import Apps
from assistant.store.database import Database
from tests.clock import Clock

DAY_S = 86_400.0


class TimedApps(Apps):
    """Apps in a file, with the clock that they look at."""

    def __init__(self, file: Path, database: Database, clock: Clock) -> None:
        super().__init__(database, clock)
        self.file, self.clock = file, clock


@pytest.fixture
async def apps(tmp_path: Path, migrated: Path) -> AsyncIterator[TimedApps]:
    file = tmp_path / "apps.db"
    shutil.copy(migrated, file)
    database = Database(f"sqlite:///{file}")
    apps = TimedApps(file, database, Clock())
    yield apps
    await apps.close()
    await database.close()


async def _refusal(apps: TimedApps, key: str) -> str | None:
    try:
        await apps.authenticate(key)
    except Unauthenticated as error:
        return error.code
    return None


class TestAKey:
    async def test_is_kept_only_as_a_hash(self, apps: TimedApps) -> None:
        key = await apps.create_key("shop", "general", called="web")
        await apps.authenticate(key)
        await apps.close()
        with sqlite3.connect(apps.file) as connection:
            kept = "\n".join(connection.iterdump())
        connection.close()
        assert "web" in kept
        assert key not in kept and key.removeprefix("att_") not in kept  # noqa: PT018

    async def test_has_what_it_was_made_with(self, apps: TimedApps) -> None:
        key = await apps.authenticate(
            await apps.create_key("shop", "workplace", called="web", scopes=["infer"], days=2)
        )
        assert (key.app.name, key.app.context, key.name, key.scopes) == (
            "shop",
            "workplace",
            "web",
            frozenset({"infer"}),
        )
        assert (key.created_at, key.expires_at) == (apps.clock.now, apps.clock.now + 2 * DAY_S)
        assert (await apps.authenticate(await apps.create_key("shop", "workplace"))).scopes == APP_SCOPES

    async def test_opens_until_its_last_second(self, apps: TimedApps) -> None:
        key = await apps.create_key("shop", "general", days=1)
        apps.clock.now += DAY_S - 1
        assert await _refusal(apps, key) is None
        apps.clock.now += 1
        assert await _refusal(apps, key) == "key_expired"

    async def test_that_is_revoked_opens_nothing_at_once_and_the_others_of_its_app_do(
        self, apps: TimedApps
    ) -> None:
        first, second = [await apps.create_key("shop", "general", called=name) for name in ("first", "second")]
        await apps.authenticate(first)
        revoked = await apps.revoke_key((await apps.authenticate(first)).id)
        assert revoked.revoked_at == apps.clock.now
        assert (await _refusal(apps, first), await _refusal(apps, second)) == ("key_revoked", None)

    async def test_stays_revoked_since_the_first_time(self, apps: TimedApps) -> None:
        id = (await apps.authenticate(await apps.create_key("shop", "general"))).id
        first = await apps.revoke_key(id)
        apps.clock.now += 60
        assert (await apps.revoke_key(id)).revoked_at == first.revoked_at

    @pytest.mark.parametrize("change", [{"scopes": []}, {"days": 0}, {"days": -1}, {"days": float("inf")}])
    async def test_is_not_made_for_nothing(self, apps: TimedApps, change: dict[str, Any]) -> None:
        with pytest.raises(Invalid):
            await apps.create_key("shop", "general", **change)


class TestRotation:
    async def test_gives_a_key_like_the_old_one_which_lives_on_for_a_while(self, apps: TimedApps) -> None:
        old = await apps.create_key("shop", "general", called="web", scopes=["infer", "consent"])
        new = await apps.rotate_key((await apps.authenticate(old)).id, grace_s=3600)
        before, after = await apps.authenticate(old), await apps.authenticate(new)
        assert (after.app, after.name, after.scopes) == (before.app, before.name, before.scopes)
        assert after.id != before.id
        apps.clock.now += 3600
        assert (await _refusal(apps, old), await _refusal(apps, new)) == ("key_expired", None)

    async def test_prolongs_no_key_that_would_end_before(self, apps: TimedApps) -> None:
        old = await apps.create_key("shop", "general", days=1)
        new = await apps.rotate_key((await apps.authenticate(old)).id, grace_s=10 * DAY_S)
        assert (await apps.authenticate(new)).expires_at == apps.clock.now + DAY_S
        apps.clock.now += DAY_S
        assert await _refusal(apps, old) == "key_expired"

    async def test_without_grace_ends_the_old_one_at_once(self, apps: TimedApps) -> None:
        old = await apps.create_key("shop", "general")
        await apps.rotate_key((await apps.authenticate(old)).id, grace_s=0)
        assert await _refusal(apps, old) == "key_expired"

    async def test_brings_no_dead_key_back(self, apps: TimedApps) -> None:
        id = (await apps.authenticate(await apps.create_key("shop", "general"))).id
        await apps.revoke_key(id)
        with pytest.raises(Invalid, match="create another"):
            await apps.rotate_key(id, grace_s=0)

    async def test_of_a_key_that_is_not_there_says_so(self, apps: TimedApps) -> None:
        for doing in (apps.rotate_key("key_none", grace_s=0), apps.revoke_key("key_none")):
            with pytest.raises(NotFound):
                await doing


class TestItsUse:
    async def test_is_noted_once_a_minute(self, apps: TimedApps) -> None:
        key = await apps.create_key("shop", "general")
        noted = []
        for later in (0, 59, 1, 30, 30):
            apps.clock.now += later
            await apps.authenticate(key)
            await apps.close()
            noted.append((await apps.list_keys())[0].used_at)
        began = noted[0]
        assert began is not None
        assert noted == [began, began, began + 60, began + 60, began + 120]

    async def test_is_noted_after_the_answer_and_a_full_disk_stops_nobody(self, apps: TimedApps) -> None:
        key = await apps.create_key("shop", "general")
        with sqlite3.connect(apps.file) as connection:
            connection.execute(
                "CREATE TRIGGER full BEFORE UPDATE ON api_keys BEGIN SELECT RAISE(ABORT, 'full'); END"
            )
        connection.close()
        assert (await apps.authenticate(key)).app.name == "shop"
        await apps.close()
        assert (await apps.list_keys())[0].used_at is None


async def test_those_that_ended_are_told_from_those_that_live_however_many_there_are(apps: TimedApps) -> None:
    keys = [
        await apps.authenticate(await apps.create_key("shop", "general", days=days)) for days in (1, None, None)
    ]
    await apps.revoke_key(keys[1].id)
    apps.clock.now += DAY_S
    asked = {key.id for key in keys} | {f"key_{n}" for n in range(1_000)}
    ended = await apps.list_ended(asked)
    assert (ended[keys[0].id], ended[keys[1].id], ended["key_7"]) == ("key_expired", "key_revoked", "key_unknown")
    assert set(ended) == asked - {keys[2].id}


def test_the_commands_make_list_replace_and_revoke(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTUNE_DATABASE", f"sqlite:///{tmp_path}/a.db")
    monkeypatch.setenv("ATTUNE_KEYS", f"sqlite:///{tmp_path}/k.db")
    monkeypatch.setenv("ATTUNE_MASTER_KEY_FILE", f"{tmp_path}/m.key")

    def said(*arguments: str, status: int = 0) -> list[str]:
        assert main(["keys", *arguments]) == status
        shown = capsys.readouterr()
        return (shown.out + shown.err).splitlines()

    key = said("create", "--app", "shop", "--name", "web", "--scopes", "infer,consent", "--days", "30")[-1]
    assert key.startswith("att_")
    listed = said("list")
    assert len(listed) == 1
    assert "shop" in listed[0] and "'web'" in listed[0] and "[consent infer]" in listed[0]  # noqa: PT018
    assert key not in listed[0]
    id = listed[0].split()[0]
    assert said("rotate", "--key", id, "--grace-hours", "2")[-1].startswith("att_")
    said("revoke", "--key", id)
    assert ["revoked" in line for line in said("list")] == [True, False]
    assert "key_unknown" in said("revoke", "--key", "key_none", status=1)[-1]
    assert "scope_unknown" in said("create", "--app", "shop", "--scopes", "fly", status=1)[-1]
