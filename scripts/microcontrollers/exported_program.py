"""Exports of `edge-rnn export-c` on emulated microcontrollers: probes, logits, sizes, instructions.

The C names of an export start with `net`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_runtime.errors import EngineError
from scripts.compile_library import SOURCES
from scripts.microcontrollers.boards import Microcontroller
from scripts.microcontrollers.program import FLAGS, HERE, Program, Size, compile_program

PLAIN = "-DER_PLAIN"
"""Leaves out the kernels for special instructions."""


@dataclass(frozen=True)
class Measured:
    """What an export takes on a core."""

    size: Size
    """Of a program that runs windows and rows."""
    window_stack: int
    row_stack: int
    """Bytes of stack below main."""
    window_instructions: int
    row_instructions: int
    """In an unrolled file, a row takes a whole window."""


def model_sources_of(folder: Path) -> list[Path]:
    """The C files of the library."""
    return sorted((folder / "src").glob("*.c"))


def probe_sources_of(folder: Path) -> list[Path]:
    """Those of its program that runs the probes."""
    return [*sorted((folder / "examples" / "probes").glob("*.c")), folder / "main.c"]


def include_folders_of(folder: Path) -> list[Path]:
    """Where its headers are."""
    return [folder / "src", folder / "examples" / "probes"]


def failed_probe(board: Microcontroller, folder: Path, place: Path, flags: Sequence[str] = ()) -> int:
    """Run the export's own probes in the folder `place`: 0, or the number of the first that fails.

    Raises EngineError for a program that does not compile, does not fit, or crashes.
    """
    sources = [*model_sources_of(folder), *probe_sources_of(folder)]
    program = _compiled(board, folder, sources, place, flags)
    ending = program.run()
    if ending.code is None or ending.output:
        raise EngineError(f"{board.core}: {ending.output or ending}")
    return ending.code


def logits_on_board(
    board: Microcontroller, folder: Path, place: Path, windows: np.ndarray, *, by_row: bool
) -> np.ndarray:
    """The stored logits `[count, classes]` of raw windows, as bytes; by window or row by row.

    `windows`: uint8 or float32 `[count, steps, features]`. Raises what `failed_probe` raises.
    """
    pixels = windows.dtype == np.uint8
    flags = ["-DRAW=uint8_t", "-DFROM_RAW=net_from_bytes"]
    if not pixels:
        flags = ["-DRAW=float", "-DFROM_RAW=net_from_floats"]
    flags += ["-DBY_ROW"] if by_row else []
    program = _compiled(board, folder, [*model_sources_of(folder), HERE / "classify.c"], place, flags)
    (place / "windows.bin").write_bytes(np.ascontiguousarray(windows).tobytes())
    logits = place / "logits.bin"
    logits.unlink(missing_ok=True)
    ending = program.run()
    if not ending:
        raise EngineError(f"{board.core}: {ending.output or ending}")
    return np.fromfile(logits, np.uint8).reshape(len(windows), -1)


def differing_kernel(board: Microcontroller, place: Path) -> int:
    """Run compare_kernels.c: 0, or a number for the first kernel that differs from plain C.

    Raises what `failed_probe` raises.
    """
    place.mkdir(parents=True, exist_ok=True)
    source, include = HERE / "compare_kernels.c", [SOURCES]
    ending = compile_program(board, [source], place / "kernels.elf", include=include).run()
    if ending.code is None or ending.output:
        raise EngineError(f"{board.core}: {ending.output or ending}")
    return ending.code


def measured(board: Microcontroller, folder: Path, place: Path, flags: Sequence[str] = ()) -> Measured:
    """Sizes, stack and counted instructions. Raises what `failed_probe` raises."""
    program = _compiled(board, folder, [*model_sources_of(folder), HERE / "measure.c"], place, flags)
    stack = place / "stack.bin"
    stack.unlink(missing_ok=True)
    ending = program.run(count=True)
    if not ending:
        raise EngineError(f"{board.core}: {ending.output or ending}")
    window, row = np.fromfile(stack, np.uint32).tolist()
    return Measured(program.size, window, row, *program.counts())


def _compiled(
    board: Microcontroller, folder: Path, sources: Sequence[Path], place: Path, flags: Sequence[str]
) -> Program:
    place.mkdir(parents=True, exist_ok=True)
    return compile_program(
        board, sources, place / "program.elf", include=include_folders_of(folder), flags=[*FLAGS, *flags]
    )
