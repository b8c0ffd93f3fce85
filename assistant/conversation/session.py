"""A conversation with one person: read a message, take consent, choose the tone and what to recommend."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial

from assistant.consent.legal_rules import disclosure_text, is_disclosure_due
from assistant.consent.receipt import Actor, Record
from assistant.conversation.memory import MoodsUsed, Progress
from assistant.conversation.readings import Moods, PersonReadings
from assistant.conversation.services import ConversationServices
from assistant.decision import Decision, ReadModalities, ToneDecision, modalities_of
from assistant.emotion import Abstention, Modality, Mood, Purpose, Reading
from assistant.errors import Unavailable
from assistant.profile.person import App, Person, Profile, is_quiet
from assistant.recommend.moment import NOWHERE, complete_moment
from assistant.recommend.ranking import RankRequest, Recommendation
from assistant.recommend.service import Chosen, Viewer
from assistant.text.crisis import Safety, notice_crisis
from assistant.tone.directive import Directive
from assistant.tone.policy import direct
from assistant.tone.rules import Policy
from assistant.tone.situation import Situation, Urgency


@dataclass(frozen=True, slots=True)
class Limit:
    """Something that is not done, and why."""

    code: str
    says: str


GPC = Limit(
    "gpc", "Global Privacy Control: nothing about the person chose what is shown, and nothing commercial is."
)
RESTRICTED = Limit("restricted", "The person had the use of their data restricted: it is kept and not used.")
OBJECTED = Limit("objected", "The person objects to profiling: nothing about them chose what is shown.")


def limits_of(*, gpc: bool, restricted: bool, objected: bool) -> tuple[Limit, ...]:
    """The limits that hold.

    >>> [limit.code for limit in limits_of(gpc=True, restricted=False, objected=True)]
    ['gpc', 'objected']
    """
    return tuple(limit for holds, limit in ((gpc, GPC), (restricted, RESTRICTED), (objected, OBJECTED)) if holds)


log = logging.getLogger(__name__)

_SLOTS = 5


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
class _Beginning:
    """Where each decision begins: its id and time, what the person asked not to be done, and the moods for it."""

    decision: str
    now: float
    """Unix seconds."""
    limits: tuple[Limit, ...]
    moods: Moods


class Conversation:
    """One person in one app. Cheap: made anew for each message, kept for a stream."""

    def __init__(
        self, services: ConversationServices, app: App, person: Person, *, who: str = "", gpc: bool = False
    ) -> None:
        self.services = services
        self.app = app
        self.person = person
        self.readings = PersonReadings(services, app, person)
        self.who = who
        """Who holds it for the person, as the access log names them."""
        self.gpc = gpc
        """Their browser sent `Sec-GPC: 1`."""

    async def read(self, text: str, *, urgency: Urgency = "normal") -> Answer:
        """Answer a message. Crisis words are looked for first, whatever the consent."""
        safety = notice_crisis(text, self.person.profile.country)
        self._add_message(text)
        said = await self.readings.read_text(text)
        return await self.respond(safety, said, urgency=urgency)

    async def tune(self, text: str, *, fresh: bool = True) -> Tuned:
        """The tone of a chat's next answer, and nothing to recommend. `fresh`: `text` was not read before."""
        safety = notice_crisis(text, self.person.profile.country)
        async with asyncio.TaskGroup() as beside:
            asked = beside.create_task(self.services.policies.get(self.app.id))
            if fresh and text:
                self._add_message(text)
                await self.readings.read_text(text)
        quiet = await self._is_quiet()
        begun = await self._begin(tone=True)
        directive = self._direct(begun, asked.result(), crisis=safety is not None, quiet=quiet)
        return Tuned(directive, begun.decision, safety, partial(self._keep, begun, directive=directive))

    async def reply(self, words: str | None, said: Reading | Abstention | None) -> Answer:
        """Answer an utterance of which the words are known, or not, and what the voice `said`.

        The words go to the text reader only with a grant for text; crisis words are looked for in any case.
        """
        self._add_message(words or None)
        safety = notice_crisis(words, self.person.profile.country) if words else None
        read = await self.readings.read_text(words) if words else None
        return await self.respond(safety, said or read)

    async def respond(
        self, safety: Safety | None = None, said: Reading | Abstention | None = None, *, urgency: Urgency = "normal"
    ) -> Answer:
        """Choose the tone and the recommendations from what is known now, each from what it may use."""
        policy, quiet = await self.services.policies.get(self.app.id), await self._is_quiet()
        begun = await self._begin(tone=True, content=True, shown=True)
        directive = self._direct(begun, policy, crisis=safety is not None, urgency=urgency, quiet=quiet)
        chosen = await self._rank(begun, RankRequest(_SLOTS))
        try:
            await self._keep(begun, chosen=chosen, directive=directive)
        except Unavailable as error:
            if safety is None:
                raise
            log.error("a decision could not be kept, and the way to help was shown all the same (%s)", error.code)
        shown = begun.moods.shown
        if shown is None and isinstance(said, Abstention):
            shown = Mood.unsaid(said.reason, begun.now)
        return Answer(shown, directive, chosen.ranking.slate, begun.decision, safety, begun.limits, quiet)

    async def choose(self, request: RankRequest) -> Selection:
        """Rank as asked; the mood counts only with a grant for content."""
        begun = await self._begin(content=True)
        chosen = await self._rank(begun, request)
        await self._keep(begun, chosen=chosen)
        return Selection(begun.decision, chosen, begun.limits)

    async def limits(self) -> tuple[Limit, ...]:
        """What the person asked not to be done."""
        standing = await self.services.ledger.standing(self.person.pseudonym)
        return limits_of(gpc=self.gpc, restricted=standing.restricted, objected=standing.objected)

    def disclosure(self, *, again: bool = False) -> str | None:
        """What to tell the person now of whom they talk to: at the beginning and every three hours, or `again`.

        Whoever asks must tell them: it counts as told.
        """
        now, memory = self.services.clock(), self.services.memory
        if not again and not is_disclosure_due(memory.disclosed_at(self.person.pseudonym), now):
            return None
        memory.note_disclosure(self.person.pseudonym, now)
        return disclosure_text(self.readings.subject)

    async def decide(
        self, modality: Modality, purpose: Purpose, *, granted: bool, notice: str, actor: Actor
    ) -> Record:
        """Grant or withdraw consent; a withdrawal also drops what was kept of this modality."""
        record = await self.services.ledger.decide(
            self.readings.subject, modality, purpose, granted=granted, notice=notice, actor=actor
        )
        if record.event == "withdrawn" and purpose == "remember":
            await self.readings.forget_stored(modality)
            await self.services.recommender.forget_mood(self.person.pseudonym)
        return record

    @property
    def _only_language(self) -> Profile:
        """The part of the profile that every choice needs, whatever the person asked not to be used."""
        return Profile(language=self.person.profile.language)

    def _add_message(self, words: str | None) -> None:
        self.services.memory.progress.add_message(self.person.pseudonym, words, self.services.clock())

    async def _is_quiet(self) -> bool:
        if (hours := self.person.profile.quiet_hours) is None:
            return False
        zone = (await self.services.contexts.read_context(self.person.pseudonym)).get("time_zone")
        return is_quiet(hours, self.services.clock(), None if zone is None else zone.value)

    async def _begin(self, *, tone: bool = False, content: bool = False, shown: bool = False) -> _Beginning:
        """Begin a decision with the moods that it needs. They are kept in memory, so that it can be explained."""
        now, limits = self.services.clock(), await self.limits()
        moods = await self.readings.moods(now, tone=tone, content=content and not limits, shown=shown)
        decision = self.services.new_id()  # nothing is awaited between the moods and keeping them
        self.services.memory.moods_used.add(decision, MoodsUsed(self.person.pseudonym, moods.tone, moods.content))
        return _Beginning(decision, now, limits, moods)

    def _direct(
        self, begun: _Beginning, policy: Policy, *, crisis: bool, quiet: bool, urgency: Urgency = "normal"
    ) -> Directive:
        """The tone by the app's table, given where the conversation stands."""
        all_progress, person = self.services.memory.progress, self.person.pseudonym
        progress = all_progress.current(person, begun.now) or Progress(begun.now)
        situation = Situation(
            self._only_language if RESTRICTED in begun.limits else self.person.profile,
            begun.moods.tone,
            crisis=crisis,
            quiet_hours=quiet,
            urgency=urgency,
            turns=progress.count,
            goodbye=progress.goodbye,
            repeated=progress.repeated,
        )
        directive, held = direct(situation, policy, held=progress.held, now=begun.now)
        all_progress.hold_tone(person, held, begun.now)
        return directive

    async def _rank(self, begun: _Beginning, request: RankRequest) -> Chosen:
        """Rank as asked. What a person asked not to be used is no part of it, nor is the moment they are in."""
        limits, moods = begun.limits, begun.moods
        if limits:
            request = replace(request, moment=NOWHERE, offers=request.offers and GPC not in limits)
        else:
            context = await self.services.contexts.read_context(self.person.pseudonym)
            request = replace(request, moment=complete_moment(request.moment, context, begun.now))
        usable = self._only_language if limits else None
        viewer = Viewer(self.app, self.person, moods.content, moods.arm, moods.remembers, limited_to=usable)
        return await self.services.recommender.choose(viewer, request, decision=begun.decision, now=begun.now)

    async def _keep(
        self, begun: _Beginning, *, chosen: Chosen | None = None, directive: Directive | None = None
    ) -> None:
        """Write down what was chosen and from which inputs; no score of a mood."""
        moods = begun.moods
        if directive is not None and directive.mood_used:
            self.services.uses.note_access(self.person.pseudonym, self.who, "mood", "tone")
        if moods.content is not None:
            self.services.uses.note_access(self.person.pseudonym, self.who, "mood", "content")
        decision = Decision(
            read=ReadModalities(modalities_of(moods.tone), modalities_of(moods.content)),
            ranking=None if chosen is None else chosen.decision,
            tone=None if directive is None else ToneDecision.from_directive(directive),
            limits=tuple(limit.code for limit in begun.limits),
        )
        await self.services.decisions.add(begun.decision, self.person.pseudonym, begun.now, decision)
