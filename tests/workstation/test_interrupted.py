"""Interrupted conversions leave a whole file or none, and one message, never a traceback."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_runtime.model_file.read_file import read_model
from tests.support.command_server import edge_rnn
from tests.support.stream_process import heed_ctrl_c


def limit_file_size(size: int):
    """For preexec_fn: the child cannot write beyond `size` bytes, as on a full disk."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


@pytest.mark.parametrize("size", [2_000, 70_000])  # fails when writing the windows, and the model
def test_full_disk(digits_run, tmp_path, size):
    out = tmp_path / "model.tflite"
    result = edge_rnn(
        "convert",
        digits_run.path,
        "--precision",
        "float32",
        "--out",
        out,
        preexec_fn=limit_file_size(size),
    )
    assert result.returncode in (1, 2), result.stdout
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("out", ["/proc/model.tflite", "/dev/null/model.tflite"])
def test_output_that_cannot_be_written(digits_run, out):
    result = edge_rnn("convert", digits_run.path, "--out", out)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert Path(out).parent.name in result.stderr


def loads_numpy(process: subprocess.Popen[str]) -> bool:
    """Whether a native library besides Python's own is mapped: the command has just begun."""
    return "site-packages" in Path(f"/proc/{process.pid}/maps").read_text()


def loads_tensorflow(process: subprocess.Popen[str]) -> bool:
    """Whether TensorFlow's largest library is mapped, before its modules and the model are loaded."""
    return "libtensorflow_cc" in Path(f"/proc/{process.pid}/maps").read_text()


def proves(process: subprocess.Popen[str]) -> bool:
    """Whether the command has started a process, in which the first engine computes."""
    return bool(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())


def wait_until(phase: Callable[[subprocess.Popen[str]], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not phase(process):
        assert process.poll() is None, f"ended before it {phase.__name__}"
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("phase", [loads_numpy, loads_tensorflow, proves])
def test_interrupt(digits_run, tmp_path, phase):
    out = tmp_path / "model.tflite"
    command = [str(Path(sys.executable).with_name("edge-rnn")), "convert", str(digits_run.path)]
    process = subprocess.Popen(
        [*command, "--precision", "int8", "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_ctrl_c,
    )
    wait_until(phase, process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert [path.name for path in tmp_path.iterdir()] in ([], ["model.tflite"])
    if out.exists():
        read_model(out)  # whole
    if process.returncode:
        assert "Aborted" in errors
        assert "Traceback" not in errors
        assert not out.exists()
