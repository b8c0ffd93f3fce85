"""Worse conditions to hear the same clips under: how they are written, and what each does to a row."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import soundfile

from assistant.audio import SAMPLE_RATE
from assistant.audio.decode import read_audio
from assistant.audio.pcm import Samples
from assistant.errors import Invalid, NotFound
from assistant.evaluate.run import disturbance
from assistant.evaluate.tables.manifest import Row

Kind = Literal["noise", "telephone", "opus", "clip", "gain", "reverb"]

USUAL = ("noise@20,10,0", "telephone", "opus:16", "clip:10", "gain:-20,20", "reverb:0.5")
"""What `all` stands for; the noise is pink."""
HELP = f"""\
conditions, any number after --conditions; all means {" ".join(USUAL)}:
  noise:DIR@20,10,0   part of a file in DIR, this many dB below the active speech; without DIR pink noise
  telephone           8 kHz, 300 to 3,400 Hz, mu-law
  opus:16             coded and decoded at this many kbit/s
  clip:10             this many percent of the samples clipped, the loudest
  gain:-20,20         this many dB louder, in 16 bits: samples beyond full scale are clipped
  reverb:0.3,0.6      a simulated room whose echo falls by 60 dB in this many seconds; reverb:DIR takes measured
                      impulse responses from a folder
