"""Arm's compiler for Ethos-U, Vela, takes int8 files with no operator left on the CPU."""

from __future__ import annotations

import re
import subprocess

import pytest

from convert.compiler.compile import compile_network
from convert.inspection.inspect_model import inspect_model
from convert.proof.environments import make_in
from scripts.engine_cases import networks
from tests.device.environments import python
from tests.support.made_once import made_once
from tests.support.networks import random_windows
from tests.support.package_index import pypi_answers

VELA = "ethos-u-vela==5.2.0"


@pytest.fixture(scope="module")
def vela(shared_folder):
    """The program, in an environment of its own."""
    interpreter = python("3.11")
    if interpreter is None:
        pytest.skip("Python 3.11 is not installed")
    if not pypi_answers():
        pytest.skip("PyPI cannot be reached")
    folder = made_once(
        shared_folder / "vela", lambda folder: make_in(folder / "env", interpreter, [VELA])
    )
    return folder / "env" / "bin" / "vela"


@pytest.mark.parametrize("graph", ["unrolled", "step"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_no_operator_of_an_int8_file_stays_on_the_cpu(kind, graph, vela, tmp_path):
    network, path = networks()[kind], tmp_path / "m.tflite"
    path.write_bytes(
        compile_network(network, random_windows(network), precision="int8", target="tflm", graph=graph)
    )
    command = [vela, path, "--accelerator-config", "ethos-u55-128", "--output-dir", tmp_path / "out"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    on_cpu, on_npu = (
        int(re.search(rf"^{unit} operators = (\d+) ", result.stdout, re.MULTILINE).group(1))
        for unit in ("CPU", "NPU")
    )
    assert on_cpu == 0
    assert on_npu > 0
    (operator,) = inspect_model(tmp_path / "out" / "m_vela.tflite").operators
    assert (operator.name, operator.count) == ("ethos-u", 1)
