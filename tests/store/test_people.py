"""People, their devices and their recent context, on each kind of database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from assistant.errors import AlreadyTaken, Conflict, Invalid, NotFound
from assistant.profile.person import MAX_DEVICES, ContextPart, Device, Profile
from tests.conftest import Databases
from tests.store.profiles import Store, open_profiles

NOW = 1_800_000_000.0
CANARY = "canary-7f3a91"


@pytest.fixture
async def store(databases: Databases) -> AsyncIterator[Store]:
    async with open_profiles(databases) as opened:
        yield opened


def speaker(id: str = "kitchen", name: str = "") -> Device:
    return Device(id, "speaker", name, NOW)


async def test_of_two_changes_that_expect_the_same_version_one_is_refused(store: Store) -> None:
    app = await store.app()
    person = await store.person(app)

    async def change(language: str) -> bool:
        try:
            await store.people.put(app, "ada", Profile(language=language), if_version=person.version)
        except Conflict:
            return False
        return True

    done = await asyncio.gather(*(change(language) for language in ("de", "fr", "it", "es")))
    assert sum(done) == 1
    assert (await store.people.get(app, "ada")).version == 2


async def test_changes_that_expect_nothing_all_count(store: Store) -> None:
    app = await store.app()
    await asyncio.gather(*(store.people.put(app, "ada", Profile(interests=(str(i),))) for i in range(5)))
    assert (await store.people.get(app, "ada")).version == 5


async def test_only_one_makes_somebody_who_must_be_new(store: Store) -> None:
    app = await store.app()
    made = await asyncio.gather(
        *(store.people.put(app, "ada", Profile(), if_version=0) for _ in range(4)), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in made) == ["Conflict"] * 3 + ["tuple"]


async def test_a_device_is_linked_found_and_unlinked(store: Store) -> None:
    app = await store.app()
    ada = await store.person(app)
    assert await store.devices.link(app, ada, speaker())
    assert await store.devices.link(app, ada, Device("phone", "phone", "", NOW + 1))
    assert not await store.devices.link(app, ada, speaker(name="Kitchen")), "known already, and changed"
    assert [(device.id, device.name) for device in await store.devices.list_devices(ada.pseudonym)] == [
        ("kitchen", "Kitchen"),
        ("phone", ""),
    ]
    assert await store.devices.owner(app, "kitchen") == ada.pseudonym
    await store.devices.unlink(app, ada, "kitchen")
    with pytest.raises(NotFound):
        await store.devices.owner(app, "kitchen")
    with pytest.raises(NotFound):
        await store.devices.unlink(app, ada, "kitchen")


async def test_a_device_belongs_to_one_person_of_an_app_at_a_time(store: Store) -> None:
    app, other = await store.app(), await store.app("other")
    ada, bob, stranger = await store.person(app), await store.person(app, "bob"), await store.person(other)
    await store.devices.link(app, ada, speaker())
    with pytest.raises(AlreadyTaken):
        await store.devices.link(app, bob, speaker())
    with pytest.raises(NotFound):
        await store.devices.unlink(app, bob, "kitchen")
    assert await store.devices.link(other, stranger, speaker()), "another app's kitchen is another kitchen"
    await store.devices.unlink(app, ada, "kitchen")
    assert await store.devices.link(app, bob, speaker())


async def test_two_people_who_link_a_device_at_once_don_t_both_get_it(store: Store) -> None:
    app = await store.app()
    people = [await store.person(app, name) for name in ("ada", "bob", "eve")]
    done = await asyncio.gather(
        *(store.devices.link(app, person, speaker()) for person in people), return_exceptions=True
    )
    assert sorted(str(type(result).__name__) for result in done) == ["AlreadyTaken", "AlreadyTaken", "bool"]


async def test_a_person_has_only_so_many_devices(store: Store) -> None:
    app = await store.app()
    ada = await store.person(app)
    for number in range(MAX_DEVICES):
        await store.devices.link(app, ada, speaker(str(number)))
    with pytest.raises(Invalid) as refused:
        await store.devices.link(app, ada, speaker("one more"))
    assert refused.value.code == "too_many_devices"


async def test_recent_context_is_told_until_its_time_is_over(store: Store) -> None:
    ada = await store.person(await store.app())
    await store.contexts.put(
        ada.pseudonym,
        {
            "activity": ContextPart("cooking", NOW, NOW + 60),
            "time_zone": ContextPart("Europe/Paris", NOW, NOW + 600),
        },
    )
    assert set(await store.contexts.read_context(ada.pseudonym)) == {"activity", "time_zone"}
    store.now += 60
    assert set(await store.contexts.read_context(ada.pseudonym)) == {"time_zone"}
    await store.contexts.put(ada.pseudonym, {"time_zone": ContextPart("Asia/Tokyo", store.now, store.now + 9)})
    assert (await store.contexts.read_context(ada.pseudonym))["time_zone"].value == "Asia/Tokyo"
    await store.contexts.put(ada.pseudonym, {}, gone=["time_zone"])
    assert await store.contexts.read_context(ada.pseudonym) == {}


async def test_devices_and_context_are_sealed_and_erased_with_the_person(store: Store) -> None:
    app = await store.app()
    ada, bob = await store.person(app), await store.person(app, "bob")
    for person in (ada, bob):
        await store.devices.link(app, person, speaker(f"{CANARY} {person.id}", CANARY))
        await store.contexts.put(person.pseudonym, {"searches": ContextPart([CANARY], NOW, NOW + 60)})
        store.access.note_access(person.pseudonym, "key_1", "GET /v1/people/{person}")
    await store.access.flush()
    assert CANARY not in await store.everything()
    assert ada.pseudonym in await store.everything()
    await store.people.erase(ada)
    # the changes tell other processes, and go with the next purge
    assert ada.pseudonym not in await store.everything(but="changes")
    assert len(await store.devices.list_devices(bob.pseudonym)) == 1
    assert len(await store.access.list_accesses(bob.pseudonym)) == 1
