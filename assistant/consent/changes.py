"""How one process hears what another wrote into the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Protocol

from assistant.consent.receipt import Record

SILENCE_S = 3.0
"""Without a word from the feed, after which it counts as broken."""
_AGAIN_S = 0.25
"""Between two attempts to follow it."""


class Changes(Protocol):
    """A feed of the ledger's records. `store` has one for each kind of database."""

    def follow(self, after: int) -> AsyncGenerator[Sequence[Record], None]:
        """Records after a place in the ledger, in their order, soon after anybody wrote them.

        An empty batch, at least once a second, says that the feed works and there is no more. Raises `Unavailable`
        when it doesn't.
        """


async def follow(
    changes: Changes,
    last: Callable[[], Awaitable[int]],
    *,
    begin: Callable[[], None],
    hear: Callable[[Record], None],
    caught_up: Callable[[], None],
    broke: Callable[[Exception], None],
    silence_s: float,
) -> None:
    """Follow a feed for ever, from the `last` place in the ledger when it `begins`.

    It is taken up again where it broke, so that nothing is missed; `caught_up` says that everything was heard.
    """
    heard: int | None = None
    while True:
        try:
            if heard is None:
                heard = await last()
                begin()
            async with aclosing(changes.follow(heard)) as feed:
                while True:
                    async with asyncio.timeout(silence_s):
                        records = await anext(feed)
                    for record in records:
                        hear(record)
                        heard = record.seq
                    if not records:
                        caught_up()
        except Exception as error:
            broke(error)
        await asyncio.sleep(_AGAIN_S)
