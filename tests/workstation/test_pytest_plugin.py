"""The pytest plugin: its limits on a measured record, and that it leaves other test runs alone.

tests/examples/test_examples.py runs the project examples/parity-ci, which measures with it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edge_rnn_pytest import assert_parity
from tests.support.commands import loaded_by
from tests.support.parity_records import forecast, measured, nothing_ran, several, unlabelled


def refused(evidence, **limits) -> str:
    with pytest.raises(AssertionError) as raised:
        assert_parity(evidence, **limits)
    return str(raised.value)


def smallest_agreement(evidence) -> float:
    return min(result.agreement.share for result in evidence.models[0].results)


def test_limits_that_are_just_kept_pass():
    evidence = measured()
    (model,) = evidence.models
    loss = max(evidence.reference.accuracy.share - item.accuracy.share for item in model.results)
    assert_parity(
        evidence,
        min_agreement=smallest_agreement(evidence),
        max_accuracy_loss=loss,
        max_logit_difference=max(item.logit_errors.max for item in model.results),
        min_group_agreement=min(
            group.agreement.share for item in model.results for group in item.groups
        ),
        max_broken=max(len(item.broken) for item in model.baseline.differences),
    )


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        ({"min_agreement": 0.999}, "native avx2: agreement is 0.993333, at least 0.999 wanted"),
        (
            {"max_accuracy_loss": 0.001},
            "native avx2: loss of accuracy is 0.00666667, at most 0.001 wanted",
        ),
        ({"max_logit_difference": 0.55}, "ai-edge-litert: largest logit error is 0.58"),
        ({"min_group_agreement": 0.99}, "(50 windows) is 0.98, at least 0.99 wanted"),
        ({"max_broken": 1}, "2 windows were right in baseline.json and are wrong now, at most 1 wanted"),
        ({"max_normalized_error": 0.1}, "normalized error is not in the record, at most 0.1 wanted"),
        ({"strict": True}, "digits.tflite is not refuted: native"),
    ],
)
def test_a_broken_limit_is_named_with_engine_and_figure(limits, sentence):
    assert sentence in refused(measured(), **limits)


def test_windows_with_another_class_are_named_once_for_equal_engines():
    message = refused(measured(), min_agreement=1.0)
    assert message.count("windows with another class: ") == len(measured().models[0].results)
    assert "--edge-rnn-report" in message


def test_the_files_own_budget_holds_where_no_other_is_given():
    message = refused(several())
    assert "refuted.tflite is refuted: Agreement 50 %." in message
    assert "refused.tflite is refuted" in message
    assert_parity(replace(several(), models=several().models[:2]), min_agreement=0.9)
    assert "is not run" in refused(nothing_ran(), min_agreement=0.1)


def test_limits_on_what_is_unknown_are_broken():
    assert "agreement by group is not in the record" in refused(unlabelled(), min_group_agreement=0.5)
    assert "loss of accuracy is not in the record" in refused(unlabelled(), max_accuracy_loss=0.5)
    assert "There is no --edge-rnn-baseline." in refused(unlabelled(), max_broken=5)


def test_numbers_have_a_limit_of_their_own():
    assert_parity(forecast(), max_normalized_error=0.0056)
    assert "normalized error is 0.0056" in refused(forecast(), max_normalized_error=0.005)


def pytest_in(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=300, env=environment
    )


USES_NOTHING = """
import sys

import convert


def test_convert_is_the_module_of_this_project():
    assert convert.MINE
    assert not {"numpy", "click", "edge_runtime"} & {*sys.modules}
"""


def test_a_project_that_does_not_use_it_keeps_its_own_modules(tmp_path):
    (tmp_path / "convert.py").write_text("MINE = True\n")
    (tmp_path / "test_own.py").write_text(USES_NOTHING)
    result = pytest_in(
        tmp_path, "-p", "edge_rnn_pytest.plugin", "--edge-rnn-model", "named-twice.tflite"
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "edge-rnn: named-twice.tflite against None" in result.stdout


def test_pytest_loads_nothing_of_ours_with_it():
    loaded = loaded_by("import edge_rnn_pytest.plugin")
    assert not {"convert", "edge_runtime", "train", "numpy", "click", "tensorflow"} & loaded


MISSING_FILES = ["--edge-rnn-model", "m.tflite", "--edge-rnn-reference", "nowhere"]
USES_IT = """
from edge_rnn_pytest import assert_parity


def test_model(edge_rnn_evidence):
    assert_parity(edge_rnn_evidence)
"""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "--edge-rnn-model: is missing. Give the file on pytest's command line."),
        (MISSING_FILES, "m.tflite: "),
        ([*MISSING_FILES, "--edge-rnn-options", "--task poetry"], "'poetry'"),
    ],
)
def test_a_test_that_cannot_measure_fails_with_a_sentence(tmp_path, arguments, sentence):
    (tmp_path / "test_model.py").write_text(USES_IT)
    result = pytest_in(tmp_path, *arguments)
    assert result.returncode == 1, result.stdout + result.stderr
    assert sentence in result.stdout
    assert "Traceback" not in result.stdout
