"""An upstream server that gets the tone where it takes it.

With `auto`, a refusal of the roles leads to another try; what was taken in the end is remembered for the model for
an hour. Nothing is tried again once an answer began, and neither messages nor models are logged.
"""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Literal

from assistant.bounded import BoundedDict
from assistant.chat.completion import Request
from assistant.chat.placement import Placement, blames_roles, next_placement, roles_of, usual_placement
from assistant.chat.upstream import Upstream, UpstreamRefused

log = logging.getLogger(__name__)

PlacementSetting = Literal["auto"] | Placement
PlacementOutcome = Literal["taken", "refused"]

_REFUSALS = (400, 422)
_REMEMBERED_S = 3600.0
_MOST = 1000
"""Most models that are remembered: requests name them."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """What is ours in a request to the upstream server."""

    tone: str
    model: str = ""
    """The model to use, whatever the request names; empty: the one that it names."""
    include_usage: bool = False
    """Ask for the usage of a stream too."""


@dataclass(frozen=True, slots=True)
class _Known:
    placement: Placement
    since: float
    """Seconds of the upstream's clock."""


@dataclass(slots=True)
class _Tries:
    """The placements that one request was sent with."""

    model: tuple[str, bool]
    """Its name, and whether the app sent instructions too: what is taken differs."""
    roles: tuple[str, ...]
    began: float
    """When the first was sent, in seconds of the upstream's clock."""
    tried: list[Placement] = field(default_factory=list)


class ToneUpstream:
    """Sends requests to the upstream server with the tone in its place; shared by all chats."""

    def __init__(self, upstream: Upstream, setting: PlacementSetting = "auto") -> None:
        self._upstream, self._setting = upstream, setting
        self._known: BoundedDict[tuple[str, bool], _Known] = BoundedDict(_MOST)
        self.outcomes: Counter[tuple[Placement, PlacementOutcome]] = Counter()
        """How often each placement was taken, and refused for the roles."""

    async def models(self) -> bytes:
        """The server's list of models, unchanged. Raises `UpstreamRefused` or `Unavailable`."""
        return await self._upstream.models()

    async def complete(self, asked: Request, ours: Instruction) -> bytes:
        """The complete answer to a request. Raises `UpstreamRefused` or `Unavailable`."""
        tries = self._begin(asked, ours)
        while True:
            try:
                answer = await self._upstream.complete(_payload(asked, ours, tries), since=tries.began)
            except UpstreamRefused as refusal:
                if not self._goes_on(tries, refusal):
                    raise
            else:
                self._taken(tries)
                return answer

    async def stream(self, asked: Request, ours: Instruction) -> AsyncGenerator[bytes, None]:
        """The data of each event of the answer, as it arrives. Raises `UpstreamRefused` or `Unavailable`."""
        tries = self._begin(asked, ours)
        while True:
            events = self._upstream.stream(_payload(asked, ours, tries), since=tries.began)
            async with contextlib.aclosing(events):
                try:
                    first = await anext(events, None)
                except UpstreamRefused as refusal:
                    if not self._goes_on(tries, refusal):
                        raise
                    continue
                self._taken(tries)
                if first is not None:
                    yield first
                async for data in events:
                    yield data
                return

    def _begin(self, asked: Request, ours: Instruction) -> _Tries:
        roles, now = roles_of(asked.messages), self._upstream.now()
        tries = _Tries((ours.model or asked.model, "system" in roles or "developer" in roles), roles, now)
        tries.tried.append(self._placement(tries, now) if self._setting == "auto" else self._setting)
        return tries

    def _placement(self, tries: _Tries, now: float) -> Placement:
        usual, known = usual_placement(tries.roles), self._known.get(tries.model)
        if usual == "own" and known is not None and now - known.since < _REMEMBERED_S:
            return known.placement
        return usual

    def _goes_on(self, tries: _Tries, refusal: UpstreamRefused) -> bool:
        """Take note of a refusal; whether another placement is tried."""
        if refusal.status not in _REFUSALS:
            return False
        words = refusal.body.decode(errors="replace")
        if blames_roles(words):
            self.outcomes[tries.tried[-1], "refused"] += 1
        following = next_placement(tries.roles, tries.tried, words) if self._setting == "auto" else None
        if following is None:
            return False
        tries.tried.append(following)
        return True

    def _taken(self, tries: _Tries) -> None:
        *refused, placement = tries.tried
        self.outcomes[placement, "taken"] += 1
        if refused:
            self._known[tries.model] = _Known(placement, tries.began)
            log.info(
                "the language model's server refused the tone as %s and took it as %s",
                ", ".join(refused),
                placement,
            )


def _payload(asked: Request, ours: Instruction, tries: _Tries) -> bytes:
    placement = tries.tried[-1]
    return asked.payload(ours.tone, placement, model=ours.model, include_usage=ours.include_usage)
