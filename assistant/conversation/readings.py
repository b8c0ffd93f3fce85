"""What is read of one person: the grants to read it, the readings over time, and the mood they come to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from assistant.audio.encoder import States
from assistant.audio.pcm import Samples
from assistant.consent.grant import Grant, purposes
from assistant.conversation.services import ConversationServices
from assistant.emotion import MODALITIES, Abstention, Modality, Mood, Purpose, Reading
from assistant.errors import Busy, ConsentRequired
from assistant.mood.baseline import blur_baseline, usual_from
from assistant.mood.timeline import Correction, Timeline
from assistant.profile.person import App, Person, subject
from assistant.recommend.holdout import Arm, assign_arm

log = logging.getLogger(__name__)

_INFERS: frozenset[Purpose] = frozenset({"tone", "content", "remember"})
"""Purposes that make a live estimate worthwhile; `research` alone doesn't."""


@dataclass(frozen=True, slots=True)
class Moods:
    """The mood as each purpose may know it. None: it may not, nothing is known, or it was not asked for."""

    tone: Mood | None = None
    content: Mood | None = None
    shown: Mood | None = None
    """As the person and the app may see it."""
    arm: Arm | None = None
    """Of the standing experiment; None where nothing was granted for content."""
    remembers: bool = False
    """All that the mood for content rests on may be remembered."""


