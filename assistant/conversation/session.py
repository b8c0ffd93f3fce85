"""A conversation with one person: read a message, take consent, choose the tone and what to recommend."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from assistant.audio.encoder import States
from assistant.audio.pcm import Samples
from assistant.audio.vad import Vad
from assistant.audio.voice import VoiceScores
from assistant.consent.grant import Grant, purposes
from assistant.consent.ledger import Ledger
from assistant.consent.receipt import Actor, Record
from assistant.conversation.dictation import Dictation
from assistant.conversation.memory import Memory
from assistant.conversation.recommender import Chosen, Recommender, Wish
from assistant.emotion import MODALITIES, Abstention, Modality, Mood, Purpose, Reading, Usual
from assistant.errors import Busy, ConsentRequired
from assistant.mood.baseline import Baselines, blurred
from assistant.mood.timeline import Timeline
from assistant.profile.person import App, Person, subject
from assistant.recommend.holdout import Arm
from assistant.recommend.holdout import arm as arm_of
from assistant.recommend.moment import NOWHERE, Moment
from assistant.recommend.policy import DecisionLog, Recommendation
from assistant.text.crisis import Safety, notice_crisis
from assistant.text.reader import TextScores
from assistant.tone.directive import Directive
from assistant.tone.policy import choose

log = logging.getLogger(__name__)

_SLOTS = 5
_INFERS: frozenset[Purpose] = frozenset({"tone", "content", "remember"})
"""Purposes that make a live estimate worthwhile; `research` alone doesn't."""


class ReadsText(Protocol):
    """The text reader, as far as a conversation needs it."""

    async def read(self, grant: Grant, text: str, *, budget_s: float) -> TextScores | Abstention:
        """Score one text."""


class ReadsVoice(Protocol):
    """The voice reader, as far as a conversation needs it."""

    @property
    def model(self) -> str:
        """Which model it is, as its readings say."""

    @property
    def population(self) -> tuple[float, ...]:
        """Where an unknown person's baseline begins."""

    @property
    def spread(self) -> tuple[float, ...]:
        """How much people differ in each number of a baseline."""

    async def read(
        self,
        grant: Grant,
        speech: Samples,
        *,
        heard: Sequence[States] | None,
        usual: Usual | None,
        budget_s: float,
    ) -> VoiceScores | Abstention:
        """Score one stretch of speech."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What conversations share. A reader is None where the server has no such model."""

    ledger: Ledger
    memory: Memory
    text: ReadsText | None
    voice: ReadsVoice | None
    dictation: Dictation | None
    """What finds the words; no reader, and needs no grant."""
    vad: Vad
    recommender: Recommender
    decisions: DecisionLog
    baselines: Baselines
    affect_budget_s: float
    """How long a reply waits for an estimate."""
    update_budget_s: float
    """How late an estimate in the middle of an utterance may be."""
    clock: Callable[[], float]
    """Unix seconds."""
    new_id: Callable[[], str]
    normal: Callable[[], float]
    """Draws from the standard normal distribution."""
    holdout: float = 0.0
    """Share of people whose recommendations never know the mood, so that its worth is always measured."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes of a message or an utterance."""

    mood: Mood | None
    directive: Directive
    recommendations: tuple[Recommendation, ...]
    decision: str
    safety: Safety | None = None


@dataclass(frozen=True, slots=True)
class _Moods:
    """The mood as each use may know it."""

    tone: Mood | None
    content: Mood | None
    shown: Mood | None
    arm: Arm | None
    """Of the standing experiment; None where nothing was granted for content."""
    remembers: bool
    """All that the mood for content rests on may be remembered."""


