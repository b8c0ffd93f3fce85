"""Each person's own key, wrapped by a master key. Once it is destroyed, what it sealed can't be read again."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections import OrderedDict
from collections.abc import Callable, Collection

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import ColumnElement, bindparam, delete, func, insert, or_, select, update

from assistant.errors import NotFound, Unavailable
from assistant.store import schema
from assistant.store.database import Database
from assistant.store.keys.masters import LocalKeys, MasterKeys, derive_key

_NONCE = 12
_KEYS_KEPT = 10_000
_ROOT = ""
"""The root key is stored in place of a person's pseudonym."""
_TURN = 0x7661_756C_74
_BATCH = 500

Opener = Callable[[str, bytes], bytes]


class Vault:
    """Seals and opens personal data (AES-256-GCM; the person and the kind of data are authenticated with it)."""

    def __init__(self, database: Database, masters: MasterKeys, root: bytes) -> None:
        self._database = database
        self._masters = masters
        self._root = root
        self._lookup = derive_key(root, b"lookup")
        self._known: OrderedDict[str, AESGCM] = OrderedDict()

    def lookup(self, app: str, person: str) -> str:
        """A keyed hash that finds a person without storing their id."""
        return hmac.new(self._lookup, f"{app}\0{person}".encode(), hashlib.sha256).hexdigest()

    def derive(self, use: bytes) -> bytes:
        """32 bytes for one use by the whole server. They stay the same when the master key is replaced."""
        return derive_key(self._root, use)

    async def create(self, person: str) -> None:
        """Make a key for a new person."""
        master, wrapped = await self._masters.wrap(os.urandom(32), person.encode())
        row = {"person": person, "wrapped": wrapped, "master": master}
        await self._database.execute(insert(schema.person_keys).values(**row))

    async def destroy(self, *people: str) -> None:
        """Destroy the keys of people. What they sealed, here or in a backup, can't be read again."""
        self.forget(*people)
        column = schema.person_keys.c.person
        async with self._database.write() as connection:
            for start in range(0, len(people), _BATCH):
                await connection.execute(
                    delete(schema.person_keys).where(column.in_(people[start : start + _BATCH]))
                )
        self.forget(*people)  # a read that began earlier may have put one back into memory
        await self._database.wipe_log()

    def forget(self, *people: str) -> None:
        """Drop keys from memory, as after an erasure by another process."""
        for person in people:
            self._known.pop(person, None)

    async def seal(self, person: str, kind: str, data: bytes) -> bytes:
        """Encrypt. Raises `NotFound` where the person's key is gone."""
        key = await self._key(person)
        nonce = os.urandom(_NONCE)
        return nonce + key.encrypt(nonce, data, f"{person}\0{kind}".encode())

    async def open(self, person: str, kind: str, sealed: bytes) -> bytes:
        """Decrypt. Raises `NotFound` where the key is gone, `Unavailable` (`data_corrupt`) where it doesn't fit."""
        return (await self.opener(person))(kind, sealed)

    async def opener(self, person: str) -> Opener:
        """A function that decrypts much data of one person, also in another thread.

        Raises `NotFound` where the key is gone; the function raises `Unavailable` (`data_corrupt`).
        """
        return _opener(person, await self._key(person))

    async def openers(self, people: Collection[str]) -> dict[str, Opener]:
        """The same for many people; those whose key is gone are left out. Keys read for this are not cached."""
        unknown = [person for person in people if person not in self._known]
        keys = {person: self._known[person] for person in people if person in self._known}
        table = schema.person_keys
        for start in range(0, len(unknown), _BATCH):
            query = select(table.c.person, table.c.wrapped, table.c.master)
            query = query.where(table.c.person.in_(unknown[start : start + _BATCH]))
            for row in await self._database.rows(query):
                keys[row.person] = AESGCM(await self._masters.unwrap(row.master, row.wrapped, row.person.encode()))
        return {person: _opener(person, key) for person, key in keys.items()}

    async def count_outdated(self) -> int:
        """How many keys are wrapped by an older master key than the newest."""
        query = select(func.count()).select_from(schema.person_keys).where(_not_by(await self._masters.newest()))
        return int(await self._database.scalar(query) or 0)

    async def rewrap(self, done: Callable[[int], object] = lambda count: None) -> int:
        """Wrap every key with the newest master key; returns how many were wrapped by an older one.

        `done` is called with the size of each batch, which is durable then: interrupted work goes on where it
        stopped. Servers may run meanwhile: a key that they destroy stays destroyed.
        """
        table = schema.person_keys
        newest, total = await self._masters.newest(), 0
        rows = select(table.c.person, table.c.wrapped, table.c.master).where(_not_by(newest)).limit(_BATCH)
        change = (
            update(table)
            .where(table.c.person == bindparam("of"), table.c.wrapped == bindparam("before"))
            .values(wrapped=bindparam("after"), master=bindparam("by"))
        )
        while True:
            batch = await self._database.rows(rows)
            if not batch:
                await self._database.wipe_log()
                return total
            changes = []
            for person, wrapped, master in batch:
                key = await self._masters.unwrap(master, wrapped, person.encode())
                by, after = await self._masters.wrap(key, person.encode())
                changes.append({"of": person, "before": wrapped, "after": after, "by": by})
            await self._database.execute(change, changes)
            total += len(batch)
            done(len(batch))

    async def _key(self, person: str) -> AESGCM:
        if person in self._known:
            self._known.move_to_end(person)
            return self._known[person]
        table = schema.person_keys
        query = select(table.c.wrapped, table.c.master).where(table.c.person == person)
        row = await self._database.row(query)
        if row is None:
            raise NotFound("this person was erased", code="person_unknown")
        key = AESGCM(await self._masters.unwrap(row.master, row.wrapped, person.encode()))
        self._known[person] = key
        if len(self._known) > _KEYS_KEPT:
            self._known.popitem(last=False)
        return key


def _opener(person: str, key: AESGCM) -> Opener:
    def opened(kind: str, sealed: bytes) -> bytes:
        try:
            return key.decrypt(sealed[:_NONCE], sealed[_NONCE:], f"{person}\0{kind}".encode())
        except (InvalidTag, ValueError) as error:
            raise Unavailable(
                "stored data was changed, or was sealed with another key", code="data_corrupt"
            ) from error

    return opened


async def open_vault(database: Database, masters: MasterKeys) -> Vault:
    """Open the vault; create its tables and its root key where they don't exist yet.

    Raises `Unavailable` (`master_key_invalid`) where no master key fits.
    """
    await database.create(schema.secrets)
    table = schema.person_keys
    async with database.write() as connection:
        await database.take_turns(connection, _TURN)
        query = select(table.c.wrapped, table.c.master).where(table.c.person == _ROOT)
        row = (await connection.execute(query)).first()
        if row is not None:
            return Vault(database, masters, await masters.unwrap(row.master, row.wrapped, _ROOT.encode()))
        root = os.urandom(32)
        query = select(table.c.person, table.c.wrapped, table.c.master).limit(1)
        before = (await connection.execute(query)).first()
        if before is not None and isinstance(masters, LocalKeys):
            await masters.unwrap(before.master, before.wrapped, before.person.encode())
            root = masters.first  # before there was a root key, people were looked up with the master key itself
        master, wrapped = await masters.wrap(root, _ROOT.encode())
        await connection.execute(insert(table).values(person=_ROOT, wrapped=wrapped, master=master))
    return Vault(database, masters, root)


def _not_by(master: str) -> ColumnElement[bool]:
    column = schema.person_keys.c.master
    return or_(column.is_(None), column != master)
