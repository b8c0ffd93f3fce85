"""Texts per second of the shipped text model beside the same model in fp32, and which kernels ran.

Both graphs run in turn, batch by batch, on one thread, with the session options of the server, so that a noisy
machine slows both. The fp32 graph is a by-product of scripts/text/export.py.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from assistant.inference.model import session_options
from assistant.inference.runtime import onnxruntime
from scripts.paths import ROOT

FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8")


def feed(rows: int, tokens: int, seed: int) -> dict[str, np.ndarray]:
    """A batch of made-up words, a quarter of it padding."""
    generator = np.random.default_rng(seed)
    ids = generator.integers(1000, 20000, (rows, tokens))
    mask = (np.arange(tokens) < generator.integers(tokens // 2, tokens + 1, (rows, 1))).astype(np.int64)
    return {"input_ids": ids * mask, "attention_mask": mask}


def opened(graph: Path, profile: str = "") -> onnxruntime.InferenceSession:
    """A session as the server opens it."""
    options = session_options()
    if profile:
        options.enable_profiling = True
        options.profile_file_prefix = profile
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def kernels(graph: Path, batch: dict[str, np.ndarray]) -> list[tuple[str, float]]:
    """Kinds of kernel that ran, and their share of the time."""
    with tempfile.TemporaryDirectory() as folder:
        session = opened(graph, f"{folder}/profile")
        for _ in range(5):
            session.run(None, batch)
        events = json.loads(Path(session.end_profiling()).read_text())
    spent: Counter[str] = Counter()
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("kernel_time"):
            spent[event["args"]["op_name"]] += event["dur"]
    return [(name, time / sum(spent.values())) for name, time in spent.most_common(8)]


def compare(graphs: Sequence[Path], batch: dict[str, np.ndarray], runs: int) -> list[list[float]]:
    """Seconds of each run of each graph, in turn."""
    sessions = [opened(graph) for graph in graphs]
    found: list[list[float]] = [[] for _ in graphs]
    for run in tqdm(range(runs + 2), leave=False, unit="round"):
        for session, times in zip(sessions, found, strict=True):
            began = time.perf_counter()
            session.run(None, batch)
            if run >= 2:
                times.append(time.perf_counter() - began)
    return found


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--int8", type=Path, default=ROOT / "models/text/model.onnx", help="the shipped graph")
    parser.add_argument("--fp32", type=Path, default=ROOT / "build/text/fp32.onnx", help="its fp32 twin")
    parser.add_argument("--runs", type=int, default=30, help="rounds for each shape")
    args = parser.parse_args()
    if not args.fp32.exists():
        parser.error(f"{args.fp32} is missing: scripts/text/export.py makes it (--work says where)")
    info = Path("/proc/cpuinfo")
    flags = set(info.read_text().split()) if info.exists() else set()
    print("processor:", ", ".join(flag for flag in FLAGS if flag in flags) or "flags unknown")
    print(f"{'texts x tokens':<16}{'fp32 texts/s':>14}{'int8 texts/s':>14}{'ratio':>8}   (medians of {args.runs})")
    for rows, tokens in ((1, 32), (32, 16), (32, 32), (16, 128)):
        times = compare([args.fp32, args.int8], feed(rows, tokens, seed=tokens), args.runs)
        fp32, int8 = (rows / statistics.median(each) for each in times)
        ratio = statistics.median(a / b for a, b in zip(*times, strict=True))
        print(f"{f'{rows} x {tokens}':<16}{fp32:>14.0f}{int8:>14.0f}{ratio:>8.2f}")
    for name, graph in (("fp32", args.fp32), ("int8", args.int8)):
        shares = ", ".join(f"{kind} {share:.0%}" for kind, share in kernels(graph, feed(32, 32, seed=1)))
        print(f"{name} kernels: {shares}")


if __name__ == "__main__":
    main()
