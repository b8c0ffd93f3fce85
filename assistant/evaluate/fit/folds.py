"""Who is tested by whom: folds that keep every speaker on one side, and a corpus left out as a whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from assistant.arrays import Ints
from assistant.errors import Invalid

FEWEST_SPEAKERS = 3
"""One to test, and two so that the training can choose its ridge on a speaker it didn't learn from."""


def assign_speaker_folds(speakers: Sequence[str], target: Ints, k: int, seed: int) -> Ints:
    """The fold of each row, [rows], from 0: no speaker in two folds, classes spread as evenly as that allows.

    Speakers are taken largest first, equals in an order drawn with `seed`; each goes to the fold that leaves the
    counts of every class most alike, as scikit-learn's StratifiedGroupKFold does. With k as large as the number of
    speakers or larger each is a fold. Raises `Invalid` (`too_few_speakers`) for fewer than `FEWEST_SPEAKERS`.

    >>> assign_speaker_folds(["a", "a", "b", "b", "c", "c"], np.array([0, 1, 0, 1, 0, 1]), 3, seed=0).tolist()
    [1, 1, 2, 2, 0, 0]
    """
    names, who = np.unique(np.asarray(speakers, dtype=object).astype(str), return_inverse=True)
    if len(names) < FEWEST_SPEAKERS:
        raise Invalid(
            f"the rows that can be read have {len(names)} speakers; speaker-disjoint folds need at least "
            f"{FEWEST_SPEAKERS}: label more speakers, or check the column `speaker`",
            code="too_few_speakers",
        )
    return spread_groups(who.astype(np.int64), target, min(k, len(names)), seed)


def spread_groups(who: Ints, target: Ints, k: int, seed: int) -> Ints:
    """Give whole groups `who` [rows], numbered from 0, to k folds; [rows]. See `assign_speaker_folds`."""
    groups, classes = int(who.max()) + 1, int(target.max()) + 1
    counts = np.zeros((groups, classes))
    np.add.at(counts, (who, target), 1)
    share = counts / counts.sum(axis=0).clip(min=1)
    drawn = np.random.default_rng(seed).permutation(groups)
    order = drawn[np.argsort(-counts[drawn].sum(axis=1), kind="stable")]
    held, rows = np.zeros((k, classes)), np.zeros(k)
    place = np.zeros(groups, dtype=np.int64)
    for turn, group in enumerate(order):
        open_to = np.flatnonzero(rows == 0) if groups - turn <= int((rows == 0).sum()) else np.arange(k)
        uneven = []
        for fold in open_to:
            after = held.copy()
            after[fold] += share[group]
            uneven.append((round(float(after.std(axis=0).mean()), 9), rows[fold], int(fold)))
        chosen = min(uneven)[2]
        held[chosen] += share[group]
        rows[chosen] += counts[group].sum()
        place[group] = chosen
    return place[who]


def assign_left_out(values: Sequence[str], column: str) -> tuple[Ints, tuple[str, ...]]:
    """The fold of each row when each value of a column is left out in turn, and the values.

    Raises `Invalid` (`too_few_parts`) for fewer than two values.

    >>> place, names = assign_left_out(["emodb", "ravdess", "emodb"], "corpus")
    >>> place.tolist(), names
    ([0, 1, 0], ('emodb', 'ravdess'))
    """
    names, place = np.unique(np.asarray(values, dtype=object).astype(str), return_inverse=True)
    if len(names) < 2:
        raise Invalid(
            f"--leave-out {column}: the rows that can be read have {len(names)} value in that column; it takes two "
            "or more, so that one can be tested by a head that learned from the others",
            code="too_few_parts",
        )
    return place.astype(np.int64), tuple(names.tolist())


def find_shared_speakers(speakers: Sequence[str], place: Ints) -> tuple[str, ...]:
    """Speakers that are in more than one fold, sorted: there must be none.

    >>> find_shared_speakers(["a", "b", "a"], np.array([0, 0, 1]))
    ('a',)
    """
    seen: dict[str, int] = {}
    return tuple(
        sorted(
            {
                name
                for name, fold in zip(speakers, place.tolist(), strict=True)
                if seen.setdefault(name, fold) != fold
            }
        )
    )


def name_folds(speakers: Sequence[str], place: Ints) -> list[str]:
    """What is left out of each fold: the name of the speaker, or how many there are."""
    found = []
    for part in range(int(place.max()) + 1):
        names = sorted({name for name, at in zip(speakers, place.tolist(), strict=True) if at == part})
        found.append(f"speaker {names[0]}" if len(names) == 1 else f"fold {part + 1}: {len(names)} speakers")
    return found
