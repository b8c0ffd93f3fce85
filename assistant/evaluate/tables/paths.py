"""Finds the files that a table names, also where it was written on another system."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

_KNOWN = 64  # folders whose names are kept
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")


class FileFinder:
    """Looks for files in some folders, in this order.

    A name that isn't there is looked for in other Unicode forms and with slashes for its backslashes.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._names: dict[Path, list[str]] = {}

    def find(self, name: str) -> Path:
        """The file of that name. Raises `ValueError` with what is there instead."""
        spellings = tuple(dict.fromkeys((name, name.replace("\\", "/"))))  # the name as it stands goes first
        try:
            for form in (str, _normalise):
                for spelling in spellings:
                    if found := self._search(spelling, form):
                        return _take_only(name, found)
            near = self._search(spellings[-1], _fold)
        except OSError as error:  # a name longer than the file system allows
            raise ValueError(f"{name[:40]} can't be a file: {error.strerror}") from error
        if near:
            raise ValueError(f"there is no file {name}, but {near[0].name}: upper and lower case must be the same")
        if _WINDOWS.match(name) and os.sep == "/":
            raise ValueError(f"there is no file {name}: a path of Windows; write paths relative to the table")
        raise ValueError(f"there is no file {name}")

    def _search(self, name: str, form: Callable[[str], str]) -> list[Path]:
        """The files in the first folder that has any whose path is `name` in this form."""
        for folder in self._folders:
            if found := [path for path in self._follow(folder, Path(name), form) if path.is_file()]:
                return found
        return []

    def _follow(self, folder: Path, path: Path, form: Callable[[str], str]) -> list[Path]:
        if form is str:
            return [folder / path]
        found = [Path(path.anchor) if path.anchor else folder]
        for part in path.parts[bool(path.anchor) :]:
            found = [deeper for one in found for deeper in self._enter(one, part, form)]
        return found

    def _enter(self, folder: Path, part: str, form: Callable[[str], str]) -> list[Path]:
        if (folder / part).exists():
            return [folder / part]
        return [folder / name for name in self._list(folder) if form(name) == form(part)]

    def _list(self, folder: Path) -> list[str]:
        if folder not in self._names:
            if len(self._names) >= _KNOWN:
                del self._names[next(iter(self._names))]
            self._names[folder] = sorted(one.name for one in folder.iterdir()) if folder.is_dir() else []
        return self._names[folder]


def _normalise(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _take_only(name: str, found: Sequence[Path]) -> Path:
    if len(found) > 1:
        raise ValueError(
            f"{len(found)} files differ from {name} in their Unicode form only: write it as one of them"
        )
    return found[0]
