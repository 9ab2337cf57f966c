"""--precision auto and --recipe through the real command."""

from __future__ import annotations

import re

import numpy as np

from convert.auto_precision import judge_and_proof
from convert.source_model.source_model import Source
from edge_runtime.model_file.metadata import read_model
from edge_runtime.model_file.normalization import Normalization
from edge_runtime.runs.run_directory import LabelledWindows
from tests.support import commands
from tests.support.command_server import edge_rnn
from tests.support.commands import OFFERED, succeed
from tests.support.networks import random_network

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
    source = Source(
        random_network(), (), NOT_NORMALIZED, None, LabelledWindows(windows, windows), "", logits, {}, {}
    )
    judge, proof = judge_and_proof(source)
    assert sorted([*judge.held_out.x, *proof.held_out.x]) == list(windows)
    np.testing.assert_array_equal(judge.logits.argmax(axis=1), judge.held_out.x)
    np.testing.assert_array_equal(proof.logits.argmax(axis=1), proof.held_out.x)


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
    assert any(
        "recipe r.toml (SHA-256" in choice and "c* in -6 to 6" in choice for choice in metadata.choices
    )
    assert "recipe r.toml" in printed
