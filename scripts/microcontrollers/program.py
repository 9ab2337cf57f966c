"""Compiles a C program for a microcontroller, measures it, and runs it in qemu."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.errors import EngineError
from edge_runtime.host.child_process import Ending, run_command
from scripts.microcontrollers.boards import Microcontroller
from scripts.microcontrollers.debian_tools import debian_tools

HERE = Path(__file__).resolve().parent
SECONDS = 600
WARNINGS = ("-Wall", "-Wextra", "-Werror")
FLAGS = ("-std=gnu11", "-O2", "-ffunction-sections", "-fdata-sections", "-ffp-contract=off")


@dataclass(frozen=True)
class Size:
    """The bytes of a linked program."""

    flash: int
    """Code, constants and the first values of variables."""
    ram: int
    """Variables, without the stack."""


@dataclass(frozen=True)
class Program:
    """A linked program for one microcontroller."""

    board: Microcontroller
    file: Path

    @property
    def size(self) -> Size:
        """What `size` tells."""
        printed = _succeed([debian_tools() / f"{self.board.compiler}-size", self.file])
        text, data, bss = map(int, printed.splitlines()[1].split()[:3])
        return Size(text + data, data + bss)

    def run(self, *, count: bool = False, seconds: float = SECONDS) -> Ending:
        """Run it in the folder that it is in. The output is what it printed.

        `count`: write the counts of its marks to marks.txt in that folder, which is slower.
        """
        qemu, *options = self.board.emulator
        options += ["-display", "none", "-monitor", "none", "-serial", "none", "-semihosting"]
        options += ["-chardev", "stdio,id=out", "-semihosting-config", "enable=on,chardev=out"]
        if count:
            plugin = compiled_plugin(self.file.parent)
            options += [
                "-plugin",
                f"{plugin},out={self.file.parent / 'marks.txt'},mark={self.board.mark}",
            ]
        command = [str(debian_tools() / qemu), *options, "-kernel", str(self.file)]
        return run_command(command, seconds=seconds, folder=self.file.parent)

    def counts(self) -> list[int]:
        """The instructions between the marks of the last counted run."""
        marks = [int(line) for line in (self.file.parent / "marks.txt").read_text().split()]
        return [later - earlier for earlier, later in zip(marks, marks[1:])]


def compile_program(
    board: Microcontroller,
    sources: Sequence[Path],
    file: Path,
    *,
    include: Sequence[Path] = (),
    flags: Sequence[str] = FLAGS,
) -> Program:
    """Compile the C `sources` for the board and link them to `file`, with a map beside it.

    Raises EngineError with the compiler's first error, or with what is missing of the compiler.
    """
    gcc = debian_tools() / f"{board.compiler}-gcc"
    script = file.with_suffix(".ld")
    values = zip(("FLASH", "FLASH_SIZE", "RAM", "RAM_SIZE"), (*board.flash, *board.ram))
    defined = [f"-D{name}={value:#x}" for name, value in values]
    _succeed([gcc, "-E", "-P", "-x", "c", *defined, HERE / "memory.ld", "-o", script])
    newlib = debian_tools().parent / "include" / "newlib"
    libraries = debian_tools().parent / "lib" / board.compiler / "newlib"
    folders = [f"-I{folder}" for folder in (HERE, *include)]
    command = [gcc, *board.flags, *flags, *WARNINGS, *folders, "-isystem", newlib, f"-B{libraries}/"]
    command += [
        "-nostartfiles",
        "-nodefaultlibs",
        f"-Wl,-T,{script},--gc-sections,-Map,{file.with_suffix('.map')}",
    ]
    command += [*sources, HERE / "semihosting.c", HERE / board.start, *board.libraries, "-o", file]
    _succeed(command)
    return Program(board, file)


def compiled_plugin(folder: Path) -> Path:
    """The plugin that counts, compiled by this machine's gcc. Raises EngineError without it."""
    if shutil.which("gcc") is None:
        raise EngineError("counting instructions needs gcc. Install it: apt-get install gcc")
    plugin = folder / "count_marks.so"
    source = HERE / "count_marks.c"
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", plugin, source], check=True)
    return plugin


def _succeed(command: Sequence[str | Path]) -> str:
    ending = run_command([str(item) for item in command])
    if not ending:
        lines = ending.errors.splitlines()
        errors = [
            line for line in lines if "error:" in line or "undefined" in line or "overflowed" in line
        ]
        raise EngineError(f"{Path(command[0]).name}: {next(iter(errors), ending.errors)}")
    return ending.output
