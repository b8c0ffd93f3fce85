"""Why something was chosen: in words and in data, with what would have been without the mood, and what to do."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote

import msgspec
from aiohttp import web

from assistant.consent.grant import Grant
from assistant.conversation.memory import MoodsUsed
from assistant.decision import Decision, ToneDecision
from assistant.emotion import STATEMENT, Mood
from assistant.profile.person import Person, subject
from assistant.recommend.decision import (
    Diversity,
    ItemExplained,
    Parts,
    RankingDecision,
    ReasonExplained,
    correction_of,
    explain_items,
)
from assistant.recommend.holdout import Arm
from assistant.server.contract.shapes import CurrentMood, show_mood
from assistant.server.http.route import DECISION, PERSON, Route, enter_decision, respond
from assistant.tone.directive import Manner, OfferedCorrection
from assistant.tone.render import NEVER, difference
from assistant.tone.rules import SHIPPED

_PURPOSE = {
    "tone": "the tone", "content": "recommendations", "remember": "a history and a baseline", "research": "research"
}  # fmt: skip
_GONE = "How it was estimated, and how sure that was, is kept in memory only and is gone by now."


class WayOut(msgspec.Struct, frozen=True):
    """Something that the person can do about it: a call that can be sent as it is."""

    what: Literal["correct", "withdraw", "look"]
    says: str
    method: Literal["GET", "POST"]
    path: str
    body: dict[str, Any] | None


class _PartExplained(msgspec.Struct, frozen=True, kw_only=True):
    policy: str
    inputs: tuple[str, ...]
    read: tuple[str, ...]
    """The modalities that the mood came from."""
    mood_used: bool


class ToneExplained(_PartExplained, frozen=True, kw_only=True):
    """How the tone was chosen."""

    rules: tuple[ReasonExplained, ...]
    manner: Manner
    never: tuple[ReasonExplained, ...]
    without_mood: Manner
    counterfactual: str


class RankingExplained(_PartExplained, frozen=True, kw_only=True):
    """How the items were chosen."""

    arm: Arm | None
    active: bool
    diversity: Diversity | None
    items: tuple[ItemExplained, ...]
    without_mood: tuple[str, ...]
    counterfactual: str


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """A decision in words and in data."""

    words: list[str]
    tone: ToneExplained | None
    ranking: RankingExplained | None
    mood: dict[str, CurrentMood | None]
    """For the `tone` and for the `content`: as the decision knew it, while it is in memory."""
    can_do: list[WayOut]
    statement: str = STATEMENT


async def get_explanation(request: web.Request) -> web.Response:
    """What a decision was made from, why, and what to do about it. Raises `NotFound` (`decision_unknown`)."""
    services, caller, decision, made = await enter_decision(request)
    kept = await services.storage.decisions.get(decision, made.person)
    person, _ = await services.storage.people.find_holder(caller.app, made.person)
    grants = await services.storage.ledger.grants(subject(caller.app, person))
    used = services.moods_used(decision)
    parts = services.recommender.mood_parts(decision, services.clock())
    can_do = ways_out(person, kept, grants)
    explanation = explain(kept, used, None if parts is None else parts.parts, can_do)
    head = {"decision": decision, "person": person.id, "at": made.at}
    return respond(head | msgspec.structs.asdict(explanation))


def explain(
    kept: Decision, used: MoodsUsed | None, mood_parts: Mapping[str, Parts] | None, can_do: list[WayOut]
) -> Explanation:
    """A decision as it was kept, in words and in data.

    `used` are its moods and `mood_parts` what they added to each item's score, as long as they are in memory.
    """
    tone = None if kept.tone is None else _explain_tone(kept.tone, kept.read.tone)
    ranking = None if kept.ranking is None else _explain_ranking(kept.ranking, kept.read.content, mood_parts)
    moods = {"tone": None if used is None else used.tone, "content": None if used is None else used.content}
    words = [
        *([] if tone is None else _tone_words(tone, moods["tone"])),
        *([] if ranking is None else _ranking_words(ranking, moods["content"])),
        *(way.says for way in can_do),
    ]
    shown = {name: None if mood is None else show_mood(mood) for name, mood in moods.items()}
    return Explanation(words=words, tone=tone, ranking=ranking, mood=shown, can_do=can_do)


def ways_out(person: Person, kept: Decision, grants: Collection[Grant]) -> list[WayOut]:
    """What the person can do about a decision."""
    path = PERSON.replace("{person}", quote(person.id, safe=""))
    correct = "If the estimate is wrong, say so: what the person says of themself wins at once."
    look = "Look at the profile, which holds whatever the mood is; it can be changed with PATCH."
    correction = _correction(kept)
    ways = (
        [] if correction is None else [WayOut("correct", correct, "POST", f"{path}/mood/corrections", correction)]
    )
    for grant in sorted(grants, key=lambda grant: (grant.modality, grant.purpose)):
        says = f"Withdraw that the {grant.modality} is read for {_PURPOSE[grant.purpose]}: it stops at once."
        body = {"modality": grant.modality, "purpose": grant.purpose, "granted": False}
        ways.append(WayOut("withdraw", says, "POST", f"{path}/consent", body))
    return [*ways, WayOut("look", look, "GET", path, None)]


def _correction(kept: Decision) -> dict[str, Any] | None:
    """What to send to say that the mood was read wrongly: by the rule of the tone, or else by the ranking."""
    if kept.read.tone and kept.tone is not None and (offered := _tone_correction(kept.tone)) is not None:
        return offered.named()
    if kept.read.content and kept.ranking is not None and (correction := correction_of(kept.ranking)) is not None:
        return dict(correction)
    return None


def _tone_correction(kept: ToneDecision) -> OfferedCorrection | None:
    """The correction that was offered. Rows of before that was kept rest on the shipped rules."""
    if kept.correction is None and kept.policy == SHIPPED.version:
        return SHIPPED.correction_of(kept.reasons)
    return kept.correction


def _explain_tone(kept: ToneDecision, read: tuple[str, ...]) -> ToneExplained:
    used = "mood" in kept.inputs
    return ToneExplained(
        policy=kept.policy,
        inputs=kept.inputs,
        read=read if used else (),
        mood_used=used,
        rules=tuple(ReasonExplained(code, says) for code, says in zip(kept.reasons, kept.says, strict=True)),
        manner=kept.manner,
        never=tuple(ReasonExplained(name, NEVER[name]) for name in kept.never),
        without_mood=kept.without_mood,
        counterfactual=difference(kept.manner, kept.without_mood, used=used),
    )


def _explain_ranking(
    kept: RankingDecision, read: tuple[str, ...], mood_parts: Mapping[str, Parts] | None
) -> RankingExplained:
    ranked = tuple(item.id for item in kept.items)
    used, without = "mood" in kept.inputs, ranked if kept.without_mood is None else kept.without_mood
    return RankingExplained(
        policy=kept.policy,
        inputs=kept.inputs,
        read=read if used else (),
        mood_used=used,
        arm=kept.arm,
        active=kept.active,
        diversity=kept.diversity,
        items=explain_items(kept, mood_parts if used else {}),
        without_mood=without,
        counterfactual=compare_orders(ranked, without, used=used),
    )


def compare_orders(ranked: Sequence[str], without: Sequence[str], *, used: bool) -> str:
    """What would be different in a slate, in words.

    >>> compare_orders(["a", "b"], ["b", "a"], used=True)
    'Without the mood the order would be: b, a.'
    """
    if not used:
        return "No mood was used."
    if list(ranked) == list(without):
        return "Without the mood the same would be offered."
    return f"Without the mood the order would be: {', '.join(without)}."


def _tone_words(tone: ToneExplained, mood: Mood | None) -> list[str]:
    return [
        f"The tone was chosen by the policy {tone.policy} from: {', '.join(tone.inputs)}.",
        *_mood_words(tone, mood),
        *(f"{rule.says} ({rule.code})" for rule in tone.rules),
        f"The tone: {_choices(tone.manner)}.",
        tone.counterfactual,
    ]


def _ranking_words(ranking: RankingExplained, mood: Mood | None) -> list[str]:
    return [
        f"What is offered was ranked by {ranking.policy} from: {', '.join(ranking.inputs)}.",
        *_mood_words(ranking, mood),
        *(f"{item.id}: {item.reason}." for item in ranking.items),
        ranking.counterfactual,
    ]


def _mood_words(part: _PartExplained, mood: Mood | None) -> list[str]:
    if not part.mood_used:
        return []
    said = f"The mood was estimated from: {', '.join(part.read)}; it is {STATEMENT}, not knowledge of a feeling."
    return [said, _GONE if mood is None else certainty(mood)]


def certainty(mood: Mood) -> str:
    """What was estimated and how sure that is, in words.

    >>> certainty(Mood.unsaid("too_short", 0.0))
    'There was no estimate: too_short.'
    """
    if mood.abstained is not None:
        return f"There was no estimate: {mood.abstained}."
    parts = [
        f"{word} is too uncertain to be said"
        if f"{name}_too_wide" in mood.unsure
        else f"{word} {estimate.mean:.2f} ± {estimate.deviation:.2f}, from -1 to 1"
        for name, word, estimate in (
            ("valence", "pleasantness", mood.valence),
            ("arousal", "activation", mood.arousal),
        )
    ]
    parts.append(f"stress with a probability of {mood.stress:.0%}")
    if mood.emotion_set:
        parts.append(f"emotions that can't be ruled out: {', '.join(mood.emotion_set)}")
    if mood.disagreement:
        parts.append("voice and text disagree")
    return f"The estimate: {'; '.join(parts)}. Its confidence is {mood.confidence:.0%}."


def _choices(manner: Manner) -> str:
    return ", ".join(f"{name} {value.replace('_', ' ')}" for name, value in manner.choices().items())


ROUTES: tuple[Route, ...] = (Route("GET", f"{DECISION}/explain", get_explanation, scope="infer", personal=True),)
