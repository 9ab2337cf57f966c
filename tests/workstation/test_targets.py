"""--target, --prove and --require-engine: what they choose, refuse, print and store in the file."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys

import pytest
from ai_edge_litert import schema_py_generated as schema

from convert.targets.target import TARGETS
from edge_runtime.engines.engine import NATIVE, engine_version
from edge_runtime.model_file.read_file import read_model
from tests.support.command_server import edge_rnn
from tests.support.commands import PROVING, ROOT, succeed
from tests.support.package_index import pypi_answers


@pytest.fixture
def no_environments(tmp_path):
    """The process environment with an empty cache folder: only installed engines are available."""
    return {**os.environ, "EDGE_RNN_CACHE": str(tmp_path / "cache")}


def run_script(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"scripts.{name}", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)


def test_the_table_says_what_the_installed_engines_do_now():
    """On the kinds of networks whose steps differ. scripts/engine_table.py has all kinds."""
    kinds = ("LSTM", "LSTM, stacked", "GRU", "layer normalization")
    result = run_script("engine_check", *(f"--kinds={kind}" for kind in kinds))
    assert result.returncode == 0, result.stdout + result.stderr
    known = [line for line in result.stdout.splitlines() if "graphs compared with" in line]
    if len(known) < len(PROVING):
        pytest.skip(f"versions that the table was not made from: {result.stdout}")


def test_the_page_says_what_the_table_says():
    result = run_script("engine_table", "--check")
    assert result.returncode == 0, result.stderr


def missing_engines(target: str) -> list[str]:
    """Names of the target's engines that are not installed."""
    installed = [(name, engine_version(name)) for name in PROVING]
    return [
        engine.name
        for engine in TARGETS[target].engines
        if not any(engine.covers(*item) for item in installed)
    ]


def scales_of_matrices(path) -> set[int]:
    """The number of scales of the int8 matrices in the file."""
    flatbuffer, _ = read_model(path)
    (graph,) = schema.ModelT.InitFromPackedBuf(flatbuffer, 0).subgraphs
    return {
        len(tensor.quantization.scale)
        for tensor in graph.tensors
        if tensor.type == schema.TensorType.INT8
    }


def test_a_precision_that_the_target_lacks_is_refused_with_those_it_has(digits_run, tmp_path):
    out = tmp_path / "m.tflite"
    arguments = ("--precision", "int4", "--target", "tflite-runtime-2.14", "--out", out)
    result = edge_rnn("convert", digits_run.path, *arguments)
    assert result.returncode == 2
    assert result.stderr == (
        "Error: --precision: target tflite-runtime-2.14 has no int4. "
        "Choose float32, float16, dynamic, int16x8, mixed, int8.\n"
    )
    assert not out.exists()


def test_unknown_target_lists_the_choices(digits_run):
    result = edge_rnn("convert", digits_run.path, "--target", "litert-9")
    assert result.returncode == 2
    assert f"--target: cannot be 'litert-9'. Choose {', '.join(TARGETS)}." in result.stderr


def test_dynamic_has_a_scale_per_row_where_the_target_loads_it(digits_run, no_environments, tmp_path):
    out = tmp_path / "m.tflite"
    # One or two near ties of the 1,000 windows go the other way. test_parity tests the agreement.
    options = ("--precision", "dynamic", "--target", "litert-2.1", "--min-agreement", 0.99)
    arguments = (*options, "--out", out)
    printed = succeed(edge_rnn("convert", digits_run.path, *arguments, env=no_environments))
    units = digits_run.network.layers[0].units
    assert scales_of_matrices(out) == {3 * units, units, 10}  # gates, new state, logits
    assert read_model(out)[1].notes == ()
    assert "one scale per matrix" not in printed


def test_choice_for_any_target_and_its_cost_are_printed_and_stored(digits_run, tmp_path):
    out = tmp_path / "m.tflite"
    printed = succeed(edge_rnn("convert", digits_run.path, "--precision", "dynamic", "--out", out))
    assert scales_of_matrices(out) == {1}
    (choice,) = read_model(out)[1].notes
    assert choice in printed
    assert choice.startswith(
        "dynamic: one scale per matrix, as tflite-runtime-2.14 does not load one scale per row "
        "(FULLY_CONNECTED version 12); mean logit error "
    )
    taken, _, best = choice.split("mean logit error ")[1].split(" on ")[0].partition(" instead of ")
    assert float(taken) > float(best) > 0


