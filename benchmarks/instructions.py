"""Instructions, cache misses and estimated time per window on emulated Raspberry Pi 3, 4 and 5.

    python -m benchmarks.instructions runs/mnist [--windows 40] [--cpu cortex-a72] [--only int8]
        [--wheel edge_rnn-...-aarch64.whl]

Prints Markdown, a table for each CPU. The candidates are those of latency.py that have aarch64 wheels,
and with --wheel, an aarch64 wheel of edge-rnn, the engine native in it. Each runs in qemu's user mode in
an aarch64 Debian with Python 3.11 (scripts/arm_root.py makes it on first use), in every way that its
engine offers. A plugin (count_instructions.c, compiled with gcc) counts the instructions and the misses
of the data caches, from a window of the input's type to the logits as an array. The figures are medians
over the windows, and other load on the machine does not change them. The agreement is with the full
model's classes on the same windows, in the emulation.

Instructions alone are not time, because a miss of the last level waits for the memory. "us" is an
estimate of the time from the kinds of instructions and the misses, as a range (board_time.py). The
caches are simulated: LRU, lines of 64 bytes, no prefetching, every level private to the one core in use.
XNNPACK chooses its kernels by the CPU's features (dot products on A76), which qemu emulates, and by the
model in /proc/cpuinfo, which is the board's (scripts/arm_boards.py). An A53 gets the kernels for
in-order cores, which need more instructions.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.board_time import LINE, Counts, Timed, estimate
from benchmarks.goals import Goal, print_goals
from benchmarks.interleaved import Candidate
from benchmarks.latency import (
    ORT_FLOAT32,
    ORT_INT8,
    add_filter,
    our_candidates,
    peer_candidates,
    wanted,
)
from benchmarks.timed_child import NATIVE, SHARED
from convert.readers.run_directory import open_run
from convert.source_model.source_model import SourceModel
from edge_runtime.errors import EdgeRnnError, EngineError
from edge_runtime.host.child_process import run_command
from scripts.arm_boards import board_of
from scripts.arm_root import AARCH64, Machine, arm_machine

HERE = Path(__file__).resolve().parent
KIB = 1024
CACHES = {
    "cortex-a53": ((32 * KIB, 4), (512 * KIB, 16)),
    "cortex-a72": ((32 * KIB, 2), (1024 * KIB, 16)),
    "cortex-a76": ((64 * KIB, 4), (512 * KIB, 8), (2048 * KIB, 16)),
}
"""CPU -> its data caches, (bytes, ways) from L1 on, of Raspberry Pi 3, 4 and 5 (BCM2837, BCM2711,
BCM2712). The associativity is that of Arm's Technical Reference Manuals of the cores."""
VERSIONS = dict(item.split("==") for item in AARCH64.wheels)


@dataclass(frozen=True)
class Counted:
    """One way to run one candidate on one CPU: medians per window."""

    way: str
    counts: Counts
    misses: tuple[int, ...]
    """Misses of each level of the data caches."""
    time: Timed
    agreement: float
    """Share of the windows with the full model's class."""


@dataclass(frozen=True)
class Emulated:
    """What all emulations share."""

    folder: Path
    """Has windows.npy."""
    plugin: Path
    sources: tuple[Path, ...]
    """Where Python finds edge_runtime and this package."""
    full: np.ndarray
    """The full model's classes of the windows."""


