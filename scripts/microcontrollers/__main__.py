"""Flash, RAM and instructions of exported models on emulated microcontrollers.

    python -m scripts.microcontrollers

Prints two tables in Markdown, which docs/guides/microcontrollers.md has. The model is an LSTM of 128
units on windows of 28 x 28. Its weights are random, as neither sizes nor counts depend on them. The
compiler is Debian's gcc with -O2. Flash is that of a whole program with start-up code, RAM that of a
stream with its stack.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from convert.c_export.export import CExport, export_c
from convert.source_model.network import Network
from edge_runtime.errors import EdgeRnnError, EngineError
from scripts.microcontrollers.boards import MICROCONTROLLERS, Microcontroller
from scripts.microcontrollers.exported_program import PLAIN, Measured, measured
from tests.support.exported import write_network
from tests.support.networks import RandomLayers

PRECISIONS = ("int8", "mixed", "float32")
WITH_KERNELS = ("int8", "mixed", "int16x8", "dynamic")
SPECIAL = {"Cortex-M4F": "DSP", "Cortex-M7": "DSP", "Cortex-M33": "DSP", "Cortex-M55": "Helium"}
"""Cores with kernels of their own."""


def lstm(units: int = 128) -> Network:
    """The network, with weights small enough that its gates are not all saturated."""
    make = RandomLayers()
    layer = make.lstm(28, units)
    tame = replace(layer, kernel=layer.kernel / 4, recurrent_kernel=layer.recurrent_kernel / 6)
    return Network(28, 28, (tame, make.dense(units, 10)))


def exported(folder: Path, precision: str, graph: str) -> CExport:
    """The network as C in `folder`."""
    file = write_network(folder / f"{precision}-{graph}.tflite", lstm(), precision, graph)
    return export_c(file, folder / f"{precision}-{graph}", name="net")


def sizes(folder: Path) -> Iterator[str]:
    """The first table."""
    yield "| precision | file | core | flash | of it weights | RAM | instructions per row | per window |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for precision in PRECISIONS:
        for graph in ("step", "unrolled"):
            export = exported(folder, precision, graph)
            for board in MICROCONTROLLERS:
                yield f"| {precision} | {graph} | {board.core} | {_row(folder, export, board, graph)} |"


def _row(folder: Path, export: CExport, board: Microcontroller, graph: str) -> str:
    try:
        found = measured(board, export.folder, folder / "program")
    except EngineError as error:
        if "overflowed" not in str(error):
            raise
        return f"does not fit | {export.weight_bytes:,} | | |"
    ram = export.stream_bytes + max(found.row_stack, found.window_stack)
    row = f"{found.row_instructions:,}" if graph == "step" else ""
    flash = f"{found.size.flash:,} | {export.weight_bytes:,}"
    return f"{flash} | {ram:,} | {row} | {found.window_instructions:,}"


def gains(folder: Path) -> Iterator[str]:
    """The second table: one row of a step file with and without special instructions."""
    yield "| precision | core | kernels | instructions per row | in plain C | ratio |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for precision in WITH_KERNELS:
        export = exported(folder, precision, "step") if precision not in PRECISIONS else None
        place = folder / f"{precision}-step" if export is None else export.folder
        for board in (item for item in MICROCONTROLLERS if item.core in SPECIAL):
            fast, plain = (measured(board, place, folder / "program", flags) for flags in ((), (PLAIN,)))
            yield f"| {precision} | {board.core} | {SPECIAL[board.core]} | {_compared(fast, plain)} |"


def _compared(fast: Measured, plain: Measured) -> str:
    ratio = plain.row_instructions / fast.row_instructions
    return f"{fast.row_instructions:,} | {plain.row_instructions:,} | {ratio:.2f}"


def main() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as name:
        for line in (*sizes(Path(name)), "", *gains(Path(name))):
            print(line, flush=True)


if __name__ == "__main__":
    try:
        main()
    except EdgeRnnError as error:
        sys.exit(f"Error: {error}")