class Conversation:
    """One person in one app. Cheap: made anew for each message, kept for a stream."""

    def __init__(self, tools: Tools, app: App, person: Person) -> None:
        self.tools = tools
        self.app = app
        self.person = person
        self.subject = subject(app, person)

    async def read(self, text: str) -> Answer:
        """Answer a message. Crisis words are looked for first, whatever the consent."""
        safety = notice_crisis(text, self.person.profile.country)
        grant = await self.grant("text")
        said = None if grant is None else await self._read(grant, text)
        return await self.respond(safety, said)

    async def reply(self, words: str | None, said: Reading | Abstention | None) -> Answer:
        """Answer an utterance of which the words are known, or not, and what the voice `said`.

        The words go to the text reader only with a grant for text; crisis words are looked for in any case.
        """
        if not words:
            return await self.respond(None, said)
        safety = notice_crisis(words, self.person.profile.country)
        grant = await self.grant("text")
        read = None if grant is None else await self._read(grant, words)
        return await self.respond(safety, said or read)

    async def respond(self, safety: Safety | None = None, said: Reading | Abstention | None = None) -> Answer:
        """Choose the tone and the recommendations from what is known now, each from what it may use."""
        now = self.tools.clock()
        moods = await self._moods(now)
        decision = self.tools.new_id()
        directive = choose(moods.tone, self.person.profile, crisis=safety is not None)
        chosen = await self._choose(moods, decision, now, Wish(_SLOTS))
        await self._log(decision, now, chosen, moods.content, directive)
        shown = moods.shown
        if shown is None and isinstance(said, Abstention):
            shown = Mood.unsaid(said.reason, now)
        return Answer(shown, directive, chosen.ranking.slate, decision, safety)

    async def rank(
        self, slots: int, candidates: Sequence[str] | None = None
    ) -> tuple[str, tuple[Recommendation, ...]]:
        """Rank the catalogue, or some of it, for now; the mood counts only with a grant for content."""
        decision, chosen = await self.choose(Wish(slots, candidates))
        return decision, chosen.ranking.slate

    async def choose(self, wish: Wish) -> tuple[str, Chosen]:
        """Rank as wished; the mood counts only with a grant for content."""
        now = self.tools.clock()
        moods = await self._moods(now)
        decision = self.tools.new_id()
        chosen = await self._choose(moods, decision, now, wish)
        await self._log(decision, now, chosen, moods.content, moment=wish.moment)
        return decision, chosen

    async def mood(self) -> Mood | None:
        """The current mood, from the modalities that the person lets be read."""
        return (await self._moods(self.tools.clock())).shown

    async def decide(
        self, modality: Modality, purpose: Purpose, *, granted: bool, notice: str, actor: Actor
    ) -> Record:
        """Grant or withdraw consent; a withdrawal also drops what was kept of this modality."""
        record = await self.tools.ledger.decide(
            self.subject, modality, purpose, granted=granted, notice=notice, actor=actor
        )
        if record.event == "withdrawn" and purpose == "remember":
            await self.tools.baselines.forget(self.person.pseudonym, modality)
            await self.tools.recommender.forget_mood(self.person.pseudonym)
        return record

    async def grant(self, modality: Modality) -> Grant | None:
        """A living grant that lets `modality` be read, if the person gave one."""
        grants = await self.tools.ledger.grants(self.subject)
        return next((g for g in grants if g.modality == modality and g.purpose in _INFERS), None)

    async def timeline(self) -> Timeline:
        """The person's timeline; a new one begins with the baselines that they let be remembered."""
        known = self.tools.memory.find(self.person.pseudonym)
        if known is not None:
            return known
        grants = await self.tools.ledger.grants(self.subject)
        stored = {
            grant.modality: await self.tools.baselines.recall(self.person.pseudonym, grant.modality)
            for grant in grants
            if grant.purpose == "remember"
        }
        timeline = self.tools.memory.of(self.person.pseudonym)
        for modality, baseline in stored.items():
            if baseline is not None:
                timeline.baselines.setdefault(modality, baseline)
        return timeline

    async def take_in(self, grant: Grant, reading: Reading, *, passing: bool = False) -> None:
        """Add a reading that was made with `grant`: of a whole utterance or message, or of a `passing` window.

        Keeps the baseline where that is granted. Raises `ConsentRequired` when the grant is gone by now.
        """
        timeline = await self.timeline()
        now = self.tools.clock()
        self.tools.ledger.check(grant, reading.modality)  # nothing is awaited between this and adding
        if passing:
            timeline.glimpse(reading, now)
            return
        timeline.add(reading, now)
        if await self._remembers(reading.modality):
            spread = self.tools.voice.spread if reading.modality == "voice" and self.tools.voice else ()
            baseline = blurred(timeline.baseline(reading.modality), spread, self.tools.normal)
            await self.tools.baselines.remember(self.person.pseudonym, reading.modality, baseline, now)
            if not await self._remembers(reading.modality):  # withdrawn while it was written
                await self.tools.baselines.forget(self.person.pseudonym, reading.modality)

    async def _remembers(self, modality: Modality) -> bool:
        return "remember" in purposes(await self.tools.ledger.grants(self.subject), modality)

    async def _read(self, grant: Grant, text: str) -> Reading | Abstention | None:
        if self.tools.text is None:
            return Abstention("text", "unavailable")
        budget_s = self.tools.affect_budget_s
        try:
            async with asyncio.timeout(budget_s):
                scores = await self.tools.text.read(grant, text, budget_s=budget_s)
        except ConsentRequired:  # withdrawn just now
            return None
        except Exception as error:  # a broken model must not break the reply
            return abstained("text", error)
        if isinstance(scores, Abstention):
            return scores
        reading = scores.reading()
        try:
            await self.take_in(grant, reading)
        except ConsentRequired:  # withdrawn while the model ran
            return None
        return reading

    async def _moods(self, now: float) -> _Moods:
        grants = await self.tools.ledger.grants(self.subject)
        timeline = self.tools.memory.find(self.person.pseudonym)

        def told(wanted: frozenset[Purpose]) -> Mood | None:
            modalities = [m for m in MODALITIES if wanted & purposes(grants, m)]
            return timeline.mood(now, modalities) if timeline is not None and modalities else None

        uses_content = any("content" in purposes(grants, m) for m in MODALITIES)
        arm = arm_of(self.person.pseudonym, salt=self.app.id, share=self.tools.holdout) if uses_content else None
        content = None if arm == "blind" else told(frozenset({"content"}))
        rests_on = () if content is None else content.evidence
        remembers = all("remember" in purposes(grants, one.modality) for one in rests_on)
        return _Moods(told(frozenset({"tone"})), content, told(_INFERS), arm, remembers)

    async def _choose(self, moods: _Moods, decision: str, now: float, wish: Wish) -> Chosen:
        return await self.tools.recommender.choose(
            self.app,
            self.person,
            moods.content,
            wish,
            decision=decision,
            now=now,
            arm=moods.arm,
            remembers=moods.remembers,
        )

    async def _log(
        self,
        decision: str,
        now: float,
        chosen: Chosen,
        content: Mood | None,
        directive: Directive | None = None,
        moment: Moment = NOWHERE,
    ) -> None:
        """Keep what was chosen and from which inputs; no score of a mood."""
        inputs = [
            "profile.language",
            "profile.interests",
            *moment.names,
            *(["mood"] if content is not None else []),
        ]
        body: dict[str, Any] = {"ranking": {"inputs": inputs, **chosen.body}}
        if directive is not None:
            body["tone"] = {
                "policy": directive.policy,
                "inputs": [
                    "profile.formality",
                    "profile.plain_language",
                    *(["mood"] if directive.mood_used else []),
                ],
                "reasons": [reason.code for reason in directive.reasons],
            }
        await self.tools.decisions.add(decision, self.person.pseudonym, now, body)


def abstained(modality: Modality, error: Exception) -> Abstention:
    """What a failed reading comes to: nothing said, a stable reason, and a line in the log without any content."""
    reason = "late" if isinstance(error, TimeoutError) else "unavailable"
    if isinstance(error, Busy):
        reason = error.code
    level = logging.WARNING if reason == "unavailable" else logging.DEBUG  # shedding load is no fault
    log.log(level, "%s reading abstained: %s (%s)", modality, reason, type(error).__name__)
    return Abstention(modality, reason)
