"""Options that contradict each other are refused by the call itself, before any file is opened.

The model does not exist in any of these cases, so a message about the options comes early.
"""

from __future__ import annotations

import sys

import numpy as np
import pytest
from click.testing import CliRunner

from convert import convert_auto, convert_each, convert_model, convert_run
from edge_runtime.cli import main
from edge_runtime.errors import DataError, InputError
from train.finetuning.finetune import _recorded_graph

RECIPES = {
    "int8.toml": "precision = 'int8'\n",
    "range.toml": "[[range]]\ntensors = 'c*'\nlow = -4\nhigh = 4\n",
    "weights.toml": "[[weights]]\ntensors = 'd*'\nprecision = 'int4'\n",
}
FILES = [*RECIPES, "file", "folder"]

CONVERT = {
    "explain, step": ("--explain e --graph step", "--explain: compares the steps of a window."),
    "explain, float32": ("--explain e --precision float32", "--explain: float32 loses nothing"),
    "explain, file": ("--explain file", "file: is a file. --explain names a folder."),
    "auto, explain": ("--precision auto --explain file", "file: is a file. --explain names a folder."),
    "recipe, precision": ("--recipe int8.toml --precision mixed", "--precision: mixed contradicts int8"),
    "recipe, all": ("--recipe int8.toml --precision all", "--precision: all contradicts int8.toml"),
    "recipe, auto": ("--recipe int8.toml --precision auto", "--precision: auto contradicts int8.toml"),
    "range, float32": (
        "--recipe range.toml --precision float32",
        "range.toml: [[range]] goes with int8",
    ),
    "range, all": ("--recipe range.toml --precision all", "range.toml: [[range]] goes with int8"),
    "weights, int8": ("--recipe weights.toml", "weights.toml: [[weights]] goes with float activations"),
    "weights, target": (
        "--recipe weights.toml --precision dynamic --target tflite-runtime-2.14",
        "target tflite-runtime-2.14 does not run correctly",
    ),
    "precision, target": ("--precision int4", "--precision: target any has no int4. Choose float32"),
    "all, file": ("--precision all --out file", "file: is the name of a file. With --precision all,"),
    "all, .tflite": ("--precision all --out m.tflite", "m.tflite: is the name of a file."),
    "one, folder": ("--out folder", "folder: is a folder. --out names the file to write."),
    "auto, folder": ("--precision auto --out folder", "folder: is a folder. --out names the file"),
    "out, model": ("--out absent", "absent: is read by this conversion. Choose another --out."),
    "out, run": ("--out absent/model.keras", "model.keras: is read by this conversion."),
    "out, recipe": ("--recipe int8.toml --out int8.toml", "int8.toml: is read by this conversion."),
    "out, data": ("--onnx --data file --out file", "file: is read by this conversion."),
    "two kinds": ("--onnx --torch --data file", "--onnx: contradicts --torch. Leave one of them out."),
    "onnx output, run": ("--onnx-output o", "--onnx-output: is for a model read with --onnx only."),
    "onnx output, torch": ("--torch --onnx-output o --data file", "--onnx-output: is for a model read"),
    "torch last, run": ("--torch-last h_n", "--torch-last: is for a model read with --torch only."),
    "torch last, onnx": ("--onnx --torch-last h_n --data file", "--torch-last: is for a model read"),
    "labels, run": ("--labels a,b", "--labels: goes with --data. Leave it out for a run directory."),
    "labels": ("--onnx --data file --labels a,b,a", "--labels: "),
    "kind, no data": ("--onnx", "absent: --data is missing."),
    "agreement": ("--min-agreement 2", "--min-agreement: expected 0 to 1, found 2.0."),
    "difference": ("--max-logit-difference -1", "--max-logit-difference: expected at least 0"),
    "write-graph, run": (
        "--write-graph absent/windows.npz",
        "windows.npz: is read by this conversion. Choose another --write-graph.",
    ),
    "write-graph, folder": ("--write-graph folder", "folder: is a folder. --write-graph names the file"),
    "write-graph, precision": ("--write-graph g --precision float32", "float32 cannot be fine-tuned."),
    **{
        f"write-graph, {option.split()[0]}": (
            f"--write-graph g {option}",
            f"{option.split()[0]}: has no meaning with --write-graph. Leave one of them out.",
        )
        for option in (
            "--data file",
            "--labels a,b",
            "--onnx",
            "--onnx-output o",
            "--torch",
            "--torch-last h_n",
            "--tf1-basic-lstm",
            "--graph step",
            "--out o",
            "--calibration-samples 100",
            "--calibration-seed 1",
            "--parity-windows 2000",
            "--min-agreement 0.9",
            "--max-logit-difference 1",
            "--prove",
            "--require-engine",
            "--recipe int8.toml",
            "--explain e",
            "--strip",
        )
    },
}
"""What contradicts -> the options, and a part of the message."""

