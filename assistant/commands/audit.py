"""`assistant audit verify`: check that no consent record was changed, removed or inserted."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from tqdm import tqdm

from assistant.commands import Actions
from assistant.config import Settings
from assistant.consent.receipt import iso_date
from assistant.consent.records import Audit
from assistant.errors import ConfigInvalid


def configure(actions: Actions) -> None:
    """Add the action."""
    parser = actions.add("verify", "check the chain of consent records; exits with 1 if it is broken", verify)
    about = "a head that was stored earlier; it must still be part of the chain"
    parser.add_argument("--expect", metavar="HASH", help=about)


def verify(args: argparse.Namespace, settings: Settings) -> int:
    """Check the whole chain of consent records; print how many there are and, on the last line, its head.

    Store that head somewhere else from time to time and give it to `--expect` later: this also proves that no
    record was cut off at the end and that the chain was not rewritten.
    """
    scheme, _, file = settings.database.partition(":///")
    if scheme == "sqlite" and not Path(file).exists():  # opening it would create an empty one, which proves nothing
        raise ConfigInvalid(f"there is no database {file}", code="database_missing")
    audit = asyncio.run(_check_chain(settings.database, (args.expect or "").strip().lower() or None))
    if audit.broken is not None:
        print(f"BROKEN at record {audit.broken.seq}, of {iso_date(audit.broken.at)}: it was changed or inserted,")
        print(f"or a record before it was removed. {audit.records - 1} records before it are intact; their head is")
        print(audit.head)
        return 1
    if not audit.seen:
        about = "the expected head is not in the chain: records were cut off, or the chain was rewritten"
        print(f"BROKEN: {about}", file=sys.stderr)
    print(f"{audit.records} consent records, {'unbroken' if audit.seen else 'consistent'}; the head is")
    print(audit.head)
    return 0 if audit.seen else 1


async def _check_chain(url: str, expected: str | None) -> Audit:
    from assistant.store.consents import ConsentRecords
    from assistant.store.database import Database

    database, audit, place = Database(url), Audit(expected), 0
    records = ConsentRecords(database)
    try:
        with tqdm(total=await records.count(), unit="record", desc="verifying") as bar:
            while audit.broken is None and (batch := await records.after(place)):
                audit.check_records(batch)
                place = batch[-1].seq
                bar.update(len(batch))
    finally:
        await database.close()
    return audit
