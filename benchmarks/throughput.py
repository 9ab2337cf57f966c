"""Windows per second of predict() on a large batch, against ONNX Runtime.

    python -m benchmarks.throughput runs/mnist [--windows 10000] [--rounds 5] [--cores 1 2] [--only int8]

Prints Markdown. Each row has a process of its own (batch_child.py). Every row predicts all windows in
each of the interleaved rounds, and its figure is the median of the rounds. With one core, the seconds
are those of the CPU, so that other load on the machine counts less. Ours call predict() once with all
windows, in one interpreter or in as many as there are cores. ONNX Runtime takes one window in each
call, or the fastest of several batch sizes, and its normalization is not counted. "Allocated" is the
peak of what Python's allocator gave while all windows ran. The windows of RUN have to be pixels.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.batch_child import ORT, PIXELS
from benchmarks.cpu import cpu_name
from benchmarks.goals import Goal, print_goals
from benchmarks.latency import make_peer
from benchmarks.timed_child import NATIVE, SHARED, installed
from convert.options import ConversionOptions
from convert.pipeline import convert_source
from convert.readers.run_directory import open_run
from convert.source_model.source_model import SourceModel
from convert.targets.target import TARGETS
from edge_runtime.bench.child_session import Session, in_turns, start_session
from edge_runtime.errors import DataError, EdgeRnnError
from edge_runtime.model_file.read_file import read_model

BATCHES = (1, 16, 64, 256, 1024)
OURS = (
    ("float32", "any", (NATIVE, "ai-edge-litert", SHARED, "tflite-runtime")),
    ("int8", "any", (NATIVE, "ai-edge-litert", SHARED, "tflite-runtime")),
    ("dynamic", "any", (NATIVE, "tflite-runtime")),
    ("dynamic", "litert-2.1", ("ai-edge-litert", SHARED)),
    ("int4", "litert-2.1", (NATIVE, "ai-edge-litert", SHARED)),
)
"""Precision, target, engines."""
ORT_FLOAT32, ORT_INT8 = "float32", "dynamic int8"
PEERS = {ORT_FLOAT32: "onnx-float32-batch", ORT_INT8: "onnx-dynamic-int8-batch"}
"""Name -> kind in peers.py."""
GOALS = (("int8", ORT_INT8, 1.5), ("float32", ORT_FLOAT32, 1.0))
"""Precision in the engine native, peer with its best batch, smallest ratio of their rates on a core."""


@dataclass
class Row:
    """A runtime with a model, and the seconds for all windows in each round."""

    name: str
    engine: str
    file: Path
    threads: int
    batch: int = 0
    """Windows in each call; 0 for all."""
    seconds: list[float] = field(default_factory=list)
    classes: np.ndarray | None = None
    allocated: int | None = None
    """Bytes at the peak of a run into a buffer; None if not measured."""

    def rate(self, windows: int) -> float:
        """Windows per second."""
        return windows / statistics.median(self.seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--windows", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    default = sorted({1, os.cpu_count() or 1})
    parser.add_argument("--cores", type=int, nargs="+", default=default)
    parser.add_argument("--only", nargs="+", help="precisions, besides ONNX Runtime's")
    options = parser.parse_args()
    source = open_run(options.run)
    if source.normalization != PIXELS:
        raise DataError(
            f"{options.run}: the windows are not divided by 255, as ONNX Runtime's windows are."
        )
    windows = source.held_out.x[: options.windows]
    counts = options.cores
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "windows.npy", windows)
        ours = our_rows(source, counts, folder, options.only)
        rows = [*ours, *peer_rows(options.run, counts, folder)]
        measure(rows, folder / "windows.npy", options.rounds)
        full = source.logits[: options.windows].argmax(axis=1)
        print(f"CPU: {cpu_name()}. {len(windows):,} windows, {options.rounds} rounds.\n")
        table(fastest_batches(rows), full)
        verdict(rows, len(windows), counts)
        print_goals(goals_of(rows))


def our_rows(
    source: SourceModel, counts: list[int], folder: Path, precisions: list[str] | None
) -> list[Row]:
    """Our files of these precisions, all for None."""
    rows = []
    for precision, target, engines in OURS:
        if precisions is not None and precision not in precisions:
            continue
        file = folder / f"{precision}-{target}.tflite"
        chosen = ConversionOptions(target=TARGETS[target])
        if not convert_source(source, file, precision=precision, options=chosen):
            raise DataError(f"{precision} for {target} is not within its budget")
        can_share = read_model(file)[1].shared_weights
        for engine in engines:
            if installed(engine) and (engine != SHARED or can_share):
                rows += [Row(precision, engine, file, count) for count in counts]
    return rows


def peer_rows(run: str, counts: list[int], folder: Path) -> list[Row]:
    rows = []
    for name, kind in PEERS.items():
        file = folder / f"{kind}.onnx"
        failure = make_peer(kind, run, file)
        if failure:
            raise DataError(f"{run}: no ONNX file: {failure}")
        rows += [Row(name, ORT, file, count, batch) for count in counts for batch in BATCHES]
    return rows


def measure(rows: list[Row], windows: Path, rounds: int) -> None:
    """Fill in the rows. Each round asks every process once, in an order that turns by one.

    Raises the error of a row whose process fails.
    """
    with ExitStack() as stack:
        sessions = [stack.enter_context(started(row, windows)) for row in rows]
        for row, session in zip(rows, sessions):
            row.classes = np.array(session.facts["classes"])
            row.allocated = session.facts["allocated"]
        answers = in_turns(sessions, rounds, [{"ask": "time"}] * len(rows))
    for row, seconds in zip(rows, answers):
        row.seconds = seconds


def started(row: Row, windows: Path) -> AbstractContextManager[Session]:
    """The row's process, which has predicted once."""
    config = {
        "engine": row.engine,
        "model": str(row.file),
        "windows": str(windows),
        "threads": row.threads,
        "batch": row.batch,
    }
    return start_session("benchmarks.batch_child", f"{row.name} in {row.engine}", config)


