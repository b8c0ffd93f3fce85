"""What was heard of clips, kept on disk under the hash of their content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assistant.arrays import Floats, Floats32
from assistant.errors import Invalid, Unavailable
from assistant.evaluate.tables.manifest import Row

_SHARD = 256
"""Clips in a kept file: what an interruption costs at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """One clip as heard; of its windows only those that the reader would read."""

    windows: Floats32
    """[windows, width]; none where the reader abstains."""
    affect: Floats
    """Valence, arousal, both deviations and stress, as the shipped head gives them, [5]."""
    prosody: Floats32
    abstained: str = ""
    """Why the reader abstained; empty where it did not."""


def make_content_key(row: Row) -> str:
    """A hash of the file's bytes and of the part that is read."""
    assert row.file is not None
    digest = hashlib.sha256(f"{row.start_s!r} {row.end_s!r} ".encode())
    try:
        with row.file.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise Invalid(f"can't read {row.name}: {error.strerror}", code="file_missing") from error
    return digest.hexdigest()


class FeatureCache:
    """Clips on disk, many to a file; files that can't be read are passed over and their clips heard again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fresh: dict[str, Clip] = {}
        self.known: dict[str, Clip] = {}
        for file in sorted(folder.glob("*.npz")):
            try:
                self.known |= _load(file)
            except (OSError, KeyError, ValueError, EOFError):
                continue

    def add(self, key: str, clip: Clip) -> None:
        """Keep one more clip, now or a little later."""
        self.known[key] = clip
        self._fresh[key] = clip
        if len(self._fresh) >= _SHARD:
            self.keep()

    def keep(self) -> None:
        """Write what is new. Raises `Unavailable` (`out_unwritable`)."""
        if not self._fresh:
            return
        keys, clips = list(self._fresh), list(self._fresh.values())
        width = max((clip.windows.shape[1] for clip in clips), default=0)
        file = self._folder / f"{hashlib.sha256(''.join(keys).encode()).hexdigest()[:16]}.npz"
        beside = file.with_suffix(".part")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with beside.open("wb") as opened:
                np.savez(
                    opened,
                    keys=np.array(keys),
                    windows=np.concatenate([clip.windows.reshape(-1, width) for clip in clips]),
                    ends=np.cumsum([len(clip.windows) for clip in clips]),
                    affect=np.stack([clip.affect for clip in clips]),
                    prosody=np.stack([clip.prosody for clip in clips]),
                    abstained=np.array([clip.abstained for clip in clips]),
                )
            beside.replace(file)
        except OSError as error:
            raise Unavailable(
                f"can't write into {self._folder}: {error.strerror}", code="out_unwritable"
            ) from error
        self._fresh = {}


def _load(file: Path) -> dict[str, Clip]:
    with np.load(file, allow_pickle=False) as kept:
        windows, ends = kept["windows"], kept["ends"].tolist()
        columns = zip(
            kept["keys"].tolist(),
            [0, *ends],
            ends,
            kept["affect"],
            kept["prosody"],
            kept["abstained"].tolist(),
            strict=False,
        )
        return {
            key: Clip(windows[start:end], affect, simple, abstained)
            for key, start, end, affect, simple, abstained in columns
        }
