"""The installed wheel on emulated Raspberry Pis: the real commands, and the logits of every precision.

Each engine computes on the board what the same version computes on x86. The bits are equal if the
kernels round alike. Otherwise docs/results/device.md states the difference that is allowed, and the
reason.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from convert.targets.precision import PRECISIONS
from edge_runtime import __version__
from edge_runtime.cli import COMMANDS
from scripts.arm_boards import board_of
from tests.device.boards import (
    CPUS,
    EVERY_CPU,
    INTEGER,
    NIGHTLY_CPUS,
    engines_of,
    kernels_of,
    precisions_of,
)
from tests.device.matrix import compared
from tests.support.commands import succeed

FLOAT_BOUND = 1e-4
"""The allowed difference when additions run in another order."""

ARMV7_BOUND = 1e-3
"""The allowed difference of float32 from the full model. Eigen's LOGISTIC and TANH are off by 8e-6 on
32-bit NEON, which has no division, as single operators show. Over the steps, this adds up to 2e-4 of a
logit."""

SLOW = ("cortex-a7", "numpy")
"""Half a minute for each precision. `make nightly` runs all of them, `make test` int8."""


def _marks(*case: str) -> tuple[object, ...]:
    slow = case[:2] == SLOW and case[2] != "int8"
    return (pytest.mark.nightly,) if slow or case[0] in NIGHTLY_CPUS else ()


CASES = [
    pytest.param(cpu, engine, precision, marks=_marks(cpu, engine, precision))
    for cpu in CPUS
    for engine in engines_of(cpu)
    for precision in precisions_of(engine)
]


@pytest.mark.parametrize("cpu", EVERY_CPU)
def test_the_wheel_is_installed_by_the_boards_own_python(board, cpu):
    """The wheel's requirements on this architecture are met. pip had no index to fetch others from."""
    assert "Requirement already satisfied: tflite-runtime==2.14.0" in board.installed
    question = (
        "import platform, edge_runtime; from importlib.metadata import files, version; "
        "print(platform.machine(), edge_runtime.__file__, len(files('edge-rnn')), version('edge-rnn'))"
    )
    machine, file, files, version = succeed(board.run("python", "-c", question)).split()
    assert (machine, version) == (board_of(cpu).architecture, __version__)
    assert str(board.folder) in file
    assert int(files) > 50
    assert succeed(board.run("edge-rnn", "--version")) == f"edge-rnn, version {__version__}\n"


@pytest.mark.parametrize("cpu", EVERY_CPU)
def test_predict_and_verify(boards, board, cpu):
    """The commands choose the native engine and give the classifier's result."""
    computed = boards.computed(cpu, "native")

    def commands(precision: str) -> tuple[str, str]:
        model = boards.digits.models[precision]
        printed = board.run("edge-rnn", "predict", model, boards.digits.windows, "--json")
        return succeed(printed), succeed(board.run("edge-rnn", "verify", model))

    precisions = PRECISIONS if cpu == "cortex-a72" else ("int8",)
    with ThreadPoolExecutor(2) as pool:
        for precision, (predicted, verified) in zip(precisions, pool.map(commands, precisions)):
            logits = [json.loads(line)["logits"] for line in predicted.splitlines()]
            expected = computed[f"{precision}/default"].logits
            np.testing.assert_array_equal(np.array(logits, np.float32), expected)
            assert ": native " in verified
            assert ": verified" in verified


@pytest.mark.parametrize("cpu", EVERY_CPU)
def test_the_doctor_knows_the_board_and_runs_its_engines(boards, board, cpu):
    """The doctor tries each engine in a process of its own, which the board's Python has to start."""
    if "doctor" not in COMMANDS:
        pytest.skip("this edge-rnn has no doctor")
    printed = succeed(board.run("edge-rnn", "doctor", boards.digits.models["int8"]))
    assert f"machine: {board_of(cpu).name}" in printed
    assert "works on this machine with" in printed
    for engine in engines_of(cpu):
        assert engine == "numpy" or f"model in {engine}: verified" in printed


@pytest.mark.usefixtures("board")
@pytest.mark.parametrize(("cpu", "engine", "precision"), CASES)
def test_logits_are_those_of_x86(boards, matrix, cpu, engine, precision):
    full, on_board, on_x86 = boards.digits.full, boards.computed(cpu, engine), boards.on_x86(engine)
    for kernels in kernels_of(cpu, engine, precision):
        here, there = on_board[f"{precision}/{kernels}"], on_x86[f"{precision}/{kernels}"]
        assert here.logits is not None, here.said
        assert there.logits is not None, there.said
        place = (cpu, engine, precision, kernels)
        found = compared(place, here.logits, there.logits, full, here.said)
        matrix.add(found)
        assert found.verified or kernels != "default", here.said
        expect_budget(found, there.logits, full)
        expect_x86(found, np.abs(there.logits - full).mean())


def expect_budget(found, x86, full) -> None:
    """The result is within the precision's budget, or no worse than x86 on these few digits."""
    budget = PRECISIONS[found.precision].budget
    others_on_x86 = int((x86.argmax(axis=1) != full.argmax(axis=1)).sum())
    assert found.others <= max((1 - budget.min_agreement) * found.count, others_on_x86)


def expect_x86(found, cost: float) -> None:
    """`cost`: how far the precision is from the full model on x86, on average."""
    if found.precision in INTEGER and (found.engine != "tflite-runtime" or found.kernels == "reference"):
        assert found.same_bits
    elif found.precision in ("float32", "float16"):
        armv7 = found.cpu == "cortex-a7" and found.engine == "tflite-runtime"
        assert found.difference <= (ARMV7_BOUND if armv7 and found.kernels == "default" else FLOAT_BOUND)
    else:
        # Rounding ties may fall the other way. That costs less than the rounding itself.
        assert found.mean <= cost