TRAIN = {
    "precision": ("--precision int8", "--precision: goes with --finetune only."),
    "target": ("--target any", "--target: goes with --finetune only."),
    "data folder": ("--data digits --data-dir folder", "--data-dir: names the folder of mnist's files."),
    "finetune, precision": (
        "--finetune absent --precision float16",
        "--precision: cannot be 'float16'.",
    ),
    **{
        f"finetune, {option.split()[0]}": (
            f"--finetune absent {option}",
            f"{option.split()[0]}: has no meaning with --finetune. Leave one of them out.",
        )
        for option in (
            "--data digits",
            "--data-dir folder",
            "--preset demo",
            "--units 8",
            "--shift 1",
            "--validation-fraction 0.1",
        )
    },
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, with the files that the options name."""
    for name, text in RECIPES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(folder, command: list[str]) -> str:
    """The message with which the command refuses, in this process, which has no TensorFlow."""
    before = set(sys.modules)  # other tests of this process may have loaded onnx
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    assert not {"tensorflow", "onnx", "torch"} & (set(sys.modules) - before)
    return line.removeprefix("Error: ")


@pytest.mark.parametrize("case", CONVERT)
def test_convert_refuses_contradictions_before_it_opens_the_model(folder, case):
    options, sentence = CONVERT[case]
    assert sentence in refused(folder, ["convert", "absent", *options.split()])


@pytest.mark.parametrize("case", TRAIN)
def test_train_refuses_contradictions_before_it_opens_anything(folder, case):
    options, sentence = TRAIN[case]
    assert sentence in refused(folder, ["train", "--out", "r", *options.split()])


CALLS = {
    "convert_run": lambda **options: convert_run("absent", "m.tflite", **options),
    "convert_model": lambda **options: convert_model("absent.keras", {}, "m.tflite", **options),
    "convert_each": lambda **options: convert_each("absent", {"int8": "m.tflite"}, **options),
    "convert_auto": lambda **options: convert_auto("absent", **options),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_misspelt_option_is_a_type_error_that_names_it(name):
    with pytest.raises(TypeError, match=rf"{name}\(\).*'calibration_sample'"):
        CALLS[name](calibration_sample=5)


@pytest.mark.parametrize("name", CALLS)
def test_the_call_itself_refuses_contradictions(name):
    with pytest.raises(InputError, match="^--explain: compares the steps of a window"):
        CALLS[name](explain="e", graph="step")
    with pytest.raises(InputError, match="^--target: unknown target 'coral'"):
        CALLS[name](target="coral")


def test_fine_tuning_passes_on_what_the_converter_refuses(tmp_path):
    graph = tmp_path / "graph.npz"
    with pytest.raises(InputError, match=r"^--target: cannot be 'coral'\. Choose any, "):
        _recorded_graph(tmp_path, graph, "int8", "coral")
    with pytest.raises(DataError, match=r"^[^:]+: not a run directory\. Expected run\.json"):
        _recorded_graph(tmp_path, graph, "int8", "any")


def test_a_model_without_a_file_name_needs_out():
    with pytest.raises(InputError, match="^out: is missing"):
        convert_auto(object(), data={})


def test_a_file_is_written_for_one_precision_only():
    with pytest.raises(InputError, match="two precisions have the same file"):
        convert_each("absent", {"int8": "m.tflite", "mixed": "./m.tflite"})
    with pytest.raises(InputError, match="unknown precision 'int7'"):
        convert_each("absent", {"int8": "m.tflite", "int7": "n.tflite"})


def test_options_of_other_kinds_are_refused_by_the_files_name():
    data = {"x": np.zeros((4, 3, 2), np.float32)}
    with pytest.raises(InputError, match="^--torch-last: is for a model read with --torch only"):
        convert_model("absent.onnx", data, "m.tflite", torch_last="h_n")
    with pytest.raises(InputError, match="^--forget-bias: is for a model read with --tf1-basic-lstm"):
        convert_model("absent.keras", data, "m.tflite", forget_bias=0.5)
    with pytest.raises(InputError, match="^--tflite: unknown kind of model"):
        convert_model("absent.keras", data, "m.tflite", kind="tflite")
