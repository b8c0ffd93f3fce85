"""Each person's own key, wrapped by the master key. Destroy it and all that was sealed with it is gone."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections import OrderedDict
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import delete, insert, select

from assistant.errors import ConfigInvalid, NotFound, Unavailable
from assistant.store import schema
from assistant.store.database import Database

_NONCE = 12
_KEYS_KEPT = 10_000


def read_master_key(file: Path) -> bytes:
    """32 bytes in hexadecimal. Raises `ConfigInvalid` (`master_key_missing`, `master_key_invalid`)."""
    try:
        key = bytes.fromhex(file.read_text().strip())
    except OSError as error:
        raise ConfigInvalid(
            f"there is no master key in {file}; `assistant keys create --app NAME` makes one, or set "
            "ATTUNE_MASTER_KEY_FILE",
            code="master_key_missing",
        ) from error
    except ValueError as error:
        raise ConfigInvalid(f"{file} holds no hexadecimal master key", code="master_key_invalid") from error
    if len(key) != 32:
        raise ConfigInvalid(f"the master key in {file} must have 32 bytes", code="master_key_invalid")
    return key


def make_master_key(file: Path) -> None:
    """Write a new master key that only its owner can read; an existing file is left alone."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    except OSError as error:
        raise ConfigInvalid(f"can't write a master key to {file}: {error.strerror}") from error
    with os.fdopen(descriptor, "w") as opened:
        opened.write(os.urandom(32).hex() + "\n")


class Vault:
    """Seals and opens personal data (AES-256-GCM; the person and the kind of data are authenticated with it)."""

    def __init__(self, database: Database, master_key: bytes) -> None:
        self._database = database
        self._wrap = AESGCM(_derive(master_key, b"wrap"))
        self._lookup = _derive(master_key, b"lookup")
        self._known: OrderedDict[str, AESGCM] = OrderedDict()

    def lookup(self, app: str, person: str) -> str:
        """A keyed hash by which a person is found without their id being written down."""
        return hmac.new(self._lookup, f"{app}\0{person}".encode(), hashlib.sha256).hexdigest()

    async def create(self, person: str) -> None:
        """Make a key for a new person."""
        key = os.urandom(32)
        nonce = os.urandom(_NONCE)
        wrapped = nonce + self._wrap.encrypt(nonce, key, person.encode())
        async with self._database.write() as connection:
            await connection.execute(insert(schema.person_keys).values(person=person, wrapped=wrapped))

    async def destroy(self, person: str) -> None:
        """Destroy a person's key. What it sealed, here or in a backup, can't be read again."""
        self._known.pop(person, None)
        async with self._database.write() as connection:
            await connection.execute(delete(schema.person_keys).where(schema.person_keys.c.person == person))
        self._known.pop(person, None)  # a read that began before may have brought it back
        await self._database.wipe_log()

    async def seal(self, person: str, kind: str, data: bytes) -> bytes:
        """Encrypt. Raises `NotFound` where the person's key is gone."""
        key = await self._key(person)
        nonce = os.urandom(_NONCE)
        return nonce + key.encrypt(nonce, data, f"{person}\0{kind}".encode())

    async def open(self, person: str, kind: str, sealed: bytes) -> bytes:
        """Decrypt. Raises `NotFound` where the person's key is gone, `Unavailable` where the data was changed."""
        key = await self._key(person)
        try:
            return key.decrypt(sealed[:_NONCE], sealed[_NONCE:], f"{person}\0{kind}".encode())
        except (InvalidTag, ValueError) as error:
            raise Unavailable("stored data was changed or belongs to another key", code="data_corrupt") from error

    async def _key(self, person: str) -> AESGCM:
        if person in self._known:
            self._known.move_to_end(person)
            return self._known[person]
        table = schema.person_keys
        async with self._database.read() as connection:
            wrapped = await connection.scalar(select(table.c.wrapped).where(table.c.person == person))
        if wrapped is None:
            raise NotFound("this person was erased", code="person_unknown")
        try:
            key = AESGCM(self._wrap.decrypt(wrapped[:_NONCE], wrapped[_NONCE:], person.encode()))
        except (InvalidTag, ValueError) as error:
            raise Unavailable("the master key doesn't fit the stored keys", code="master_key_invalid") from error
        self._known[person] = key
        if len(self._known) > _KEYS_KEPT:
            self._known.popitem(last=False)
        return key


def _derive(master_key: bytes, use: bytes) -> bytes:
    return hmac.new(master_key, b"attune:" + use, hashlib.sha256).digest()
