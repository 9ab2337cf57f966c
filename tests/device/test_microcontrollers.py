"""Exported C on emulated microcontrollers: the bits of the host on every core, and its memory."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from convert import export_c
from edge_runtime.errors import EngineError
from edge_runtime.inference.tensors import InputTensor
from edge_runtime.model_file.metadata import STEP
from edge_runtime.model_file.read_file import read_model_file
from edge_runtime.native.interpreter import NativeInterpreter
from scripts.engine_cases import networks
from scripts.microcontrollers.__main__ import exported
from scripts.microcontrollers.boards import MICROCONTROLLERS, microcontroller
from scripts.microcontrollers.debian_tools import debian_tools
from scripts.microcontrollers.exported_program import (
    PLAIN,
    differing_kernel,
    failed_probe,
    logits_on_board,
    measured,
)
from tests.support.commands import edge_rnn, succeed
from tests.support.exported import write_network
from tests.support.made_once import made_once

CORES = tuple(board.core for board in MICROCONTROLLERS)
WITH_FPU = ("Cortex-M4F", "Cortex-M7", "Cortex-M33", "Cortex-M55", "RV32IMAFC")
WITH_KERNELS = ("Cortex-M4F", "Cortex-M7", "Cortex-M33", "Cortex-M55")
GRAPHS = ("unrolled", "step")
KINDS = ("LSTM", "GRU", "SimpleRNN, tanh", "bidirectional, concat")
PRECISIONS = ("int8", "mixed", "float32", "int16x8", "dynamic")
COUNT = 200
"""The number of real digits that a core classifies."""
FEW = 20
"""Where float arithmetic takes a hundred instructions."""
KIB = 1024

EVERY_DAY = {
    ("Cortex-M3", "unrolled", "int8"),
    ("Cortex-M4F", "unrolled", "int8"),
    ("Cortex-M4F", "step", "mixed"),
    ("Cortex-M7", "step", "float32"),
    ("Cortex-M33", "unrolled", "int16x8"),
    ("Cortex-M55", "unrolled", "int8"),
    ("Cortex-M55", "step", "dynamic"),
    ("RV32IMAC", "step", "mixed"),
    *((core, "step", "int8") for core in CORES),
}
"""What `make test` runs of all cores, graphs and precisions. `make nightly` runs the rest."""


def nightly_unless(every_day: bool, *values: object) -> object:
    """The values of a test that only `make nightly` runs, unless it is one of every day."""
    return pytest.param(*values, marks=() if every_day else pytest.mark.nightly)


def combinations(precisions: tuple[str, ...]) -> list[object]:
    """Every core, graph and precision."""
    return [
        nightly_unless((core, graph, precision) in EVERY_DAY, core, graph, precision)
        for core in CORES
        for graph in GRAPHS
        for precision in precisions
    ]


@pytest.fixture(scope="session")
def tools() -> Path:
    """The compilers and emulators, or the reason why there are none."""
    try:
        return debian_tools()
    except EngineError as error:
        pytest.skip(f"microcontrollers: {error}")


@pytest.fixture(scope="session")
def exports(tools, shared_folder) -> Path:
    """Folders of small random networks as C: PRECISION/GRAPH/KIND."""

    def make(folder: Path) -> None:
        for precision in PRECISIONS:
            for graph in GRAPHS:
                for kind in KINDS:
                    if graph == "step" and kind.startswith("bidirectional"):
                        continue
                    place = folder / precision / graph / kind
                    place.parent.mkdir(parents=True, exist_ok=True)
                    file = write_network(folder / "model.tflite", networks()[kind], precision, graph)
                    export_c(file, place, name="net")

    return made_once(shared_folder / "c-exports", make)


@pytest.mark.parametrize(("core", "graph", "precision"), combinations(PRECISIONS))
def test_the_probes_have_the_bits_of_the_host(exports, tmp_path, core, precision, graph):
    for folder in sorted((exports / precision / graph).iterdir()):
        assert failed_probe(microcontroller(core), folder, tmp_path) == 0, folder.name


@pytest.mark.parametrize(
    ("core", "flags"),
    [
        nightly_unless((core, *flags) in (("Cortex-M4F", PLAIN), ("Cortex-M55", "-O0")), core, flags)
        for core in WITH_KERNELS
        for flags in ((PLAIN,), ("-O0",), ("-O3",), ("-ffp-contract=fast",))
    ],
)
def test_the_bits_do_not_depend_on_kernels_or_options(exports, tmp_path, core, flags):
    for precision in PRECISIONS:
        folder = exports / precision / "unrolled" / "GRU"
        assert failed_probe(microcontroller(core), folder, tmp_path, flags) == 0, precision


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize("core", WITH_KERNELS)
def test_kernels_for_special_instructions_equal_those_in_plain_c(tmp_path, core):
    assert differing_kernel(microcontroller(core), tmp_path) == 0


@pytest.fixture(scope="session")
def digits(tools, digits_run, digits_models, shared_folder) -> Path:
    """The trained network: models and exports of both graphs, and real test digits."""

    def make(folder: Path) -> None:
        np.save(folder / "digits.npy", digits_run.run.test_windows().x[:COUNT])
        for precision in ("int8", "mixed", "float32"):
            step = folder / f"{precision}-step.tflite"
            arguments = ("--precision", precision, "--graph", "step", "--out", step)
            succeed(edge_rnn("convert", digits_run.path, *arguments))
            unrolled = folder / f"{precision}-unrolled.tflite"
            shutil.copy(digits_models[precision], unrolled)
            for model in (step, unrolled):
                succeed(edge_rnn("export-c", model, "--name", "net", "--out", model.with_suffix("")))

    return made_once(shared_folder / "c-digits", make)


@pytest.mark.parametrize(("core", "graph", "precision"), combinations(("int8", "mixed", "float32")))
def test_real_digits_have_the_bits_of_the_host(digits, tmp_path, core, precision, graph):
    board, model = microcontroller(core), digits / f"{precision}-{graph}.tflite"
    if precision == "float32" and core == "Cortex-M0":
        pytest.skip("float32 weights do not fit into 256 kB of flash")
    count = COUNT if precision == "int8" or core in WITH_FPU else FEW
    windows = np.load(digits / "digits.npy")[:count]
    found = logits_on_board(board, model.with_suffix(""), tmp_path, windows, by_row=graph == STEP)
    expected = on_host(model, windows)
    assert len(windows) == count
    np.testing.assert_array_equal(found, expected.view(np.uint8).reshape(count, -1))


def on_host(model: Path, windows: np.ndarray) -> np.ndarray:
    """The stored logits of the native engine. Sums of floats are in the order of plain C."""
    file = read_model_file(model)
    interpreter = NativeInterpreter(file.flatbuffer, "plain" if "float32" in model.name else "default")
    row, *before = interpreter.get_input_details()
    logits, *after = interpreter.get_output_details()
    source = InputTensor(row, file.metadata.normalization)
    results = []
    for window in windows:
        states = [np.full(one["shape"], one["quantization"][1], one["dtype"]) for one in before]
        for part in window if before else [window]:
            source.fill(part)
            interpreter.set_tensor(row["index"], source.values)
            for one, state in zip(before, states):
                interpreter.set_tensor(one["index"], state)
            interpreter.invoke()
            states = [interpreter.get_tensor(one["index"]) for one in after]
        results.append(interpreter.get_tensor(logits["index"])[0])
    return np.stack(results)


@pytest.fixture(scope="session")
def large(tools, shared_folder) -> Path:
    """An LSTM of 128 units, as a step file in int8, as C in the folder `int8-step`."""
    return (
        made_once(shared_folder / "c-lstm128", lambda folder: exported(folder, "int8", "step"))
        / "int8-step"
    )


@pytest.mark.parametrize("core", CORES)
def test_an_lstm_of_128_units_fits_into_4_kb_of_ram(large, tmp_path, core):
    found = measured(microcontroller(core), large, tmp_path)
    header = (large / "src" / "net.h").read_text()
    assert "83200 of them weights" in header
    stream = int(header.split("RAM: ")[1].split(" bytes for a net_model, ")[1].split(" ")[0])
    assert stream + found.row_stack <= 4 * KIB
    assert found.size.flash <= 83200 + 20 * KIB


@pytest.mark.parametrize("core", WITH_KERNELS)
def test_special_instructions_need_fewer_of_them(large, tmp_path, core):
    fast, plain = (measured(microcontroller(core), large, tmp_path, flags) for flags in ((), (PLAIN,)))
    assert fast.row_instructions < plain.row_instructions * (0.2 if core == "Cortex-M55" else 0.7)


def test_int8_computes_without_float(exports, tmp_path):
    """On a core without an FPU, float arithmetic would call functions of the compiler's library."""
    tools = debian_tools()
    for graph in GRAPHS:
        source = exports / "int8" / graph / "LSTM" / "src" / "net.c"
        compiled = tmp_path / "net.o"
        command = [
            tools / "arm-none-eabi-gcc",
            "-mcpu=cortex-m3",
            "-mthumb",
            "-O2",
            "-c",
            source,
            "-o",
            compiled,
        ]
        subprocess.run([*command, "-isystem", tools.parent / "include" / "newlib"], check=True)
        listed = subprocess.run(
            [tools / "arm-none-eabi-objdump", "-t", compiled], capture_output=True, text=True, check=True
        )
        undefined = {line.split()[-1] for line in listed.stdout.splitlines() if "*UND*" in line}
        assert {"memcpy", "net_plan"} <= undefined <= {"memcpy", "memset", "net_plan"}