def fastest_batches(rows: list[Row]) -> list[Row]:
    """The rows without ONNX Runtime's slower batch sizes above 1."""
    kept = []
    for row in rows:
        same = [
            other
            for other in rows
            if row.batch > 1
            and other.batch > 1
            and (other.name, other.threads) == (row.name, row.threads)
        ]
        if row.batch <= 1 or row is min(same, key=lambda item: statistics.median(item.seconds)):
            kept.append(row)
    return kept


def table(rows: list[Row], full: np.ndarray) -> None:
    print("| model | engine | cores | windows a call | windows/s | agreement | allocated |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for row in rows:
        memory = "" if row.allocated is None else f"{row.allocated:,} bytes"
        print(
            f"| {row.name} | {row.engine} | {row.threads} | {row.batch or 'all'} "
            f"| {row.rate(len(full)):,.0f} | {100 * (row.classes == full).mean():.2f} % | {memory} |"
        )


def verdict(rows: list[Row], windows: int, counts: list[int]) -> None:
    """Our fastest beside ONNX Runtime's on as many cores. Ratios are medians of the rounds' own."""
    for count in counts:
        here = [row for row in rows if row.threads == count]
        ours = max((r for r in here if r.engine != ORT), key=lambda row: row.rate(windows))
        for what, peers in (
            ("one window a call", [r for r in here if r.batch == 1]),
            ("its best batch", [r for r in here if r.batch > 1]),
        ):
            best = max(peers, key=lambda row: row.rate(windows))
            pairs = zip(best.seconds, ours.seconds)
            ratio = statistics.median(theirs / own for theirs, own in pairs)
            print(
                f"\n{count} core{'s' * (count > 1)}: our {ours.name} in {ours.engine} predicts "
                f"{ratio:.2f} times as many windows as ONNX Runtime's {best.name}, {what}.",
                end="",
            )
    print()


def goals_of(rows: list[Row]) -> list[Goal]:
    """The goals of the engine native, if it ran."""
    one = [row for row in rows if row.threads == 1]
    goals = []
    for precision, peer, limit in GOALS:
        ours = [row for row in one if (row.name, row.engine) == (precision, NATIVE)]
        theirs = [row for row in one if (row.name, row.engine) == (peer, ORT)]
        if ours and theirs:
            best = min(theirs, key=lambda row: statistics.median(row.seconds))
            ratio = statistics.median(a / b for a, b in zip(best.seconds, ours[0].seconds))
            what = f"windows of {precision} in {NATIVE}, of ONNX Runtime's {peer}, best batch, one core"
            goals.append(Goal(what, ratio, limit, at_least=True))
    return goals


if __name__ == "__main__":
    try:
        main()
    except EdgeRnnError as error:
        sys.exit(f"Error: {error}")
