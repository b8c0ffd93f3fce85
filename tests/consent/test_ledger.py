"""The ledger: only what it issued opens the gate, and a withdrawal closes it at once."""

from __future__ import annotations

import ast
import asyncio
import copy
import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

import assistant
from assistant.consent.grant import EvaluationGate, Grant, purposes
from assistant.consent.ledger import Ledger
from assistant.consent.legal_rules import PROHIBITIONS, Exemption, Prohibition, Subject, find_prohibition
from assistant.consent.receipt import Actor, Record, receipt
from assistant.emotion import MODALITIES, PURPOSES, Modality, Purpose
from assistant.errors import ConsentRequired, Forbidden, Invalid, Unavailable
from tests.clock import NOW, Clock

DAY = 86_400.0
ADA = Subject("ada")
ACTOR = Actor("app", "api")


class RecordsInMemory:
    """Records in memory; `full` is a disk that can't be written to."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.full = False

    async def append(self, record: Record) -> Record:
        await asyncio.sleep(0)
        if self.full:
            raise Unavailable("the disk is full")
        for earlier in self.records:
            if record.event == "expired" and earlier.id == record.id:
                return earlier
        self.records.append(replace(record, seq=len(self.records) + 1))
        return self.records[-1]

    async def history(self, person: str) -> list[Record]:
        await asyncio.sleep(0)
        return [record for record in self.records if record.person == person]

    async def last_seq(self) -> int:
        return len(self.records)

    async def expired(self, now: float, limit: int) -> list[Record]:
        state: dict[Any, Record] = {}
        for record in self.records:
            if record.event in ("granted", "withdrawn"):
                state[record.person, record.modality, record.purpose] = record
        known = {record.reason for record in self.records if record.event == "expired"}
        due = [
            r for r in state.values() if r.event == "granted" and r.id not in known and (r.expires_at or 0) <= now
        ]
        return due[:limit]


class Desk:
    """A ledger with its records and clock; `restart` opens another one over the same records."""

    def __init__(self, records: RecordsInMemory | None = None, clock: Clock | None = None) -> None:
        self.records = records or RecordsInMemory()
        self.clock = clock or Clock()
        ids = itertools.count(len(self.records.records))
        self.ledger = Ledger(
            self.records, notice="1", grant_days=365, clock=self.clock, new_id=lambda: f"record{next(ids)}"
        )

    def restart(self) -> Desk:
        return Desk(self.records, self.clock)

    async def decide(
        self,
        granted: bool,
        modality: Modality = "voice",
        purpose: Purpose = "tone",
        subject: Subject = ADA,
        notice: str = "1",
    ) -> Record:
        return await self.ledger.decide(subject, modality, purpose, granted=granted, notice=notice, actor=ACTOR)

    async def grant(self, modality: Modality = "voice", purpose: Purpose = "tone", subject: Subject = ADA) -> Grant:
        await self.decide(True, modality, purpose, subject)
        (grant,) = [g for g in await self.ledger.grants(subject) if (g.modality, g.purpose) == (modality, purpose)]
        return grant

    def opens(self, grant: Grant, modality: Modality = "voice") -> bool:
        try:
            self.ledger.check(grant, modality)
        except ConsentRequired:
            return False
        return True


@pytest.fixture
def desk() -> Desk:
    return Desk()


# What opens the gate


async def test_nobody_has_a_grant_who_was_never_asked(desk: Desk) -> None:
    assert await desk.ledger.grants(ADA) == ()


async def test_a_grant_opens_its_own_modality_only(desk: Desk) -> None:
    grant = await desk.grant("voice")
    assert desk.opens(grant, "voice")
    assert not desk.opens(grant, "text")


@pytest.mark.parametrize("token", [{}, {"issuing": None}, {"issuing": object()}], ids=["none", "null", "another"])
async def test_a_grant_can_not_be_built_by_hand(desk: Desk, token: dict[str, Any]) -> None:
    real = await desk.grant()
    with pytest.raises(ConsentRequired):
        Grant("person", real.person, real.modality, real.purpose, real.notice, real.expires_at, **token)
    with pytest.raises(ConsentRequired):
        replace(real)
    assert desk.opens(real)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
async def test_a_copy_of_a_grant_opens_nothing(desk: Desk, copied: Any) -> None:
    real = await desk.grant()
    assert copied(real) is not real
    assert not desk.opens(copied(real))


async def test_a_grant_forged_past_its_constructor_opens_nothing(desk: Desk) -> None:
    real = await desk.grant()
    forged = object.__new__(Grant)
    for name in ("kind", "person", "modality", "purpose", "notice", "expires_at", "record"):
        object.__setattr__(forged, name, getattr(real, name))
    assert not desk.opens(forged)


def test_only_the_ledger_and_the_gate_of_evaluations_can_make_a_grant() -> None:
    code = Path(assistant.__file__).parent
    holders = {
        str(file.relative_to(code))
        for file in code.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Name | ast.alias) and getattr(node, "id", getattr(node, "name", "")) == "_ISSUING")
        or (isinstance(node, ast.Attribute) and node.attr == "_ISSUING")
    }
    assert holders == {"consent/grant.py", "consent/register.py"}


async def test_a_grant_of_another_ledger_opens_nothing(desk: Desk) -> None:
    await desk.grant()
    assert not desk.opens(await Desk().grant())
    again = desk.restart()
    (restored,) = await again.ledger.grants(ADA)
    assert not desk.opens(restored)


async def test_a_grant_can_not_be_changed(desk: Desk) -> None:
    grant = await desk.grant()
    with pytest.raises(AttributeError):
        grant.expires_at = float("inf")  # type: ignore[misc]


async def test_a_grant_of_one_person_says_nothing_about_another(desk: Desk) -> None:
    await desk.grant()
    assert await desk.ledger.grants(Subject("bob")) == ()


async def test_the_refusal_has_a_code_that_clients_can_rely_on(desk: Desk) -> None:
    with pytest.raises(ConsentRequired) as refused:
        desk.ledger.check(await Desk().grant(), "voice")
    assert refused.value.code == "consent_required"


async def test_granting_again_replaces_the_earlier_grant(desk: Desk) -> None:
    first = await desk.grant()
    second = await desk.grant()
    assert not desk.opens(first)
    assert desk.opens(second)


async def test_purposes_are_those_granted_for_one_modality(desk: Desk) -> None:
    await desk.grant("voice", "tone")
    await desk.grant("voice", "remember")
    await desk.grant("text", "content")
    grants = await desk.ledger.grants(ADA)
    assert purposes(grants, "voice") == {"tone", "remember"}
    assert purposes(grants, "text") == {"content"}


# Expiry


async def test_a_grant_expires(desk: Desk) -> None:
    grant = await desk.grant()
    assert grant.expires_at == NOW + 365 * DAY
    desk.clock.now = grant.expires_at - 1
    assert desk.opens(grant)
    desk.clock.now = grant.expires_at
    assert not desk.opens(grant)
    assert await desk.ledger.grants(ADA) == ()


async def test_an_expired_grant_stays_expired_after_a_restart(desk: Desk) -> None:
    grant = await desk.grant()
    desk.clock.now = grant.expires_at + 1
    assert await desk.restart().ledger.grants(ADA) == ()


# Withdrawal


async def test_a_withdrawal_revokes_one_purpose_and_leaves_the_others(desk: Desk) -> None:
    tone, content = await desk.grant("voice", "tone"), await desk.grant("voice", "content")
    await desk.decide(False, "voice", "tone")
    assert not desk.opens(tone)
    assert desk.opens(content)
    assert await desk.ledger.grants(ADA) == (content,)


async def test_a_withdrawal_revokes_before_it_is_written(desk: Desk) -> None:
    grant = await desk.grant()
    writing = asyncio.create_task(desk.decide(False))
    await asyncio.sleep(0)  # let it begin
    assert [record.event for record in desk.records.records] == ["granted"]
    assert not desk.opens(grant)
    await writing


async def test_a_withdrawal_that_can_not_be_written_revokes_all_the_same(desk: Desk) -> None:
    grant = await desk.grant()
    desk.records.full = True
    with pytest.raises(Unavailable):
        await desk.decide(False)
    assert not desk.opens(grant)
    assert await desk.ledger.grants(ADA) == ()


async def test_a_withdrawal_that_can_not_be_written_revokes_what_was_not_loaded_yet(desk: Desk) -> None:
    await desk.grant()
    again = desk.restart()
    again.records.full = True
    with pytest.raises(Unavailable):
        await again.decide(False)
    assert await again.ledger.grants(ADA) == ()


async def test_a_withdrawal_needs_no_current_notice_and_no_earlier_grant(desk: Desk) -> None:
    record = await desk.decide(False, notice="whatever")
    assert record.event == "withdrawn"
    assert desk.records.records == [record]


async def test_a_withdrawal_stays_after_a_restart(desk: Desk) -> None:
    await desk.grant()
    await desk.decide(False)
    assert await desk.restart().ledger.grants(ADA) == ()


async def test_a_withdrawal_during_a_load_is_not_undone_by_it(desk: Desk) -> None:
    await desk.grant()
    again = desk.restart()
    loaded, _ = await asyncio.gather(again.ledger.grants(ADA), again.decide(False))
    assert await again.ledger.grants(ADA) == ()
    assert not any(again.opens(grant) for grant in loaded)


async def test_a_grant_that_can_not_be_written_is_not_given(desk: Desk) -> None:
    desk.records.full = True
    with pytest.raises(Unavailable):
        await desk.decide(True)
    assert await desk.ledger.grants(ADA) == ()


async def test_forgetting_a_person_revokes_everything_of_theirs(desk: Desk) -> None:
    ada, bob = await desk.grant(), await desk.grant(subject=Subject("bob"))
    desk.ledger.forget("ada")
    assert not desk.opens(ada)
    assert desk.opens(bob)


# What else is written down


async def test_that_a_grant_ran_out_is_written_down_once_when_it_is_asked_for(desk: Desk) -> None:
    grant = await desk.grant()
    heard: list[Record] = []
    desk.ledger.listen("ada", heard.append)
    desk.clock.now = grant.expires_at
    assert await desk.ledger.grants(ADA) == ()
    assert await desk.ledger.grants(ADA) == ()
    assert await desk.restart().ledger.grants(ADA) == ()
    granted, expired = desk.records.records
    assert (expired.event, expired.reason, expired.modality, expired.purpose) == (
        "expired",
        granted.id,
        "voice",
        "tone",
    )
    assert expired.actor.kind == "clock"
    assert heard == [expired]


async def test_the_sweep_writes_down_what_ran_out_and_nothing_twice(desk: Desk) -> None:
    await desk.grant("voice", "tone")
    await desk.grant("text", "tone")
    await desk.decide(False, "text", "tone")
    desk.clock.now += 365 * DAY
    await desk.decide(True, "voice", "content")
    assert [(r.event, r.modality, r.purpose) for r in await desk.ledger.expire()] == [("expired", "voice", "tone")]
    assert await desk.ledger.expire() == []
    assert await desk.restart().ledger.expire() == []


async def test_a_grant_given_again_is_not_undone_when_the_first_one_is_called_expired(desk: Desk) -> None:
    first = await desk.grant()
    desk.clock.now = first.expires_at + 1
    again = desk.restart()
    second = await again.grant()
    await desk.ledger.expire()
    assert again.opens(second)
    assert len(await again.restart().ledger.grants(ADA)) == 1


async def test_a_grant_that_ran_out_opens_nothing_though_it_can_not_be_written_down(desk: Desk) -> None:
    grant = await desk.grant()
    desk.records.full = True
    desk.clock.now = grant.expires_at
    assert await desk.ledger.grants(ADA) == ()
    assert not desk.opens(grant)


async def test_an_erasure_ends_everything_and_leaves_the_records(desk: Desk) -> None:
    grant = await desk.grant()
    await desk.ledger.record_event("ada", "erased", ACTOR, app="app")
    assert not desk.opens(grant)
    assert await desk.ledger.grants(ADA) == ()
    assert [record.event for record in desk.records.records] == ["granted", "erased"]
    again = desk.restart().ledger
    assert await again.grants(ADA) == ()
    assert (await again.standing("ada")).erased
    assert await again.expire() == []


async def test_a_restriction_suspends_every_grant_until_it_is_lifted(desk: Desk) -> None:
    grant = await desk.grant()
    await desk.ledger.record_event("ada", "restricted", ACTOR, app="app")
    assert not desk.opens(grant)
    assert await desk.ledger.grants(ADA) == ()
    assert (await desk.restart().ledger.standing("ada")).restricted
    assert await desk.restart().ledger.grants(ADA) == ()
    await desk.ledger.record_event("ada", "unrestricted", ACTOR, app="app")
    assert desk.opens(grant)


async def test_an_objection_ends_content_and_leaves_tone(desk: Desk) -> None:
    tone, content = await desk.grant("voice", "tone"), await desk.grant("voice", "content")
    await desk.ledger.record_event("ada", "objected", ACTOR, app="app")
    assert (desk.opens(tone), desk.opens(content)) == (True, False)
    assert await desk.ledger.grants(ADA) == (tone,)
    await desk.ledger.record_event("ada", "unobjected", ACTOR, app="app")
    assert desk.opens(content)


@pytest.mark.parametrize("event", ["erased", "restricted"])
async def test_what_takes_something_away_counts_before_it_is_written(desk: Desk, event: Any) -> None:
    grant = await desk.grant()
    writing = asyncio.create_task(desk.ledger.record_event("ada", event, ACTOR, app="app"))
    await asyncio.sleep(0)
    assert len(desk.records.records) == 1
    assert not desk.opens(grant)
    await writing


async def test_a_notice_is_written_down_and_changes_nothing(desk: Desk) -> None:
    grant = await desk.grant()
    heard: list[Record] = []
    desk.ledger.listen(None, heard.append)
    for event in ("notice_shown", "notice_acknowledged"):
        await desk.ledger.record_event("ada", event, ACTOR, app="app", modality="voice", notice="1")
    assert desk.opens(grant)
    assert heard == []
    assert [record.notice for record in desk.records.records] == ["1", "1", "1"]


async def test_every_record_names_the_app(desk: Desk) -> None:
    subject = replace(ADA, app="app")
    await desk.decide(True, subject=subject)
    await desk.decide(False, subject=subject)
    await desk.ledger.record_event("ada", "erased", ACTOR, app="app")
    assert {record.app for record in desk.records.records} == {"app"}


async def test_an_exception_that_was_used_is_written_down(desk: Desk) -> None:
    exemption = Exemption("exception1", "workplace", "safety", NOW + DAY)
    subject = Subject("ada", "workplace", app="app", exemptions=(exemption,))
    await desk.decide(True, subject=subject)
    used, granted = desk.records.records
    assert (used.event, used.reason, granted.event) == ("excepted", "exception1", "granted")
    assert len(await desk.ledger.grants(subject)) == 1
    desk.clock.now = exemption.expires_at
    assert await desk.ledger.grants(subject) == ()


# Where only the person may grant


async def test_an_app_can_leave_granting_to_the_person(desk: Desk) -> None:
    subject = replace(ADA, require_person=True)
    with pytest.raises(Forbidden) as refused:
        await desk.decide(True, subject=subject)
    assert refused.value.code == "person_required"
    assert await desk.ledger.grants(subject) == ()
    (record,) = desk.records.records
    assert (record.event, record.reason) == ("refused", "person_required")
    person = Actor("person", "token")
    await desk.ledger.decide(subject, "voice", "tone", granted=True, notice="1", actor=person)
    (grant,) = await desk.ledger.grants(subject)
    await desk.decide(False, subject=subject)
    assert not desk.opens(grant)


# Decisions that cross


async def test_a_withdrawal_while_a_grant_is_written_wins(desk: Desk) -> None:
    granting = asyncio.create_task(desk.decide(True))
    await asyncio.sleep(0)
    withdrawing = asyncio.create_task(desk.decide(False))
    seen = []
    while not (granting.done() and withdrawing.done()):
        await asyncio.sleep(0)
        seen.append(len(await desk.ledger.grants(ADA)))
    assert set(seen) == {0}
    assert [record.event for record in desk.records.records] == ["granted", "withdrawn"]
    assert await desk.restart().ledger.grants(ADA) == ()


async def test_people_do_not_wait_for_each_other(desk: Desk) -> None:
    release = asyncio.Event()
    append = desk.records.append

    class Slow(RecordsInMemory):
        async def append(self, record: Record) -> Record:
            if record.person == "ada":
                await release.wait()
            return await append(record)

    other = Desk(Slow(), desk.clock)
    waiting = asyncio.create_task(other.decide(True))
    await asyncio.wait_for(other.decide(True, subject=Subject("bob")), 1)
    assert not waiting.done()
    release.set()
    await waiting


# Restart and notice


async def test_a_restart_restores_grants_from_the_records(desk: Desk) -> None:
    before = await desk.grant()
    again = desk.restart()
    (grant,) = await again.ledger.grants(ADA)
    assert again.opens(grant)
    assert (grant.person, grant.modality, grant.purpose) == ("ada", "voice", "tone")
    assert grant.expires_at == before.expires_at


async def test_asking_twice_gives_the_same_objects(desk: Desk) -> None:
    await desk.grant()
    again = desk.restart()
    first, second = await asyncio.gather(again.ledger.grants(ADA), again.ledger.grants(ADA))
    assert first[0] is second[0]


async def test_granting_after_a_restart_keeps_the_other_grants(desk: Desk) -> None:
    await desk.grant("voice", "tone")
    again = desk.restart()
    await again.decide(True, "text", "content")
    assert {(g.modality, g.purpose) for g in await again.ledger.grants(ADA)} == {
        ("voice", "tone"),
        ("text", "content"),
    }


async def test_an_answer_to_another_notice_is_refused_and_not_recorded(desk: Desk) -> None:
    with pytest.raises(Invalid) as refused:
        await desk.decide(True, notice="0")
    assert refused.value.code == "notice_outdated"
    assert desk.records.records == []


async def test_a_new_notice_asks_again(desk: Desk) -> None:
    await desk.grant()
    desk.records.records = [replace(record, notice="0") for record in desk.records.records]
    assert await desk.restart().ledger.grants(ADA) == ()


def test_a_notice_without_a_text_can_not_be_used() -> None:
    with pytest.raises(Invalid) as refused:
        Ledger(RecordsInMemory(), notice="none such", grant_days=1, clock=Clock(), new_id=lambda: "")
    assert refused.value.code == "notice_unknown"


# What no consent allows


@pytest.mark.parametrize("rule", PROHIBITIONS, ids=lambda rule: rule.code)
@pytest.mark.parametrize("modality", MODALITIES)
async def test_what_a_rule_forbids_is_refused_and_recorded(
    desk: Desk, rule: Prohibition, modality: Modality
) -> None:
    place = None if rule.where == "*" else rule.where.partition("-")
    subject = Subject(
        "ada",
        rule.context or "general",
        "minor" if rule.minors else "adult",
        country=place[0] if place else "DE",
        region=place[2] if place else None,
    )
    if modality not in rule.modalities and find_prohibition(subject, modality) is None:
        assert (await desk.decide(True, modality, subject=subject)).event == "granted"
        return
    with pytest.raises(Forbidden) as refused:
        await desk.decide(True, modality, subject=subject)
    known = find_prohibition(subject, modality)
    assert known is not None
    assert refused.value.code == known.code
    assert refused.value.message == known.why
    (record,) = desk.records.records
    assert (record.event, record.reason, record.expires_at) == ("refused", known.code, None)
    assert await desk.ledger.grants(subject) == ()
    assert await desk.restart().ledger.grants(subject) == ()


async def test_a_grant_given_before_is_not_handed_out_where_it_is_now_forbidden(desk: Desk) -> None:
    await desk.grant()
    assert await desk.ledger.grants(Subject("ada", age_band="minor")) == ()
    assert await desk.ledger.grants(Subject("ada", "workplace")) == ()


async def test_a_refusal_does_not_undo_an_earlier_grant_elsewhere(desk: Desk) -> None:
    grant = await desk.grant()
    with pytest.raises(Forbidden):
        await desk.decide(True, subject=Subject("ada", "workplace"))
    assert desk.opens(grant)
    assert len(await desk.restart().ledger.grants(ADA)) == 1


# Records and listeners


async def test_every_decision_is_recorded_with_who_made_it(desk: Desk) -> None:
    granted = await desk.decide(True)
    desk.clock.now += 5
    withdrawn = await desk.decide(False)
    assert await desk.ledger.history("ada") == [granted, withdrawn]
    assert [record.actor for record in (granted, withdrawn)] == [ACTOR, ACTOR]
    assert (withdrawn.at, withdrawn.expires_at) == (NOW + 5, None)


async def test_listeners_hear_of_their_person_and_those_of_nobody_hear_everything(desk: Desk) -> None:
    ada: list[Record] = []
    anybody: list[Record] = []
    stop = desk.ledger.listen("ada", ada.append)
    desk.ledger.listen(None, anybody.append)
    await desk.decide(True)
    await desk.decide(True, subject=Subject("bob"))
    stop()
    stop()  # twice is once
    await desk.decide(False)
    assert [(r.person, r.event) for r in ada] == [("ada", "granted")]
    assert [(r.person, r.event) for r in anybody] == [
        ("ada", "granted"),
        ("bob", "granted"),
        ("ada", "withdrawn"),
    ]


async def test_a_listener_hears_of_a_withdrawal_that_can_not_be_written(desk: Desk) -> None:
    await desk.grant()
    heard: list[Record] = []
    desk.ledger.listen("ada", heard.append)
    desk.records.full = True
    with pytest.raises(Unavailable):
        await desk.decide(False)
    assert [record.event for record in heard] == ["withdrawn"]


async def test_a_listener_may_stop_while_it_listens(desk: Desk) -> None:
    heard: list[str] = []

    def once(record: Record) -> None:
        heard.append(record.event)
        stop()

    stop = desk.ledger.listen("ada", once)
    await desk.decide(True)
    await desk.decide(False)
    assert heard == ["granted"]


@pytest.mark.parametrize("purpose", PURPOSES)
async def test_a_receipt_says_what_was_decided_and_how_to_withdraw(desk: Desk, purpose: Purpose) -> None:
    paper = msgspec.to_builtins(receipt(await desk.decide(True, "text", purpose), controller="Example Ltd"))
    assert paper["means"].startswith("estimate emotion from your text to ")
    assert (paper["event"], paper["controller"]) == ("granted", "Example Ltd")
    assert paper["at"] == "2027-01-15T08:00:00Z"
    assert paper["expires_at"] == "2028-01-15T08:00:00Z"
    assert paper["withdraw"] == {"modality": "text", "purpose": purpose, "granted": False}
    assert "ada" not in str(paper)


# Evaluation


def test_an_evaluation_grant_names_nobody_and_opens_its_own_gate_only() -> None:
    gate = EvaluationGate()
    grant = gate.issue("voice")
    assert (grant.kind, grant.person) == ("evaluation", None)
    gate.check(grant, "voice")
    for other, modality in (
        (grant, "text"),
        (copy.copy(grant), "voice"),
        (EvaluationGate().issue("voice"), "voice"),
    ):
        with pytest.raises(ConsentRequired):
            gate.check(other, modality)  # type: ignore[arg-type]


async def test_an_evaluation_grant_does_not_open_the_ledger_nor_a_persons_grant_an_evaluation(desk: Desk) -> None:
    grant = await desk.grant()
    gate = EvaluationGate()
    assert not desk.opens(gate.issue("voice"))
    with pytest.raises(ConsentRequired):
        gate.check(grant, "voice")
