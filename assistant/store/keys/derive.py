"""Keys for separate uses out of one secret."""

from __future__ import annotations

import hashlib
import hmac


def derived(secret: bytes, use: bytes) -> bytes:
    """32 bytes for one use, from which neither the secret nor the keys of other uses can be found (HMAC-SHA-256).

    >>> derived(b"secret", b"lookup") != derived(b"secret", b"wrap")
    True
    """
    return hmac.new(secret, b"attune:" + use, hashlib.sha256).digest()
