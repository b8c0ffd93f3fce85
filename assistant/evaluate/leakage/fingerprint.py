"""Fingerprints of recordings: copies are found again after another gain, rate, format, filter or trim.

After Haitsma and Kalker 2002, "A highly robust audio fingerprinting system", ISMIR: one bit for each pair of
neighbouring bands, whether their difference in energy grew. Here on logarithms, so that a fixed filter cancels,
over 300 to 3,000 Hz, which every telephone passes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from assistant.arrays import Bools, Floats32, Ints
from assistant.audio import SAMPLE_RATE
from assistant.audio.pcm import Samples

Words = npt.NDArray[np.uint32]

WINDOW, HOP = 4096, 256
"""Samples: 256 ms, every 16 ms."""
LAG = 4
"""Frames between which a difference must grow."""
BITS = 32
ALIKE = 0.25
"""Share of bits that may differ in a copy that overlaps for `LONG` frames. Of 1,079 clips of RAVDESS (two sentences
only) none comes nearer than .256 to another; Opus at 24 kbit/s or noise at 20 dB costs .08 to .12 (median)."""
ALIKE_SHORT = 0.15
"""The same for the shortest overlap: single words sound alike more easily."""
LONG = 75
"""Frames: 1.2 s."""
SHORTEST = 25
"""Frames that must lie over each other: .4 s."""
_LEAST_OVERLAP = 0.6  # of the shorter recording
_WEAK = 3  # bits of a frame that are tried both ways
_COMMON = 64  # A word that more frames than this have says nothing
_TRIED = 6  # candidates that are compared bit by bit
_SILENT = 1e-4  # of the loudest frame's energy: 40 dB below it there is nothing to compare
_FLOOR = 1e-7

_EDGES: Ints = np.round(np.geomspace(300, 3000, BITS + 2) * WINDOW / SAMPLE_RATE).astype(np.int64)
_HANN = np.hanning(WINDOW + 1)[:-1].astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Print:
    """The fingerprint of one recording."""

    words: Words
    """One for each frame."""
    heard: Bools
    """Frames that are not silent."""
    weakest: npt.NDArray[np.uint8]
    """The bits nearest to the other way, [frames, 3]."""
    exact: bytes
    """A hash of the samples at 16 bits."""


@dataclass(frozen=True, slots=True)
class Match:
    """A recording that holds the same sound."""

    theirs: int
    error: float
    """Share of bits that differ; 0 where all samples are the same."""


def make_fingerprint(samples: Samples) -> Print:
    """The fingerprint of a recording at 16 kHz. One of less than a second has few frames, and none under .3 s."""
    whole = np.clip(np.round(samples * 32767), -32768, 32767).astype("<i2").tobytes()
    exact = hashlib.blake2b(whole, digest_size=16).digest()
    energies = _measure_energies(samples)
    loud = energies.sum(axis=1)
    top = float(loud.max(initial=0.0))
    levels = np.log(energies + _FLOOR * top + 1e-30)
    across = levels[:, :-1] - levels[:, 1:]
    grown = across[LAG:] - across[:-LAG]
    words = ((grown > 0) << np.arange(BITS, dtype=np.uint32)).sum(axis=1, dtype=np.uint32)
    heard = (loud[LAG:] > _SILENT * top) & (loud[:-LAG] > _SILENT * top)
    weakest = np.argpartition(np.abs(grown), _WEAK, axis=1)[:, :_WEAK].astype(np.uint8)
    return Print(words, heard, weakest, exact)


def _measure_energies(samples: Samples) -> Floats32:
    """[frames, 33]; at least `LAG` frames, empty ones where the recording is too short."""
    count = max(0, (len(samples) - WINDOW) // HOP + 1)
    found = np.zeros((max(count, LAG), BITS + 1), dtype=np.float32)
    if count:
        frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
        for at in range(0, count, 256):
            spectrum = np.fft.rfft(frames[at : at + 256] * _HANN)
            power = spectrum.real**2 + spectrum.imag**2
            found[at : at + 256] = np.add.reduceat(power[:, : _EDGES[-1]], _EDGES[:-1], axis=1)
    return found


class Prints:
    """Many fingerprints, to look others up in."""

    def __init__(self, prints: Sequence[Print]) -> None:
        self._prints = prints
        words = np.concatenate([np.empty(0, np.uint32), *(one.words[one.heard] for one in prints)])
        owner = np.repeat(np.arange(len(prints)), np.array([one.heard.sum() for one in prints], np.int64))
        places = np.concatenate([np.empty(0, np.int64), *(np.flatnonzero(one.heard) for one in prints)])
        order = np.argsort(words, kind="stable")
        self._words: Words = words[order]
        self._owner: Ints = owner[order]
        self._place: Ints = places[order]
        self._exact: dict[bytes, list[int]] = {}
        for at, one in enumerate(prints):
            self._exact.setdefault(one.exact, []).append(at)

    def find(self, one: Print, allowed: Bools | None = None) -> Match | None:
        """The most alike of the `allowed` recordings, if it is a copy at all."""
        for theirs in self._exact.get(one.exact, ()):
            if allowed is None or allowed[theirs]:
                return Match(theirs, 0.0)
        best: Match | None = None
        for theirs, shift in self._candidates(one, allowed):
            for more in (-1, 0, 1):
                error, frames = measure_difference(one, self._prints[theirs], shift + more)
                if error <= get_most_differing(frames) and (best is None or error < best.error):
                    best = Match(theirs, max(error, 1e-9))
        return best

    def _candidates(self, one: Print, allowed: Bools | None) -> list[tuple[int, int]]:
        """Recordings that have words in common at one shift, those with the most words first."""
        frames = np.flatnonzero(one.heard)
        if not len(frames) or not len(self._words):
            return []
        tried = _list_variants(one.words[frames], one.weakest[frames])
        first = np.searchsorted(self._words, tried, side="left")
        counts = np.searchsorted(self._words, tried, side="right") - first
        counts[counts > _COMMON] = 0
        if not (total := int(counts.sum())):
            return []
        asked = np.repeat(np.tile(frames, tried.shape[0] // len(frames)), counts)
        within = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
        hits = np.repeat(first, counts) + within
        owner, shift = self._owner[hits], self._place[hits] - asked
        if allowed is not None:
            owner, shift = owner[allowed[owner]], shift[allowed[owner]]
        # votes within two frames of each other count together
        votes, number = np.unique(np.stack([owner, shift // 2]), axis=1, return_counts=True)
        order = np.argsort(-number, kind="stable")[:_TRIED]
        return [(int(votes[0, at]), int(votes[1, at]) * 2) for at in order if number[at] > 1]


def _list_variants(words: Words, weakest: npt.NDArray[np.uint8]) -> Words:
    """Each word with its weakest bits both ways, [variants * frames]."""
    flips = np.uint32(1) << weakest.astype(np.uint32)
    found = [words]
    for bit in range(_WEAK):
        found += [word ^ flips[:, bit] for word in found]
    return np.concatenate(found)


def get_most_differing(frames: int) -> float:
    """The share of bits that may differ over so many frames.

    >>> get_most_differing(25), get_most_differing(50), get_most_differing(300)
    (0.15, 0.2, 0.25)
    """
    return ALIKE_SHORT + (ALIKE - ALIKE_SHORT) * min(1.0, max(0, frames - SHORTEST) / (LONG - SHORTEST))


def measure_difference(one: Print, other: Print, shift: int) -> tuple[float, int]:
    """Share of differing bits where frame `n` of one lies on `n + shift` of the other, and over how many frames.

    1 and 0 for too little overlap.
    """
    first, last = max(0, -shift), min(len(one.words), len(other.words) - shift)
    if last - first < SHORTEST:
        return 1.0, 0
    here, there = slice(first, last), slice(first + shift, last + shift)
    both = one.heard[here] & other.heard[there]
    least = max(SHORTEST, int(_LEAST_OVERLAP * min(one.heard.sum(), other.heard.sum())))
    if both.sum() < least:
        return 1.0, 0
    wrong = np.bitwise_count(one.words[here][both] ^ other.words[there][both])
    return float(wrong.mean()) / BITS, len(wrong)
