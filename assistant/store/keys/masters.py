"""Master keys: they wrap every person's key, and nothing else. The interface is that of a key management service.

`LocalKeys` holds several, the newest first. The newest wraps; the others unwrap what they wrapped before, until it
is wrapped again with the newest. So a master key can be replaced while servers run: they watch the key file.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from assistant.config import Settings
from assistant.errors import ConfigInvalid, Unavailable

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
