"""Why items were ranked as they were: the parts of each score, in data and in words, with and without the mood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from assistant.recommend.ranking import WORDS

Parts = Mapping[str, float]


def explained(items: Sequence[Mapping[str, Any]], felt: Mapping[str, Parts] | None) -> list[dict[str, Any]]:
    """The items of a decision as it was kept, each with the parts that sum to its score.

    `felt` says what the mood added, by item: empty where no mood was used, and None where one was and isn't
    remembered any more. Then the whole score isn't known either, only that without the mood.

    >>> kept = {"id": "a", "propensity": 1.0, "reason": "popular", "parts": {"popularity": 0.25}}
    >>> explained([kept], {"a": {"mood_stress": 0.5}})[0]["score"], explained([kept], None)[0]["score"]
    (0.75, None)
    """
    told = []
    for place, item in enumerate(items):
        plain: Parts = item.get("parts", {})
        parts = dict(plain) | dict((felt or {}).get(item["id"], {}))
        told.append(
            {
                "id": item["id"],
                "place": place,
                "propensity": item["propensity"],
                "reason": item["reason"],
                "reasons": [{"code": code, "says": WORDS[code]} for code in item.get("codes", ())],
                "parts": {name: round(value, 6) for name, value in parts.items()},
                "score_without_mood": round(sum(plain.values()), 6),
                "score": None if felt is None else round(sum(parts.values()), 6),
            }
        )
    return told
