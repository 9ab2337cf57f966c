"""Times candidates against each other: one child process each (timed_child.py), in interleaved rounds.

Every round asks every candidate for some runs, one after the other, in an order that is turned by one
each time. What slows the machine down for a while then slows all of them, and the ratio of two
candidates is taken round by round.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

CHILD = Path(__file__).with_name("timed_child.py")


@dataclass(frozen=True)
class Candidate:
    """A model file and the engine that runs it."""

    name: str
    engine: str
    """One of timed_child.OPENERS."""
    file: Path
    any_way: bool = False
    """Whether to look for the engine's fastest way to run it."""


@dataclass
class Timing:
    """What a candidate took. `failure` instead where it did not start."""

    candidate: Candidate
    way: str = ""
    failure: str = ""
    logits: np.ndarray | None = None
    rounds: list[list[int]] = field(default_factory=list)
    """Nanoseconds, round by round."""
    resident: int | None = None
    """Bytes in memory at the end, Python included; None where Linux does not say."""

    @property
    def median(self) -> float:
        """Microseconds, over all runs."""
        return float(np.median(np.concatenate(self.rounds))) / 1e3

    @property
    def p99(self) -> float:
        """Microseconds, over all runs."""
        return float(np.quantile(np.concatenate(self.rounds), 0.99)) / 1e3

    def ratio_to(self, other: Timing) -> float:
        """The median over the rounds of this one's median by the other's."""
        pairs = zip(self.rounds, other.rounds)
        return statistics.median(statistics.median(a) / statistics.median(b) for a, b in pairs)


class _Child:
    """A timed_child, started; `process` is None where it failed."""

    def __init__(self, candidate: Candidate, windows: Path, folder: Path) -> None:
        self.timing = Timing(candidate)
        logits = Path(tempfile.mkdtemp(dir=folder), "logits.npy")
        command = [sys.executable, str(CHILD), candidate.engine, str(candidate.file)]
        command += [str(windows), str(logits), *_core(), *(["--any-way"] if candidate.any_way else [])]
        with (logits.with_suffix(".err")).open("w+") as errors:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # numpy's, all on the one core
            )
            self.timing.way = self.process.stdout.readline().strip()
            if self.timing.way:
                self.timing.logits = np.load(logits)
                return
            self.process.wait()
            errors.seek(0)
            lines = errors.read().strip().splitlines()
            self.timing.failure = lines[-1] if lines else f"exit code {self.process.returncode}"

    def time(self, runs: int) -> None:
        """One round."""
        print(runs, file=self.process.stdin, flush=True)
        self.timing.rounds.append(json.loads(self.process.stdout.readline()))

    def close(self) -> None:
        """Let the child end."""
        statm = Path(f"/proc/{self.process.pid}/statm")
        if statm.exists():
            self.timing.resident = int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        self.process.stdin.close()
        self.process.wait()


def measure(candidates: list[Candidate], windows: np.ndarray, rounds: int, runs: int) -> list[Timing]:
    """`rounds` interleaved rounds of `runs` runs of each candidate on normalized `windows`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "windows.npy", windows.astype(np.float32))
        children = [_Child(item, folder / "windows.npy", folder) for item in candidates]
        running = [child for child in children if not child.timing.failure]
        for k in range(rounds):
            turn = k % len(running)
            for child in running[turn:] + running[:turn]:
                child.time(runs)
        for child in running:
            child.close()
    return [child.timing for child in children]


def _core() -> list[str]:
    """All children on one core, the last one allowed, where the machine has several."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    cores = sorted(os.sched_getaffinity(0))
    return ["--core", str(cores[-1])] if len(cores) > 1 else []
