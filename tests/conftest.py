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

import numpy as np
import pytest
from hypothesis import settings

from convert.source_model.network import Dense, Lstm, Network
from edge_runtime.runs.run_directory import Run
from tests.support.command_server import run_script
from tests.support.commands import CHILDREN, OFFERED, ROOT, SEED, edge_rnn, mnist_folder, succeed
from tests.support.made_once import cache_folder, made_once, training_digest
from tests.support.sources import copy_of_sources

pytest_plugins = ["tests.support.collection", "tests.support.end_of_run"]

settings.register_profile("repeatable", derandomize=True, max_examples=40)
settings.register_profile("explore", derandomize=False, max_examples=60)
settings.load_profile("repeatable")  # unless --hypothesis-profile says otherwise


@dataclass(frozen=True)
class Trained:
    """A run with the full Keras model's results on its test split."""

    path: Path
    run: Run
    network: Network
    full_logits: np.ndarray
    dump: Path
    """The weights and logits, as keras_child.py wrote them."""


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory) -> Path:
    """One folder that all workers of pytest-xdist share."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


def training_sources() -> list[Path]:
    """The sources that decide a run directory, besides data and libraries."""
    parts = ("host", "inputs", "model_file", "runs")
    folders = [ROOT / "train", *(ROOT / "edge_runtime" / part for part in parts)]
    return [path for folder in folders for path in folder.rglob("*.py")]


def cached_run(shared: Path, name: str, data: Path | None, *arguments: object) -> Path:
    """A run directory of `edge-rnn train`, a copy for this test run.

    It is trained only if the tests' cache has no run of the same sources, data, libraries and CPU.
    `data`: the folder whose files are the data set.
    """

    def train(folder: Path) -> None:
        given = () if data is None else ("--data-dir", data)
        succeed(edge_rnn("train", "--out", folder / name, "--quiet", *arguments, *given))

    def copy(folder: Path) -> None:
        files = [] if data is None else [path for path in data.iterdir() if path.is_file()]
        digest = training_digest([*training_sources(), *files], *map(str, arguments))
        cached = made_once(cache_folder() / f"{name}-{digest}", train)
        shutil.copytree(cached / name, folder / name)

    return made_once(shared / f"{name}-run", copy) / name


def _trained(shared: Path, name: str, data: Path | None, *arguments: object) -> Trained:
    run = Run.open(cached_run(shared, name, data, *arguments))

    def dump(folder: Path) -> None:
        succeed(run_script(CHILDREN / "keras_child.py", run.path, folder / f"{name}.npz"))

    dumped = made_once(shared / f"{name}-dump", dump) / f"{name}.npz"
    with np.load(dumped) as arrays:
        content = dict(arrays)
    layers = (
        Lstm("lstm", content["kernel"], content["recurrent_kernel"], content["bias"]),
        Dense("logits", content["dense_kernel"], content["dense_bias"]),
    )
    network = Network(run.record.steps, run.record.features, layers)
    return Trained(run.path, run, network, content["logits"], dumped)


@pytest.fixture(scope="session")
def digits_run(shared_folder) -> Trained:
    """The embedded digits, as `make demo` trains them."""
    arguments = ("--data", "digits", "--preset", "demo", "--seed", SEED)
    return _trained(shared_folder, "digits", None, *arguments)


@pytest.fixture(scope="session")
def mnist_data() -> Path:
    folder = mnist_folder()
    if folder is None:
        pytest.skip("MNIST is not available. Set EDGE_RNN_DATA to the folder with its four IDX files")
    return folder


@pytest.fixture(scope="session")
def mnist_run(mnist_data, shared_folder) -> Trained:
    """Real MNIST with the default hyperparameters."""
    return _trained(shared_folder, "mnist", mnist_data, "--data", "mnist", "--seed", SEED)


@pytest.fixture(scope="session")
def mnist_seed_run(mnist_data, shared_folder) -> Run:
    """Real MNIST with the notebook's budget."""
    arguments = ("--data", "mnist", "--preset", "seed")
    return Run.open(cached_run(shared_folder, "mnist-seed", mnist_data, *arguments))


@pytest.fixture(scope="session", params=["digits", "mnist"])
def trained(request) -> Trained:
    """Both runs in turn; MNIST only if its files are available."""
    return request.getfixturevalue(f"{request.param}_run")


@pytest.fixture(scope="session")
def models(trained, request) -> dict[str, Path]:
    """Precision -> file of the run `trained`, written by `edge-rnn convert --precision all`."""
    return request.getfixturevalue(f"{trained.path.name}_models")


def converted(trained: Trained, shared: Path) -> dict[str, Path]:
    def make(folder: Path) -> None:
        succeed(edge_rnn("convert", trained.path, "--precision", "all", "--out", folder))

    folder = made_once(shared / f"{trained.path.name}-models", make)
    return {name: folder / f"{trained.path.name}-{name}.tflite" for name in OFFERED}


@pytest.fixture(scope="session")
def digits_models(digits_run, shared_folder) -> dict[str, Path]:
    """Precision -> file of the digits run."""
    return converted(digits_run, shared_folder)


@pytest.fixture(scope="session")
def mnist_models(mnist_run, shared_folder) -> dict[str, Path]:
    """Precision -> file of the MNIST run."""
    return converted(mnist_run, shared_folder)


@pytest.fixture(scope="session")
def wheel(shared_folder) -> Path:
    """The distribution for this machine, built as `pip install .` builds it."""

    def make(folder: Path) -> None:
        source = copy_of_sources(folder / "source")
        command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(source)]
        subprocess.run(command, check=True, capture_output=True, timeout=600)

    (path,) = made_once(shared_folder / "wheel", make).glob("*.whl")
    return path