MOST_INSTRUCTIONS = {"cortex-a53": 0.55, "cortex-a72": 0.50, "cortex-a76": 0.36}
"""CPU -> the goal for int8 in the engine native, of ONNX Runtime's dynamic int8."""
MOST_FLOAT_INSTRUCTIONS = 0.95
"""The goal for float32, of ONNX Runtime's float32."""
MOST_MISSES = 200
"""Of the last level, for int8."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--windows", type=int, default=40)
    parser.add_argument("--cpu", choices=list(CACHES), nargs="+", default=list(CACHES))
    parser.add_argument("--wheel", type=Path, help="an aarch64 wheel of edge-rnn, for the engine native")
    add_filter(parser)
    options = parser.parse_args()
    source = open_run(options.run)
    windows = source.normalization.apply(source.held_out.x[: options.windows])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "windows.npy", windows.astype(np.float32))
        full = source.logits[: options.windows].argmax(axis=1)
        emulated = Emulated(folder, compiled(folder), sources(options.wheel, folder), full)
        candidates, notes = candidates_of(source, options.run, folder, native=bool(options.wheel))
        candidates = wanted(candidates, options.only)
        print(f"Emulated: qemu user mode, Python 3.11, {', '.join(sorted(AARCH64.wheels))}.")
        goals = []
        for cpu in options.cpu:
            machine = arm_machine(cpu, folder / cpu)
            counts = {item: count(machine, emulated, item, cpu) for item in candidates}
            print(f"\n{heading(cpu)}\n\n{table(counts, len(CACHES[cpu]))}", flush=True)
            goals += goals_of(cpu, counts)
    print_goals(goals)
    print("".join(f"\n- {note}" for note in notes))


def sources(wheel: Path | None, folder: Path) -> tuple[Path, ...]:
    """The folders with our packages; edge_runtime and its library are the wheel's if there is one."""
    if wheel is None:
        return (HERE.parent,)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "wheel")
    return (folder / "wheel", HERE.parent)


def candidates_of(
    source: SourceModel, run: str, folder: Path, *, native: bool
) -> tuple[list[Candidate], list[str]]:
    """`native`: with our files in the engine native."""
    ours, notes = our_candidates(source, folder)
    if native:
        files = {item.file: item.name for item in ours}
        ours = [*(Candidate(name, NATIVE, file) for file, name in files.items()), *ours]
    peers, more = peer_candidates(run, folder)
    known = (*VERSIONS, SHARED, *((NATIVE,) if native else ()))
    candidates = [item for item in (*ours, *peers) if item.engine in known]
    candidates = list(dict.fromkeys(candidates))
    skipped = {item.name for item in peers} - {item.name for item in candidates}
    return candidates, [*notes, *more, *(f"{name}: not in the emulated system" for name in skipped)]


def compiled(folder: Path) -> Path:
    """The compiled plugin. Raises EngineError without gcc."""
    if shutil.which("gcc") is None:
        raise EngineError("counting instructions needs gcc. Install it: apt-get install gcc")
    plugin = folder / "count.so"
    source = str(HERE / "count_instructions.c")
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", str(plugin), source], check=True)
    return plugin


def count(machine: Machine, emulated: Emulated, candidate: Candidate, cpu: str) -> list[Counted] | str:
    """The counts of every way, or the reason why there are none."""
    folder, full = emulated.folder, emulated.full
    marks, logits = folder / "marks.txt", folder / "logits.npy"
    caches = "".join(f",cache={size}:{ways}" for size, ways in CACHES[cpu])
    command = ["setarch", "-R"]  # random addresses would change hash tables, and so the count
    command += machine.command("-plugin", f"{emulated.plugin},out={marks}{caches}")
    command += ["-m", "benchmarks.counted_child", candidate.engine, str(candidate.file)]
    command += [str(folder / "windows.npy"), str(logits)]
    # Outside the checkout, so that the folders of `sources` come first on Python's path.
    ending = run_command(command, env=machine.environment(*emulated.sources), folder=folder)
    if not ending:
        return str(ending).split(". ")[0]
    ways = ending.output.split("\n")[:-1]
    counters = np.loadtxt(marks, dtype=np.int64, ndmin=2)
    runs = (counters[1::2] - counters[::2]).reshape(len(ways), len(full), -1)
    classes = np.load(logits).argmax(axis=2)
    return [
        counted(cpu, way, np.median(found, axis=0).astype(int).tolist(), float((own == full).mean()))
        for way, found, own in zip(ways, runs, classes)
    ]


