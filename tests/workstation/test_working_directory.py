"""A user's own convert.py, train.py or random.py in the working directory does not disturb a command."""

from __future__ import annotations

import os
import sys

import pytest

from convert.proof.environments import environment_python, make_in
from convert.targets.target import TARGETS
from edge_runtime.errors import EngineError
from edge_runtime.model_file.read_file import read_model
from tests.support.commands import PROVING, as_module, shadowed, succeed

FINETUNING = ("--iterations", 2, "--batch-size", 8, "--quiet")


@pytest.fixture
def folder(tmp_path):
    return shadowed(tmp_path / "shadowed")


def test_converting_proves_in_every_engine(digits_run, folder, tmp_path):
    out = tmp_path / "m.tflite"
    arguments = ("--precision", "int8", "--min-agreement", 0.9, "--out", out)
    succeed(as_module("convert", digits_run.path, *arguments, cwd=folder))
    parity = read_model(out)[1].parity
    assert {engine.engine for engine in parity.engines} == set(PROVING)
    assert all(engine.failure is None for engine in parity.engines)


def test_fine_tuning_asks_the_converter(digits_run, folder, tmp_path):
    out = tmp_path / "run"
    succeed(as_module("train", "--finetune", digits_run.path, "--out", out, *FINETUNING, cwd=folder))
    assert (out / "finetuned.npz").is_file()


def test_environments_are_made_and_asked_without_a_look_into_it(folder, tmp_path, monkeypatch):
    (folder / "venv.py").write_text("raise ImportError('from the working directory')")
    (folder / "pyproject.toml").write_text("[tool.uv]\nindex-url = 'http://127.0.0.1:1/'\n")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("EDGE_RNN_CACHE", str(tmp_path / "cache"))
    engine = TARGETS["any"].engines[0]
    make_in(tmp_path / "cache" / "engines" / engine.name, sys._base_executable, [])
    assert environment_python(engine) is None  # the environment is made, but the engine is not in it
    without_uv(monkeypatch)
    make_in(tmp_path / "cache" / "engines" / engine.name, sys._base_executable, [])
    with pytest.raises(EngineError, match=r"none: not made, as .*No such file"):
        make_in(tmp_path / "none", str(tmp_path / "python"), [])


def without_uv(monkeypatch) -> None:
    """Hide uv, as on a machine without it."""
    monkeypatch.setitem(sys.modules, "uv", None)
    monkeypatch.setenv("PATH", os.defpath)
