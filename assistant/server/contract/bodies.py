"""What clients send that more than one route or event understands."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from assistant.conversation.live.events import Role
from assistant.emotion import Modality, Purpose
from assistant.tone.situation import Urgency

MAX_TEXT = 20_000
"""Characters of a message."""

Text = Annotated[str, Meta(max_length=MAX_TEXT)]
Tag = Annotated[str, Meta(min_length=1, max_length=64)]


class ConsentBody(msgspec.Struct, forbid_unknown_fields=True):
    """A decision about one modality and one purpose. `notice` is the version that was shown; grants need it."""

    modality: Modality
    purpose: Purpose
    granted: bool
    notice: str = ""


class MessageContext(msgspec.Struct):
    """What the app knows of the moment; other members are ignored."""

    urgency: Urgency = "normal"


class MessageBody(msgspec.Struct, forbid_unknown_fields=True):
    """Something a person wrote."""

    text: Text
    context: MessageContext = msgspec.field(default_factory=MessageContext)


class Append(msgspec.Struct):
    """`input_audio_buffer.append`."""

    audio: bytes
    """Base64 on the wire."""


class Content(msgspec.Struct):
    """A part of an item: `input_text`, `output_text`, or `input_audio` that the client transcribed itself."""

    type: str
    text: Text | None = None
    transcript: Text | None = None
    audio: str | None = None
    """Refused: audio comes by `input_audio_buffer.append`."""


class ItemBody(msgspec.Struct):
    """A conversation item; only the words of a `user` are read, the others are shown as what they are."""

    content: list[Content]
    id: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    role: Role = "user"
    type: Literal["message"] = "message"

    @property
    def words(self) -> str:
        """What was written or said."""
        return "\n".join(words for part in self.content if (words := part.text or part.transcript))


class ItemCreate(msgspec.Struct):
    """`conversation.item.create`."""

    item: ItemBody


class ConsentUpdate(msgspec.Struct):
    """`consent.update`: acknowledge the notice, or grant or withdraw like `POST .../consent`."""

    acknowledge: bool = False
    notice: str = ""
    modality: Modality | None = None
    purpose: Purpose | None = None
    granted: bool | None = None
