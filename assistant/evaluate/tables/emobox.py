"""EmoBox's lists of clips: JSON lines, or JSON by key, with its own names for the columns.

Ma et al. 2024, "EmoBox: multilingual multi-corpus speech emotion recognition toolkit and benchmark", Interspeech.
A line is {"key", "dataset", "wav", "type", "sample_rate", "num_frame", "task", "length", "emo", "channel"}, and
`start_time` and `end_time` for parts of a recording. It names no speaker; `--columns` with a pattern can take one
from the key or the path.
"""

from __future__ import annotations

from dataclasses import replace

from assistant.evaluate.tables.tables import Table, renamed

OURS = {
    "file": "wav",
    "emotion": "emo",
    "id": "key",
    "corpus": "dataset",
    "speaker": "spk",
    "trim_start_s": "start_time",
    "trim_end_s": "end_time",
}
_UP = 5
"""Folders above a list in which `downloads/...` may lie: a list lies in data/<corpus>/fold_<n>."""


def as_ours(table: Table) -> Table:
    """A list of EmoBox with our columns beside its own, any other table as it is."""
    if not {"wav", "emo"} <= set(table.columns) or "file" in table.columns:
        return table
    there = {ours: theirs for ours, theirs in OURS.items() if theirs in table.columns}
    named = renamed(table, there | {theirs: theirs for theirs in there.values()})
    above = [table.file.resolve().parent, *table.file.resolve().parents][: _UP + 1]
    return replace(
        named, folders=tuple(dict.fromkeys([*table.folders, *above])), names_speakers="speaker" in named.columns
    )
