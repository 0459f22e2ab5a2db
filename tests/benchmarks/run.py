"""All benchmarks: ``python tests/benchmarks/run.py``.

Contenders take turns, each in a fresh process with a fixed number of threads. The table gives medians over rounds;
ratios are taken within each round, and the median of those is held against the target. Nothing fails when a target
is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from importlib import metadata
from pathlib import Path

from measure import measure
from rows import ROWS
from table import as_json, table

FEWEST_ROUNDS = 5
PACKAGES = ("microframe", "numpy", "h5py", "torch", "scikit-learn", "onnxruntime", "jax", "safetensors")


def main() -> None:
    """Measure the chosen rows, print their tables, and write the JSON file where one is asked for."""
    options = _options()
    versions = _versions()
    print(f"{platform.platform()}, {os.cpu_count()} processors, Python {platform.python_version()}")
    print(", ".join(f"{name} {version}" for name, version in versions.items()))
    print(f"{options.rounds} rounds, {options.threads} thread(s)")
    results = []
    for row in ROWS:
        if options.only and row.name not in options.only:
            continue
        measurements = measure(row, options.rounds, options.threads, _progress)
        _progress("")
        print(f"\n{table(measurements)}", flush=True)
        results.append(as_json(measurements))
    if options.json:
        report = {"rounds": options.rounds, "threads": options.threads, "versions": versions, "rows": results}
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure microframe beside other libraries.")
    parser.add_argument("--rounds", type=_rounds, default=7, help="turns of each contender, at least 5 (default 7)")
    parser.add_argument("--threads", type=int, default=1, help="threads of each process (default 1)")
    parser.add_argument("--only", nargs="+", choices=[row.name for row in ROWS], metavar="NAME", help="rows to measure")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write all values")
    return parser.parse_args()


def _rounds(text: str) -> int:
    rounds = int(text)
    if rounds < FEWEST_ROUNDS:
        raise argparse.ArgumentTypeError(f"expected at least {FEWEST_ROUNDS}, received {rounds}")
    return rounds


def _versions() -> dict[str, str]:
    installed = {}
    for name in PACKAGES:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return installed


def _progress(text: str) -> None:
    """Show `text` in place of the last one where somebody watches."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
