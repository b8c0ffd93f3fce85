"""Whether a test asks what training has told: the same speakers, or copies of a recording or a text."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
from tqdm import tqdm

from assistant.arrays import Bools
from assistant.audio.decode import read_audio
from assistant.errors import AssistantError
from assistant.evaluate.leakage.fingerprint import Print, Prints, make_fingerprint
from assistant.evaluate.leakage.shingles import Texts, normalise_text
from assistant.evaluate.tables.manifest import Row, open_table, read_row, require_columns
from assistant.evaluate.tables.tables import TextTable, normalise_name, rename_columns

Pair = tuple[int, int, bool]
"""Our row, theirs, and whether they are the same to the last sample or letter."""

SHOWN = 20
"""Speakers and pairs that are named."""
_TOGETHER = 128
"""Recordings that wait for a fingerprint."""
_THREADS = 2


def read_against(
    file: Path, modality: Literal["voice", "text"], columns: Mapping[str, str], table: str | None = None
) -> list[Row]:
    """The rows that a model was trained on, without labels; of those whose file is gone the speaker remains.

    `columns` says what they are called, where they are called so. Raises what `open_table` raises.
    """
    opened = open_table(file, table=table)
    there = {
        ours: theirs
        for ours, theirs in columns.items()
        if normalise_name(theirs.partition(":")[0]) in opened.columns
    }
    named = rename_columns(opened, there) if there else opened
    return list(_read_trained(named, modality))


def _read_trained(table: TextTable, modality: Literal["voice", "text"]) -> Iterator[Row]:
    require_columns(table, ["file" if modality == "voice" else "text"])
    for line, cells in table.rows():
        if isinstance(cells, str):
            continue
        try:
            yield read_row(line, cells, modality, table.folders)
        except ValueError:
            yield Row(line, cells.get("file", "").strip(), speaker=cells.get("speaker", "").strip())


def find_leakage(
    rows: Sequence[Row], trained: Sequence[Row], *, against: str, quiet: bool = False
) -> dict[str, Any]:
    """What `rows` share with those that a model was `trained` on. For a voice the recordings are all read.

    Speakers are compared by name: two corpora that both number theirs from 1 seem to share them. Fingerprints take
    about 1.5 kB of memory per three seconds of sound.
    """
    ours = {row.speaker for row in rows if row.speaker}
    shared = sorted(ours & {row.speaker for row in trained if row.speaker})
    found: dict[str, Any] = {"against": against}
    if ours:
        found["speakers"] = {"shared": len(shared), "of": len(ours), "first": shared[:SHOWN]}
    sides = [0] * len(rows) + [1] * len(trained)
    return _describe_shared(found, [*rows, *trained], sides, {0}, quiet=quiet)


def find_shared(rows: Sequence[Row], sides: Sequence[int], *, quiet: bool = False) -> dict[str, Any]:
    """What lies on more than one side of a split of `rows`, such as their folds: `sides` has one number per row."""
    held: dict[str, set[int]] = {}
    for row, side in zip(rows, sides, strict=True):
        if row.speaker:
            held.setdefault(row.speaker, set()).add(side)
    shared = sorted(name for name, where in held.items() if len(where) > 1)
    found: dict[str, Any] = {"against": None}
    if held:
        found["speakers"] = {"shared": len(shared), "of": len(held), "first": shared[:SHOWN]}
    return _describe_shared(found, rows, sides, set(sides), quiet=quiet)


def _describe_shared(
    found: dict[str, Any], rows: Sequence[Row], sides: Sequence[int], asked: set[int], *, quiet: bool
) -> dict[str, Any]:
    """Add copies, and the verdict. Rows of the sides in `asked` are looked up on all other sides."""
    where = np.asarray(sides, dtype=np.int64)
    others = {side: where != side for side in asked}
    if any(row.file is not None for row in rows):
        prints = list(_make_fingerprints(rows, quiet=quiet))
        pairs = list(_find_recordings(prints, sides, others))
        count = sum(one is not None and side in asked for one, side in zip(prints, sides, strict=True))
        found["audio"] = _summarise_pairs(pairs, rows, count) | {"unread": sum(one is None for one in prints)}
    if any(row.text for row in rows):
        pairs = list(_find_texts(rows, sides, others, quiet=quiet))
        count = sum(side in asked and bool(normalise_text(row.text)) for row, side in zip(rows, sides, strict=True))
        found["text"] = _summarise_pairs(pairs, rows, count)
    return found | {"verdict": write_verdict(found)}


def write_verdict(found: Mapping[str, Any]) -> str:
    """One sentence.

    >>> write_verdict({"speakers": {"shared": 0}, "audio": {"shared": 3, "of": 10}})
    'leakage found: 3 of 10 recordings are copies'
    >>> write_verdict({"speakers": {"shared": 2}, "audio": {"shared": 0, "of": 10}})
    'leakage found, unless speakers are named alike by chance: 2 speakers have the same name'
    >>> write_verdict({"audio": {"shared": 0, "of": 10, "unread": 4}})
    'no leakage found; 4 recordings could not be read'
    >>> write_verdict({"text": {"shared": 0, "of": 0}})
    'nothing to compare'
    """
    unread = found.get("audio", {}).get("unread", 0)
    return _describe_counts(found) + (
        f"; {unread} recording{'s' * (unread > 1)} could not be read" if unread else ""
    )


def _describe_counts(found: Mapping[str, Any]) -> str:
    said = [
        f"{one['shared']} of {one['of']} {what} {'are copies' if one['shared'] > 1 else 'is a copy'}"
        for key, what in (("audio", "recordings"), ("text", "texts"))
        if (one := found.get(key)) and one["shared"]
    ]
    people = found.get("speakers", {}).get("shared", 0)
    names = f"{people} speakers have the same name" if people > 1 else f"{people} speaker has the same name"
    if said:
        return "leakage found: " + ", and ".join(said + ([names] if people else []))
    if people:
        return f"leakage found, unless speakers are named alike by chance: {names}"
    asked = [found[key].get("of", 1) for key in ("speakers", "audio", "text") if key in found]
    return "no leakage found" if any(asked) else "nothing to compare"


def _summarise_pairs(pairs: Sequence[Pair], rows: Sequence[Row], of: int) -> dict[str, Any]:
    named = [
        {"ours": _name_row(rows[ours]), "theirs": _name_row(rows[theirs])} for ours, theirs, _ in pairs[:SHOWN]
    ]
    return {"shared": len(pairs), "exact": sum(same for _, _, same in pairs), "of": of, "first": named}


def _name_row(row: Row) -> str:
    return row.name or f"line {row.line}"


def _make_fingerprints(rows: Sequence[Row], *, quiet: bool) -> Iterator[Print | None]:
    every = 0.2 if sys.stderr.isatty() else 15.0
    with (
        ThreadPoolExecutor(_THREADS, thread_name_prefix="fingerprint") as pool,
        tqdm(total=len(rows), unit="fingerprint", disable=quiet, mininterval=every, maxinterval=every) as bar,
    ):
        for at in range(0, len(rows), _TOGETHER):
            for one in pool.map(_make_fingerprint, rows[at : at + _TOGETHER]):
                bar.update()
                yield one


def _make_fingerprint(row: Row) -> Print | None:
    if row.file is None:
        return None
    try:
        return make_fingerprint(read_audio(row.file, start_s=row.start_s, end_s=row.end_s))
    except AssistantError:  # the run itself tells of it
        return None


def _find_recordings(
    prints: Sequence[Print | None], sides: Sequence[int], others: Mapping[int, Bools]
) -> Iterator[Pair]:
    places = [at for at, one in enumerate(prints) if one is not None]
    index = Prints([one for one in prints if one is not None])
    for at in places:
        one = prints[at]
        if one is not None and sides[at] in others and (found := index.find(one, others[sides[at]][places])):
            yield at, places[found.theirs], found.error == 0.0


def _find_texts(
    rows: Sequence[Row], sides: Sequence[int], others: Mapping[int, Bools], *, quiet: bool
) -> Iterator[Pair]:
    index = Texts(row.text for row in rows)
    every = 0.2 if sys.stderr.isatty() else 15.0
    count: Callable[..., Any] = tqdm
    for at, row in enumerate(count(rows, unit="text", disable=quiet, mininterval=every, maxinterval=every)):
        if sides[at] in others and (found := index.find(row.text, others[sides[at]])):
            yield at, found[0], found[1] == 1.0
