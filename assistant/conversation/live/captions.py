"""The words of one utterance, told while it is spoken and at its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from assistant.audio import SAMPLE_RATE
from assistant.audio.encoder import States
from assistant.audio.hypothesis import new_final_words
from assistant.audio.pcm import Samples
from assistant.conversation.dictation import Dictation, Transcription
from assistant.conversation.live.events import Event, NotTranscribed, Transcribed, Words
from assistant.errors import AssistantError

log = logging.getLogger(__name__)


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


def remaining_words(said: Sequence[str], text: str) -> str:
    """The words of a text that were not sent yet; none where other words were sent, which are never taken back.

    >>> [remaining_words(sent, "He was.") for sent in (("He",), (), ("She",))]
    [' was.', 'He was.', '']
    """
    words = text.split()
    if tuple(words[: len(said)]) != tuple(said):
        return ""
    return (" " if said and len(words) > len(said) else "") + " ".join(words[len(said) :])
