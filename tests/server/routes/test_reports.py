"""Reports to an app and to a person: bounded, withheld where few stand behind them, the same on every worker."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from assistant.recommend.bubble import LATELY, REFRESH_S, ShownLately, bubble
from assistant.recommend.catalogue import Catalogue, Item
from assistant.recommend.item_table import lay_out
from tests.conftest import House, OpenHouse

NOW = 1_800_000_000.0
KINDS = ("article", "music", "exercise", "video")


def catalogue() -> Catalogue:
    """Twelve things of four kinds, of which those in German are music, and one is an offer in English."""
    plain = [Item(f"i{n}", f"Thing {n}", KINDS[n % 4]) for n in range(8)]
    german = [Item(f"g{n}", f"Ding {n}", "music", language="de") for n in range(4)]
    return Catalogue("1", (*plain, *german, Item("sale", "Sale", "voucher", commercial=True)))


async def put(house: House, what: Catalogue) -> None:
    headers = {**house.headers, "Content-Type": "application/json"}
    await house.call("PUT", "/v1/catalogue", data=msgspec.json.encode(what), headers=headers)


async def crowd(house: House, count: int, prefix: str = "p", **profile: Any) -> list[str]:
    """People of one kind, each shown one slate; their decisions."""
    names = [f"{prefix}{n}" for n in range(count)]
    for name in names:
        await house.person(name, **profile)
    found = []
    for start in range(0, count, 50):
        wanted = [{"person": name, "slots": 3} for name in names[start : start + 50]]
        found += (await house.call("POST", "/v1/rank", {"requests": wanted}))["results"]
    return found


async def click(house: House, results: list[Any]) -> None:
    for one in results:
        body = {"item": one["recommendations"][0]["id"], "kind": "click"}
        await house.call("POST", f"/v1/decisions/{one['decision']}/reward", body, status=201)


# What recommendations came to


async def test_the_report_tells_rates_with_intervals_over_people(open_house: OpenHouse) -> None:
    house = await open_house(affect="absent")
    shown = await crowd(house, 40)
    await click(house, shown[:10])
    await house.call("POST", "/v1/people/p0/rank", {"activate": "later"})  # never shown
    told = await house.call("GET", "/v1/reports/recommendations")
    assert (told["decisions"], told["rewards"], told["people"]) == (40, 10, 40)
    assert told["rates"]["click"]["value"] == 0.25
    assert 0.1 < told["rates"]["click"]["low"] < 0.25 < told["rates"]["click"]["high"] < 0.45
    assert told["rates"]["conversion"]["value"] == 0.0 < told["rates"]["conversion"]["high"]
    assert told["mean_reward"]["value"] == pytest.approx(0.075)
    assert told["read"] == {
        "decisions": 41, "whole": True, "since": NOW - 30 * 86_400, "oldest_shown": NOW,
    }  # fmt: skip
    assert told["opt_out_rate"] is None  # nobody ever granted anything
    assert told["correction_rate"] is None
    assert told["arms"]["mood"] == {"people": None, "rates": None, "mean_reward": None}


async def test_the_report_advises_against_the_mood_without_evidence_and_withholds_numbers_of_few(
    house: House,
) -> None:
    await house.person()
    await house.consent("text", "content")
    decided = await house.call("POST", "/v1/people/ada/rank", {})
    await click(house, [decided])
    told = await house.call("GET", "/v1/reports/recommendations")
    assert (told["people"], told["rates"], told["mean_reward"]) == (None, None, None)
    assert told["mood"]["people"] == {"mood": None, "blind": None}
    assert told["mood"]["uplift"] is None
    assert told["mood"]["verdict"] == "insufficient evidence"
    assert "nothing speaks for using the mood" in told["mood"]["advice"]


async def test_a_report_is_of_the_days_asked_for(open_house: OpenHouse) -> None:
    house = await open_house(affect="absent")
    await crowd(house, 3)
    house.clock.now += 40 * 86_400
    await house.call("POST", "/v1/people/p0/rank", {})
    assert (await house.call("GET", "/v1/reports/recommendations"))["decisions"] == 1
    assert (await house.call("GET", "/v1/reports/recommendations?days=365"))["decisions"] == 4
    for days in ("0", "366", "-1", "1.5", "kanarie", "٣"):
        for path in ("recommendations?days=", "fairness?by=language&days="):
            said = await house.call("GET", f"/v1/reports/{path}{days}", status=400)
            assert said["code"] == "days_invalid"
            assert "kanarie" not in str(said)


async def test_only_the_latest_are_read_and_it_is_said(open_house: OpenHouse) -> None:
    house = await open_house(affect="absent")
    results = await crowd(house, 7)
    await click(house, results)
    house.clock.now += 60
    await house.call("POST", "/v1/people/p3/rank", {})
    app = (await house.app()).id
    sample = await house.services.storage.exposures.sample(app, 0.0, most=5)
    assert (sample.read, sample.whole, len(sample.shown)) == (5, False, 5)
    assert sample.shown[0].at == NOW + 60  # the newest first
    whole = await house.services.storage.exposures.sample(app, 0.0, most=8)
    assert (whole.read, whole.whole) == (8, True)
    assert sum(len(one.came) for one in whole.shown) == 7


@pytest.mark.slow
async def test_a_report_reads_page_after_page_without_losing_or_repeating(open_house: OpenHouse) -> None:
    house = await open_house(affect="absent")
    await crowd(house, 270)  # more than one page, all at the same time
    app = (await house.app()).id
    sample = await house.services.storage.exposures.sample(app, 0.0)
    assert len({one.person for one in sample.shown}) == len(sample.shown) == 270


async def test_reports_know_nothing_of_other_apps_of_the_erased_and_of_the_restricted(
    open_house: OpenHouse,
) -> None:
    house = await open_house(affect="absent")
    await crowd(house, 4)
    await house.call("DELETE", "/v1/people/p1", status=204)
    await house.call("POST", "/v1/people/p2/restriction", {"restricted": True})
    told = await house.call("GET", "/v1/reports/recommendations")
    assert told["decisions"] == 2
    await house.call("POST", "/v1/people/p2/restriction", {"restricted": False})
    assert (await house.call("GET", "/v1/reports/recommendations"))["decisions"] == 3
    other = {"Authorization": f"Bearer {await house.services.storage.apps.create_key('other', 'general')}"}
    assert (await house.call("GET", "/v1/reports/recommendations", headers=other))["decisions"] == 0


# Who was shown what


async def test_the_report_of_fairness_finds_whom_it_shows_no_offers(open_house: OpenHouse) -> None:
    house = await open_house(affect="absent")
    await put(house, catalogue())
    await crowd(house, 60, "e", language="en")
    await crowd(house, 40, "d", language="de")
    await crowd(house, 12, "f", language="fr")
    await crowd(house, 3, "x", language="it")
    told = await house.call("GET", "/v1/reports/fairness?by=language")
    groups = {group["group"]: group for group in told["groups"]}
    assert list(groups) == ["en", "de", "fr"]
    assert told["not_shown"] == 1  # three people: not even named
    assert groups["fr"]["verdict"] == "insufficient evidence"
    assert (groups["fr"]["offers"], groups["fr"]["kinds"], groups["fr"]["people"]) == (None, {}, 10)
    assert groups["de"]["kinds"]["music"]["value"] == 1.0
    assert groups["de"]["kinds"]["music"]["verdict"] == "differs"
    assert groups["de"]["offers"]["value"] == 0.0 < groups["en"]["offers"]["value"]
    assert groups["de"]["offers"]["difference"]["value"] == -groups["en"]["offers"]["difference"]["value"]
    assert groups["en"]["reward"]["verdict"] == "no difference found"
    assert told["read"]["decisions"] == 115


async def test_people_are_grouped_by_what_the_app_declared_and_by_nothing_else(open_house: OpenHouse) -> None:
    house = await open_house(affect="absent")
    properties = {"team": {"type": "string"}, "member": {"type": "boolean"}, "weight": {"type": "number"}}
    await house.call("PUT", "/v1/profile-schema", {"properties": properties})
    await crowd(house, 31, "a", attributes={"member": True})
    await crowd(house, 33, "b")
    told = await house.call("GET", "/v1/reports/fairness?by=member")
    assert [(group["group"], group["people"]) for group in told["groups"]] == [(None, 35), ("true", 30)]
    for name in ("", "mood", "stress", "weight", "interests", "kanarie", "goals"):
        said = await house.call("GET", f"/v1/reports/fairness?by={name}", status=400)
        assert said["code"] == "group_invalid"
        assert "kanarie" not in str(said)
        assert "team" in said["detail"]


# What one person was shown


async def test_a_person_is_told_how_varied_what_they_were_shown_is(open_house: OpenHouse) -> None:
    house = await open_house(affect="absent")
    await put(house, catalogue())
    path = await house.person(language="de")  # in German there is nothing but music
    told = await house.call("GET", f"{path}/exposure")
    assert (told["measured"]["shown"], told["acts"]) == (0, False)
    for _ in range(6):
        await house.call("POST", f"{path}/rank", {"slots": 4})
    told = await house.call("GET", f"{path}/exposure")
    assert told["measured"]["shown"] == 24
    assert (told["measured"]["kinds"], told["measured"]["of"], told["measured"]["coverage"]) == (1, 5, 0.2)
    assert (told["measured"]["entropy"], told["acts"], told["because"]) == (0.0, True, "narrow")
    assert "24 items, of 1 of the 5 kinds" in told["words"][0]
    assert "more different things are mixed in" in told["words"][-1]
    decided = await house.call("POST", f"{path}/rank", {})
    assert decided["diversity"]["because"] == "bubble_limit"


async def test_a_bubble_survives_a_restart_and_other_workers_know_it(open_house: OpenHouse, tmp_path: Any) -> None:
    own: Any = {"database": f"sqlite:///{tmp_path}/a.db", "keys": f"sqlite:///{tmp_path}/k.db", "affect": "absent"}
    one = await open_house(**own)
    await put(one, catalogue())
    path = await one.person(language="de")
    for _ in range(6):
        await one.call("POST", f"{path}/rank", {"slots": 4})
    known = await one.call("GET", f"{path}/exposure")
    app = await one.app()
    recommender = one.services.recommender
    person = await one.services.storage.people.get(app, "ada")
    fresh = ShownLately(one.services.storage.exposures)
    table = await recommender.item_table(app.id)
    measured = bubble(await fresh.kinds(person.pseudonym, NOW), table.kinds)
    assert measured == await recommender.bubble(app.id, person.pseudonym, NOW)
    assert known["measured"]["shown"] == len(await fresh.kinds(person.pseudonym, NOW)) == 24


async def test_a_worker_reads_again_what_others_showed_and_only_then() -> None:
    class Log:
        shown, reads = ["music"], 0

        async def kinds(self, person: str, most: int) -> list[str]:
            self.reads += 1
            return self.shown[-most:]

    log = Log()
    lately = ShownLately(log)
    assert list(await lately.kinds("p", NOW)) == ["music"]
    log.shown.append("news")
    lately.add("p", ["video"])
    assert list(await lately.kinds("p", NOW + REFRESH_S - 1)) == ["music", "video"]
    assert log.reads == 1
    assert list(await lately.kinds("p", NOW + REFRESH_S)) == ["music", "news"]
    lately.forget("p")
    await lately.kinds("p", NOW + REFRESH_S)
    assert log.reads == 3


async def test_what_is_read_while_a_person_is_erased_is_not_kept() -> None:
    class Log:
        reads = 0

        async def kinds(self, person: str, most: int) -> list[str]:
            self.reads += 1
            lately.forget("p")
            return ["music"]

    log = Log()
    lately = ShownLately(log)
    await lately.kinds("p", NOW)
    await lately.kinds("p", NOW)
    assert log.reads == 2  # nothing was in memory the second time


async def test_what_was_ranked_ahead_counts_once_it_is_shown(open_house: OpenHouse) -> None:
    house = await open_house(affect="absent")
    path = await house.person()
    decided = await house.call("POST", f"{path}/rank", {"slots": 4, "activate": "later"})
    assert (await house.call("GET", f"{path}/exposure"))["measured"]["shown"] == 0
    await house.call("POST", f"/v1/decisions/{decided['decision']}/activate")
    assert (await house.call("GET", f"{path}/exposure"))["measured"]["shown"] == 4


@pytest.mark.parametrize("limit", ["gpc", "restricted", "objected"])
async def test_nothing_that_a_person_was_shown_is_looked_at_where_they_asked_so(
    open_house: OpenHouse, limit: str
) -> None:
    house = await open_house(affect="absent")
    await put(house, catalogue())
    path = await house.person(language="de")
    for _ in range(6):
        await house.call("POST", f"{path}/rank", {"slots": 4})
    headers = dict(house.headers)
    if limit == "gpc":
        headers["Sec-GPC"] = "1"
    elif limit == "restricted":
        await house.call("POST", f"{path}/restriction", {"restricted": True})
    else:
        await house.call("POST", f"{path}/objection", {"objected": True})
    decided = await house.call("POST", f"{path}/rank", {"slots": 4}, headers=headers)
    assert "diversity" not in decided
    told = await house.call("GET", f"{path}/exposure", headers=headers)
    assert (told["measured"], told["acts"]) == (None, False)
    assert told["limits"][0]["code"] == limit
    # nor does what was shown meanwhile count later
    await house.call("POST", f"{path}/restriction", {"restricted": False})
    await house.call("POST", f"{path}/objection", {"objected": False})
    assert (await house.call("GET", f"{path}/exposure"))["measured"]["shown"] == 24
    app = await house.app()
    person = await house.services.storage.people.get(app, "ada")
    assert len(await house.services.storage.exposures.kinds(person.pseudonym, LATELY)) == 24


async def test_the_history_of_an_erased_person_is_gone(open_house: OpenHouse) -> None:
    house = await open_house(affect="absent")
    path = await house.person()
    await house.call("POST", f"{path}/rank", {})
    app = await house.app()
    pseudonym = (await house.services.storage.people.get(app, "ada")).pseudonym
    await house.call("DELETE", path, status=204)
    assert list(await house.services.storage.exposures.kinds(pseudonym, LATELY)) == []
    assert (await house.services.recommender.bubble(app.id, pseudonym, NOW)).shown == 0


def test_a_drift_that_narrows_is_told_as_one() -> None:
    seen = bubble(["news", "music", "exercise"] * 10 + ["video"] * 30, {"news", "music", "exercise", "video"})
    assert (seen.passed, seen.coverage) == ("drifting", 1.0)
    assert "becoming narrower" in seen.words[-1]
    assert bubble([], ["news"]).words == ["Nothing that you were shown lately is on record here."]


def test_only_the_kinds_of_the_shelf_count_as_covered() -> None:
    table = lay_out(catalogue().items)
    assert bubble(["gone"] * 30, {item.kind for item in table.items}).coverage == 0.0
