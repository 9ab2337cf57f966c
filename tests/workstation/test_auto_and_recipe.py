"""--precision auto and --recipe through the real command."""

from __future__ import annotations

import re

import numpy as np

from convert.auto_precision import judge_and_proof
from convert.compiler import compile
from convert.compiler.float_graph.unroll import unroll
from convert.options import ConversionOptions
from convert.pipeline import convert_source, try_source
from convert.source_model.source_model import SourceModel
from edge_runtime.model_file.normalization import Normalization
from edge_runtime.model_file.read_file import read_model
from edge_runtime.numpy_engine.interpret import run
from edge_runtime.runs.labelled_windows import LabelledWindows
from tests.support import commands
from tests.support.command_server import edge_rnn
from tests.support.commands import OFFERED, succeed
from tests.support.networks import random_network, random_windows

NOT_NORMALIZED = Normalization((0.0,), (1.0,), "float32")


def test_auto_takes_the_smallest_file_that_fits_and_shows_what_it_decided_from(digits_run, tmp_path):
    out = tmp_path / "auto.tflite"
    arguments = ("--precision", "auto", "--out", out)
    printed = succeed(commands.edge_rnn("convert", digits_run.path, *arguments))
    table = re.findall(r"^  (\w+) +([\d,]+)  (fits|too close|below)", printed, re.MULTILINE)
    assert {name for name, _, _ in table} == set(OFFERED)
    sizes = [int(size.replace(",", "")) for _, size, _ in table]
    assert sizes == sorted(sizes)
    first = next(name for name, _, verdict in table if verdict == "fits")
    assert f"taken: {first}" in printed
    assert "windows (validation split)" in printed
    assert read_model(out)[1].precision == first


def test_auto_with_a_budget_that_nothing_meets_writes_nothing(digits_run, tmp_path):
    out = tmp_path / "auto.tflite"
    out.write_bytes(b"an older file")
    arguments = ("--precision", "auto", "--max-logit-difference", "0", "--out", out)
    result = edge_rnn("convert", digits_run.path, *arguments)
    assert result.returncode == 1
    assert "none meets the budget" in result.stdout
    assert "Traceback" not in result.stderr
    assert not out.exists()


def test_what_chooses_proves_nothing(digits_run):
    held_out = {window.tobytes() for window in digits_run.run.test_windows().x}
    validation = digits_run.run.validation_windows()
    assert len(validation) > 50
    assert not any(window.tobytes() in held_out for window in validation.x)


def test_a_users_windows_are_halved_between_choice_and_proof():
    windows = np.arange(11)
    logits = np.eye(11, dtype=np.float32)
    source = SourceModel(
        random_network(), (), NOT_NORMALIZED, None, LabelledWindows(windows, windows), "", logits, {}, {}
    )
    judge, proof = judge_and_proof(source)
    assert sorted([*judge.held_out.x, *proof.held_out.x]) == list(windows)
    np.testing.assert_array_equal(judge.logits.argmax(axis=1), judge.held_out.x)
    np.testing.assert_array_equal(proof.logits.argmax(axis=1), proof.held_out.x)


def test_only_a_written_file_pays_for_the_cost_of_its_scheme(monkeypatch, tmp_path):
    network = random_network()
    windows = random_windows(network)
    logits = run(unroll(network), windows)
    held_out = LabelledWindows(windows, logits.argmax(axis=1))
    source = SourceModel(
        network, ("a", "b", "c", "d"), NOT_NORMALIZED, windows, held_out, "random", logits, {}, {}
    )
    lowered = []
    check = compile.check_network
    monkeypatch.setattr(compile, "check_network", lambda item: lowered.append(check(item)))
    options = ConversionOptions(min_agreement=0.5)
    _, report = try_source(source, precision="dynamic", options=options)
    assert report
    assert len(lowered) == 1
    out = tmp_path / "m.tflite"
    conversion = convert_source(source, out, precision="dynamic", options=options)
    assert len(lowered) == 4  # once for the file, and once for each of the two compared schemes
    assert "one scale per matrix" in conversion.notes[0]


def test_a_recipe_sets_precision_and_ranges_and_is_named_in_the_file(digits_run, tmp_path):
    recipe, out = tmp_path / "r.toml", tmp_path / "r.tflite"
    rules = "[[range]]\ntensors = 'c*'\nlow = -6.0\nhigh = 6.0\n"
    recipe.write_text(f"precision = 'mixed'\n{rules}")
    result = edge_rnn("convert", digits_run.path, "--recipe", recipe, "--out", out)
    assert result.returncode == 2  # the cell state of mixed is float32
    assert "matches no tensor" in result.stderr
    recipe.write_text(f"precision = 'int8'\n{rules}")
    printed = succeed(edge_rnn("convert", digits_run.path, "--recipe", recipe, "--out", out))
    _, metadata = read_model(out)
    assert metadata.precision == "int8"
    assert any("recipe r.toml (SHA-256" in note and "c* in -6 to 6" in note for note in metadata.notes)
    assert "recipe r.toml" in printed
