"""What the command line loads, lists and refuses. Every command runs in a real subprocess."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import convert
import edge_runtime
import train
from edge_runtime import Classifier
from tests.support.commands import ROOT, edge_rnn, loaded_by, succeed
from tests.support.model_files import relabelled, write_model
from train.hyperparameters import PRESETS, preset

NEEDED_BY_ENGINES = {
    "flatbuffers",
    "google",
    "tqdm",
    "backports",
    "typing_extensions",
    "litert_lm_builder",
}
"""The packages that ai-edge-litert depends on."""

PREDICT_PATH = {
    "cli",
    "commands",
    "commands.answer_inputs",
    "commands.predict",
    "commands.shared_options",
    "engines",
    "engines.engine",
    "errors",
    "host",
    "host.lazy_names",
    "host.quiet",
    "inference",
    "inference.answer",
    "inference.native_runner",
    "inference.prediction",
    "inference.predictor",
    "inference.raw_windows",
    "inference.runner",
    "inference.tensors",
    "inputs",
    "inputs.numpy_files",
    "inputs.read_windows",
    "inputs.text",
    "model_file",
    "model_file.json_fields",
    "model_file.metadata",
    "model_file.normalization",
    "model_file.read_file",
    "model_file.sha256",
    "model_file.zip_reader",
    "native",
    "native.calls",
    "native.interpreter",
    "native.job",
    "native.library",
    "native.loops",
    "native.matmul_calls",
    "native.packing",
    "native.plan_format",
    "native.planner",
    "native.program",
    "native.storage",
    "numpy_engine",
    "numpy_engine.check_graph",
    "numpy_engine.fixed_point",
    "numpy_engine.multipliers",
    "numpy_engine.read_graph",
    "tflite",
    "tflite.flatbuffer_reader",
    "tflite.graph",
    "tflite.quantization",
}
"""Our modules that run from the command line to a prediction."""

NAMES = {
    "bench",
    "convert",
    "data",
    "doctor",
    "evaluate",
    "inspect",
    "predict",
    "stream",
    "train",
    "verify",
}
"""The names of all commands."""

ALLOWED_IN_HELP = {*sys.stdlib_module_names, "click", "edge_runtime", "train", "convert"}


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "model.tflite")


def test_help_lists_everything_and_loads_nothing_heavy():
    assert set(succeed(edge_rnn("--help")).split()) >= NAMES
    run = "from click.testing import CliRunner; from edge_runtime.cli import main"
    loaded = loaded_by(f"{run}\nassert not CliRunner().invoke(main, ['--help']).exit_code")
    assert loaded <= ALLOWED_IN_HELP
    for name in sorted(NAMES):
        succeed(edge_rnn(name, "--help"))
        code = f"{run}\nassert not CliRunner().invoke(main, ['{name}', '--help']).exit_code"
        assert loaded_by(code) <= ALLOWED_IN_HELP


@pytest.mark.parametrize("package", ["edge_runtime", "train", "convert"])
def test_importing_a_package_loads_nothing_heavy(package):
    assert loaded_by(f"import {package}") <= ALLOWED_IN_HELP


@pytest.mark.parametrize("package", [edge_runtime, train, convert])
def test_public_names_are_sorted_and_exist(package):
    names = package.__all__
    assert names == sorted(names, key=lambda name: (not name.isupper(), name))
    for name in names:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError):
        package.no_such_name  # noqa: B018


def test_predicting_loads_neither_of_the_other_packages(model):
    code = f"from edge_runtime import Classifier\nClassifier({str(model)!r}).predict([[1.0, 2, 3]] * 5)"
    assert not {"train", "convert", "tensorflow", "click", "PIL"} & loaded_by(code)


def test_predict_prints_text_and_json(model, tmp_path):
    windows = np.random.default_rng(0).normal(20, 5, (2, 5, 3))
    np.save(tmp_path / "w.npy", windows)
    text = succeed(edge_rnn("predict", model, tmp_path / "w.npy", "--top", 2)).splitlines()
    assert len(text) == 2
    assert text[1].startswith(f"{tmp_path}/w.npy[1]: ")
    assert text[1].count("%") == 2
    lines = succeed(edge_rnn("predict", model, tmp_path / "w.npy", "--json", "--index", 1))
    (answer,) = map(json.loads, lines.splitlines())
    expected = Classifier(model).predict(windows[1])
    assert answer["label"] == expected.label
    assert answer["index"] == 1
    np.testing.assert_allclose(answer["logits"], expected.logits, atol=1e-5)


def test_standard_input_is_answered_line_by_line_while_it_is_open(model):
    """Each answer must arrive before the next line is sent, or a live sensor would never see one."""
    command = [sys.executable, "-m", "edge_runtime", "predict", str(model), "-"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        answers = []
        good = "20 20 20 " * 5
        for line in (good, "not a window", "1e39 -1e39 1e39 " * 5, str([[20, 20, 20]] * 5)):
            process.stdin.write(line + "\n")
            process.stdin.flush()
            answers.append(json.loads(process.stdout.readline()))
        process.stdin.close()
        assert process.wait(timeout=60) == 2  # one line was bad
    assert answers[0]["label"] == answers[3]["label"]
    assert [answer["line"] for answer in answers] == [1, 2, 3, 4]
    assert "too large" in answers[2]["error"]
    assert "not a window of numbers" in answers[1]["error"]


def test_bytes_that_are_not_text_are_a_bad_line(model):
    command = [sys.executable, "-m", "edge_runtime", "predict", str(model), "-"]
    lines = b"\xff\xfe\x00\n" + b"20 20 20 " * 5
    result = subprocess.run(command, input=lines, capture_output=True, check=False)
    first, second = map(json.loads, result.stdout.splitlines())
    assert "not a window of numbers" in first["error"]
    assert "label" in second
    assert b"Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "absent.tflite", "-"], "absent.tflite: cannot read the model file"),
        (["predict", "MODEL", "absent.npy"], "absent.npy: no such file"),
        (["predict", "MODEL", "absent.png"], "a picture, but the model was trained on numbers"),
        (["predict", "MODEL", "-", "--engine", "coral"], "unknown engine 'coral'"),
        (["predict", "MODEL", "-", "--top", "0"], "--top: expected at least 1, found 0."),
        (["convert", "no-run"], "no-run: not a run directory. Expected run.json"),
        (
            ["convert", "no-run", "--precision", "int7"],
            "--precision: cannot be 'int7'. Choose float32, float16, dynamic",
        ),
        (
            ["convert", "no-run", "--target", "coral"],
            "--target: cannot be 'coral'. Choose any, native, tflite-runtime-2.14",
        ),
        (
            ["convert", "no-run", "--min-agreement", "99"],
            "--min-agreement: expected 0 to 1, found 99.0.",
        ),
        (
            ["convert", "no-run", "--calibration-samples", "0"],
            "--calibration-samples: expected at least 1, found 0.",
        ),
        (
            ["convert", "no-run", "--calibration-seed", "-1"],
            "--calibration-seed: expected at least 0, found -1.",
        ),
        (
            ["convert", "no-run", "--parity-windows", "3"],
            "--parity-windows: expected at least 1000, found 3.",
        ),
        (
            ["convert", "no-run", "--max-logit-difference", "nan"],
            "--max-logit-difference: expected at least 0, found nan.",
        ),
        (
            ["train", "--out", "r", "--learning-rate", "inf"],
            "--learning-rate: expected a number above 0, found inf.",
        ),
        (
            ["train", "--out", "r", "--data", "digits", "--validation-fraction", "0.9999"],
            "leaves no training window",
        ),
        (["predict", "MODEL", "-", "--invert"], "--invert"),
        (["predict", "MODEL", "-", "--index", "1"], "--index"),
        (["evaluate", "no-run"], "no-run: not a run directory"),
        (["train", "--out", "r", "--data", "cifar"], "cifar: not a data set"),
        (["train", "--out", "r", "--preset", "best"], "--preset: cannot be 'best'. Choose default"),
        (["train", "--out", "r", "--units", "0"], "--units: expected at least 1, found 0."),
        (
            ["train", "--out", "r", "--learning-rate", "0"],
            "--learning-rate: expected a number above 0, found 0.0.",
        ),
        (
            ["train", "--out", "r", "--data", "mnist", "--data-dir", "."],
            "MNIST's four files are not there",
        ),
        (["train", "--out", ".", "--data", "digits"], "exists and is not a run directory."),
        (["train", "--out", "something/run", "--data", "digits"], "something"),
        (["convert", "no-run", "--out", "."], ".: is a folder. --out names the file to write."),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(model, tmp_path, arguments, message):
    (tmp_path / "something").touch()
    arguments = [str(model) if argument == "MODEL" else argument for argument in arguments]
    result = edge_rnn(*arguments, cwd=tmp_path, input="")
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert message in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.tflite", "something"]


def test_presets_can_be_changed_field_by_field():
    changed = preset("seed", iterations=7, units=None)
    assert changed.iterations == 7
    assert changed.batch_size == PRESETS["seed"].batch_size == 100
    assert PRESETS["seed"].iterations == 1000


def test_import_contracts_hold():
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_predict_loads_only_what_it_needs(model, tmp_path):
    """Only the standard library, numpy, click, one engine, and those of our modules are loaded."""
    np.save(tmp_path / "w.npy", np.full((5, 3), 20.0))
    arguments = ["predict", str(model), str(tmp_path / "w.npy")]
    program = (
        "import sys\nbefore = {*sys.modules}\nfrom edge_runtime.cli import main\n"
        f"main({arguments!r}, standalone_mode=False)\n"
        "print('\\n'.join({*sys.modules} - before), file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    modules = set(result.stderr.split())
    packages = {name.split(".")[0] for name in modules} - set(sys.stdlib_module_names)
    packages = {name for name in packages if "cython" not in name}  # of numpy.random
    assert packages == {"numpy", "click", "edge_runtime"}
    ours = {name for name in modules if name.startswith("edge_runtime.")}
    assert ours == {f"edge_runtime.{name}" for name in PREDICT_PATH}
    assert not {"concurrent.futures", "multiprocessing", "tempfile", "zipfile"} & modules


def test_jobs_share_out_a_file_and_answer_in_order(model, tmp_path):
    windows = np.random.default_rng(0).normal(20, 5, (700, 5, 3))
    np.save(tmp_path / "w.npy", windows)
    alone = succeed(edge_rnn("predict", model, tmp_path / "w.npy", "--json"))
    assert succeed(edge_rnn("predict", model, tmp_path / "w.npy", "--json", "--jobs", 3)) == alone
    assert len(alone.splitlines()) == 700


def test_the_numpy_engine_says_that_it_is_slow(model, tmp_path):
    np.save(tmp_path / "w.npy", np.full((5, 3), 20.0))
    result = edge_rnn("predict", model, tmp_path / "w.npy", "--engine", "numpy")
    assert succeed(result) == succeed(edge_rnn("predict", model, tmp_path / "w.npy"))
    assert "times slower" in result.stderr


def test_labels_that_a_terminal_would_obey_are_printed_as_text(tmp_path):
    labels = ("idle", "\x1b[31mwalk", "run\r", "fall")
    model = relabelled(write_model(tmp_path / "m.tflite"), labels)
    np.save(tmp_path / "w.npy", np.zeros((5, 3)))
    text = succeed(edge_rnn("predict", model, tmp_path / "w.npy", "--top", 4))
    assert "\\x1b[31mwalk" in text
    assert text.strip().isprintable()
    record = json.loads(succeed(edge_rnn("predict", model, tmp_path / "w.npy", "--top", 4, "--json")))
    assert {item["label"] for item in record["top"]} == set(labels)


def test_names_that_standard_output_cannot_express_are_escaped(model, tmp_path):
    for name, escaped in (("w\u03a9.npy", "w\\u03a9.npy"), ("a\nb.npy", "a\\nb.npy")):
        np.save(tmp_path / name, np.full((5, 3), 20.0))
        environment = {**os.environ, "PYTHONIOENCODING": "latin-1:strict"}
        printed = succeed(edge_rnn("predict", model, name, cwd=tmp_path, env=environment))
        assert printed.startswith(f"{escaped}: ")
        assert printed.count("\n") == 1


def test_standard_input_that_is_closed(model):
    command = f"exec {sys.executable} -m edge_runtime predict {model} - <&-"
    result = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.endswith("Error: standard input is closed\n")
