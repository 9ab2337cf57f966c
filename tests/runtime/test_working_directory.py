"""A user's own numpy.py, click.py or train.py in the working directory changes nothing."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from edge_runtime.host.child_process import Ending, foreign_command, module_command, run_command
from tests.support.commands import SHADOWS, as_module, edge_rnn, shadowed, succeed
from tests.support.model_files import write_model


@pytest.fixture
def folder(tmp_path):
    return shadowed(tmp_path / "shadowed")


@pytest.fixture
def model(tmp_path):
    np.save(tmp_path / "w.npy", np.full((700, 5, 3), 20.0))
    return write_model(tmp_path / "m.tflite")


@pytest.mark.parametrize("start", [edge_rnn, as_module])
def test_commands_of_the_device_do_not_look_in_the_working_directory(start, folder, model):
    windows = model.with_name("w.npy")
    assert succeed(start("predict", model, windows, "--jobs", 2, cwd=folder)).count("\n") == 700
    assert "wrong" not in succeed(start("doctor", model, cwd=folder))
    assert "latency" in succeed(start("bench", model, "--seconds", 0.1, cwd=folder))
    assert '"label"' in succeed(start("stream", model, cwd=folder, input="20 20 20\n" * 5))
    assert succeed(start("--help", cwd=folder))


@pytest.mark.parametrize("module", ["mine", "starts_mine"])
def test_a_process_and_its_children_look_into_a_folder_that_pythonpath_names(tmp_path, module):
    """A child may apply the search path again, as `python -m edge_runtime` does, and start a child."""
    (tmp_path / "mine.py").write_text("print('mine')")
    (tmp_path / "starts_mine.py").write_text(
        "import sys; from edge_runtime.host.child_process import run_module; "
        "from edge_runtime.host.search_path import search_path; "
        "sys.path[:] = search_path(); sys.exit(run_module('mine').code)"
    )
    code = (
        "import sys, runpy; from edge_runtime.host.child_process import run_module; "
        f"print(run_module('{module}').code)"
    )
    path = {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    for variables, code_of_child in (({}, "1"), (path, "0")):
        result = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=True,
        )
        assert result.stdout.strip() == code_of_child


def test_a_script_beside_such_files_starts_children_that_do_not_see_them(tmp_path):
    """Python puts the script's folder in front, wherever the script is started."""
    folder = tmp_path / "scripts"
    folder.mkdir()
    (folder / "convert.py").write_text("raise ImportError('from the folder of the script')")
    (folder / "child.py").write_text("")
    (folder / "start.py").write_text(
        "import sys; from edge_runtime.host.child_process import run_module; "
        "print(run_module(sys.argv[1]))"
    )
    for module, said in (("child", "No module named child"), ("json.tool", "Expecting value")):
        command = [sys.executable, folder / "start.py", module]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert said in result.stdout


def test_another_python_finds_what_it_is_given_and_its_own_packages(folder, tmp_path):
    (tmp_path / "home" / "given").mkdir(parents=True)
    (tmp_path / "home" / "given" / "__init__.py").touch()
    (tmp_path / "home" / "given" / "child.py").write_text(
        "import contextlib, json, random, sys, typing; print(sys.argv[1:])"
    )
    command = foreign_command(sys.executable, tmp_path / "home", "given.child", "--a", "b c")
    ending = run_command(command, folder=folder, env={**os.environ, "PYTHONPATH": str(folder)})
    assert ending, ending.errors
    assert ending.output.strip() == "['--a', 'b c']"


def test_the_path_of_a_child_has_no_working_directory():
    assert "" not in module_command("some.module")[3].split(os.pathsep)
    assert set(SHADOWS) > {"convert", "train", "random", "numpy", "click"}


@pytest.mark.parametrize(
    ("ending", "sentence"),
    [
        (Ending(0), "exit code 0"),
        (Ending(-4, "Illegal\n"), "SIGILL"),
        (Ending(-40), "signal 40"),
        (Ending(3), "exit code 3"),
        (Ending(1, "Traceback\nValueError: too much\n\n"), "ValueError: too much"),
        (Ending(None, "so far"), "no answer in time"),
    ],
)
def test_how_a_child_ended_is_said_in_a_clause(ending, sentence):
    assert str(ending) == sentence
    assert bool(ending) == (ending.code == 0)


def test_a_child_that_hangs_is_stopped():
    ending = run_command([sys.executable, "-c", "import time; time.sleep(600)"], seconds=0.5)
    assert ending.timed_out
    assert not ending
