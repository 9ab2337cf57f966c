"""Instructions and cache misses per window on emulated Cortex-A53, A72 and A76: Raspberry Pi 3, 4 and 5.

    python -m benchmarks.instructions runs/mnist [--windows 40]

Prints Markdown, a table for each CPU. The candidates are those of latency.py that have aarch64 wheels.
Each runs in qemu's user mode in an aarch64 Debian with Python 3.11 (scripts/arm_root.py makes it on
first use), in every way that its engine offers. A plugin (count_instructions.c, compiled with gcc)
counts the instructions and the misses of the data caches, from a window of the input's type to the
logits as an array. The figures are medians over the windows, and other load on the machine does not
change them. The agreement is with the full model's classes on the same windows, in the emulation.

Instructions alone are not time, because a miss of the last level waits for the memory. The caches are
simulated: LRU, lines of 64 bytes, no prefetching, every level private to the one core in use. XNNPACK
chooses its kernels by the CPU's features (dot products on A76), which qemu emulates, and by the model in
/proc/cpuinfo, which is the board's (scripts/arm_boards.py). An A53 gets the kernels for in-order cores,
which need more instructions.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.interleaved import Candidate
from benchmarks.latency import ORT_FLOAT32, ORT_INT8, our_candidates, peer_candidates
from benchmarks.timed_child import SHARED
from convert.readers.run_directory import open_run
from edge_runtime.errors import EdgeRnnError, EngineError
from edge_runtime.host.child_process import run_command
from scripts.arm_boards import board_of
from scripts.arm_root import AARCH64, Machine, arm_machine

HERE = Path(__file__).resolve().parent
KIB = 1024
LINE = 64
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
    instructions: int
    misses: tuple[int, ...]
    """Misses of each level of the data caches."""
    agreement: float
    """Share of the windows with the full model's class."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--windows", type=int, default=40)
    options = parser.parse_args()
    source = open_run(options.run)
    windows = source.normalization.apply(source.held_out.x[: options.windows])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "windows.npy", windows.astype(np.float32))
        plugin = compiled(folder)
        candidates, notes = candidates_of(source, options.run, folder)
        full = source.logits[: options.windows].argmax(axis=1)
        print(f"Emulated: qemu user mode, Python 3.11, {', '.join(sorted(AARCH64.wheels))}.")
        for cpu in CACHES:
            machine = arm_machine(cpu, folder / cpu)
            counts = {item: count(machine, plugin, item, folder, cpu, full) for item in candidates}
            print(f"\n{heading(cpu)}\n\n{table(counts, len(CACHES[cpu]))}", flush=True)
    print("".join(f"\n- {note}" for note in notes))


def candidates_of(source, run: str, folder: Path) -> tuple[list[Candidate], list[str]]:
    ours, notes = our_candidates(source, folder)
    peers, more = peer_candidates(run, folder)
    candidates = [item for item in (*ours, *peers) if item.engine in (*VERSIONS, SHARED)]
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


def count(
    machine: Machine, plugin: Path, candidate: Candidate, folder: Path, cpu: str, full: np.ndarray
) -> list[Counted] | str:
    """The counts of every way, or the reason why there are none. `full`: the full model's classes."""
    marks, logits = folder / "marks.txt", folder / "logits.npy"
    caches = "".join(f",cache={size}:{ways}" for size, ways in CACHES[cpu])
    command = ["setarch", "-R"]  # random addresses would change hash tables, and so the count
    command += machine.command("-plugin", f"{plugin},out={marks}{caches}")
    command += ["-m", "benchmarks.counted_child", candidate.engine, str(candidate.file)]
    command += [str(folder / "windows.npy"), str(logits)]
    environment = machine.environment(HERE.parent)
    ending = run_command(command, env=environment, folder=HERE.parent)
    if not ending:
        return str(ending).split(". ")[0]
    ways = ending.output.split("\n")[:-1]
    counters = np.loadtxt(marks, dtype=np.int64, ndmin=2)
    runs = (counters[1::2] - counters[::2]).reshape(len(ways), len(full), -1)
    medians = np.median(runs, axis=1).astype(int)
    classes = np.load(logits).argmax(axis=2)
    return [
        Counted(way, int(found[0]), tuple(map(int, found[1:])), float((own == full).mean()))
        for way, found, own in zip(ways, medians, classes)
    ]


def heading(cpu: str) -> str:
    """The CPU and its caches."""
    levels = (f"L{k} {size // KIB} kB {ways}-way" for k, (size, ways) in enumerate(CACHES[cpu], 1))
    return f"**{board_of(cpu).name}, {cpu}**: {', '.join(levels)}"


def table(counts: dict[Candidate, list[Counted] | str], depth: int) -> str:
    """One row for each way to run each candidate."""
    peers = {
        candidate.name: min(item.instructions for item in found)
        for candidate, found in counts.items()
        if candidate.name in (ORT_INT8, ORT_FLOAT32) and not isinstance(found, str)
    }
    levels = [f"L{k} misses" for k in range(1, depth + 1)]
    ratios = ["MB from memory", "instructions of ORT int8", "of ORT float32"]
    head = ["candidate", "engine", "thousand instructions", *levels, *ratios, "agreement"]
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


def named(engine: str, way: str, found: list[Counted]) -> str:
    """The engine, with the way if it has several."""
    return engine if len(found) == 1 else f"{engine}, {way}"


def cells(item: Counted, peers: dict[str, int]) -> list[str]:
    """The figures of one way."""
    found = [f"{item.instructions / 1e3:,.0f}", *(f"{misses:,}" for misses in item.misses)]
    found.append(f"{item.misses[-1] * LINE / 1e6:.2f}")
    for peer in (ORT_INT8, ORT_FLOAT32):
        found.append(f"{item.instructions / peers[peer]:.3f}" if peer in peers else "")
    return [*found, f"{100 * item.agreement:.1f} %{'' if item.agreement > 0.9 else ': wrong'}"]


if __name__ == "__main__":
    try:
        main()
    except EdgeRnnError as error:
        sys.exit(f"Error: {error}")
