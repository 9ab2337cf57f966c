"""Runs a model under qemu and marks every run for the plugin; instructions.py starts it.

    python -m benchmarks.counted_child ENGINE MODEL WINDOWS.npy LOGITS.npy

Runs every window once in each way that the engine offers (timed_child.py), and prints the names of the
ways. A getppid system call before and after each run is the mark. The logits are saved as
`[ways, windows, classes]`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

from benchmarks.timed_child import NATIVE, Way, opener
from edge_runtime.errors import EdgeRnnError, reason

WARM_UP = 5


def main() -> int:
    engine, model, windows_file, logits_file = sys.argv[1:]
    windows = np.load(windows_file)[:, np.newaxis]
    try:
        ways = opener(engine)(engine, Path(model), windows[0], engine == NATIVE)
    except (EdgeRnnError, ImportError, RuntimeError) as error:
        print(reason(error), file=sys.stderr)
        return 2
    results = [marked(way, windows) for way in ways]
    np.save(logits_file, results)
    print("\n".join(way.name for way in ways))
    return 0


def marked(way: Way, windows: np.ndarray) -> np.ndarray:
    """The logits of every window."""
    mark, run = os.getppid, way.run
    inputs = [way.prepare(window) for window in windows]
    for item in inputs[:WARM_UP]:
        run(item)
    outputs = []
    for item in inputs:
        mark()
        output = run(item)
        mark()
        outputs.append(way.logits(output.copy()))
    return np.concatenate(outputs)


if __name__ == "__main__":
    sys.exit(main())
