"""The doctor in environments that are really broken. The command that it prints fixes them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.doctor.trial import TRIAL_MODEL
from tests.device.environments import make_environment, python
from tests.device.test_clean_environment import on_device
from tests.support.commands import succeed

old_enough = pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="tflite-runtime has wheels up to Python 3.11"
)


def fixed(printed: str, device: Path, cwd: Path, problem: str = "") -> str:
    """The doctor's output after the first command for the problem has been run in the shell."""
    lines = printed.splitlines()
    place = next(k for k, line in enumerate(lines) if line.startswith("wrong: ") and problem in line)
    command = lines[place + 1].strip()[len("fix: ") :]
    shell = {"PATH": "/usr/bin:/bin", "HOME": str(cwd)}
    subprocess.run(command, shell=True, check=True, capture_output=True, cwd=cwd, env=shell, timeout=600)
    return succeed(on_device(device, "doctor", TRIAL_MODEL, cwd=cwd))


@old_enough
def test_numpy_2_beside_tflite_runtime(wheel, tmp_path):
    packages = ("click", "numpy>=2", "tflite-runtime==2.14.0")
    device = make_environment(sys.executable, tmp_path / "numpy2", ("--no-deps", wheel), packages)
    result = on_device(device, "doctor", cwd=tmp_path)
    assert result.returncode == 0  # native works
    assert "wrong: tflite-runtime 2.14.0 is built for numpy 1, and numpy is 2." in result.stdout
    assert "Traceback" not in result.stderr
    # The other commands also fail with one message, which names the doctor.
    refused = on_device(device, "verify", TRIAL_MODEL, "--engine", "tflite-runtime", cwd=tmp_path)
    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert "'edge-rnn doctor' says more" in line
    assert "wrong" not in fixed(result.stdout, device, tmp_path)


@pytest.fixture
def bare(wheel, tmp_path) -> Path:
    """An environment with edge-rnn, numpy and click alone."""
    return make_environment(
        sys.executable, tmp_path / "bare", ("--no-deps", wheel), ("click", "numpy>=2")
    )


def test_without_a_tflite_engine_nothing_is_wrong(bare, tmp_path):
    printed = succeed(on_device(bare, "doctor", TRIAL_MODEL, cwd=tmp_path))
    assert "wrong" not in printed
    assert " works on this machine with native " in printed.splitlines()[-1]


def test_no_engine_at_all(bare, wheel, tmp_path):
    (library,) = bare.parent.glob("lib/*/site-packages/edge_runtime/native/libedge_rnn.so")
    library.unlink()
    result = on_device(bare, "doctor", TRIAL_MODEL, cwd=tmp_path)
    assert result.returncode == 1
    assert f"wrong: {library}: the native engine's library is missing" in result.stdout
    assert "wrong: no TFLite engine is installed" in result.stdout
    assert result.stdout.splitlines()[-1].endswith("--engine numpy does, slowly")
    np.save(tmp_path / "w.npy", np.zeros((2, 3), np.float32))
    predicted = on_device(bare, "predict", TRIAL_MODEL, "w.npy", "--engine", "numpy", cwd=tmp_path)
    assert succeed(predicted).startswith("w.npy: ")
    printed = fixed(result.stdout, bare, tmp_path, "no TFLite engine is installed")
    assert "works on this machine with" in printed
    shutil.copy(wheel, tmp_path)
    assert "wrong" not in fixed(printed, bare, tmp_path, "library is missing")


def test_an_engine_that_computes_something_else(wheel, tmp_path):
    """tflite-runtime 2.9.1 loads int8 models and computes them wrongly."""
    interpreter = python("3.9")
    if interpreter is None:
        pytest.skip("Python 3.9 is not installed")
    device = make_environment(
        interpreter,
        tmp_path / "old",
        ("--no-deps", wheel),
        ("click", "numpy<2", "tflite-runtime==2.9.1"),
    )
    result = on_device(device, "doctor", cwd=tmp_path)
    assert result.returncode == 0  # native works
    assert (
        "wrong: tflite-runtime 2.9.1 loads the trial model and computes something else" in result.stdout
    )
    assert "wrong" not in fixed(result.stdout, device, tmp_path)
