"""Receipts: true, complete in the fields of the standard, safe to open."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest

from assistant.consent.dpv import CONTEXT, ReceiptDetails, consent_status, receipt_document, retention_text
from assistant.consent.receipt import DECISIONS, Actor, Event, Record, receipt
from assistant.emotion import MODALITIES, PURPOSES
from assistant.server.routes.consents import page
from tests.conftest import House, OpenHouse

NOW = 1_800_000_000.0
ABOUT = ReceiptDetails(
    "Example Ltd",
    "app1",
    "ada",
    "/v1/people/ada",
    ("DE", "US-IL"),
    900.0,
    30.0,
    365.0,
    "1 Road",
    "dpo@example.com",
    ("DE",),
)
TERMS = {  # of DPV 2.3, PD and Dublin Core; others are spelled wrongly or made up
    *(
        "dpv:ConsentReceipt",
        "dpv:ConsentRecord",
        "dpv:hasRecordOfActivity",
        "dpv:hasDataSubject",
        "dpv:DataSubject",
    ),
    *("dpv:hasDataController", "dpv:DataController", "dpv:hasName", "dpv:hasJurisdiction", "dpv:hasNotice"),
    *(
        "dpv:ConsentNotice",
        "dpv:hasConsentStatus",
        "dpv:ConsentGiven",
        "dpv:ConsentWithdrawn",
        "dpv:ConsentExpired",
    ),
    *("dpv:ConsentRevoked", "dpv:ConsentStatusInvalidForProcessing", "dpv:hasProcess", "dpv:Process"),
    *("dpv:hasPurpose", "dpv:ServicePersonalisation", "dpv:ProvidePersonalisedRecommendations"),
    *("dpv:ResearchAndDevelopment", "dpv:hasLegalBasis", "dpv:Consent", "dpv:hasPersonalData", "pd:Communication"),
    *("dpv:hasNecessity", "dpv:Optional", "dpv:hasDataSource", "dpv:InferredPersonalData", "dpv:hasProcessing"),
    *("dpv:hasAddress", "dpv:hasContact", "dpv:StorageLocation", "dpv:hasLocation"),
    *("dpv:Collect", "dpv:Infer", "dpv:Profiling", "dpv:hasStorageCondition", "dpv:StorageDuration"),
    *("dpv:hasRecipient", "dpv:Recipient", "dpv:hasConsentControl", "dpv:WithdrawConsent", "dpv:hasRight"),
    *("dpv:DataSubjectRight", "dpv:isIndicatedBy", "dpv:hasIndicationMethod", "loc:DE", "loc:US"),
    *("dct:conformsTo", "dct:identifier", "dct:created", "dct:publisher", "dct:language", "dct:description"),
    *("dct:hasVersion", "dct:date", "dct:valid"),
    *("attune:request", "attune:events", "attune:ledgerHash", "attune:refusedBy"),
}


def a_record(event: Event = "granted", seq: int = 1, **change: Any) -> Record:
    values: dict[str, Any] = {
        "id": f"r{seq}", "person": "pseudonym-1", "at": NOW, "event": event, "modality": "voice", "purpose": "tone",
        "notice": "1", "expires_at": NOW + 86_400 if event == "granted" else None, "actor": Actor("app", "api"),
        "reason": "minor" if event == "refused" else None, "app": "app1", "seq": seq, "hash": "ab" * 32,
    }  # fmt: skip
    return Record(**(values | change))


HISTORY = [
    a_record("granted", 1),
    a_record("notice_shown", 2, purpose=None),
    a_record("granted", 3, purpose="content"),
    a_record("withdrawn", 4, actor=Actor("person", "token")),
    a_record("granted", 5),
]


def used(value: Any) -> set[str]:
    """All prefixed names in a receipt_document, as keys, types and references."""
    if isinstance(value, dict):
        named = {str(value[key]) for key in ("@id", "@type") if key in value}
        return {name for name in (*named, *value) if re.match(r"\w+:\w", name)}.union(
            *(used(inner) for key, inner in value.items() if key != "@context")
        )
    return set().union(*(used(inner) for inner in value)) if isinstance(value, list) else set()


@pytest.mark.parametrize("event", sorted(DECISIONS))
@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize("modality", MODALITIES)
def test_a_receipt_uses_terms_that_exist(event: Event, purpose: Any, modality: Any) -> None:
    record = a_record(event, 1, purpose=purpose, modality=modality)
    paper = receipt_document(record, [record], ABOUT)
    names = {name for name in used(paper) if not name.startswith(("urn:", "https:"))}
    assert names <= TERMS
    assert {name.partition(":")[0] for name in names} <= set(CONTEXT)


def test_a_receipt_has_the_mandatory_fields_that_a_server_can_know() -> None:
    paper = receipt_document(HISTORY[0], HISTORY, ABOUT)
    record = paper["dpv:hasRecordOfActivity"]
    assert paper["dct:conformsTo"] == {"@id": "https://w3id.org/dpv/schema/dpv-27560#receipt"}
    assert record["dct:conformsTo"] == {"@id": "https://w3id.org/dpv/schema/dpv-27560#record"}
    assert (paper["dct:identifier"], paper["dct:created"]) == ("r1", "2027-01-15T08:00:00Z")
    assert record["dpv:hasDataSubject"]["dct:identifier"] == "ada"
    assert record["dpv:hasDataController"]["dpv:hasName"] == "Example Ltd"
    assert record["dpv:hasNotice"]["dct:hasVersion"] == "1"
    assert record["dpv:hasNotice"]["dct:description"].startswith("If you allow it")
    assert record["dpv:hasProcess"]["dpv:hasLegalBasis"] == {"@id": "dpv:Consent"}
    assert record["dpv:hasConsentControl"]["attune:request"]["body"] == {
        "modality": "voice", "purpose": "tone", "granted": False,
    }  # fmt: skip
    assert [place["dct:identifier"] for place in record["dpv:hasJurisdiction"]] == ["DE", "US-IL"]
    (event,) = record["attune:events"]
    assert (event["dct:valid"], event["attune:ledgerHash"]) == ("2027-01-16T08:00:00Z", "ab" * 32)


def test_a_receipt_tells_what_happened_to_its_own_purpose_until_then() -> None:
    events = receipt_document(HISTORY[3], HISTORY, ABOUT)["dpv:hasRecordOfActivity"]["attune:events"]
    assert [event["dct:identifier"] for event in events] == ["r1", "r4"]
    assert [event["dpv:isIndicatedBy"] for event in events] == ["app", {"@id": "dpv:DataSubject"}]


def test_a_receipt_names_the_person_as_the_app_does_and_never_their_pseudonym() -> None:
    for record in HISTORY:
        if record.event in DECISIONS:
            assert "pseudonym-1" not in json.dumps(receipt_document(record, HISTORY, ABOUT))
            assert "pseudonym-1" not in page(record, HISTORY, ABOUT)


@pytest.mark.parametrize(
    ("event", "actor", "state"),
    [
        ("granted", Actor("app", "api"), "dpv:ConsentGiven"),
        ("withdrawn", Actor("person", "token"), "dpv:ConsentWithdrawn"),
        ("withdrawn", Actor("app", "api"), "dpv:ConsentWithdrawn"),
        ("withdrawn", Actor("app", "profile"), "dpv:ConsentRevoked"),
        ("expired", Actor("clock", "expiry"), "dpv:ConsentExpired"),
        ("refused", Actor("app", "api"), "dpv:ConsentStatusInvalidForProcessing"),
    ],
)
def test_the_state_says_whose_doing_it_was(event: Event, actor: Actor, state: str) -> None:
    assert consent_status(a_record(event, actor=actor)) == state


def test_what_is_kept_is_said_of_each_purpose_and_follows_the_settings() -> None:
    assert "900 seconds" in retention_text("tone", ABOUT)
    assert "30 days" in retention_text("remember", ABOUT)
    assert "7 days" in retention_text("remember", replace(ABOUT, history_days=7.0))
    assert retention_text("research", ABOUT) == "nothing is kept for this"


# The page


class Page(HTMLParser):
    """What a page consists of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [
            (name, value) for name, value in attrs if name in ("src", "href", "style") or name[:2] == "on"
        ]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_page_is_whole_in_itself_and_fits_light_and_dark() -> None:
    text = page(HISTORY[4], HISTORY, ABOUT)
    shown = Page(text)
    assert "script" not in shown.tags
    assert shown.loads == []
    assert "url(" not in text
    assert "@import" not in text
    assert "color-scheme: light dark" in text
    assert "prefers-color-scheme: dark" in text


