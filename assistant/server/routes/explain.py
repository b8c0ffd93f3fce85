"""Why something was chosen: in words and in data, with what would have been without the mood, and what to do."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from aiohttp import web

from assistant.consent.grant import Grant
from assistant.conversation.used import Used
from assistant.emotion import STATEMENT, Mood
from assistant.profile.person import Person, subject
from assistant.recommend.explanation import Parts
from assistant.recommend.explanation import explained as items_explained
from assistant.server.contract.shapes import show_mood
from assistant.server.http.route import DECISION, PERSON, Route, enter_decision, respond
from assistant.tone.directive import Manner
from assistant.tone.render import NEVER, difference

_GONE = "How it was estimated, and how sure that was, is kept in memory only and is gone by now."


async def get_explanation(request: web.Request) -> web.Response:
    """What one decision was made from and why. Raises `NotFound` (`decision_unknown`)."""
    services, caller, decision, made = await enter_decision(request)
    body = await services.storage.decisions.get(decision, made.person)
    person, _ = await services.storage.people.holder(caller.app, made.person)
    grants = await services.storage.ledger.grants(subject(caller.app, person))
    used = services.tools.memory.used.of(decision, services.clock())
    felt = services.tools.recommender.felt(decision, services.clock())
    told = explained(body, used, felt, ways(person, body, grants))
    return respond({"decision": decision, "person": person.id, "at": made.at, **told})


def explained(
    body: dict[str, Any],
    used: Used | None,
    felt: Mapping[str, Parts] | None,
    can_do: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    """A decision as it was kept, in words and in data.

    `used` are its moods and `felt` what they added to each item's score, as long as they are in memory.
    """
    tone = _tone(body["tone"], body) if "tone" in body else None
    ranking = _ranking(body["ranking"], body, felt) if "ranking" in body else None
    moods = {"tone": None if used is None else used.tone, "content": None if used is None else used.content}
    words = [
        *([] if tone is None else _of_tone(tone, moods["tone"])),
        *([] if ranking is None else _of_ranking(ranking, moods["content"])),
        *(way["says"] for way in can_do),
    ]
    return {
        "words": words,
        "tone": tone,
        "ranking": ranking,
        "mood": {name: None if mood is None else show_mood(mood) for name, mood in moods.items()},
        "can_do": list(can_do),
        "statement": STATEMENT,
    }


def ways(person: Person, body: dict[str, Any], grants: Collection[Grant]) -> list[dict[str, Any]]:
    """What the person can do about it: calls that can be sent as they are."""
    path = PERSON.replace("{person}", quote(person.id, safe=""))
    found: list[dict[str, Any]] = []
    if any(body.get("read", {}).values()):
        found.append(
            {
                "what": "correct",
                "says": "If the estimate is wrong, say so: what the person says of themself wins at once.",
                "method": "POST",
                "path": f"{path}/mood/corrections",
                "body": _correction(body),
            }
        )
    found += [
        {
            "what": "withdraw",
            "says": f"Withdraw that the {grant.modality} is read for {_PURPOSE[grant.purpose]}: it stops at once.",
            "method": "POST",
            "path": f"{path}/consent",
            "body": {"modality": grant.modality, "purpose": grant.purpose, "granted": False},
        }
        for grant in sorted(grants, key=lambda grant: (grant.modality, grant.purpose))
    ]
    found.append(
        {
            "what": "look",
            "says": "Look at the profile, which holds whatever the mood is; it can be changed with PATCH.",
            "method": "GET",
            "path": path,
            "body": None,
        }
    )
    return found


def _correction(body: dict[str, Any]) -> dict[str, Any]:
    """What to send to say that the last rule that read a mood was wrong about it."""
    codes = reversed(body.get("tone", {}).get("reasons", []))
    return next((_OTHERWISE[code] for code in codes if code in _OTHERWISE), {"stress": False})


_OTHERWISE: dict[str, dict[str, Any]] = {
    "mood_pleasant": {"valence": 0.0},
    "mood_low": {"valence": 0.0},
    "mood_low_for_long": {"valence": 0.0},
    "mood_angry": {"emotion": "neutral"},
    "mood_stressed": {"stress": False},
}

_PURPOSE = {
    "tone": "the tone",
    "content": "recommendations",
    "remember": "a history and a baseline",
    "research": "research",
}


def _tone(kept: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    manner, without = kept["manner"], kept["without_mood"]
    used = "mood" in kept["inputs"]
    return {
        "policy": kept["policy"],
        "inputs": kept["inputs"],
        "read": body["read"]["tone"] if used else [],
        "mood_used": used,
        "rules": [{"code": c, "says": s} for c, s in zip(kept["reasons"], kept["says"], strict=True)],
        "manner": manner,
        "never": [{"code": name, "says": NEVER[name]} for name in kept["never"]],
        "without_mood": without,
        "counterfactual": difference(Manner(**manner), Manner(**without), used=used),
    }


def _ranking(kept: dict[str, Any], body: dict[str, Any], felt: Mapping[str, Parts] | None) -> dict[str, Any]:
    ranked = [item["id"] for item in kept["items"]]
    used, without = "mood" in kept["inputs"], kept.get("without_mood", ranked)
    return {
        "policy": kept["policy"],
        "inputs": kept["inputs"],
        "read": body["read"]["content"] if used else [],
        "mood_used": used,
        "arm": kept.get("arm"),
        "active": kept.get("active", True),
        "diversity": kept.get("diversity"),
        "items": items_explained(kept["items"], felt if used else {}),
        "without_mood": without,
        "counterfactual": _order(ranked, without, used=used),
    }


def _order(ranked: Sequence[str], without: Sequence[str], *, used: bool) -> str:
    """What would be different in a slate, in words.

    >>> _order(["a", "b"], ["b", "a"], used=True)
    'Without the mood the order would be: b, a.'
    """
    if not used:
        return "No mood was used."
    if list(ranked) == list(without):
        return "Without the mood the same would be offered."
    return f"Without the mood the order would be: {', '.join(without)}."


def _of_tone(tone: dict[str, Any], mood: Mood | None) -> list[str]:
    return [
        f"The tone was chosen by the policy {tone['policy']} from: {', '.join(tone['inputs'])}.",
        *_estimated(tone, mood),
        *(f"{rule['says']} ({rule['code']})" for rule in tone["rules"]),
        f"The tone: {_choices(tone['manner'])}.",
        tone["counterfactual"],
    ]


def _of_ranking(ranking: dict[str, Any], mood: Mood | None) -> list[str]:
    return [
        f"What is offered was ranked by {ranking['policy']} from: {', '.join(ranking['inputs'])}.",
        *_estimated(ranking, mood),
        *(f"{item['id']}: {item['reason']}." for item in ranking["items"]),
        ranking["counterfactual"],
    ]


def _estimated(part: dict[str, Any], mood: Mood | None) -> list[str]:
    if not part["mood_used"]:
        return []
    said = f"The mood was estimated from: {', '.join(part['read'])}; it is {STATEMENT}, not knowledge of a feeling."
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


def _choices(manner: dict[str, str]) -> str:
    return ", ".join(f"{name} {value.replace('_', ' ')}" for name, value in manner.items())


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        f"{DECISION}/explain",
        get_explanation,
        "Why it was chosen, and what to do about it",
        scope="infer",
        personal=True,
    ),
)
