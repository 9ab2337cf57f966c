"""Instructions per window on emulated Cortex-A53, A72 and A76: Raspberry Pi 3, 4 and 5.

    python -m benchmarks.instructions runs/mnist [--windows 60]

Prints Markdown. The candidates are those of latency.py that have aarch64 wheels; each runs in qemu's
user mode in an aarch64 Debian with Python 3.11 (scripts/arm_root.py, made on first use), where a plugin
(count_instructions.c, compiled with gcc) counts what is executed from a window of the input's type to
the logits as an array. Median over the windows; another load on the machine changes nothing. Of an
engine with several ways to run a model the one with the fewest instructions is taken. The agreement is
with the full model's classes on the same windows, in the emulation.

Instructions are not time: caches, memory and dual issue are not counted. XNNPACK chooses its kernels by
what the CPU can do (dot products on A76), which qemu emulates, and by the model in /proc/cpuinfo, which
is the emulated board's (scripts/arm_boards.py). An A53 gets kernels for in-order cores, which need more.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.interleaved import Candidate
from benchmarks.latency import ORT_FLOAT32, ORT_INT8, our_candidates, peer_candidates
from convert.source_model.source_model import open_run
from edge_runtime.errors import EdgeRnnError, EngineError
from edge_runtime.host.child_process import run_command
from scripts.arm_root import AARCH64, Machine, arm_machine

HERE = Path(__file__).resolve().parent
CPUS = ("cortex-a53", "cortex-a72", "cortex-a76")
VERSIONS = dict(item.split("==") for item in AARCH64.wheels)


@dataclass(frozen=True)
class Counted:
    """One candidate on one CPU."""

    instructions: int
    way: str
    logits: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--windows", type=int, default=60)
    options = parser.parse_args()
    source = open_run(options.run)
    windows = source.normalization.apply(source.held_out.x[: options.windows])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "windows.npy", windows.astype(np.float32))
        plugin = compiled(folder)
        machines = [arm_machine(cpu, folder / cpu) for cpu in CPUS]
        candidates, notes = candidates_of(source, options.run, folder)
        results = {
            candidate: [count(machine, plugin, candidate, folder) for machine in machines]
            for candidate in candidates
        }
    versions = ", ".join(f"{name} {version}" for name, version in VERSIONS.items() if name != "click")
    print(f"Emulated: qemu user mode, Python 3.11, {versions}.\n")
    table(results, source.logits[: options.windows])
    print("".join(f"\n- {note}" for note in notes))


def candidates_of(source, run: str, folder: Path) -> tuple[list[Candidate], list[str]]:
    ours, notes = our_candidates(source, folder)
    peers, more = peer_candidates(run, folder)
    candidates = [item for item in (*ours, *peers) if item.engine in VERSIONS]
    skipped = {item.name for item in peers} - {item.name for item in candidates}
    return candidates, [*notes, *more, *(f"{name}: not in the emulated system" for name in skipped)]


def compiled(folder: Path) -> Path:
    """The plugin. Raises EngineError without gcc."""
    if shutil.which("gcc") is None:
        raise EngineError("counting instructions needs gcc. Install it: apt-get install gcc")
    plugin = folder / "count.so"
    source = str(HERE / "count_instructions.c")
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", str(plugin), source], check=True)
    return plugin


def count(machine: Machine, plugin: Path, candidate: Candidate, folder: Path) -> Counted | str:
    """The count, or why there is none."""
    marks, logits = folder / "marks.txt", folder / "logits.npy"
    command = ["setarch", "-R"]  # addresses at random would change hash tables, and so the count
    command += machine.command("-plugin", f"{plugin},out={marks}")
    command += ["-m", "benchmarks.counted_child", candidate.engine, str(candidate.file)]
    command += [str(folder / "windows.npy"), str(logits)]
    environment = machine.environment(HERE.parent)
    ending = run_command(command, env=environment, folder=HERE.parent)
    if not ending:
        return str(ending).split(". ")[0]
    ways, executed = ending.output.split("\n")[:-1], [int(line) for line in marks.read_text().split()]
    runs = [end - start for start, end in zip(executed[::2], executed[1::2])]
    each = len(runs) // len(ways)
    medians = {
        name: int(statistics.median(runs[k * each : (k + 1) * each])) for k, name in enumerate(ways)
    }
    best = min(medians, key=medians.__getitem__)
    return Counted(medians[best], best, np.load(logits))


def table(results: dict[Candidate, list[Counted | str]], full: np.ndarray) -> None:
    names = [cpu.removeprefix("cortex-").upper() for cpu in CPUS]
    peers = {
        candidate.name: found
        for candidate, found in results.items()
        if candidate.name in (ORT_INT8, ORT_FLOAT32)
    }
    ratios = [f"of ORT {kind}, {name}" for kind in ("int8", "float32") for name in names]
    head = ["candidate", "engine", *(f"thousand, {name}" for name in names), *ratios, "agreement"]
    print(f"| {' | '.join(head)} |\n|{' --- |' * len(head)}")
    for candidate, found in results.items():
        cells = [candidate.name, candidate.engine]
        cells += [
            f"{item.instructions / 1e3:,.0f}" if isinstance(item, Counted) else item for item in found
        ]
        for peer in (ORT_INT8, ORT_FLOAT32):
            cells += [
                ratio(item, other) for item, other in zip(found, peers.get(peer, [""] * len(CPUS)))
            ]
        print(f"| {' | '.join([*cells, agreement(found, full)])} |")


def thousands(item: Counted | str) -> str:
    return item if isinstance(item, str) else f"{item.instructions / 1e3:,.0f}"


def ratio(one: Counted | str, other: Counted | str) -> str:
    if isinstance(one, str) or isinstance(other, str):
        return ""
    return f"{one.instructions / other.instructions:.3f}"


def agreement(found: list[Counted | str], full: np.ndarray) -> str:
    """The lowest on any CPU."""
    shares = [
        (item.logits.argmax(axis=1) == full.argmax(axis=1)).mean()
        for item in found
        if isinstance(item, Counted)
    ]
    if not shares:
        return ""
    return f"{100 * min(shares):.1f} %{'' if min(shares) > 0.9 else ': wrong'}"


if __name__ == "__main__":
    try:
        main()
    except EdgeRnnError as error:
        sys.exit(f"Error: {error}")
