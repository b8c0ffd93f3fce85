"""A conversation with one person: read a message, take consent, choose the tone and what to recommend."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from assistant.consent.grant import Grant, purposes
from assistant.consent.legal_rules import disclosure, is_disclosure_due
from assistant.consent.receipt import Actor, Record
from assistant.conversation.limits import GPC, Limit, content_profile, limits, tone_profile
from assistant.conversation.surroundings import completed
from assistant.conversation.tools import Tools
from assistant.conversation.used import Used
from assistant.decision import Decision, ReadModalities, ToneDecision, modalities_of
from assistant.emotion import MODALITIES, Abstention, Modality, Mood, Purpose, Reading
from assistant.errors import Busy, ConsentRequired
from assistant.mood.baseline import blurred
from assistant.mood.correction import Correction
from assistant.mood.timeline import Timeline
from assistant.profile.person import App, Person, is_quiet, subject
from assistant.recommend.holdout import Arm
from assistant.recommend.holdout import arm as arm_of
from assistant.recommend.moment import NOWHERE
from assistant.recommend.ranking import Recommendation
from assistant.recommend.service import Chosen, Wish
from assistant.text.crisis import Safety, notice_crisis
from assistant.tone.directive import Directive
from assistant.tone.policy import directed
from assistant.tone.rules import Policy
from assistant.tone.situation import Situation, Urgency
from assistant.tone.steady import NOTHING

log = logging.getLogger(__name__)

_SLOTS = 5
_INFERS: frozenset[Purpose] = frozenset({"tone", "content", "remember"})
"""Purposes that make a live estimate worthwhile; `research` alone doesn't."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes of a message or an utterance."""

    mood: Mood | None
    directive: Directive
    recommendations: tuple[Recommendation, ...]
    decision: str
    safety: Safety | None = None
    limits: tuple[Limit, ...] = ()
    """What was not done, as the person asked."""
    quiet_hours: bool = False
    """It is a time at which the person wants to be left in peace."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What comes of a request to rank."""

    decision: str
    chosen: Chosen
    limits: tuple[Limit, ...]
    """What was not done, as the person asked."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """The tone of a chat's next answer."""

    directive: Directive
    decision: str
    safety: Safety | None
    keep: Callable[[], Awaitable[None]]
    """Writes the decision: for whoever answers to await while the answer is on its way."""


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

    def __init__(self, tools: Tools, app: App, person: Person, *, who: str = "", gpc: bool = False) -> None:
        self.tools = tools
        self.app = app
        self.person = person
        self.subject = subject(app, person)
        self.who = who
        """Who holds it for the person, as the access log names them."""
        self.gpc = gpc
        """Their browser sent `Sec-GPC: 1`."""

    async def read(self, text: str, *, urgency: Urgency = "normal") -> Answer:
        """Answer a message. Crisis words are looked for first, whatever the consent."""
        safety = notice_crisis(text, self.person.profile.country)
        self.tools.memory.turns.heard(self.person.pseudonym, text, self.tools.clock())
        grant = await self.grant("text")
        said = None if grant is None else await self._read(grant, text)
        return await self.respond(safety, said, urgency=urgency)

    async def tune(self, text: str, *, fresh: bool = True) -> Tuned:
        """The tone of a chat's next answer, and nothing to recommend. `fresh`: `text` was not read before."""
        safety = notice_crisis(text, self.person.profile.country)
        async with asyncio.TaskGroup() as beside:
            asked = beside.create_task(self.tools.policies.get(self.app.id))
            if fresh and text:
                self.tools.memory.turns.heard(self.person.pseudonym, text, self.tools.clock())
                grant = await self.grant("text")
                if grant is not None:
                    await self._read(grant, text)
        policy, now = asked.result(), self.tools.clock()
        held, quiet = await self.limits(), await self._quiet(now)
        moods = await self._moods(now, held)
        decision = self.tools.new_id()
        profile = tone_profile(self.person.profile, held)
        situation = Situation(profile, moods.tone, crisis=safety is not None, quiet_hours=quiet)
        directive = self._directed(situation, policy, now)
        self.tools.memory.used.keep(decision, Used(self.person.pseudonym, moods.tone, None))
        keep = partial(self._log, decision, now, held, moods=moods, directive=directive)
        return Tuned(directive, decision, safety, keep)

    async def reply(self, words: str | None, said: Reading | Abstention | None) -> Answer:
        """Answer an utterance of which the words are known, or not, and what the voice `said`.

        The words go to the text reader only with a grant for text; crisis words are looked for in any case.
        """
        self.tools.memory.turns.heard(self.person.pseudonym, words or None, self.tools.clock())
        if not words:
            return await self.respond(None, said)
        safety = notice_crisis(words, self.person.profile.country)
        grant = await self.grant("text")
        read = None if grant is None else await self._read(grant, words)
        return await self.respond(safety, said or read)

    async def respond(
        self,
        safety: Safety | None = None,
        said: Reading | Abstention | None = None,
        *,
        urgency: Urgency = "normal",
    ) -> Answer:
        """Choose the tone and the recommendations from what is known now, each from what it may use."""
        now = self.tools.clock()
        held, quiet = await self.limits(), await self._quiet(now)
        policy = await self.tools.policies.get(self.app.id)
        moods = await self._moods(now, held)
        decision = self.tools.new_id()
        situation = Situation(
            tone_profile(self.person.profile, held),
            moods.tone,
            crisis=safety is not None,
            urgency=urgency,
            quiet_hours=quiet,
        )
        directive = self._directed(situation, policy, now)  # nothing is awaited between the moods and keeping them
        self.tools.memory.used.keep(decision, Used(self.person.pseudonym, moods.tone, moods.content))
        chosen = await self._choose(moods, decision, now, Wish(_SLOTS), held)
        await self._log(decision, now, held, moods=moods, chosen=chosen, directive=directive)
        shown = moods.shown
        if shown is None and isinstance(said, Abstention):
            shown = Mood.unsaid(said.reason, now)
        return Answer(shown, directive, chosen.ranking.slate, decision, safety, held, quiet)

    async def choose(self, wish: Wish) -> Selection:
        """Rank as wished; the mood counts only with a grant for content."""
        now = self.tools.clock()
        held = await self.limits()
        moods = await self._moods(now, held)
        decision = self.tools.new_id()
        self.tools.memory.used.keep(decision, Used(self.person.pseudonym, None, moods.content))
        chosen = await self._choose(moods, decision, now, wish, held)
        await self._log(decision, now, held, moods=moods, chosen=chosen)
        return Selection(decision, chosen, held)

    async def limits(self) -> tuple[Limit, ...]:
        """What the person asked not to be done."""
        standing = await self.tools.ledger.standing(self.person.pseudonym)
        return limits(gpc=self.gpc, restricted=standing.restricted, objected=standing.objected)

    def disclosure(self, *, again: bool = False) -> str | None:
        """What to tell the person now of whom they talk to: at the beginning and every three hours, or `again`.

        Whoever asks must tell them: it counts as told.
        """
        now, memory = self.tools.clock(), self.tools.memory
        if not again and not is_disclosure_due(memory.disclosed_at(self.person.pseudonym), now):
            return None
        memory.disclosed(self.person.pseudonym, now)
        return disclosure(self.subject)

    async def correct(self, corrections: Sequence[Correction]) -> None:
        """Take the person's word on their own mood; it wins at once, and for the rest of the session."""
        timeline = await self.timeline()
        for correction in corrections:
            timeline.correct(correction)

    async def _quiet(self, now: float) -> bool:
        hours = self.person.profile.quiet_hours
        if hours is None:
            return False
        zone = (await self.tools.moments.read_context(self.person.pseudonym)).get("time_zone")
        return is_quiet(hours, now, None if zone is None else zone.value)

    def _directed(self, situation: Situation, policy: Policy, now: float) -> Directive:
        """The tone by the app's table, given where the conversation stands."""
        turns, person = self.tools.memory.turns, self.person.pseudonym
        turn = turns.now(person, now)
        if turn is not None:
            situation = replace(situation, turns=turn.count, goodbye=turn.goodbye, repeated=turn.repeated)
        directive, held = directed(situation, policy, held=NOTHING if turn is None else turn.held, now=now)
        turns.hold(person, held, now)
        return directive

    async def mood(self) -> Mood | None:
        """The current mood, from the modalities that the person lets be read."""
        return (await self._moods(self.tools.clock(), ())).shown

    async def decide(
        self, modality: Modality, purpose: Purpose, *, granted: bool, notice: str, actor: Actor
    ) -> Record:
        """Grant or withdraw consent; a withdrawal also drops what was kept of this modality."""
        record = await self.tools.ledger.decide(
            self.subject, modality, purpose, granted=granted, notice=notice, actor=actor
        )
        if record.event == "withdrawn" and purpose == "remember":
            await self._forget(modality)
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
            timeline.set_interim(reading, now)
            return
        timeline.add_reading(reading, now)
        if await self._remembers(reading.modality):
            spread = self.tools.voice.spread if reading.modality == "voice" and self.tools.voice else ()
            baseline = blurred(timeline.baseline(reading.modality), spread, self.tools.normal)
            await self.tools.baselines.remember(self.person.pseudonym, reading.modality, baseline, now)
            await self.tools.moods.add_reading(self.person.pseudonym, reading, now)
            if not await self._remembers(reading.modality):  # withdrawn while it was written
                await self._forget(reading.modality)

    async def _forget(self, modality: Modality) -> None:
        await self.tools.baselines.forget(self.person.pseudonym, modality)
        await self.tools.moods.forget(self.person.pseudonym, modality)

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

    async def _moods(self, now: float, held: Sequence[Limit]) -> _Moods:
        grants = await self.tools.ledger.grants(self.subject)
        timeline = self.tools.memory.find(self.person.pseudonym)

        def told(wanted: frozenset[Purpose]) -> Mood | None:
            modalities = [m for m in MODALITIES if wanted & purposes(grants, m)]
            return timeline.mood(now, modalities) if timeline is not None and modalities else None

        uses_content = not held and any("content" in purposes(grants, m) for m in MODALITIES)
        arm = arm_of(self.person.pseudonym, salt=self.app.id, share=self.tools.holdout) if uses_content else None
        content = told(frozenset({"content"})) if arm == "mood" else None
        rests_on = () if content is None else content.evidence
        remembers = all(
            one.modality != "correction" and "remember" in purposes(grants, one.modality) for one in rests_on
        )
        return _Moods(told(frozenset({"tone"})), content, told(_INFERS), arm, remembers)

    async def _choose(self, moods: _Moods, decision: str, now: float, wish: Wish, held: Sequence[Limit]) -> Chosen:
        """Rank as wished. What a person asked not to be used is no part of it, nor is the moment they are in."""
        if held:
            wish = replace(wish, moment=NOWHERE, offers=wish.offers and GPC not in held)
        else:
            known = await self.tools.moments.read_context(self.person.pseudonym)
            wish = replace(wish, moment=completed(wish.moment, known, now))
        return await self.tools.recommender.choose(
            self.app,
            self.person,
            moods.content,
            wish,
            decision=decision,
            now=now,
            arm=moods.arm,
            remembers=moods.remembers,
            profile=content_profile(self.person.profile, held) if held else None,
        )

    async def _log(
        self,
        decision: str,
        now: float,
        held: Sequence[Limit],
        *,
        moods: _Moods,
        chosen: Chosen | None = None,
        directive: Directive | None = None,
    ) -> None:
        """Keep what was chosen and from which inputs; no score of a mood."""
        tone = moods.tone if directive is not None else None
        content = moods.content if chosen is not None else None
        for purpose, used in (
            ("tone", directive is not None and directive.mood_used),
            ("content", content is not None),
        ):
            if used:
                self.tools.uses.note_access(self.person.pseudonym, self.who, "mood", purpose)
        body = Decision(
            read=ReadModalities(modalities_of(tone), modalities_of(content)),
            ranking=None if chosen is None else chosen.decision,
            tone=None if directive is None else ToneDecision.of(directive),
            limits=tuple(limit.code for limit in held),
        )
        await self.tools.decisions.add(decision, self.person.pseudonym, now, body)


def abstained(modality: Modality, error: Exception) -> Abstention:
    """What a failed reading comes to: nothing said, a stable reason, and a line in the log without any content."""
    reason = "late" if isinstance(error, TimeoutError) else "unavailable"
    if isinstance(error, Busy):
        reason = error.code
    level = logging.WARNING if reason == "unavailable" else logging.DEBUG  # shedding load is no fault
    log.log(level, "%s reading abstained: %s (%s)", modality, reason, type(error).__name__)
    return Abstention(modality, reason)