Each clip is read once clean and once under each condition. Random choices depend on --seed and the name of the
clip, and are the same at every level. A loss is how much worse a figure is than on clean input, on the same rows.
"""
_BOUNDS: Mapping[str, tuple[float, float, str]] = {
    "noise": (-40.0, 80.0, "dB"), "opus": (6.0, 256.0, "kbit/s"), "clip": (0.1, 90.0, "percent"),
    "gain": (-80.0, 80.0, "dB"), "reverb": (0.05, 10.0, "s"),
}  # fmt: skip
"""Least and most of a level, and its unit."""
_DEFAULTS: Mapping[str, float] = {"opus": 16.0, "clip": 10.0, "reverb": 0.5}
_SOUNDS = {f".{name.lower()}" for name in soundfile.available_formats()} | {".oga", ".opus", ".aif", ".mp3"}
_TRIES = 50  # files that are tried before a folder of noises is held to be silent or unreadable


@dataclass(frozen=True, slots=True)
class AudioCondition:
    """One thing that happens to every clip."""

    kind: Kind
    level: float | None = None
    """dB (noise, gain), kbit/s (opus), percent (clip) or s (reverb); None for a telephone and measured rooms."""
    folder: Path | None = None
    """Of noises or impulse responses; None for those that are made up."""

    @property
    def name(self) -> str:
        """A short name, the level last.

        >>> AudioCondition("telephone").name, AudioCondition("noise", 10.0, Path("sounds/street")).name
        ('telephone', 'noise_street_10dB')
        """
        unit = {"noise": "dB", "gain": "dB", "opus": "kbit", "clip": "pct", "reverb": "s"}.get(self.kind, "")
        level = "" if self.level is None else f"{self.level:g}{unit}"
        return "_".join(part for part in (self.kind, self.folder.name if self.folder else "", level) if part)


def parse_conditions(asked: Iterable[str]) -> tuple[AudioCondition, ...]:
    """What --conditions names, each once. Raises `Invalid` (`condition_invalid`) or `NotFound` (`folder_missing`).

    >>> [c.name for c in parse_conditions(["noise@20,0", "opus", "telephone", "telephone"])]
    ['noise_20dB', 'noise_0dB', 'opus_16kbit', 'telephone']
    """
    words = [word for one in asked for word in (USUAL if one == "all" else (one,))]
    found = tuple(dict.fromkeys(condition for word in words for condition in _parse_condition(word)))
    names = [condition.name for condition in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise _make_error(f"two folders have the same name, {twice[0]}: rename one of them")
    return found


def _make_error(why: str) -> Invalid:
    return Invalid(why, code="condition_invalid")


def _parse_condition(word: str) -> list[AudioCondition]:
    kind, _, rest = word.partition("@") if word.startswith("noise@") else word.partition(":")
    if kind not in get_args(Kind):
        raise _make_error(f"unknown condition {word!r}; known are {', '.join(get_args(Kind))}, and all")
    if kind == "telephone":
        if rest:
            raise _make_error(f"telephone takes no level: write telephone, not {word}")
        return [AudioCondition("telephone")]
    folder = None
    if kind == "noise" and not word.startswith("noise@"):
        where, at, rest = rest.rpartition("@")
        if not (where and at):
            raise _make_error(f"{word}: write noise:FOLDER@20,10,0 or noise@20,10,0")
        folder = _find_folder(where)
    elif kind == "reverb" and rest and not _parse_numbers(rest):
        return [AudioCondition("reverb", None, _find_folder(rest))]
    levels = _parse_numbers(rest) if rest else [_DEFAULTS[kind]] if kind in _DEFAULTS else None
    least, most, unit = _BOUNDS[kind]
    if not levels or not all(least <= level <= most for level in levels):
        raise _make_error(f"{word}: {kind} wants numbers from {least:g} to {most:g} ({unit}), joined by commas")
    return [AudioCondition(kind, level, folder) for level in levels]  # type: ignore[arg-type]


def _parse_numbers(written: str) -> list[float] | None:
    try:
        found = [float(part) for part in written.split(",")]
    except ValueError:
        return None
    return found if all(map(math.isfinite, found)) else None


def _find_folder(written: str) -> Path:
    folder = Path(written).expanduser()
    if not folder.is_dir():
        raise NotFound(f"there is no folder {folder} with sounds", code="folder_missing")
    return folder


@dataclass(frozen=True, slots=True)
class Disturbance:
    """A condition, ready to be applied to any row, in any order and any process: the result is the same."""

    condition: AudioCondition
    seed: int
    files: tuple[Path, ...] = ()

    @property
    def identity(self) -> dict[str, str | float | int | None]:
        """What the result depends on, beside the clips."""
        sizes = repr([(file.name, file.stat().st_size) for file in self.files]).encode()
        sounds = hashlib.sha256(sizes).hexdigest() if self.files else None
        return {"name": self.condition.name, "seed": self.seed, "sounds": sounds}

    def __call__(self, row: Row, samples: Samples) -> Samples:
        """The clip under this condition. Raises `Invalid` (`noise_unreadable`) for a folder without sound."""
        if not len(samples):
            return samples
        level = self.condition.level or 0.0
        random = self._random(row)
        match self.condition.kind:
            case "noise":
                count = len(samples)
                noise = self._sound(random, count) if self.files else disturbance.make_pink_noise(count, random)
                return disturbance.add_noise(samples, noise, level)
            case "telephone":
                return disturbance.apply_telephone(samples)
            case "opus":
                return disturbance.apply_opus(samples, level)
            case "clip":
                return disturbance.clip_peaks(samples, level)
            case "gain":
                return disturbance.amplify(samples, level)
            case "reverb":
                response = self._sound(random, None) if self.files else disturbance.make_room(level, random)
                return disturbance.apply_room(samples, response)

    def _random(self, row: Row) -> np.random.Generator:
        told = f"{self.seed}\0{self.condition.kind}\0{row.name or row.line}\0{row.start_s:g}".encode()
        return np.random.default_rng(int.from_bytes(hashlib.blake2b(told, digest_size=16).digest(), "big"))

    def _sound(self, random: np.random.Generator, count: int | None) -> Samples:
        """A stretch of `count` samples of one of the files, from anywhere and over again if short, or all of it."""
        for _ in range(_TRIES):
            file = self.files[int(random.integers(len(self.files)))]
            place = random.random()
            try:
                if count is None:
                    found = read_audio(file, end_s=_BOUNDS["reverb"][1])
                else:
                    start = place * max(0.0, soundfile.info(file).duration - count / SAMPLE_RATE)
                    found = np.resize(read_audio(file, start_s=start, end_s=start + count / SAMPLE_RATE), count)
            except (Invalid, soundfile.LibsndfileError):
                continue
            if np.any(found):
                return found
        raise Invalid(f"no sound can be read from {self.condition.folder}", code="noise_unreadable")


def prepare_condition(condition: AudioCondition, seed: int) -> Disturbance:
    """The condition with the sounds it takes, sorted by name. Raises `Invalid` (`noise_unreadable`) without any."""
    if condition.folder is None:
        return Disturbance(condition, seed)
    files = tuple(f for f in sorted(condition.folder.rglob("*")) if f.suffix.lower() in _SOUNDS and f.is_file())
    if not files:
        raise Invalid(f"{condition.folder} holds no sound files", code="noise_unreadable")
    return Disturbance(condition, seed, files)