def test_the_page_says_the_same_as_the_document() -> None:
    words = " ".join(Page(page(HISTORY[4], HISTORY, ABOUT)).words)
    for said in (
        "You allowed this",
        "2027-01-16 08:00:00 UTC",
        "Example Ltd",
        "DE, US-IL",
        "900 seconds",
        "ab" * 32,
    ):
        assert said in words


def test_the_page_escapes_whatever_anybody_chose() -> None:
    nasty = "<script>alert(1)</script>\"'&"
    about = replace(ABOUT, controller=nasty, person=nasty, path=f"/v1/people/{nasty}", places=(nasty,))
    record = a_record("refused", reason=nasty, notice=nasty, id=nasty, hash=nasty)
    text = page(record, [record], about)
    assert "<script" not in text
    assert Page(text).tags.count("main") == 1
    assert Page(text).loads == []


# Through the API


async def test_a_person_can_fetch_the_whole_receipt(house: House) -> None:
    await house.person(country="DE")
    short = await house.consent("text", "tone")
    assert short["link"] == f"/v1/people/ada/receipts/{short['receipt']}"
    whole = await house.call("GET", short["link"])
    assert whole["dct:identifier"] == short["receipt"]
    assert whole["dct:created"] == short["at"]
    assert [p["dct:identifier"] for p in whole["dpv:hasRecordOfActivity"]["dpv:hasJurisdiction"]] == ["DE"]
    listed = (await house.call("GET", "/v1/people/ada/consent"))["receipts"]
    assert [receipt["link"] for receipt in listed] == [short["link"]]


