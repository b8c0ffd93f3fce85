"""Where a report comes from: the command, the versions, the hashes, the machine. Nothing of it names a person."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from assistant.evaluate.report.report import Corpus, File, Machine, ModelIdentity, Provenance
from assistant.inference.card import Card
from assistant.version import __version__

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_PACKAGES = ("av", "numpy", "onnxruntime", "soundfile", "soxr", "tokenizers")
"""On which the figures depend."""


def describe_run(
    data: Path, *, seed: int, label_map: Path | None = None, command: Sequence[str] | None = None
) -> Provenance:
    """All but `when` is the same for two runs of one command on one machine. `command` is this process's own."""
    program = Path(sys.argv[0]).name  # without its folder: where it is installed is nobody's business
    typed = ["assistant" if program == "__main__.py" else program, *sys.argv[1:]]
    return Provenance(
        command=typed if command is None else list(command),
        attune=__version__,
        versions=_versions(),
        python=platform.python_version(),
        platform=platform.platform(),
        machine=Machine(_cpu(), os.cpu_count() or 1),
        seed=seed,
        data=File(shorten_path(data), hash_file(data)),
        label_map=UNSET if label_map is None else File(label_map.name, hash_file(label_map)),
        when=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def describe_options(options: DataclassInstance, *, without: Collection[str] = (), **read: Any) -> dict[str, Any]:
    """The options of a command as a report repeats them. `read` replaces files by what was read from them."""
    values = {name: value for name, value in (asdict(options) | read).items() if name not in without}
    return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}


def shorten_path(path: Path) -> str:
    """A file by its name and the folder it was typed with: many are called manifest.csv.

    >>> [shorten_path(Path(path)) for path in ("/data/emodb/manifest.csv", "clips.csv", "../clips.csv")]
    ['emodb/manifest.csv', 'clips.csv', 'clips.csv']
    """
    return "/".join(part for part in path.parts[-2:] if part not in ("..", path.anchor)) or str(path)


def hash_file(path: Path) -> str:
    """SHA-256 of a file; of a folder, over the names and hashes of the files right in it, in order of name.

    Audio and other files that a manifest names are not part of it. A path that isn't there has the empty hash "".
    """
    if path.is_dir():
        inside = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
        lines = (os.fsencode(f"{hash_file(file)}  {file.name}\n") for file in inside)
        return hashlib.sha256(b"".join(lines)).hexdigest()
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe_model(card: Card, *, stem: Card | None = None, beside: Card | None = None) -> ModelIdentity:
    """A model as a report names it: its hash, and what its card says of it."""
    corpora = card.data.get("training_data", ())
    return ModelIdentity(
        name=card.name,
        sha256=card.sha256,
        kind=card.kind,
        licence=card.licence,
        version=str(card.data.get("version") or "") or UNSET,
        summary=str(card.data.get("summary") or "") or UNSET,
        labels=list(card.labels),
        training_data=[
            Corpus(**{key: str(one[key]) for key in ("name", "licence", "note") if key in one})
            for one in corpora
            if isinstance(one, Mapping)
        ]
        if isinstance(corpora, list | tuple)
        else UNSET,
        stem=UNSET if stem is None else describe_model(stem),
        beside=UNSET if beside is None else describe_model(beside),
    )


def _versions() -> dict[str, str]:
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def _cpu() -> str:
    """The processor's name where the system tells it."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
            for line in file:
                key, _, value = line.partition(":")
                if key.strip() == "model name":
                    return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
