"""Transcription: the words that were said. It infers nothing about the person.

Words of finished utterances go before those of one that is still spoken: under load only the latter are left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from assistant.audio.encoder import States
from assistant.audio.pcm import Samples
from assistant.audio.segment import split_speech
from assistant.audio.transcribe import Transcript, find_language
from assistant.errors import Busy

FINAL_S = 10.0
"""How long the words of an utterance may take, and a reply waits for them."""
_RECORDED_S = 60.0
"""How long the words of an utterance of a recording may take: live ones may come before it."""
PARTIAL_S = 1.0
"""How long words may take while somebody speaks; later they are not worth having."""
_AT_ONCE = 8
"""Utterances that are transcribed or wait for it with the stem's states in memory, of all streams."""
_PARTIALS = 2
"""Of those still spoken."""


class Encodes(Protocol):
    """The stem, as far as a conversation needs it."""

    shortest: int
    longest: int

    async def encode(self, speech: Samples, *, budget_s: float) -> States:
        """Hidden states of one stretch of speech."""


class Transcribes(Protocol):
    """The transcriber, as far as a conversation needs it."""

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages that can be named."""

    async def transcribe(
        self, heard: States, *, language: str | None, partial: bool, budget_s: float
    ) -> Transcript:
        """The words of one stretch of speech."""


@dataclass(frozen=True, slots=True)
class Transcription:
    """The transcription that a session asks for."""

    language: str | None = None
    """Whisper's code, such as `en`; None: detect it."""


class Dictation:
    """The stem and the transcriber for all streams."""

    def __init__(self, stem: Encodes, transcriber: Transcribes) -> None:
        self._stem = stem
        self._transcriber = transcriber
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._finals = 0
        self._partials = 0

    def find_language(self, given: str) -> str | None:
        """The transcriber's code of a language; None: detect it. Raises `Invalid` (`unknown_language`)."""
        return find_language(given, self._transcriber.languages)

    async def encode(self, speech: Samples, *, prompt_s: float) -> list[States]:
        """What the stem hears in a finished utterance of any length, piece by piece.

        It is asked for in `prompt_s` seconds, and again with patience where the stem was too busy. Raises `Busy`.
        """
        parts = (_pad(part, self._stem.shortest) for part in split_speech(speech, self._stem.longest))
        return [await self._encode(part, prompt_s) for part in parts]

    @property
    def crowded(self) -> bool:
        """Whether the words of another utterance would have to wait."""
        return self._turns.locked()

    async def final(
        self,
        speech: Samples,
        heard: asyncio.Future[list[States]] | None,
        wanted: Transcription,
        *,
        live: bool = True,
    ) -> Transcript:
        """The words of a finished utterance, of which `heard` may be known already.

        What is not `live`, as a recording, has more time, and takes nothing from those who still speak.
        Raises `Busy` (`late`), or whatever the models raise.
        """
        self._finals += live
        try:
            async with asyncio.timeout(FINAL_S if live else _RECORDED_S), self._turns:
                states = await (self.encode(speech, prompt_s=PARTIAL_S) if heard is None else heard)
                transcripts = [
                    await self._transcriber.transcribe(
                        part, language=wanted.language, partial=False, budget_s=FINAL_S
                    )
                    for part in states
                ]
        except TimeoutError:
            raise Busy("there was no transcript in time", code="late") from None
        finally:
            self._finals -= live
        return transcripts[0] if len(transcripts) == 1 else _join(transcripts)

    async def partial(self, speech: Samples, wanted: Transcription) -> str | None:
        """The words so far; None where others go first, or it took too long."""
        if self._finals or self._partials >= _PARTIALS:
            return None
        self._partials += 1
        try:
            async with asyncio.timeout(PARTIAL_S):
                heard = await self._stem.encode(_pad(speech, self._stem.shortest), budget_s=PARTIAL_S)
                transcript = await self._transcriber.transcribe(
                    heard, language=wanted.language, partial=True, budget_s=PARTIAL_S
                )
        except (Busy, TimeoutError):
            return None
        finally:
            self._partials -= 1
        return transcript.text

    async def _encode(self, speech: Samples, prompt_s: float) -> States:
        try:
            return await self._stem.encode(speech, budget_s=prompt_s)
        except Busy:
            return await self._stem.encode(speech, budget_s=FINAL_S)


def _join(parts: Sequence[Transcript]) -> Transcript:
    """One transcript of several pieces; the longest text tells the language."""
    first = max(parts, key=lambda part: len(part.text))
    return replace(
        first,
        text=" ".join(part.text for part in parts if part.text),
        no_speech=min(part.no_speech for part in parts),
        log_probability=min(part.log_probability for part in parts),
        temperature=max(part.temperature for part in parts),
        ended=all(part.ended for part in parts),
    )


def _pad(speech: Samples, shortest: int) -> Samples:
    """Padded with silence where it is too short for the stem."""
    missing = shortest - len(speech)
    return speech if missing <= 0 else np.concatenate([speech, np.zeros(missing, dtype=np.float32)])
