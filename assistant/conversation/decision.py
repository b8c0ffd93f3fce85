"""What is kept of a decision: what was chosen and from which inputs, with every propensity; no score of a mood."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from assistant.conversation.limits import Limit
from assistant.emotion import Mood
from assistant.recommend.service import Chosen
from assistant.tone.directive import Directive


def body_of(
    held: Sequence[Limit],
    *,
    tone: Mood | None,
    content: Mood | None,
    chosen: Chosen | None = None,
    directive: Directive | None = None,
) -> dict[str, Any]:
    """A decision for the log. `tone` and `content` are the moods that were used, of which only the modalities stay.

    >>> body_of((), tone=None, content=None)
    {'read': {'tone': [], 'content': []}}
    """
    body: dict[str, Any] = {"read": {"tone": _read_for(tone), "content": _read_for(content)}}
    if chosen is not None:
        profile = ["profile.language", *([] if held else ["profile.interests"])]
        likes = ["likes"] if "likes" in chosen.body else []
        mood = [] if content is None else ["mood"]
        body["ranking"] = {"inputs": [*profile, *chosen.moment.names, *likes, *mood], **chosen.body}
    if directive is not None:
        body["tone"] = {
            "policy": directive.policy,
            "inputs": list(directive.inputs),
            "reasons": [reason.code for reason in directive.reasons],
            "says": [reason.says for reason in directive.reasons],
            "manner": directive.manner.choices(),
            "without_mood": directive.without_mood.choices(),
            "never": list(directive.never),
        }
    if held:
        body["limits"] = [limit.code for limit in held]
    return body


def _read_for(mood: Mood | None) -> list[str]:
    """Which modalities a mood is from."""
    return [] if mood is None else sorted(evidence.modality for evidence in mood.evidence)
