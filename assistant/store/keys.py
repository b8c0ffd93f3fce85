"""Master keys, each person's own key that they wrap, and the vault that seals data with it.

The interface of the master keys is that of a key management service. `LocalKeys` holds several, the newest first.
The newest wraps; the others unwrap what they wrapped before, until it is wrapped again with the newest. So a master
key can be replaced while servers run: they watch the key file. Once a person's key is destroyed, what it sealed
can't be read again.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import ColumnElement, bindparam, delete, func, insert, or_, select, update

from assistant.config import Settings
from assistant.errors import ConfigInvalid, NotFound, Unavailable
from assistant.store import schema
from assistant.store.database import Database

_NONCE = 12
_SIZE = 32


class MasterKeys(Protocol):
    """Wraps and unwraps the keys of people for the vault. The master keys themselves need never leave it."""

    async def newest(self) -> str:
        """The id of the master key that wraps now."""

    async def wrap(self, key: bytes, context: bytes) -> tuple[str, bytes]:
        """Wrap a key and authenticate `context` with it; returns the master key's id and the wrapped key."""

    async def unwrap(self, master: str | None, wrapped: bytes, context: bytes) -> bytes:
        """Unwrap a key; `master` is None where its id is not known. Raises `Unavailable` (`master_key_invalid`)."""


class LocalKeys:
    """Master keys that this process holds: from the environment, or from a file that is watched for changes."""

    def __init__(self, keys: Sequence[bytes] | Path) -> None:
        self._file = keys if isinstance(keys, Path) else None
        self._seen: tuple[int, int, int] | None = None
        self._keys: dict[str, AESGCM] = {}
        self.first = b""
        """The oldest key: a database without a root of its own looked people up with it."""
        if isinstance(keys, Path):
            self._look()
        else:
            self._hold(keys)

    async def newest(self) -> str:
        """The id of the first key."""
        self._look()
        return next(iter(self._keys))

    async def wrap(self, key: bytes, context: bytes) -> tuple[str, bytes]:
        """Wrap with the first key (AES-256-GCM)."""
        self._look()
        master, cipher = next(iter(self._keys.items()))
        nonce = os.urandom(_NONCE)
        return master, nonce + cipher.encrypt(nonce, key, context)

    async def unwrap(self, master: str | None, wrapped: bytes, context: bytes) -> bytes:
        """Unwrap with the key of that id, or without an id with any key that fits."""
        if master not in self._keys:
            self._look()
        tried = [self._keys[master]] if master in self._keys else [] if master else list(self._keys.values())
        for cipher in tried:
            try:
                return cipher.decrypt(wrapped[:_NONCE], wrapped[_NONCE:], context)
            except (InvalidTag, ValueError):
                continue
        raise Unavailable("no configured master key matches the stored keys", code="master_key_invalid")

    def _look(self) -> None:
        if self._file is None:
            return
        try:
            stat = self._file.stat()
            seen = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
            if seen != self._seen:
                self._hold(read_master_keys(self._file))
                self._seen = seen
        except (OSError, ConfigInvalid):
            if not self._keys:  # while keys are held, a file that is being replaced or is gone breaks nothing
                read_master_keys(self._file)
                raise

    def _hold(self, keys: Sequence[bytes]) -> None:
        self._keys = {key_id(key): AESGCM(derive_key(key, b"wrap")) for key in keys}
        self.first = keys[-1]


def derive_key(secret: bytes, use: bytes) -> bytes:
    """32 bytes for one use, from which neither the secret nor the keys of other uses can be found (HMAC-SHA-256).

    >>> derive_key(b"secret", b"lookup") != derive_key(b"secret", b"wrap")
    True
    """
    return hmac.new(secret, b"attune:" + use, hashlib.sha256).digest()


def masters_of(settings: Settings) -> LocalKeys:
    """The master keys that the settings name. Raises `ConfigInvalid`."""
    if settings.master_key:
        return LocalKeys(parse_master_keys(settings.master_key, "ATTUNE_MASTER_KEY"))
    return LocalKeys(settings.master_key_file)


