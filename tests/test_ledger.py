"""The ledger: only what it issued opens the gate, and a withdrawal closes it at once."""

from __future__ import annotations

import asyncio
import copy
import itertools
from dataclasses import replace
from typing import Any

import pytest

from assistant.consent.grant import EvaluationGate, Grant, purposes
from assistant.consent.ledger import Ledger
from assistant.consent.policy import AGE_BANDS, CONTEXTS, RULES, Rule, Subject, forbidden
from assistant.consent.receipt import Actor, Record, receipt
from assistant.emotion import MODALITIES, PURPOSES, Modality, Purpose
from assistant.errors import ConsentRequired, Forbidden, Invalid, Unavailable

NOW = 1_800_000_000.0
DAY = 86_400.0
ADA = Subject("ada")
ACTOR = Actor("app", "api")


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class Kept:
    """Records in memory; `full` is a disk that can't be written to."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.full = False

    async def append(self, record: Record) -> None:
        await asyncio.sleep(0)
        if self.full:
            raise Unavailable("the disk is full")
        self.records.append(record)

    async def of(self, person: str) -> list[Record]:
        await asyncio.sleep(0)
        return [record for record in self.records if record.person == person]


class Desk:
    """A ledger with its records and clock; `restart` opens another one over the same records."""

    def __init__(self, records: Kept | None = None, clock: Clock | None = None) -> None:
        self.records = records or Kept()
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


async def test_a_grant_built_by_hand_opens_nothing(desk: Desk) -> None:
    real = await desk.grant()
    forged = Grant("person", real.person, real.modality, real.purpose, real.notice, real.expires_at)
    assert not desk.opens(forged)
    assert desk.opens(real)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, replace], ids=["copy", "deepcopy", "replace"])
async def test_a_copy_of_a_grant_opens_nothing(desk: Desk, copied: Any) -> None:
    real = await desk.grant()
    assert copied(real) is not real
    assert not desk.opens(copied(real))


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
        desk.ledger.check(Grant("person", "ada", "voice", "tone", "1", NOW + DAY), "voice")
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
        Ledger(Kept(), notice="none such", grant_days=1, clock=Clock(), new_id=lambda: "")
    assert refused.value.code == "notice_unknown"


# What no consent allows


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
@pytest.mark.parametrize("modality", MODALITIES)
async def test_what_a_rule_forbids_is_refused_and_recorded(desk: Desk, rule: Rule, modality: Modality) -> None:
    subject = Subject("ada", rule.context or "general", rule.age_band or "adult")
    if modality not in rule.modalities:
        assert (await desk.decide(True, modality, subject=subject)).event == "granted"
        return
    with pytest.raises(Forbidden) as refused:
        await desk.decide(True, modality, subject=subject)
    assert refused.value.code == rule.code
    assert refused.value.message == rule.why
    (record,) = desk.records.records
    assert (record.event, record.reason, record.expires_at) == ("refused", rule.code, None)
    assert await desk.ledger.grants(subject) == ()
    assert await desk.restart().ledger.grants(subject) == ()


def test_the_rules_cover_voice_at_work_in_education_and_therapy_and_everything_of_minors() -> None:
    for context in CONTEXTS:
        assert (forbidden(Subject("p", context), "voice") is None) == (context == "general")
        assert forbidden(Subject("p", context), "text") is None
        for modality in MODALITIES:
            assert forbidden(Subject("p", context, "minor"), modality) is not None
    assert {rule.age_band for rule in RULES} == {None, "minor"} <= {None, *AGE_BANDS}


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
    paper = receipt(await desk.decide(True, "text", purpose), controller="Example Ltd")
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
