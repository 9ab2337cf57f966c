"""Fixtures of the device tests."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from edge_runtime.errors import EngineError
from scripts.arm_boards import board_of
from tests.device.boards import Boards, Digits
from tests.device.environments import Environments
from tests.device.matrix import Matrix
from tests.support.commands import edge_rnn, mnist_folder, succeed
from tests.support.end_of_run import show_at_end

COUNT = 200
"""Digits of the test split that the boards classify."""

MEANING = "Digits with the full model's class, and the largest difference of a logit from x86's."


@pytest.fixture(scope="session")
def environments(wheel, tmp_path_factory) -> Environments:
    """Fresh environments of every Python, with the wheel."""
    return Environments(tmp_path_factory.mktemp("environments"), wheel)


@pytest.fixture(scope="session")
def boards(request, wheel, tmp_path_factory) -> Boards:
    """The emulated boards, with real digits and models of every precision: of MNIST where it is."""
    folder = tmp_path_factory.mktemp("boards")
    name = "mnist" if mnist_folder() else "digits"
    trained, models = request.getfixturevalue(f"{name}_run"), request.getfixturevalue(f"{name}_models")
    windows, int4 = folder / "digits.npy", folder / "int4.tflite"
    np.save(windows, trained.run.test_windows().x[:COUNT])
    arguments = ("--precision", "int4", "--target", "litert-2.1", "--out", int4)
    succeed(edge_rnn("convert", trained.path, *arguments))
    models = {**models, "int4": int4}
    return Boards(folder, wheel, Digits(name, windows, trained.full_logits[:COUNT], models))


@pytest.fixture
def board(boards, cpu):
    """The board with that CPU, skipped where it cannot be emulated."""
    try:
        return boards.device(cpu)
    except EngineError as error:
        pytest.skip(f"{board_of(cpu).name}: {error}")


@pytest.fixture(scope="session")
def matrix(pytestconfig) -> Iterator[Matrix]:
    """What the boards computed: shown at the end of the run."""
    result = Matrix()
    yield result
    if result.rows:
        show_at_end(pytestconfig, "emulated Raspberry Pis", f"{MEANING}\n\n{result}")