async def test_a_browser_gets_a_page_that_may_load_nothing(house: House) -> None:
    path = await house.person()
    short = await house.consent("voice", "tone")
    headers = house.headers | {"Accept": "text/html,application/xhtml+xml;q=0.9"}
    async with house.client.get(short["link"], headers=headers) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/html"
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert "You allowed this" in await answer.text()
    async with house.client.get(short["link"], headers=house.headers) as answer:
        assert answer.content_type == "application/ld+json"
    assert path in short["link"]


async def test_nobody_gets_the_receipt_of_somebody_else(house: House) -> None:
    await house.person("ada")
    await house.person("bob")
    short = await house.consent("text", "tone", name="ada")
    for path in (short["link"].replace("ada", "bob"), "/v1/people/ada/receipts/none"):
        refused = await house.call("GET", path, status=404)
        assert refused["code"] == "receipt_unknown"


def test_the_short_receipt_keeps_its_names() -> None:
    names = {
        "receipt", "event", "at", "controller", "modality", "purpose", "means", "notice", "expires_at",
        "decided_by", "reason", "withdraw", "statement",
    }  # fmt: skip
    assert set(msgspec.to_builtins(receipt(HISTORY[0], controller="Example Ltd"))) == names


async def test_the_app_tells_who_it_is_and_where_data_is_kept(open_house: OpenHouse) -> None:
    house = await open_house(affect="absent")
    await house.person()
    said = {"address": "1 <Road>", "contact": "dpo@example.com", "stored_in": ["DE"]}
    shown = await house.call("PATCH", "/v1/app", said)
    assert said.items() <= shown.items()
    link = (await house.consent("text", "tone"))["link"]
    record = (await house.call("GET", link))["dpv:hasRecordOfActivity"]
    controller = record["dpv:hasDataController"]
    assert (controller["dpv:hasAddress"], controller["dpv:hasContact"]) == ("1 <Road>", "dpo@example.com")
    where = record["dpv:hasProcess"]["dpv:hasStorageCondition"][1]
    assert where["dpv:hasLocation"] == [{"@id": "loc:DE", "dct:identifier": "DE"}]
    async with house.client.get(link, headers=house.headers | {"Accept": "text/html"}) as answer:
        assert "1 &lt;Road&gt;, dpo@example.com" in await answer.text()
    await house.call("PATCH", "/v1/app", {"address": None, "contact": None, "stored_in": []})
    assert "dpv:hasAddress" not in str(await house.call("GET", link))
    await house.call("PATCH", "/v1/app", {"stored_in": ["Germany"]}, status=400)
