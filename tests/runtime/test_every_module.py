"""Every module and every command of the device side, on every Python."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from importlib import import_module

import numpy as np
import pytest

import edge_runtime
from edge_runtime.cli import COMMANDS
from tests.support.commands import PROVING, edge_rnn, succeed
from tests.support.model_files import write_model

MODULES = [
    module.name
    for module in pkgutil.walk_packages(edge_runtime.__path__, "edge_runtime.")
    if module.name != "edge_runtime.__main__"  # runs the command line
    and not module.name.endswith("libedge_rnn")  # a library for ctypes, which looks like a module
]


@pytest.mark.parametrize("name", MODULES)
def test_every_module_can_be_imported(name):
    import_module(name)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help(name):
    assert f"edge-rnn {name} [OPTIONS]" in succeed(edge_rnn(name, "--help"))


@pytest.mark.parametrize("engine", [*PROVING, "numpy"])
@pytest.mark.parametrize("precision", ["float32", "dynamic", "int16x8", "mixed", "int8"])
def test_predict_runs_as_a_module_too(tmp_path, engine, precision):
    model = write_model(tmp_path / "m.tflite", precision)
    np.save(tmp_path / "w.npy", np.full((5, 3), 20.0))
    command = [sys.executable, "-m", "edge_runtime", "predict", str(model), str(tmp_path / "w.npy")]
    result = subprocess.run(
        [*command, "--engine", engine], capture_output=True, text=True, timeout=300, check=False
    )
    assert succeed(result).startswith(f"{tmp_path / 'w.npy'}: ")
