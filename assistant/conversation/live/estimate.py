"""What a stretch of a voice says of the person who speaks, where they allow it to be read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from assistant.audio.encoder import States
from assistant.audio.pcm import Samples
from assistant.conversation.session import Conversation, abstained
from assistant.emotion import Abstention, Reading
from assistant.errors import ConsentRequired
from assistant.mood.baseline import usual


async def estimate(
    conversation: Conversation,
    window: Samples,
    *,
    budget_s: float,
    heard: asyncio.Future[list[States]] | None = None,
    current: Callable[[], bool] | None = None,
) -> Reading | Abstention | None:
    """Read a window and take the reading in; None where it may not be read, or is no longer `current`.

    A window in the middle of an utterance has a `current`; the last one has none. `heard` is the stem's pass over
    this very window, where the words need it anyway; it goes on when the estimate comes too late.
    """
    tools = conversation.tools
    grant = await conversation.grant("voice")
    if grant is None:
        return None
    if tools.voice is None:
        return Abstention("voice", "unavailable")
    timeline = await conversation.timeline()
    habit = usual(timeline.baseline("voice"), tools.voice.population, tools.voice.model)
    try:
        async with asyncio.timeout(budget_s):
            states = None if heard is None else await asyncio.shield(heard)
            scores = await tools.voice.read(grant, window, heard=states, usual=habit, budget_s=budget_s)
    except ConsentRequired:
        return None
    except Exception as error:  # a broken model must not break the stream
        return abstained("voice", error)
    if isinstance(scores, Abstention):
        return scores
    if current is not None and not current():
        return None
    reading = scores.reading()
    try:
        await conversation.take_in(grant, reading, passing=current is not None)
    except ConsentRequired:  # withdrawn while the model ran
        return None
    return reading
