"""Whether a test asks what training has told: the same speakers, or copies of a recording or a text."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import UNSET, Meta, Struct, UnsetType
from tqdm import tqdm

from assistant.arrays import Bools
from assistant.errors import AssistantError
from assistant.evaluate.leakage.fingerprint import Print, Prints, make_fingerprint
from assistant.evaluate.leakage.shingles import Texts, normalise_text
from assistant.evaluate.tables.form import PLAIN, TableForm
from assistant.evaluate.tables.manifest import open_table, require_columns
from assistant.evaluate.tables.rows import Row, RowReader, read_clip
from assistant.evaluate.tables.tables import normalise_name, rename_columns

Pair = tuple[int, int, bool]
"""Our row, theirs, and whether they are the same to the last sample or letter."""
Others = Mapping[int, Bools]
"""For each side that is looked up, the rows of all other sides, [rows]."""

SHOWN = 20
"""Speakers and pairs that are named."""
_TOGETHER = 128  # recordings that wait for a fingerprint
_THREADS = 2
Count = Annotated[int, Meta(ge=0)]


class Overlap(Struct, frozen=True, kw_only=True):
    """Speakers, recordings or texts that are in training and in the test."""

    shared: Count | UnsetType = UNSET
    of: Count | UnsetType = UNSET
    exact: Annotated[Count | UnsetType, Meta(description="Equal sample for sample, or letter for letter")] = UNSET
    unread: Annotated[Count | UnsetType, Meta(description="Recordings that could not be read")] = UNSET
    first: Annotated[list[Any] | UnsetType, Meta(description="The first names, or pairs of names")] = UNSET


class Leakage(Struct, frozen=True, kw_only=True):
    """What training and test share."""

    against: str | None = None
    speakers: Overlap | UnsetType = UNSET
    audio: Overlap | UnsetType = UNSET
    text: Overlap | UnsetType = UNSET
    verdict: str


def read_against(
    file: Path,
    modality: Literal["voice", "text"],
    columns: Mapping[str, str],
    table: str | None = None,
    form: TableForm = PLAIN,
) -> list[Row]:
    """The rows that a model was trained on, without labels; of those whose file is gone the speaker remains.

    `columns` says what they are called, where they are called so. Raises what `open_table` raises.
    """
    opened = open_table(file, table=table, form=form)
    there = {ours: one for ours, one in columns.items() if normalise_name(one.partition(":")[0]) in opened.columns}
    named = rename_columns(opened, there) if there else opened
    require_columns(named, ["file" if modality == "voice" else "text"])
    found = []
    reader = RowReader(named, modality)
    for line, cells in named.rows():
        if isinstance(cells, str):
            continue
        try:
            found.append(reader.read(line, cells))
        except ValueError:
            found.append(Row(line, cells.get("file", "").strip(), speaker=cells.get("speaker", "").strip()))
    return found


def find_leakage(rows: Sequence[Row], trained: Sequence[Row], *, against: str, quiet: bool = False) -> Leakage:
    """What `rows` share with those that a model was `trained` on. For a voice the recordings are all read.

    Speakers are compared by name: two corpora that both number theirs from 1 seem to share them. Fingerprints take
    about 1.5 kB of memory per three seconds of sound.
    """
    ours = {row.speaker for row in rows if row.speaker}
    shared = ours & {row.speaker for row in trained if row.speaker}
    sides = [0] * len(rows) + [1] * len(trained)
    return _find_copies([*rows, *trained], sides, {0}, against, _count_speakers(ours, shared), quiet=quiet)


def find_shared(rows: Sequence[Row], sides: Sequence[int], *, quiet: bool = False) -> Leakage:
    """What lies on more than one side of a split of `rows`, such as their folds: `sides` has one number per row."""
    held: dict[str, set[int]] = {}
    for row, side in zip(rows, sides, strict=True):
        if row.speaker:
            held.setdefault(row.speaker, set()).add(side)
    shared = {name for name, where in held.items() if len(where) > 1}
    return _find_copies(rows, sides, set(sides), None, _count_speakers(held, shared), quiet=quiet)


def _count_speakers(every: Collection[str], shared: Collection[str]) -> Overlap | UnsetType:
    if not every:
        return UNSET
    return Overlap(shared=len(shared), of=len(every), first=sorted(shared)[:SHOWN])


def _find_copies(
    rows: Sequence[Row],
    sides: Sequence[int],
    asked: set[int],
    against: str | None,
    speakers: Overlap | UnsetType,
    *,
    quiet: bool,
) -> Leakage:
    """Rows of the sides in `asked` are looked up on all other sides."""
    where = np.asarray(sides, dtype=np.int64)
    others = {side: where != side for side in asked}
    audio: Overlap | UnsetType = UNSET
    text: Overlap | UnsetType = UNSET
    if any(row.file is not None for row in rows):
        prints = list(_make_fingerprints(rows, quiet=quiet))
        pairs = list(_find_recordings(prints, sides, others))
        count = sum(one is not None and side in asked for one, side in zip(prints, sides, strict=True))
        audio = _summarise_pairs(pairs, rows, count, unread=sum(one is None for one in prints))
    if any(row.text for row in rows):
        pairs = list(_find_texts(rows, sides, others, quiet=quiet))
        count = sum(side in asked and bool(normalise_text(row.text)) for row, side in zip(rows, sides, strict=True))
        text = _summarise_pairs(pairs, rows, count)
    verdict = write_verdict(speakers, audio, text)
    return Leakage(against=against, speakers=speakers, audio=audio, text=text, verdict=verdict)


def write_verdict(
    speakers: Overlap | UnsetType = UNSET, audio: Overlap | UnsetType = UNSET, text: Overlap | UnsetType = UNSET
) -> str:
    """One sentence.

    >>> write_verdict(Overlap(shared=0, of=2), Overlap(shared=3, of=10))
    'leakage found: 3 of 10 recordings are copies'
    >>> write_verdict(Overlap(shared=2, of=2), Overlap(shared=0, of=10))
    'leakage found, unless speakers are named alike by chance: 2 speakers have the same name'
    >>> write_verdict(audio=Overlap(shared=0, of=10, unread=4))
    'no leakage found; 4 recordings could not be read'
    >>> write_verdict(text=Overlap(shared=0, of=0))
    'nothing to compare'
    """
    copies = [
        f"{shared} of {one.of or 0} {what} {'are copies' if shared > 1 else 'is a copy'}"
        for one, what in ((audio, "recordings"), (text, "texts"))
        if one and (shared := one.shared or 0)
    ]
    people = speakers.shared or 0 if speakers else 0
    names = [f"{people} speakers have the same name" if people > 1 else f"{people} speaker has the same name"]
    if copies:
        found = "leakage found: " + ", and ".join(copies + (names if people else []))
    elif people:
        found = f"leakage found, unless speakers are named alike by chance: {names[0]}"
    else:
        compared = any(one and one.of for one in (speakers, audio, text))
        found = "no leakage found" if compared else "nothing to compare"
    unread = audio.unread if audio and audio.unread else 0
    return found + (f"; {unread} recording{'s' * (unread > 1)} could not be read" if unread else "")


def _summarise_pairs(
    pairs: Sequence[Pair], rows: Sequence[Row], of: int, *, unread: int | UnsetType = UNSET
) -> Overlap:
    first = [(rows[ours], rows[theirs]) for ours, theirs, _ in pairs[:SHOWN]]
    named = [{"ours": a.name or f"line {a.line}", "theirs": b.name or f"line {b.line}"} for a, b in first]
    exact = sum(same for _, _, same in pairs)
    return Overlap(shared=len(pairs), of=of, exact=exact, unread=unread, first=named)


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
        return make_fingerprint(read_clip(row))
    except AssistantError:  # the run itself tells of it
        return None


def _find_recordings(prints: Sequence[Print | None], sides: Sequence[int], others: Others) -> Iterator[Pair]:
    known = {at: one for at, one in enumerate(prints) if one is not None}
    index, places = Prints(list(known.values())), list(known)
    for at, one in known.items():
        if sides[at] in others and (found := index.find(one, others[sides[at]][places])):
            yield at, places[found.theirs], found.error == 0.0


def _find_texts(rows: Sequence[Row], sides: Sequence[int], others: Others, *, quiet: bool) -> Iterator[Pair]:
    index = Texts(row.text for row in rows)
    every = 0.2 if sys.stderr.isatty() else 15.0
    for at, row in enumerate(tqdm(rows, unit="text", disable=quiet, mininterval=every, maxinterval=every)):
        if sides[at] in others and (found := index.find(row.text, others[sides[at]])):
            yield at, found[0], found[1] == 1.0
