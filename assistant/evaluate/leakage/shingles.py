"""Texts that say almost the same: MinHash over runs of characters.

Broder 1997, "On the resemblance of documents"; the signature estimates the Jaccard similarity of two sets of
five-character runs, and banding finds the pairs that are worth comparing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from assistant.arrays import Bools

Signatures = npt.NDArray[np.uint32]

RUN = 5
"""Characters in a run."""
LEAST = 20
"""Characters of a normalised text that can be told from others: "thank you so much" is nobody's."""
ALIKE = 0.8
"""Similarity of near-duplicates."""
HASHES, BANDS = 64, 16
"""A pair at .8 is found with probability .9998 (16 bands of 4), one at .4 with .34, and then compared."""
_TRIED = 200  # texts of one band that are compared: more say the same anyway
_ADDRESS = re.compile(r"https?://\S+|www\.\S+|@\w+")
_REST = re.compile(r"[^\w]+")
_RANDOM = np.random.default_rng(20_261_122)
_FACTORS = _RANDOM.integers(1, 1 << 63, HASHES, dtype=np.uint64) | np.uint64(1)
_TERMS = _RANDOM.integers(0, 1 << 63, HASHES, dtype=np.uint64)
_POWERS = np.array([pow(0x9E3779B97F4A7C15, n, 1 << 64) for n in range(1, RUN + 1)], dtype=np.uint64)


def normalise_text(text: str) -> str:
    """Without case, addresses, names of users, punctuation and the width of spaces.

    >>> normalise_text("@anna  Hello, WORLD!! https://x.org")
    'hello world'
    """
    return _REST.sub(" ", _ADDRESS.sub(" ", unicodedata.normalize("NFKC", text).casefold())).strip()


def make_signature(normalised: str) -> Signatures:
    """The MinHash signature of a normalised text of `RUN` characters or more, [64]."""
    codes = np.frombuffer(normalised.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
    runs = np.lib.stride_tricks.sliding_window_view(codes, RUN) * _POWERS
    hashed = runs.sum(axis=1, dtype=np.uint64)
    hashed ^= hashed >> np.uint64(29)
    hashed = np.unique(hashed * np.uint64(0xBF58476D1CE4E5B9))
    least: Signatures = ((hashed[:, None] * _FACTORS + _TERMS) >> np.uint64(32)).min(axis=0).astype(np.uint32)
    return least


def measure_similarity(one: Signatures, other: Signatures) -> float:
    """The share of equal hashes, which estimates the Jaccard similarity (deviation .05 at .8).

    >>> a, b = make_signature("what a lovely day it is"), make_signature("what a lovely day it was")
    >>> measure_similarity(a, a), 0.6 < measure_similarity(a, b) < 0.95
    (1.0, True)
    """
    return float((one == other).mean())


class Texts:
    """Many texts, to look others up in. Those that are too short to tell apart are never found."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._same: dict[str, int] = {}
        self._groups: list[list[int]] = []
        """Texts that are the same once normalised."""
        signatures: list[Signatures] = []
        for at, text in enumerate(texts):
            if len(said := normalise_text(text)) < LEAST:
                continue
            group = self._same.setdefault(said, len(self._groups))
            if group < len(self._groups):
                self._groups[group].append(at)
                continue
            self._groups.append([at])
            signatures.append(make_signature(said))
        self._signatures = np.array(signatures, dtype=np.uint32).reshape(-1, HASHES)
        keys = _make_keys(self._signatures)
        self._order = keys.argsort(axis=1, kind="stable").astype(np.uint32)
        self._keys = np.take_along_axis(keys, self._order.astype(np.int64), axis=1)

    def find(self, text: str, allowed: Bools | None = None) -> tuple[int, float] | None:
        """The most similar of the `allowed` texts, and how similar; None below `ALIKE`."""
        said = normalise_text(text)
        if len(said) < LEAST:
            return None
        if (same := self._same.get(said)) is not None and (at := self._first(same, allowed)) is not None:
            return at, 1.0
        one = make_signature(said)
        near: set[int] = set()
        for band, (key,) in enumerate(_make_keys(one[None])):
            first = int(np.searchsorted(self._keys[band], key))
            last = int(np.searchsorted(self._keys[band], key, side="right"))
            near.update(self._order[band, first : min(last, first + _TRIED)].tolist())
        alike = sorted(((measure_similarity(one, self._signatures[group]), -group) for group in near), reverse=True)
        for likeness, group in alike:
            if likeness >= ALIKE and (at := self._first(-group, allowed)) is not None:
                return at, likeness
        return None

    def _first(self, group: int, allowed: Bools | None) -> int | None:
        return next((at for at in self._groups[group] if allowed is None or allowed[at]), None)


def _make_keys(signatures: Signatures) -> npt.NDArray[np.uint64]:
    """One key for each band of each signature, [bands, texts]."""
    parts = signatures.reshape(len(signatures), BANDS, -1).astype(np.uint64)
    mixed = (parts * _POWERS[: parts.shape[2]]).sum(axis=2, dtype=np.uint64)
    return np.ascontiguousarray((mixed ^ (mixed >> np.uint64(31))).T)