def counted(cpu: str, way: str, medians: list[int], agreement: float) -> Counted:
    """From the columns of the plugin's file."""
    kinds = len(Counts._fields)
    counts, misses = Counts(*medians[:kinds]), tuple(medians[kinds:])
    return Counted(way, counts, misses, estimate(cpu, counts, misses), agreement)


def heading(cpu: str) -> str:
    """The CPU and its caches."""
    levels = (f"L{k} {size // KIB} kB {ways}-way" for k, (size, ways) in enumerate(CACHES[cpu], 1))
    return f"**{board_of(cpu).name}, {cpu}**: {', '.join(levels)}"


def table(counts: dict[Candidate, list[Counted] | str], depth: int) -> str:
    """One row for each way to run each candidate."""
    peers = {name: best(counts, name) for name in (ORT_INT8, ORT_FLOAT32)}
    levels = [f"L{k} misses" for k in range(1, depth + 1)]
    head = ["candidate", "engine", "thousand instructions", *levels, "MB from memory", "us"]
    head += ["instructions of ORT int8", "of ORT float32", "us of ORT int8", "of ORT float32"]
    head.append("agreement")
    rows = [head, ["---"] * len(head)]
    for candidate, found in counts.items():
        if isinstance(found, str):
            rows.append([candidate.name, candidate.engine, found, *[""] * (len(head) - 3)])
            continue
        rows += [
            [candidate.name, named(candidate.engine, item.way, found), *cells(item, peers)]
            for item in found
        ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def best(counts: dict[Candidate, list[Counted] | str], name: str, engine: str = "") -> Counted | None:
    """The way with the fewest instructions to run the candidate of that name and engine."""
    ways = [
        item
        for candidate, found in counts.items()
        if candidate.name == name and engine in ("", candidate.engine) and not isinstance(found, str)
        for item in found
    ]
    return min(ways, key=lambda item: item.counts.instructions, default=None)


def named(engine: str, way: str, found: list[Counted]) -> str:
    """The engine, with the way if it has several."""
    return engine if len(found) == 1 else f"{engine}, {way}"


def cells(item: Counted, peers: dict[str, Counted | None]) -> list[str]:
    """The figures of one way."""
    found = [f"{item.counts.instructions / 1e3:,.0f}", *(f"{misses:,}" for misses in item.misses)]
    found.append(f"{item.misses[-1] * LINE / 1e6:.2f}")
    found.append(f"{item.time.overlapped:,.0f} to {item.time.summed:,.0f}")
    for peer in peers.values():
        found.append(f"{item.counts.instructions / peer.counts.instructions:.3f}" if peer else "")
    for peer in peers.values():
        found.append("{:.2f} to {:.2f}".format(*item.time.ratio_to(peer.time)) if peer else "")
    return [*found, f"{100 * item.agreement:.1f} %{'' if item.agreement > 0.9 else ': wrong'}"]


def goals_of(cpu: str, counts: dict[Candidate, list[Counted] | str]) -> list[Goal]:
    """The goals of the engine native, as far as it and ONNX Runtime ran."""
    goals = []
    for precision, peer, limit in (
        ("int8", ORT_INT8, MOST_INSTRUCTIONS[cpu]),
        ("float32", ORT_FLOAT32, MOST_FLOAT_INSTRUCTIONS),
    ):
        ours, theirs = best(counts, precision, NATIVE), best(counts, peer)
        if ours and theirs:
            ratio = ours.counts.instructions / theirs.counts.instructions
            goals.append(Goal(f"{cpu}: instructions of {precision}, of {peer}", ratio, limit))
        if ours and precision == "int8":
            what = f"{cpu}: misses of L{len(ours.misses)}, {precision}"
            goals.append(Goal(what, ours.misses[-1], MOST_MISSES))
    return goals


if __name__ == "__main__":
    try:
        main()
    except EdgeRnnError as error:
        sys.exit(f"Error: {error}")
