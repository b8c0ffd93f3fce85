"""A form as `multipart/form-data`, read into memory and bounded: nothing of it touches the disk.

aiohttp's own reader of forms writes files to a folder of temporary ones.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from aiohttp import BodyPartReader, web

from assistant.errors import PLAIN_NAME, Invalid, TooLarge, quote_name
from assistant.server.http.guard import UNREADABLE, header_of

_MAX_TEXT = 64 * 1024
"""Largest field besides the file, in bytes."""
_MAX_FIELDS = 64
_LONGEST_S = 120.0
"""How long a form may take to come."""
_AS_IS = ("", "binary", "8bit", "7bit")


@dataclass(slots=True)
class Form:
    """Fields of a form, each with its values, and one file."""

    file: bytes | None = None
    fields: dict[str, list[str]] = field(default_factory=dict)
    """By name; `a[]` is told as `a`, as clients write lists either way. Empty values are left out."""

    def one(self, name: str) -> str | None:
        """The value of a field that has one at most. Raises `Invalid` (`form_invalid`)."""
        values = self.fields.get(name, [])
        if len(values) > 1:
            raise Invalid(f"`{name}` is given more than once", code="form_invalid", param=name)
        return values[0] if values else None

    def refuse_others(self, known: frozenset[str]) -> None:
        """Raise `Invalid` (`unknown_member`) where a field has another name than these."""
        for name in self.fields.keys() - known:
            param = name if PLAIN_NAME.fullmatch(name) else None
            raise Invalid(
                f"{quote_name(name, 'a field')} is not supported here", code="unknown_member", param=param
            )


async def read_form(request: web.Request, file: str, limit: int) -> Form:
    """Read the form, whose file is the field `file`, of at most `limit` bytes.

    Raises `TooLarge`, and `Invalid`: `form_invalid`, `encoding_invalid`.
    """
    if request.content_type != "multipart/form-data":
        raise Invalid("send a form as `multipart/form-data`", code="form_invalid")
    if (request.content_length or 0) > limit + _MAX_TEXT:
        raise _too_large(limit)
    header_of(request, "Content-Type")
    try:
        async with asyncio.timeout(_LONGEST_S):
            return await _read(request, file, limit)
    except TimeoutError:
        request[UNREADABLE] = True
        raise Invalid(f"the form did not come within {_LONGEST_S:g} s", code="form_invalid") from None
    except web.RequestPayloadError:
        request[UNREADABLE] = True
        request.content.feed_eof()
        about = "the body is not what `Content-Encoding` or `Transfer-Encoding` says"
        raise Invalid(about, code="encoding_invalid") from None
    except (ValueError, RuntimeError, AssertionError, LookupError):  # as aiohttp tells what is no form
        request[UNREADABLE] = True
        raise Invalid("this is not a form as `multipart/form-data`", code="form_invalid") from None


async def _read(request: web.Request, file: str, limit: int) -> Form:
    form, count = Form(), 0
    async for part in await request.multipart():
        count += 1
        if not isinstance(part, BodyPartReader) or part.name is None or count > _MAX_FIELDS:
            raise ValueError
        encoding = part.headers.get("Content-Transfer-Encoding", "").lower()
        if encoding not in _AS_IS:
            raise Invalid("send the parts of the form as they are, not encoded", code="form_invalid")
        name = part.name.removesuffix("[]")
        most = limit if name == file else _MAX_TEXT
        data = bytearray()
        while chunk := await part.read_chunk():
            data += chunk
            if len(data) > most:
                request[UNREADABLE] = True
                raise _too_large(most)
        if name != file:
            form.fields.setdefault(name, []).extend([data.decode()] if data else [])
        elif form.file is None:
            form.file = bytes(data)
        else:
            raise Invalid(f"`{file}` is given more than once", code="form_invalid", param=file)
    return form


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"this may have at most {limit} bytes")
