"""Events to put into an outbox."""

from __future__ import annotations

from assistant.server.contract.events import AffectResult


def estimate(*, final: bool, window_s: float = 1.0) -> AffectResult:
    return AffectResult(
        item_id="item",
        final=final,
        window_s=window_s,
        audio_end_ms=1_000,
        reading=None,
        abstained="too_short",
        mood=None,
    )
