"""`assistant keys rotate-master`: replace the master key while servers run."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from tqdm import tqdm

from assistant.config import Settings


def configure(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add the command and its arguments."""
    about = "replace the master key, and wrap every person's key with the new one"
    parser = actions.add_parser("rotate-master", help=about, description=rotate.__doc__, parents=[common])
    parser.add_argument("--retire", action="store_true", help="then remove the old master keys from the file")
    parser.set_defaults(run=rotate)


def rotate(args: argparse.Namespace, settings: Settings) -> int:
    """Add a new master key and wrap every person's key with it; servers may keep running.

    An interrupted run continues where it stopped. The old master keys stay in the file until `--retire`. If the
    master keys are in ATTUNE_MASTER_KEY, put the new one first there, restart the servers, then run this.
    """
    from assistant.store.database import Database
    from assistant.store.keys.masters import add_master_key, masters_of, retire_master_keys
    from assistant.store.keys.vault import open_vault

    async def done() -> int:
        database = Database(settings.keys, shreds=True)
        try:
            vault = await open_vault(database, masters_of(settings))
            if not settings.master_key and not await vault.outdated():
                add_master_key(settings.master_key_file)
            with tqdm(total=await vault.outdated(), unit="key", desc="wrapping") as bar:
                return await vault.rewrap(lambda count: _moved(bar, count))
        finally:
            await database.close()

    print(f"{asyncio.run(done())} keys are wrapped by the newest master key")
    if args.retire and not settings.master_key:
        gone = retire_master_keys(settings.master_key_file)
        print(f"{gone} old master keys were removed from {settings.master_key_file}")
    return 0


def _moved(bar: tqdm[Any], count: int) -> None:
    bar.update(count)
