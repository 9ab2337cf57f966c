"""Instructions and cache misses of one inference of the exported C, counted by Valgrind's Cachegrind.

Instructions alone mislead: they say nothing about the memory (docs/internals/board-time.md). So both are
counted, or neither. Other programs on the machine do not change the counts. The caches are simulated
with the sizes of a Raspberry Pi 4's Cortex-A72, so that records of different workstations can be
compared. The code is plain C for this machine's processor, not the board's.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from convert.evidence.figures import InstructionCount
from edge_runtime.host.child_process import run_command

CACHES = {"I1": "49152,3,64", "D1": "32768,2,64", "LL": "1048576,16,64"}
"""Bytes, ways and bytes of a line: Arm's Technical Reference Manual of the Cortex-A72, as in BCM2711."""

FLAGS = ("-std=c99", "-O2", "-ffp-contract=off")
COUNTING_SECONDS = 300

COMPILERS = ("gcc", "cc", "clang")


def count_instructions(export: Path, vectors: Path, name: str, windows: int) -> InstructionCount | str:
    """The counts per window, or why there are none.

    `export`: the folder of C sources, `vectors`: that with NAME_replay.c, which runs `windows` windows.
    """
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler is None:
        return "no C compiler is installed here"
    if shutil.which("valgrind") is None:
        return "valgrind is not installed here"
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "replay")
        sources = [str(path) for path in (vectors / f"{name}_replay.c", *export.glob("src/*.c"))]
        includes = [f"-I{export / 'src'}", f"-I{vectors}"]
        command = [compiler, *FLAGS, *includes, *sources, "-o", str(program), "-lm"]
        built = run_command(command, seconds=COUNTING_SECONDS)
        if not built:
            return f"the exported C does not compile here ({built})"
        counts = [_counted(program, rounds, Path(folder)) for rounds in (1, 2)]
    once, twice = counts
    if once is None or twice is None:
        return "valgrind failed on the exported C"
    each = {event: round((twice[event] - once[event]) / windows) for event in once}
    return InstructionCount(
        instructions=each["Ir"],
        l1_misses=each["D1mr"] + each["D1mw"],
        last_level_misses=each["ILmr"] + each["DLmr"] + each["DLmw"],
        instruction_misses=each["I1mr"],
        how=f"{_version(['valgrind', '--version'])}, {_version([compiler, '--version'])} "
        f"{' '.join(FLAGS)}, plain C for this processor, caches of a Cortex-A72",
    )


def _counted(program: Path, rounds: int, folder: Path) -> dict[str, int] | None:
    """Event -> count of the whole program that runs its windows `rounds` times."""
    out = folder / f"cachegrind.{rounds}"
    caches = [f"--{name}={size}" for name, size in CACHES.items()]
    command = ["valgrind", "--tool=cachegrind", "--cache-sim=yes", *caches]
    command += [f"--cachegrind-out-file={out}", str(program), str(rounds)]
    if not run_command(command, seconds=COUNTING_SECONDS) or not out.is_file():
        return None
    text = out.read_text("utf-8")
    events = re.search(r"^events: (.*)$", text, re.MULTILINE)
    totals = re.search(r"^summary: (.*)$", text, re.MULTILINE)
    if events is None or totals is None:
        return None
    return dict(zip(events[1].split(), map(int, totals[1].split())))


def _version(command: list[str]) -> str:
    """The first line that a program prints about itself."""
    return run_command(command, seconds=COUNTING_SECONDS).output.splitlines()[0].strip()
