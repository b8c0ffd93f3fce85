"""Sets of emotions that cannot be ruled out: they contain the intended emotion in nine of ten cases.

Split conformal prediction with adaptive sets (Vovk et al. 2005; Romano, Sesia & Candès 2020). The guarantee
is a share over cases like the measured ones; it does not hold for a single person, emotion or recording.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from assistant.errors import ConfigInvalid

COVERAGE = 0.9
LARGEST = 3
"""Most names in a set; a larger set is left out because it says little."""
SHIPPED = Path(__file__).with_name("calibration.toml")


@dataclass(frozen=True, slots=True)
class Threshold:
    """The threshold that was measured for readings of certain models."""

    quantile: float
    """A name is in the set if at most this much probability comes before it, in order of probability."""
    models: Mapping[str, str]
    """Fingerprint of the model of each modality; other models need another measurement."""
    classes: Mapping[str, int]
    """Number of measured cases of each emotion."""
    data: str = ""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The thresholds, one for each measured combination of models."""

    thresholds: tuple[Threshold, ...]

    def quantile(self, models: Mapping[str, str]) -> float | None:
        """The quantile for readings of these models, by modality; None if it was not measured."""
        return next((one.quantile for one in self.thresholds if dict(one.models) == dict(models)), None)


UNCALIBRATED = Calibration(())


def emotion_set(emotions: Mapping[str, float], quantile: float) -> tuple[str, ...]:
    """The most probable emotions, until more than `quantile` of probability is before the next; at least one.

    >>> emotion_set({"sadness": 0.5, "neutral": 0.4, "joy": 0.1}, 0.8)
    ('sadness', 'neutral')
    """
    before = 0.0
    found: list[str] = []
    for name, p in sorted(emotions.items(), key=lambda one: (-one[1], one[0])):
        if found and before > quantile:
            break
        found.append(name)
        before += p
    return tuple(found)


def score(emotions: Mapping[str, float], meant: str) -> float:
    """The probability before the intended emotion, in order of probability: quantiles are taken of this score.

    >>> score({"sadness": 0.5, "neutral": 0.4, "joy": 0.1}, "neutral")
    0.5
    """
    place = (-emotions.get(meant, 0.0), meant)
    return sum(p for name, p in emotions.items() if (-p, name) < place)


def quantile(scores: Sequence[float], coverage: float = COVERAGE) -> float:
    """The ceil((n + 1) * coverage)-th smallest score: sets up to it contain a further case with that probability.

    Infinite, so that nothing is ruled out, if there are too few scores for a guarantee.

    >>> quantile([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    0.9
    >>> quantile([0.1])
    inf
    """
    place = math.ceil((len(scores) + 1) * coverage - 1e-9)
    return math.inf if place > len(scores) else sorted(scores)[place - 1]


def read_calibration(file: Path = SHIPPED) -> Calibration:
    """Read a calibration file. Raises `ConfigInvalid` if it is not one."""
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))["threshold"]
        return Calibration(tuple(_threshold(one) for one in tables))
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigInvalid(f"{file} is not a calibration file: {error!r}") from error


def _threshold(table: Mapping[str, object]) -> Threshold:
    value, models, classes = table["quantile"], table["models"], table["classes"]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"quantile must be from 0 to 1, not {value!r}")
    if not isinstance(models, dict) or not isinstance(classes, dict):
        raise TypeError("models and classes must be tables")
    return Threshold(float(value), models, classes, str(table.get("data", "")))
