"""Utterances on their way to an answer: their words, told while they are spoken and at their end, and the reply."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from assistant.audio import SAMPLE_RATE
from assistant.audio.encoder import States
from assistant.audio.hypothesis import new_final_words
from assistant.audio.pcm import Samples
from assistant.conversation.dictation import Dictation, Transcription
from assistant.conversation.live.events import Affect, Event, Failed, NotTranscribed, Replied, Transcribed, Words
from assistant.conversation.session import Conversation
from assistant.emotion import Abstention, Mood, Reading
from assistant.errors import AssistantError

log = logging.getLogger(__name__)

_UNANSWERED = 2
"""Utterances that may wait for their answers before more is heard."""


class Captions:
    """The words of one utterance, told as they become certain."""

    def __init__(
        self, dictation: Dictation, wanted: Transcription, item: str, tell: Callable[[Event], None]
    ) -> None:
        self._dictation = dictation
        self._wanted = wanted
        self._item = item
        self._tell = tell
        self._said: tuple[str, ...] = ()
        self._guess = ""
        self._complete = False

    async def send_partial(self, speech: Samples) -> None:
        """Tell the words that this guess and the one before agree on."""
        try:
            guess = await self._dictation.partial(speech, self._wanted)
        except Exception as error:  # what is left out here is said at the end, and so is what is wrong
            log.debug("no words yet (%s)", type(error).__name__)
            return
        if guess is None or self._complete:
            return
        more = new_final_words(self._said, self._guess, guess)
        self._guess = guess
        if more:
            self._tell(Words(self._item, (" " if self._said else "") + " ".join(more)))
            self._said += more

    async def send_final(self, speech: Samples, heard: asyncio.Future[list[States]] | None) -> str | None:
        """Tell all words, and return them; None where transcription failed."""
        self._complete = True
        try:
            found = await self._dictation.final(speech, heard, self._wanted)
        except Exception as error:  # a broken model must not break the stream
            code = error.code if isinstance(error, AssistantError) else "unavailable"
            log.warning("an utterance was not transcribed: %s (%s)", code, type(error).__name__)
            self._tell(NotTranscribed(self._item, code, "this utterance could not be transcribed"))
            return None
        rest = remaining_words(self._said, found.text)
        if rest:
            self._tell(Words(self._item, rest))
        self._tell(Transcribed(self._item, found.text, found.language, len(speech) / SAMPLE_RATE))
        return found.text


@dataclass(frozen=True, slots=True, eq=False)
class FinishedUtterance:
    """A finished utterance."""

    item: str
    captions: Captions | None
    """Tells its words; None where nobody wants them."""
    end_ms: int
    """Where it ends in the stream, with the silence that ended it."""
    audio: Samples
    readable: Samples | None
    """The part of the audio that may be read for affect: the same array where all may, None where nothing may."""


class Answers:
    """The answers of one stream. Estimates are made at once; words and reply wait for those before them."""

    def __init__(
        self, conversation: Conversation, emit: Callable[[Event], None], may_read: Callable[[], bool]
    ) -> None:
        services = conversation.services
        self._conversation = conversation
        self._dictation, self._clock = services.dictation, services.clock
        self._budget_s = services.affect_budget_s
        self._emit = emit
        self._may_read = may_read
        self._tasks: list[asyncio.Task[None]] = []

    async def add(self, utterance: FinishedUtterance) -> None:
        """Begin to answer; returns at once unless too many answers are due."""
        task = asyncio.create_task(self._answer(utterance, self._tasks[-1] if self._tasks else None))
        self._tasks.append(task)
        task.add_done_callback(self._tasks.remove)
        if len(self._tasks) > _UNANSWERED:
            await asyncio.wait(self._tasks[:1])

    async def wait(self) -> None:
        """Wait until all utterances are answered."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Cancel the answers that are not given yet."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def emit_estimate(
        self,
        item: str,
        said: Reading | Abstention,
        window: Samples,
        end_ms: int,
        *,
        is_current: Callable[[], bool] | None = None,
    ) -> None:
        """Tell an estimate that ends at `end_ms`: the last of an utterance, or one that must be current still."""
        mood = await self._conversation.readings.mood()
        if mood is None and isinstance(said, Abstention):
            mood = Mood.unsaid(said.reason, self._clock())
        if self._may_read() and (is_current is None or is_current()):  # consent may have gone meanwhile
            self._emit(Affect(item, is_current is None, len(window) / SAMPLE_RATE, end_ms, said, mood))

    async def _answer(self, utterance: FinishedUtterance, before: asyncio.Task[None] | None) -> None:
        heard = self._shared(utterance, before)
        try:
            said = await self._read(utterance, heard)
            if before is not None:
                await asyncio.wait([before])
            captions = utterance.captions
            words = None if captions is None else await captions.send_final(utterance.audio, heard)
            self._emit(Replied(utterance.item, await self._conversation.reply(words, said)))
        except Exception as error:
            if not isinstance(error, AssistantError):
                log.error("an utterance was not answered (%s)", type(error).__name__)
            self._emit(Failed(utterance.item, error))
        finally:
            if heard is not None:
                heard.cancel()

    def _shared(
        self, utterance: FinishedUtterance, before: asyncio.Task[None] | None
    ) -> asyncio.Future[list[States]] | None:
        """One pass of the stem for voice and words: where both want the same audio, and the words are next.

        Where the words have to wait, so much that was heard would only fill the memory.
        """
        dictation = self._dictation
        if utterance.captions is None or dictation is None or utterance.readable is not utterance.audio:
            return None
        if before is not None or dictation.crowded:
            return None
        return asyncio.ensure_future(dictation.encode(utterance.audio, prompt_s=self._budget_s))

    async def _read(
        self, utterance: FinishedUtterance, heard: asyncio.Future[list[States]] | None
    ) -> Reading | Abstention | None:
        if utterance.readable is None or not self._may_read():
            return None
        said = await self._conversation.readings.read_voice(
            utterance.readable, budget_s=self._budget_s, heard=heard
        )
        if said is not None:
            await self.emit_estimate(utterance.item, said, utterance.readable, utterance.end_ms)
        return said


def remaining_words(said: Sequence[str], text: str) -> str:
    """The words of a text that were not sent yet; none where other words were sent, which are never taken back.

    >>> [remaining_words(sent, "He was.") for sent in (("He",), (), ("She",))]
    [' was.', 'He was.', '']
    """
    words = text.split()
    if tuple(words[: len(said)]) != tuple(said):
        return ""
    return (" " if said and len(words) > len(said) else "") + " ".join(words[len(said) :])
