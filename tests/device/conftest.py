"""Fixtures of the device tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.errors import EngineError
from scripts.arm_boards import board_of
from tests.device.boards import Boards, Digits
from tests.device.environments import Environments
from tests.device.matrix import Matrix
from tests.device.wheels import linux_wheels
from tests.support.command_server import edge_rnn
from tests.support.commands import mnist_folder, succeed
from tests.support.end_of_run import show_at_end
from tests.support.made_once import made_once

COUNT = 200
"""The number of digits of the test split that the boards classify."""

MEANING = "Digits with the full model's class, and the largest difference of a logit from x86's."


@pytest.fixture(scope="session")
def environments(wheel, shared_folder) -> Environments:
    """Fresh environments of every Python with the wheel, made once for all test processes."""
    return Environments(shared_folder / "environments", wheel)


@pytest.fixture(scope="session")
def platform_wheels(shared_folder) -> dict[str, Path]:
    """Name of a platform of scripts/build_wheels.py -> its wheel."""
    return linux_wheels(shared_folder)


@pytest.fixture(scope="session")
def boards(request, platform_wheels, shared_folder) -> Boards:
    """The emulated boards, with real digits and models of every precision, of MNIST if available."""
    name = "mnist" if mnist_folder() else "digits"
    trained, models = request.getfixturevalue(f"{name}_run"), request.getfixturevalue(f"{name}_models")

    def make(folder: Path) -> None:
        np.save(folder / "digits.npy", trained.run.test_windows().x[:COUNT])
        arguments = ("--precision", "int4", "--target", "litert-2.1", "--out", folder / "int4.tflite")
        succeed(edge_rnn("convert", trained.path, *arguments))

    inputs = made_once(shared_folder / "boards-inputs", make)
    models = {**models, "int4": inputs / "int4.tflite"}
    digits = Digits(name, inputs / "digits.npy", trained.full_logits[:COUNT], models)
    return Boards(shared_folder / "boards", platform_wheels, digits)


@pytest.fixture
def board(boards, cpu):
    """The board with that CPU, skipped where it cannot be emulated."""
    try:
        return boards.device(cpu)
    except EngineError as error:
        pytest.skip(f"{board_of(cpu).name}: {error}")


@pytest.fixture(scope="session")
def matrix(pytestconfig, shared_folder) -> Iterator[Matrix]:
    """The results of the boards in all test processes, shown at the end of the run."""
    result = Matrix(shared_folder / "boards-found")
    yield result
    if result.rows:
        show_at_end(pytestconfig, "emulated Raspberry Pis", f"{MEANING}\n\n{result}")
