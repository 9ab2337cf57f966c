"""Times candidates against each other: one child process each (timed_child.py), in interleaved rounds.

The processes are sessions of edge_runtime.bench. Every round asks every candidate for some runs, one
after the other, in an order that turns by one each time. Whatever slows the machine down for a while
then slows all of them. The ratio of two candidates is taken round by round.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edge_runtime.bench.child_session import Session, in_turns, start_session
from edge_runtime.errors import EdgeRnnError, reason


@dataclass(frozen=True)
class Candidate:
    """A model file and the engine that runs it."""

    name: str
    engine: str
    """One that timed_child.opener knows."""
    file: Path
    any_way: bool = False
    """Whether to look for the engine's fastest way to run it."""


@dataclass
class Timing:
    """How long a candidate took, or `failure`, why it did not start."""

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
        """The median over the rounds of this candidate's median divided by the other's."""
        pairs = zip(self.rounds, other.rounds)
        return statistics.median(statistics.median(a) / statistics.median(b) for a, b in pairs)


def measure(candidates: list[Candidate], windows: np.ndarray, rounds: int, runs: int) -> list[Timing]:
    """`rounds` interleaved rounds of `runs` runs of each candidate on normalized `windows`."""
    timings = [Timing(candidate) for candidate in candidates]
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        np.save(folder / "windows.npy", windows.astype(np.float32))
        running = []
        for timing in timings:
            try:
                session = stack.enter_context(_started(timing.candidate, folder))
            except EdgeRnnError as error:
                timing.failure = reason(error)
                continue
            timing.way = session.facts["way"]
            timing.logits = np.load(session.facts["logits"])
            running.append((timing, session))
        sessions = [session for _, session in running]
        answers = in_turns(sessions, rounds, [{"ask": "time", "runs": runs}] * len(sessions))
        for (timing, session), found in zip(running, answers):
            timing.rounds, timing.resident = found, session.ask({"ask": "resident_bytes"})
    return timings


def _started(candidate: Candidate, folder: Path) -> AbstractContextManager[Session]:
    config = {
        "engine": candidate.engine,
        "model": str(candidate.file),
        "windows": str(folder / "windows.npy"),
        "logits": str(Path(tempfile.mkdtemp(dir=folder), "logits.npy")),
        "core": _core(),
        "any_way": candidate.any_way,
    }
    # One thread for numpy, as all children run on one core.
    variables = {"OPENBLAS_NUM_THREADS": "1"}
    return start_session("benchmarks.timed_child", candidate.name, config, variables=variables)


def _core() -> int | None:
    """The core for all children, the last one allowed; None if the machine offers no choice."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    return cores[-1] if len(cores) > 1 else None