def key_id(key: bytes) -> str:
    """A name for a master key that does not reveal it.

    >>> key_id(bytes(32)) == key_id(bytes(32)) != key_id(bytes(31) + b"1")
    True
    """
    return hashlib.sha256(b"attune:id" + key).hexdigest()[:16]


def parse_master_keys(text: str, source: str) -> tuple[bytes, ...]:
    """Read master keys: each 32 bytes in hexadecimal, separated by spaces, commas or lines, the newest first.

    Raises `ConfigInvalid` (`master_key_invalid`).

    >>> len(parse_master_keys("00" * 32 + "," + "11" * 32, "the environment"))
    2
    """
    try:
        keys = tuple(bytes.fromhex(word) for word in text.replace(",", " ").split())
    except ValueError:
        raise ConfigInvalid(f"{source} must hold master keys in hexadecimal", code="master_key_invalid") from None
    if not keys or any(len(key) != _SIZE for key in keys) or len(set(keys)) != len(keys):
        raise ConfigInvalid(
            f"{source} must hold different master keys of {_SIZE} bytes each", code="master_key_invalid"
        )
    return keys


def read_master_keys(file: Path) -> tuple[bytes, ...]:
    """The master keys in a file. Raises `ConfigInvalid` (`master_key_missing`, `master_key_invalid`)."""
    try:
        text = file.read_text(encoding="ascii")
    except OSError as error:
        raise ConfigInvalid(
            f"there is no master key in {file}; `assistant keys create --app NAME` makes one, or set "
            "ATTUNE_MASTER_KEY_FILE or ATTUNE_MASTER_KEY",
            code="master_key_missing",
        ) from error
    except ValueError as error:
        raise ConfigInvalid(f"{file} must hold master keys in hexadecimal", code="master_key_invalid") from error
    return parse_master_keys(text, str(file))


def make_master_key(file: Path) -> None:
    """Write a new master key that only its owner can read; an existing file is left alone."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    except OSError as error:
        raise ConfigInvalid(f"can't write a master key to {file}: {error.strerror}") from error
    with os.fdopen(descriptor, "w") as opened:
        opened.write(os.urandom(_SIZE).hex() + "\n")


def add_master_key(file: Path) -> None:
    """Put a new master key before the others, atomically: a reader sees the old file or the new one."""
    _replace(file, (os.urandom(_SIZE), *read_master_keys(file)))


def retire_master_keys(file: Path) -> int:
    """Keep only the newest master key; returns how many were removed.

    What those wrapped and `Vault.rewrap` has not wrapped again is lost.
    """
    newest, *old = read_master_keys(file)
    _replace(file, (newest,))
    return len(old)


def _replace(file: Path, keys: Sequence[bytes]) -> None:
    try:
        descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")  # only its owner can read it
        try:
            with os.fdopen(descriptor, "w") as opened:
                opened.writelines(key.hex() + "\n" for key in keys)
                opened.flush()
                os.fsync(opened.fileno())
            Path(name).replace(file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # or a power cut could bring back the old file, which lacks the key that wraps now
        finally:
            os.close(folder)
    except OSError as error:
        raise ConfigInvalid(f"can't write a master key to {file}: {error.strerror}") from error


_KEYS_KEPT = 10_000
_ROOT = ""
"""The root key is stored in place of a person's pseudonym."""
_TURN = 0x7661_756C_74
_BATCH = 500

Opener = Callable[[str, bytes], bytes]


class Vault:
    """Seals and opens personal data (AES-256-GCM; the person and the kind of data are authenticated with it)."""

    def __init__(self, database: Database, masters: MasterKeys, root: bytes) -> None:
        self._database, self._masters, self._root = database, masters, root
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
        query = select(table.c.person, table.c.wrapped, table.c.master)
        for row in await self._database.rows_with(query, table.c.person, unknown):
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
