"""What the law asks for, row by row, and the signed exceptions from it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from assistant.cli import main
from assistant.config import Settings
from assistant.consent.exceptions import Exceptions, Terms, exceptions_of, read_exceptions, sign_terms
from assistant.consent.legal_rules import (
    CONSENT_AGES,
    CONTEXTS,
    DISCLOSE_EVERY_S,
    DUTIES,
    EU,
    PROHIBITIONS,
    UNKNOWN_AGE,
    AgeBand,
    Exemption,
    Subject,
    applies_in,
    consent_age,
    disclosure_text,
    duties_for,
    explain_policy,
    find_needed_exemption,
    find_prohibition,
    is_disclosure_due,
)
from assistant.emotion import MODALITIES
from assistant.errors import ConfigInvalid
from tests.conftest import OpenHouse

NOW = 1_800_000_000.0
YEAR = 365 * 86_400.0


def code(subject: Subject, modality: Any, now: float | None = None) -> str | None:
    rule = find_prohibition(subject, modality, now)
    return None if rule is None else rule.code


# Refusals: context of use, age, place -> what is refused of voice and of text.

REFUSED: list[tuple[str, str, str | None, str | None, str | None]] = [
    ("general", "adult", None, None, None),
    ("general", "adult", "DE", None, None),
    ("general", "adult", "US-IL", None, None),
    ("workplace", "adult", None, "context_workplace", None),
    ("workplace", "adult", "FR", "context_workplace", None),
    ("workplace", "adult", "US-TX", "context_workplace", None),
    ("education", "adult", None, "context_education", None),
    ("education", "adult", "ES", "context_education", None),
    ("therapy", "adult", "US-IL", "context_therapy", "therapy_illinois"),
    ("therapy", "adult", "US", "context_therapy", "therapy_illinois"),
    ("therapy", "adult", None, "context_therapy", "therapy_illinois"),
    ("therapy", "adult", "US-CA", "context_therapy", None),
    ("therapy", "adult", "DE", "context_therapy", None),
    ("medical", "adult", None, "context_medical", None),
    ("medical", "adult", "IT", "context_medical", None),
    *[("general", band, place, "minor", "minor") for band in ("teen", "child", "minor") for place in (None, "DE")],
    ("therapy", "teen", "US-IL", "minor", "minor"),
]


def at(place: str | None, context: Any = "general", age_band: Any = "adult") -> Subject:
    country, _, region = (place or "").partition("-")
    return Subject("p", context, age_band, country=country or None, region=region or None)


@pytest.mark.parametrize(("context", "age_band", "place", "voice", "text"), REFUSED)
def test_each_row_of_the_refusals(
    context: str, age_band: str, place: str | None, voice: str | None, text: str | None
) -> None:
    subject = at(place, context, age_band)
    assert (code(subject, "voice"), code(subject, "text")) == (voice, text)


def test_the_rows_cover_every_rule_every_context_and_every_age() -> None:
    assert {name for row in REFUSED for name in row[3:] if name} == {rule.code for rule in PROHIBITIONS}
    assert {row[0] for row in REFUSED} == set(CONTEXTS)
    assert {row[1] for row in REFUSED} == set(get_args(AgeBand))


def test_no_rule_is_without_a_reason_and_a_source() -> None:
    assert all(row.source for row in PROHIBITIONS)
    assert all(row.source for row in DUTIES)
    assert all(rule.why.endswith(".") and rule.modalities for rule in PROHIBITIONS)
    assert len({duty.code for duty in DUTIES}) == len(DUTIES)


def test_the_app_s_own_jurisdiction_adds_its_rules_to_those_of_the_person() -> None:
    german = at("DE", "therapy")
    assert code(german, "text") is None
    assert code(replace(german, jurisdiction="US-IL"), "text") == "therapy_illinois"
    somewhere = at(None, "therapy")
    assert code(replace(somewhere, jurisdiction="DE"), "text") is None, "the app told where it all happens"


# Duties: what is said, and to whom.

OWED: list[tuple[str | None, str, list[str], list[str]]] = [
    ("DE", "adult", ["emotion_recognition"], ["machine"]),
    ("US-IL", "adult", ["emotion_recognition", "voice_illinois"], ["machine"]),
    ("US-TX", "adult", ["emotion_recognition", "voice_texas"], ["machine"]),
    ("CA-QC", "adult", ["emotion_recognition", "profiling_quebec"], ["machine"]),
    ("CA-ON", "adult", ["emotion_recognition"], ["machine"]),
    ("US-NY", "adult", ["emotion_recognition"], ["machine", "machine_new_york"]),
    ("US-CA", "adult", ["emotion_recognition"], ["machine"]),
    ("US-CA", "teen", ["emotion_recognition"], ["machine", "break_california"]),
    ("US", "adult", ["emotion_recognition", "voice_illinois", "voice_texas"], ["machine", "machine_new_york"]),
    (
        None,
        "minor",
        ["emotion_recognition", "voice_illinois", "voice_texas", "profiling_quebec"],
        ["machine", "machine_new_york", "break_california"],
    ),
]


@pytest.mark.parametrize(("place", "age_band", "notices", "disclosures"), OWED)
def test_each_row_of_the_duties(
    place: str | None, age_band: str, notices: list[str], disclosures: list[str]
) -> None:
    subject = at(place, "general", age_band)
    assert [duty.code for duty in duties_for(subject, "notice")] == notices
    assert [duty.code for duty in duties_for(subject, "disclosure")] == disclosures
    assert [duty.code for duty in duties_for(subject, "opt_out")] == ["gpc"], "obeyed everywhere"


def test_the_disclosure_says_machine_once_and_offers_minors_a_break_where_they_are_owed_one() -> None:
    assert disclosure_text(at("US-NY")).count("computer program") == 1
    assert "not to a human being" in disclosure_text(at("DE"))
    assert "break" in disclosure_text(at("US-CA", age_band="child"))
    assert "break" not in disclosure_text(at("US-CA"))


def test_the_disclosure_is_due_at_the_beginning_and_every_three_hours() -> None:
    assert DISCLOSE_EVERY_S == 3 * 3600
    assert is_disclosure_due(None, NOW)
    assert not is_disclosure_due(NOW, NOW + DISCLOSE_EVERY_S - 1)
    assert is_disclosure_due(NOW, NOW + DISCLOSE_EVERY_S)
    assert is_disclosure_due(NOW, NOW - 1), "a clock that was set back tells once too often, not too seldom"


# Places and ages.

AGES: list[tuple[str | None, int]] = [
    ("DE", 16), ("NL", 16), ("IE", 16), ("PL", 16), ("AT", 14), ("BE", 13), ("CZ", 15), ("DK", 15), ("ES", 14),
    ("FI", 13), ("FR", 15), ("IT", 14), ("SE", 13), ("GB", 13), ("US", 13), ("US-CA", 13), ("CA-QC", 14),
    ("KR", 14), ("IN", 18), ("CA", 18), ("BR", 18), (None, 18),
]  # fmt: skip


@pytest.mark.parametrize(("place", "years"), AGES)
def test_each_row_of_the_ages_of_consent(place: str | None, years: int) -> None:
    assert consent_age([] if place is None else [place])[0] == years


def test_the_strictest_age_counts_where_two_places_do() -> None:
    assert consent_age(["FR", "DE"])[0] == 16
    assert max(years for years, _ in CONSENT_AGES.values()) == UNKNOWN_AGE
    assert {place for place, _ in AGES if place} >= set(CONSENT_AGES) - {"EU"}


def test_a_country_without_its_part_is_held_to_the_rules_of_every_part() -> None:
    assert applies_in("US-IL", ["US"])
    assert not applies_in("US-IL", ["US-CA"])
    assert not applies_in("US-IL", ["CA"])
    assert applies_in("CA-QC", ["CA"])
    assert not applies_in("CA-QC", ["US-CA"]), "California is no part of Canada"
    assert len(EU) == 27


def test_a_person_is_shown_what_holds_for_them_with_sources() -> None:
    shown = explain_policy(at("US-IL", "therapy"), NOW)
    assert [(refusal["modality"], refusal["code"]) for refusal in shown["refused"]] == [
        ("voice", "context_therapy"),
        ("text", "therapy_illinois"),
    ]
    assert "225 ILCS 155" in shown["refused"][0]["source"]
    assert shown["consent_age"]["years"] == 13
    assert json.dumps(shown)


# Signed exceptions.

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
PUBLIC = KEY.public_key().public_bytes_raw().hex()
TERMS = Terms("exc_1", "cranes", "workplace", "safety", "crane drivers", NOW, NOW + YEAR)


def lifted(context: Any, reason: Any = "safety", expires_at: float = NOW + YEAR, **more: Any) -> Subject:
    return Subject("p", context, exemptions=(Exemption("exc_1", "workplace", reason, expires_at),), **more)


def test_a_signed_exception_opens_the_voice_in_its_context_and_names_itself() -> None:
    subject = lifted("workplace", country="DE")
    assert code(subject, "voice", NOW) is None
    exemption = find_needed_exemption(subject, "voice", NOW)
    assert exemption is not None
    assert exemption.id == "exc_1"
    assert find_needed_exemption(subject, "text", NOW) is None, "text needed none"


def test_an_exception_opens_nothing_else() -> None:
    assert code(lifted("education"), "voice", NOW) == "context_education", "another context"
    assert code(lifted("workplace", expires_at=NOW), "voice", NOW) == "context_workplace", "expired"
    assert code(lifted("workplace"), "voice") == "context_workplace", "nobody said what time it is"
    assert code(lifted("workplace", age_band="teen"), "voice", NOW) == "minor", "minors stay minors"
    therapy = replace(lifted("therapy"), exemptions=(Exemption("e", "therapy", "medical", NOW + 1),))
    assert code(replace(therapy, country="DE"), "voice", NOW) is None
    assert code(replace(therapy, country="US", region="IL"), "voice", NOW) == "context_therapy", (
        "Illinois knows none"
    )
    assert code(therapy, "text", NOW) == "therapy_illinois"
    for modality in MODALITIES:
        safety = replace(lifted("medical"), exemptions=(Exemption("e", "medical", "safety", NOW + 1),))
        assert (code(safety, modality, NOW) is None) == (modality == "text"), "medicine needs a medical reason"


def test_what_was_signed_is_read_back_for_the_app_it_names() -> None:
    known = read_exceptions([sign_terms(TERMS, KEY), ""], PUBLIC)
    assert known.terms == (TERMS,)
    assert known.for_app("cranes") == (Exemption("exc_1", "workplace", "safety", NOW + YEAR),)
    assert known.for_app("others") == ()


def _changed(line: str, **terms: Any) -> str:
    body = json.loads(line)
    body["terms"] |= terms
    return json.dumps(body)


@pytest.mark.parametrize(
    "line",
    [
        _changed(sign_terms(TERMS, KEY), app="everybody"),
        _changed(sign_terms(TERMS, KEY), expires_at=NOW + 9 * YEAR),
        _changed(sign_terms(TERMS, KEY), context="education"),
        _changed(sign_terms(TERMS, KEY), more="than was signed"),
        sign_terms(TERMS, Ed25519PrivateKey.from_private_bytes(bytes(31) + b"x")),
        json.dumps({"terms": {}, "signature": KEY.sign(b"{}").hex()}),
        json.dumps({"terms": json.loads(sign_terms(TERMS, KEY))["terms"]}),
        "not even JSON",
    ],
)
def test_a_line_that_was_changed_or_signed_by_another_is_refused_outright(line: str) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        read_exceptions([sign_terms(TERMS, KEY), line], PUBLIC)
    assert refused.value.code == "exception_invalid"


@pytest.mark.parametrize("public", ["", "zz", PUBLIC[:-2]])
def test_without_a_good_public_key_no_exception_counts(public: str) -> None:
    with pytest.raises(ConfigInvalid):
        read_exceptions([sign_terms(TERMS, KEY)], public)


def test_settings_without_exceptions_know_none(tmp_path: Path) -> None:
    assert exceptions_of(Settings()) == Exceptions()
    with pytest.raises(ConfigInvalid):
        exceptions_of(Settings(exceptions=tmp_path / "none"))


def test_the_command_makes_a_key_signs_and_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key, file = tmp_path / "operator.pem", tmp_path / "exceptions.jsonl"
    assert main(["exceptions", "key", "--out", str(key)]) == 0
    public = capsys.readouterr().out.splitlines()[-1]
    assert key.stat().st_mode & 0o077 == 0, "nobody else may read it"
    assert main(["exceptions", "key", "--out", str(key)]) == 1, "it is not overwritten"
    asked = ["--app", "cranes", "--context", "workplace", "--reason", "safety", "--why", "crane drivers"]
    assert main(["exceptions", "sign", "--key", str(key), *asked, "--days", "900"]) == 1
    capsys.readouterr()
    assert main(["exceptions", "sign", "--key", str(key), *asked, "--days", "30"]) == 0
    file.write_text(capsys.readouterr().out)
    monkeypatch.setenv("ATTUNE_EXCEPTIONS", str(file))
    monkeypatch.setenv("ATTUNE_EXCEPTIONS_KEY", public)
    assert main(["exceptions", "list"]) == 0
    assert "crane drivers" in capsys.readouterr().out
    file.write_text(file.read_text().replace("cranes", "offices"))
    assert main(["exceptions", "list"]) == 1
    assert "exception_invalid" in capsys.readouterr().err


async def test_a_server_with_an_exception_reads_the_voice_at_work_and_writes_it_down(
    open_house: OpenHouse, tmp_path: Path
) -> None:
    terms = replace_terms(app="test-workplace", expires_at=NOW + 30 * 86_400)
    (tmp_path / "exceptions.jsonl").write_text(sign_terms(terms, KEY) + "\n")
    house = await open_house(
        context="workplace", affect="absent", exceptions=tmp_path / "exceptions.jsonl", exceptions_key=PUBLIC
    )
    path = await house.person(country="DE")
    assert (await house.consent("voice", "tone"))["event"] == "granted"
    shown = await house.call("GET", f"{path}/policy")
    assert [exception["id"] for exception in shown["exceptions"]] == ["exc_1"]
    person = await house.known("ada")
    excepted = [r for r in await house.services.storage.ledger.history(person.pseudonym) if r.event == "excepted"]
    assert [record.reason for record in excepted] == ["exc_1"]
    house.clock.now = terms.expires_at
    assert (await house.consent("voice", "content", status=403))["code"] == "context_workplace"
    listed = await house.call("GET", f"{path}/consent")
    assert not any(consent["granted"] for consent in listed["consents"]), "the earlier grant opens nothing any more"


def replace_terms(**change: Any) -> Terms:
    return msgspec.structs.replace(TERMS, **change)


async def test_a_server_does_not_start_with_an_exception_nobody_signed(
    open_house: OpenHouse, tmp_path: Path
) -> None:
    (tmp_path / "exceptions.jsonl").write_text(_changed(sign_terms(TERMS, KEY), app="test-workplace"))
    with pytest.raises(ConfigInvalid):
        await open_house(affect="absent", exceptions=tmp_path / "exceptions.jsonl", exceptions_key=PUBLIC)


async def test_moving_to_where_the_law_forbids_withdraws_what_was_granted(open_house: OpenHouse) -> None:
    house = await open_house(context="therapy", affect="absent")
    path = await house.person(country="DE")
    await house.consent("text", "tone")
    await house.call("PATCH", path, {"country": "US", "region": "IL"})
    receipts = (await house.call("GET", f"{path}/consent"))["receipts"]
    assert [receipt["event"] for receipt in receipts] == ["granted", "withdrawn"]
    assert (await house.consent("text", "tone", status=403))["code"] == "therapy_illinois"


async def test_the_app_may_tell_its_own_jurisdiction_and_let_only_the_person_grant(open_house: OpenHouse) -> None:
    house = await open_house(context="therapy", affect="absent")
    path = await house.person(country="DE")
    changed = await house.call("PATCH", "/v1/app", {"jurisdiction": "US-IL", "require_person": True})
    assert (changed["jurisdiction"], changed["require_person"]) == ("US-IL", True)
    assert (await house.consent("text", "tone", status=403))["code"] == "therapy_illinois"
    await house.call("PATCH", "/v1/app", {"jurisdiction": None})
    assert (await house.consent("text", "tone", status=403))["code"] == "person_required"
    assert (await house.call("GET", "/v1/app"))["require_person"]
    await house.call("PATCH", "/v1/app", {"require_person": False})
    await house.consent("text", "tone")
    assert (await house.call("PATCH", "/v1/app", {"jurisdiction": "Illinois"}, status=400))["code"]
    assert (await house.call("GET", f"{path}/policy"))["places"] == ["DE"]


async def test_the_whole_table_can_be_read(open_house: OpenHouse) -> None:
    house = await open_house(affect="absent")
    table = await house.call("GET", "/v1/policy")
    assert [row["code"] for row in table["refusals"]] == [rule.code for rule in PROHIBITIONS]
    assert [row["code"] for row in table["duties"]] == [duty.code for duty in DUTIES]
    assert table["consent_ages"]["FR"]["years"] == 15
