"""Shared fixtures: trained runs, the full model's logits, converted files, the command line.

TensorFlow never runs in the test process: in one process with it, tflite-runtime fails.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import settings

from convert.source_model.network import Dense, Lstm, Network
from edge_runtime.runs.run_directory import Run
from tests.support.commands import CHILDREN, OFFERED, ROOT, SEED, edge_rnn, mnist_folder, succeed

pytest_plugins = ["tests.support.end_of_run"]

settings.register_profile("repeatable", derandomize=True, max_examples=40)
settings.register_profile("explore", derandomize=False, max_examples=60)
settings.load_profile("repeatable")  # unless --hypothesis-profile says otherwise


@dataclass(frozen=True)
class Trained:
    """A run, with what the full Keras model says of its test split."""

    path: Path
    run: Run
    network: Network
    full_logits: np.ndarray


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory) -> Path:
    """One folder for all workers of pytest-xdist."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


def made_once(folder: Path, make: Callable[[Path], object]) -> Path:
    """`folder`, filled by `make` in the first worker that asks for it; the others wait for it."""
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            partial = folder.with_name(f"{folder.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            make(partial)
            partial.rename(folder)
    return folder


def _trained(shared: Path, name: str, *arguments: object) -> Trained:
    def make(folder: Path) -> None:
        run, dump = folder / name, folder / f"{name}.npz"
        succeed(edge_rnn("train", "--out", run, "--quiet", *arguments))
        child = [
            sys.executable,
            str(CHILDREN / "keras_child.py"),
            str(run),
            str(dump),
        ]
        subprocess.run(child, check=True, capture_output=True, timeout=900)

    folder = made_once(shared / f"{name}-run", make)
    with np.load(folder / f"{name}.npz") as arrays:
        content = dict(arrays)
    run = Run.open(folder / name)
    layers = (
        Lstm("lstm", content["kernel"], content["recurrent_kernel"], content["bias"]),
        Dense("logits", content["dense_kernel"], content["dense_bias"]),
    )
    network = Network(run.record.steps, run.record.features, layers)
    return Trained(run.path, run, network, content["logits"])


@pytest.fixture(scope="session")
def digits_run(shared_folder) -> Trained:
    """The embedded digits, as `make demo` trains them."""
    return _trained(shared_folder, "digits", "--data", "digits", "--preset", "demo", "--seed", SEED)


@pytest.fixture(scope="session")
def mnist_data() -> Path:
    folder = mnist_folder()
    if folder is None:
        pytest.skip("MNIST is not here: set EDGE_RNN_DATA to the folder with its four IDX files")
    return folder


@pytest.fixture(scope="session")
def mnist_run(mnist_data, shared_folder) -> Trained:
    """Real MNIST with the default hyperparameters."""
    data = ("--data", "mnist", "--data-dir", mnist_data)
    return _trained(shared_folder, "mnist", *data, "--seed", SEED)


@pytest.fixture(scope="session", params=["digits", "mnist"])
def trained(request) -> Trained:
    """Both runs in turn; MNIST only where its files are."""
    return request.getfixturevalue(f"{request.param}_run")


@pytest.fixture(scope="session")
def models(trained, request) -> dict[str, Path]:
    """Precision -> file of the run `trained`, written by `edge-rnn convert --precision all`."""
    return request.getfixturevalue(f"{trained.path.name}_models")


@pytest.fixture(scope="session")
def digits_models(digits_run, shared_folder) -> dict[str, Path]:
    """Precision -> file of the digits run."""
    return converted(digits_run, shared_folder)


@pytest.fixture(scope="session")
def mnist_models(mnist_run, shared_folder) -> dict[str, Path]:
    """Precision -> file of the MNIST run."""
    return converted(mnist_run, shared_folder)


def converted(trained: Trained, shared: Path) -> dict[str, Path]:
    def make(folder: Path) -> None:
        succeed(edge_rnn("convert", trained.path, "--precision", "all", "--out", folder))

    folder = made_once(shared / f"{trained.path.name}-models", make)
    return {name: folder / f"{trained.path.name}-{name}.tflite" for name in OFFERED}


@pytest.fixture(scope="session")
def wheel(shared_folder) -> Path:
    """The distribution, built as for publishing."""

    def make(folder: Path) -> None:
        source = folder / "source"
        # A copy, as setuptools would ship what an earlier build left in build/.
        for package in ("convert", "edge_runtime", "train"):
            shutil.copytree(
                ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__")
            )
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, source / name)
        command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(source)]
        subprocess.run(command, check=True, capture_output=True, timeout=600)

    (path,) = made_once(shared_folder / "wheel", make).glob("*.whl")
    return path