class PersonReadings:
    """The readings of one person in one app."""

    def __init__(self, services: ConversationServices, app: App, person: Person) -> None:
        self._services = services
        self._app = app
        self._person = person.pseudonym
        self.subject = subject(app, person)

    async def grant(self, modality: Modality) -> Grant | None:
        """A living grant that lets `modality` be read, if the person gave one."""
        grants = await self._services.ledger.grants(self.subject)
        return next((g for g in grants if g.modality == modality and g.purpose in _INFERS), None)

    async def read_text(self, text: str) -> Reading | Abstention | None:
        """Read a text and take the reading in; None where the person doesn't let their texts be read."""
        if (grant := await self.grant("text")) is None:
            return None
        reader, budget_s = self._services.text, self._services.affect_budget_s
        if reader is None:
            return Abstention("text", "unavailable")
        try:
            async with asyncio.timeout(budget_s):
                scores = await reader.read(grant, text, budget_s=budget_s)
            if isinstance(scores, Abstention):
                return scores
        except ConsentRequired:  # withdrawn just now
            return None
        except Exception as error:  # a broken model must not break the reply
            return abstain("text", error)
        return await self._taken_in(grant, scores.reading())

    async def read_voice(
        self,
        window: Samples,
        *,
        budget_s: float,
        heard: asyncio.Future[list[States]] | None = None,
        is_current: Callable[[], bool] | None = None,
    ) -> Reading | Abstention | None:
        """Read a window of speech and take the reading in; None where it may not be read, or is no longer current.

        A window in the middle of an utterance has `is_current`; the last one has none. `heard` is the stem's pass
        over this very window, where the words need it anyway; it goes on when the estimate comes too late.
        """
        if (grant := await self.grant("voice")) is None:
            return None
        reader = self._services.voice
        if reader is None:
            return Abstention("voice", "unavailable")
        baseline = (await self.timeline()).baseline("voice")
        try:
            async with asyncio.timeout(budget_s):
                states = None if heard is None else await asyncio.shield(heard)
                usual = usual_from(baseline, reader.population, reader.model)
                scores = await reader.read(grant, window, heard=states, usual=usual, budget_s=budget_s)
        except ConsentRequired:
            return None
        except Exception as error:  # a broken model must not break the stream
            return abstain("voice", error)
        if isinstance(scores, Abstention):
            return scores
        if is_current is not None and not is_current():
            return None
        return await self._taken_in(grant, scores.reading(), passing=is_current is not None)

    async def take_in(self, grant: Grant, reading: Reading, *, passing: bool = False) -> None:
        """Add a reading that was made with `grant`: of a whole utterance or message, or of a `passing` window.

        Keeps the baseline where that is granted. Raises `ConsentRequired` when the grant is gone by now.
        """
        services, modality = self._services, reading.modality
        timeline = await self.timeline()
        now = services.clock()
        services.ledger.check(grant, modality)  # nothing is awaited between this and adding
        if passing:
            timeline.set_interim(reading, now)
            return
        timeline.add_reading(reading, now)
        if await self._remembers(modality):
            spread = services.voice.spread if modality == "voice" and services.voice else ()
            baseline = blur_baseline(timeline.baseline(modality), spread, services.normal)
            await services.baselines.remember(self._person, modality, baseline, now)
            await services.moods.add_reading(self._person, reading, now)
            if not await self._remembers(modality):  # withdrawn while it was written
                await self.forget_stored(modality)

    async def timeline(self) -> Timeline:
        """The person's timeline; a new one begins with the baselines that they let be remembered."""
        known = self._services.memory.find_timeline(self._person)
        if known is not None:
            return known
        grants = await self._services.ledger.grants(self.subject)
        stored = {
            grant.modality: await self._services.baselines.recall(self._person, grant.modality)
            for grant in grants
            if grant.purpose == "remember"
        }
        timeline = self._services.memory.timeline(self._person)
        for modality, baseline in stored.items():
            if baseline is not None:
                timeline.baselines.setdefault(modality, baseline)
        return timeline

    async def mood(self) -> Mood | None:
        """The current mood, from the modalities that the person lets be read."""
        return (await self.moods(self._services.clock(), shown=True)).shown

    async def moods(self, now: float, *, tone: bool = False, content: bool = False, shown: bool = False) -> Moods:
        """The mood at unix time `now` for each purpose that is asked for; fused once for the same modalities."""
        grants = await self._services.ledger.grants(self.subject)
        timeline = self._services.memory.find_timeline(self._person)
        fused: dict[tuple[Modality, ...], Mood | None] = {}

        def mood_for(wanted: frozenset[Purpose]) -> Mood | None:
            modalities = tuple(m for m in MODALITIES if wanted & purposes(grants, m))
            if timeline is None or not modalities:
                return None
            if modalities not in fused:
                fused[modalities] = timeline.mood(now, modalities)
            return fused[modalities]

        own_arm: Arm | None = None
        if content and any(grant.purpose == "content" for grant in grants):
            own_arm = assign_arm(self._person, salt=self._app.id, share=self._services.holdout)
        for_content = mood_for(frozenset({"content"})) if own_arm == "mood" else None
        return Moods(
            tone=mood_for(frozenset({"tone"})) if tone else None,
            content=for_content,
            shown=mood_for(_INFERS) if shown else None,
            arm=own_arm,
            remembers=for_content is not None and _may_remember(for_content, grants),
        )

    async def correct(self, corrections: Sequence[Correction]) -> None:
        """Take the person's word on their own mood; it wins at once, and for the rest of the session."""
        timeline = await self.timeline()
        for correction in corrections:
            timeline.correct(correction)

    def corrections(self) -> list[Correction]:
        """What the person said of themself in this session."""
        timeline = self._services.memory.find_timeline(self._person)
        return [] if timeline is None else list(timeline.corrections(self._services.clock()).values())

    def drop_corrections(self) -> None:
        """The person takes back what they said of themself: the estimates count again."""
        timeline = self._services.memory.find_timeline(self._person)
        if timeline is not None:
            timeline.remove_corrections()

    async def forget_stored(self, modality: Modality) -> None:
        """Remove what is stored of one modality: the baseline and the history."""
        await self._services.baselines.forget(self._person, modality)
        await self._services.moods.forget(self._person, modality)

    async def _taken_in(self, grant: Grant, reading: Reading, *, passing: bool = False) -> Reading | None:
        try:
            await self.take_in(grant, reading, passing=passing)
        except ConsentRequired:  # withdrawn while the model ran
            return None
        return reading

    async def _remembers(self, modality: Modality) -> bool:
        return "remember" in purposes(await self._services.ledger.grants(self.subject), modality)


def _may_remember(mood: Mood, grants: Sequence[Grant]) -> bool:
    """Whether all that a mood rests on may be remembered; a correction never is."""
    return all(
        evidence.modality != "correction" and "remember" in purposes(grants, evidence.modality)
        for evidence in mood.evidence
    )


def abstain(modality: Modality, error: Exception) -> Abstention:
    """What a failed reading comes to: nothing said, a stable reason, and a line in the log without any content."""
    reason = "late" if isinstance(error, TimeoutError) else "unavailable"
    if isinstance(error, Busy):
        reason = error.code
    level = logging.WARNING if reason == "unavailable" else logging.DEBUG  # shedding load is no fault
    log.log(level, "%s reading abstained: %s (%s)", modality, reason, type(error).__name__)
    return Abstention(modality, reason)
