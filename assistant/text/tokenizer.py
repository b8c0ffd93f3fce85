"""Tokenises text in windows, so that no long text is silently cut off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from assistant.arrays import Ints
from assistant.errors import ModelInvalid

PAD_TO = 16
"""Rows are padded to a multiple of this, so that texts of similar length share a batch."""


class TextTokenizer:
    """The tokenizer of a model folder."""

    def __init__(self, folder: Path, *, max_tokens: int) -> None:
        file = folder / "tokenizer.json"
        try:
            self._tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:  # the library raises bare Exception
            raise ModelInvalid(f"{file} can't be read", code="model_missing") from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._room = max_tokens - self._tokenizer.num_special_tokens_to_add(False)
        self._special = self._tokenizer.encode("").ids

    def windows(self, text: str) -> list[Ints]:
        """Token ids of each window of at most `max_tokens`, special tokens included; none for empty text.

        Long text is cut evenly, so that no window has only a word or two.
        """
        ids = self._tokenizer.encode(text, add_special_tokens=False).ids
        first, last = self._special[0], self._special[-1]
        return [np.array([first, *ids[part], last], dtype=np.int64) for part in even_parts(len(ids), self._room)]


def even_parts(count: int, most: int) -> list[slice]:
    """Split `count` things into as few parts of at most `most` as possible, with sizes that differ by at most one.

    >>> [part.stop - part.start for part in even_parts(10, 4)], even_parts(0, 4)
    ([3, 3, 4], [])
    """
    parts = -(-count // most)
    return [slice(count * part // parts, count * (part + 1) // parts) for part in range(parts)]


def pad_row(ids: Ints) -> dict[str, Ints]:
    """The graph's two inputs for one row, padded to a multiple of `PAD_TO`.

    >>> row = pad_row(np.array([101, 7, 102]))
    >>> row["input_ids"].shape, int(row["attention_mask"].sum())
    ((16,), 3)
    """
    size = -(-len(ids) // PAD_TO) * PAD_TO
    row = np.zeros(size, dtype=np.int64)
    mask = np.zeros(size, dtype=np.int64)
    row[: len(ids)], mask[: len(ids)] = ids, 1
    return {"input_ids": row, "attention_mask": mask}
