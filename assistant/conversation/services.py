"""What conversations share, and what they ask of the readers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from assistant.audio.encoder import States
from assistant.audio.pcm import Samples
from assistant.audio.vad import Vad
from assistant.audio.voice import VoiceScores
from assistant.consent.grant import Grant
from assistant.consent.ledger import Ledger
from assistant.conversation.dictation import Dictation
from assistant.conversation.memory import Memory
from assistant.decision import DecisionLog
from assistant.emotion import Abstention, Usual
from assistant.mood.baseline import Baselines
from assistant.mood.timeline import MoodLog
from assistant.profile.person import ContextStore
from assistant.recommend.service import Recommender
from assistant.text.reader import TextScores
from assistant.tone.rules import Policies


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
        self, grant: Grant, speech: Samples, *, heard: Sequence[States] | None, usual: Usual | None, budget_s: float
    ) -> VoiceScores | Abstention:
        """Score one stretch of speech."""


class Uses(Protocol):
    """The log of who used a mood for what."""

    def note_access(self, person: str, who: str, action: str, purpose: str = "") -> None:
        """Note one use; never waits."""


@dataclass(frozen=True, slots=True)
class ConversationServices:
    """What conversations share. A reader is None where the server has no such model."""

    ledger: Ledger
    memory: Memory
    text: ReadsText | None
    voice: ReadsVoice | None
    dictation: Dictation | None
    """Finds the words; it infers nothing about the person, and needs no grant."""
    vad: Vad
    recommender: Recommender
    decisions: DecisionLog
    baselines: Baselines
    moods: MoodLog
    contexts: ContextStore
    uses: Uses
    policies: Policies
    """Apps' own tables of tone."""
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
    """Share of people whose recommendations never use the mood, so that its worth is always measured."""
