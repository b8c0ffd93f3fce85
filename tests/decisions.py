"""Decisions for tests."""

from __future__ import annotations

from typing import Any

from assistant.decision import Decision, ReadModalities
from assistant.recommend.decision import DecidedItem, RankingDecision


def an_item(name: str = "a", **change: Any) -> DecidedItem:
    parts: dict[str, Any] = {
        "id": name,
        "kind": "tip",
        "commercial": False,
        "propensity": 1.0,
        "reason": "something from the catalogue",
        "codes": (),
        "parts": {},
        "own": (0.0, 0.0),
    }
    return DecidedItem(**parts | change)


def a_ranking(*items: DecidedItem, **change: Any) -> RankingDecision:
    parts: dict[str, Any] = {
        "inputs": ("profile.language",),
        "policy": "rank-3",
        "mood_used": False,
        "arm": None,
        "active": True,
        "temperature": 0.05,
        "serendipity": 0.0,
        "context": (1.0, *[0.0] * 7),
        "items": items,
    }
    return RankingDecision(**parts | change)


def a_decision(*items: DecidedItem, **change: Any) -> Decision:
    """One that ranked these items without any mood."""
    return Decision(**{"read": ReadModalities((), ()), "ranking": a_ranking(*items)} | change)