def test_what_is_not_proven_is_printed_and_stored_with_the_command_that_helps(
    digits_run, no_environments, tmp_path
):
    missing = missing_engines("any")
    if not missing:
        pytest.skip("every engine of the target table is installed")
    out = tmp_path / "m.tflite"
    arguments = ("--precision", "float32", "--out", out)
    printed = succeed(edge_rnn("convert", digits_run.path, *arguments, env=no_environments))
    assert f"Not proven on: {', '.join(missing)}\n" in printed
    assert read_model(out)[1].parity.not_proven == tuple(missing)
    for engine in TARGETS["any"].engines:
        folder = os.path.join(no_environments["EDGE_RNN_CACHE"], "engines", engine.name)
        commands = [line for line in printed.splitlines() if f" {folder} && " in line]
        assert len(commands) == (engine.name in missing and engine.name != NATIVE)
        for command in commands:
            make, install = map(shlex.split, command.split(" && "))
            assert "venv" in make
            assert f"{folder}/bin/python" in install
            assert f"{engine.distribution}=={engine.versions[-1]}" in install


def test_a_file_that_no_engine_of_its_target_has_run_says_so(digits_run, no_environments, tmp_path):
    installed = [(name, engine_version(name)) for name in PROVING]
    target = next(
        (name for name in TARGETS if not any(TARGETS[name].covers(*item) for item in installed)), ""
    )
    if not target:
        pytest.skip("some engine of every target is installed")
    out = tmp_path / "m.tflite"
    arguments = ("--precision", "float32", "--target", target, "--out", out)
    printed = succeed(edge_rnn("convert", digits_run.path, *arguments, env=no_environments))
    assert ": not run\n" in printed
    parity = read_model(out)[1].parity
    assert not parity
    assert parity.not_proven == (target,)
    assert f"Not proven on: {target}" in succeed(edge_rnn("inspect", out))
    succeed(edge_rnn("verify", out))  # the device can still find out


def test_require_engine_leaves_no_file_that_is_not_proven(digits_run, no_environments, tmp_path):
    missing = missing_engines("any")
    if not missing:
        pytest.skip("every engine of the target table is installed")
    folder = tmp_path / "out"
    folder.mkdir()
    out = folder / "m.tflite"
    out.write_text("an older file")
    arguments = ("--precision", "float32", "--require-engine", "--out", out)
    result = edge_rnn("convert", digits_run.path, *arguments, env=no_environments)
    assert result.returncode == 1
    refusal = f"{out}: not written, as it is not proven on {', '.join(missing)} (--require-engine)."
    assert refusal in result.stdout
    assert "Traceback" not in result.stderr
    assert list(folder.iterdir()) == []


def test_prove_makes_an_environment_and_proves_in_it(digits_run, no_environments, tmp_path):
    """litert-1.4 is never installed beside a newer ai-edge-litert. Needs the network."""
    if "litert-1.4" not in missing_engines("litert-1.4"):
        pytest.skip("litert-1.4 is installed: nothing to make")
    if not pypi_answers():
        pytest.skip("PyPI cannot be reached")
    out = tmp_path / "m.tflite"
    arguments = ("--precision", "float32", "--target", "litert-1.4", "--require-engine", "--out", out)
    result = edge_rnn("convert", digits_run.path, *arguments, "--prove", env=no_environments)
    if result.returncode == 2 and "needs CPython" in result.stderr:
        pytest.skip(result.stderr.strip())
    printed = succeed(result)
    environment = tmp_path / "cache" / "engines" / "litert-1.4"
    assert f"Making {environment} for the proof on litert-1.4" in result.stderr
    assert "Not proven on: none" in printed
    parity = read_model(out)[1].parity
    (proof,) = (item for item in parity.engines if item.required and item.engine != NATIVE)
    assert (proof.engine, proof.version) == ("ai-edge-litert", "1.4.0")
    assert proof.agreement >= parity.budget.min_agreement
    assert parity.not_proven == ()
    # The environment is used again, without the network and without --prove.
    succeed(edge_rnn("convert", digits_run.path, *arguments, env=no_environments))
    command = [environment / "bin" / "python", "-c", "import tensorflow"]
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0  # isolated
    shutil.rmtree(environment)
