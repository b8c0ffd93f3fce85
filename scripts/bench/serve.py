"""Cold start and idle memory of the server, beside a bare interpreter that only imports its two large libraries."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import psutil
from tqdm import tqdm

BARE = "import aiohttp, numpy, onnxruntime, time; print('ready', flush=True); time.sleep(60)"


def started(command: list[str], environment: dict[str, str], *, ask: bool) -> tuple[float, float]:
    """Seconds until the process is ready, and its resident memory in MB then."""
    began = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"{command} did not start")
        if ask:
            _until_ready(f"{line.split()[-1]}/readyz")
        return time.perf_counter() - began, psutil.Process(process.pid).memory_info().rss / 1e6
    finally:
        process.kill()
        process.wait()


def _until_ready(url: str) -> None:
    for _ in range(600):
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except urllib.error.URLError:
            time.sleep(0.01)
    raise SystemExit(f"{url} was not ready in time")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="cold starts of each")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "ATTUNE_DATABASE": f"sqlite:///{folder}/a.db",
            "ATTUNE_KEYS": f"sqlite:///{folder}/k.db",
            "ATTUNE_MASTER_KEY_FILE": f"{folder}/a.key",
            "ATTUNE_PORT": "0",
            "ATTUNE_RATE_APP": "none",
            "ATTUNE_RATE_PERSON": "none",
        }
        subprocess.run(
            [sys.executable, "-m", "assistant", "keys", "create", "--app", "bench"],
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        server, bare = [], []
        for _ in tqdm(range(args.runs), unit="start"):
            server.append(started([sys.executable, "-m", "assistant", "serve"], environment, ask=True))
            bare.append(started([sys.executable, "-c", BARE], environment, ask=False))
    print(f"{'':<14}{'ready, s':>10}{'memory, MB':>12}   (medians of {args.runs})")
    rows = {}
    for name, runs in (("server", server), ("bare imports", bare)):
        rows[name] = [statistics.median(column) for column in zip(*runs, strict=True)]
        print(f"{name:<14}{rows[name][0]:>10.2f}{rows[name][1]:>12.0f}")
    ratios = [a / b for a, b in zip(rows["server"], rows["bare imports"], strict=True)]
    print(f"{'ratio':<14}{ratios[0]:>10.2f}{ratios[1]:>12.2f}")


if __name__ == "__main__":
    main()
