"""Every example as a reader runs it: in a process of its own, from an empty folder."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.support.command_server import edge_rnn

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
MODEL = "npz-sensor/activity-int8.tflite"
STEPS, STRETCH, LABELS = 32, 100, ("still", "walking", "running", "cycling")


def started(example: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / example), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)


def run(example: str, *arguments: str, folder: Path) -> str:
    result = started(example, *arguments, folder=folder)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def agreements(printed: str) -> list[float]:
    """Percent, of each engine in the proof's table."""
    rows = re.findall(r"^  (?:ai-edge-litert|tflite-runtime) .*$", printed, re.MULTILINE)
    assert rows, printed
    return [float(row.split("%")[1]) for row in rows]


@pytest.fixture(scope="module")
def sensor(tmp_path_factory) -> tuple[Path, str]:
    """The folder in which npz_sensor.py ran, and what it printed."""
    folder = tmp_path_factory.mktemp("sensor")
    return folder, run("npz_sensor.py", folder=folder)


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> Path:
    """The folder in which generate.py made short recordings."""
    folder = tmp_path_factory.mktemp("people")
    printed = run("human_activity/generate.py", "--seconds", "8", folder=folder)
    assert "48 recordings of 8 subjects" in printed
    return folder


def test_sensor_windows_are_trained_converted_and_predicted(sensor):
    _, printed = sensor
    assert "5,000 windows of 32 steps with 3 features" in printed
    (accuracy,) = re.findall(r"test accuracy (\S+) % \(1,000 windows\)", printed)
    assert float(accuracy) > 98
    assert min(agreements(printed)) >= 99.5
    predicted = re.findall(r"new\.npy\[\d\]: (\w+)", printed)
    assert predicted == ["walking", "still", "running"]


def test_keras_model_is_converted_and_predicts_in_a_second_process(tmp_path):
    printed = run("keras_model.py", folder=tmp_path)
    assert "parity of mixed with the full model on 1,500 windows" in printed
    assert min(agreements(printed)) >= 99.5
    assert (tmp_path / "keras-model" / "activity.keras").is_file()
    actual, predicted = re.findall(r"window\.npy: (\w+)", printed)
    assert predicted == actual


@pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed")
def test_pytorch_model_is_exported_converted_and_predicted(tmp_path):
    printed = run("onnx_from_pytorch.py", "--out", "elsewhere", folder=tmp_path)
    (accuracy,) = re.findall(r"PyTorch: (\S+)% of 1,500 test windows are right", printed)
    assert float(accuracy) > 98
    assert min(agreements(printed)) >= 99.5
    (actual, pytorch), (predicted, _) = re.findall(r"window\.npy: (\w+).* (\S+)$", printed, re.MULTILINE)
    assert predicted == pytorch == actual
    assert [path.name for path in tmp_path.iterdir()] == ["elsewhere"]


def test_fake_sensor_prints_as_many_rows_as_asked_for(tmp_path):
    arguments = ("--rate", "0", "--rows", "250", "--seed", "7")
    printed = run("fake_sensor.py", *arguments, folder=tmp_path)
    rows = [[float(value) for value in line.split(" ")] for line in printed.splitlines()]
    assert len(rows) == 250
    assert {len(row) for row in rows} == {3}
    assert run("fake_sensor.py", *arguments, folder=tmp_path) == printed
    assert run("fake_sensor.py", *arguments[:-1], "8", folder=tmp_path) != printed


def test_fake_sensor_ends_quietly_when_its_reader_goes_away(tmp_path):
    command = [sys.executable, str(EXAMPLES / "fake_sensor.py"), "--rate", "0", "--rows", "0"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as sensor:
        assert len([sensor.stdout.readline() for _ in range(3)]) == 3
        sensor.stdout.close()
        assert sensor.stderr.read() == ""
        assert sensor.wait(60) == 0


def test_fake_sensor_refuses_a_negative_number(tmp_path):
    result = started("fake_sensor.py", "--rows", "-1", folder=tmp_path)
    assert result.returncode == 2
    assert "--rows" in result.stderr


def test_fake_sensor_feeds_the_stream_command(sensor):
    folder, _ = sensor
    source = [sys.executable, str(EXAMPLES / "fake_sensor.py"), "--rate", "0"]
    command = [sys.executable, "-m", "edge_runtime", "stream", MODEL, "--hop", "25"]
    with subprocess.Popen(source, cwd=folder, stdout=subprocess.PIPE) as rows:
        answer = subprocess.run(
            command, cwd=folder, stdin=rows.stdout, capture_output=True, text=True, timeout=120
        )
    assert answer.returncode == 0, answer.stderr
    answers = [json.loads(line) for line in answer.stdout.splitlines()]
    assert [item["row"] for item in answers] == list(range(STEPS, 401, 25))
    within = [item for item in answers if (item["row"] - 1) % STRETCH >= STEPS - 1]
    assert len(within) >= 10
    for item in within:
        assert item["label"] == LABELS[(item["row"] - 1) // STRETCH % len(LABELS)], item


def test_streaming_is_right_within_an_activity(sensor):
    folder, _ = sensor
    printed = run("streaming.py", folder=folder).splitlines()
    assert [int(line[4:7]) for line in printed[:-1]] == list(range(STEPS, 801, 8))
    right, judged = re.findall(r"\d+", printed[-1])
    assert int(judged) == sum("the change" not in line for line in printed[:-1]) > 60
    assert int(right) >= 0.95 * int(judged)


def test_streaming_says_what_makes_the_model_it_misses(tmp_path):
    result = started("streaming.py", folder=tmp_path)
    assert result.returncode == 2
    assert MODEL in result.stderr
    assert "npz_sensor.py" in result.stderr
    assert "Traceback" not in result.stderr


ACTIVITY = ROOT / "docs" / "tutorials" / "activity.md"


def test_human_activity_compares_both_splits(people):
    reduced = ("--folds", "2", "--iterations", "30")
    printed = run("human_activity/compare_splits.py", *reduced, folder=people)
    assert "240 windows of 128 rows, a new one every 64 rows" in printed
    folds = re.findall(
        r"^(random|by-subject), fold (\d): (\S+) % of 120 windows$", printed, re.MULTILINE
    )
    assert [name for name, _, _ in folds] == ["random", "random", "by-subject", "by-subject"]
    means = dict(re.findall(r"^(random|by subject): (\S+) % on average", printed, re.MULTILINE))
    assert float(means["random"]) > float(means["by subject"])
    assert (people / "human-activity" / "splits.png").stat().st_size > 5_000


def test_commands_of_the_activity_tutorial(people):
    """With less training, and without the proof of a model that has learned little."""
    reduced = {"train": ("--iterations", "20", "--units", "8"), "convert": ("--precision", "float32")}
    printed = {}
    for line in re.findall(r"^    edge-rnn (.*)$", ACTIVITY.read_text("utf-8"), re.MULTILINE):
        name, *arguments = shlex.split(line)
        result = edge_rnn(name, *arguments, *reduced.get(name, ()), cwd=people)
        assert result.returncode == 0, result.stdout + result.stderr
        printed[name] = result.stdout
    assert list(printed) == ["data", "train", "evaluate", "convert"]
    assert "recordings: 48 recordings of 8 groups, 6 classes, 9 features" in printed["data"]
    assert "groups, worst first" in printed["evaluate"]
    (pipe,) = re.findall(r"^    (tail .*)$", ACTIVITY.read_text("utf-8"), re.MULTILINE)
    folders = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    result = subprocess.run(
        ["sh", "-c", pipe],
        cwd=people,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PATH": folders},
    )
    assert result.returncode == 0, result.stderr
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert [item["row"] for item in answers] == list(range(128, 601, 50))
    assert {item["label"] for item in answers} <= set(printed["data"].split())


TOO_STRICT = """
from edge_rnn_pytest import assert_parity


def test_too_much_is_asked_for(edge_rnn_evidence):
    assert_parity(edge_rnn_evidence, min_agreement=1.0)
"""


def test_project_holds_its_model_to_limits(tmp_path):
    project = shutil.copytree(EXAMPLES / "parity-ci", tmp_path / "project")
    (project / "tests" / "test_strict.py").write_text(TOO_STRICT)
    # It is a project of its own, whose pytest knows nothing of ours.
    environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    files = ("--edge-rnn-report", "report.html", "--edge-rnn-json", "baseline.json")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *files]
    result = subprocess.run(
        command, cwd=project, capture_output=True, text=True, timeout=600, env=environment
    )
    assert result.returncode == 1, result.stdout + result.stderr
    assert "5 passed" in result.stdout
    assert "1 failed" in result.stdout
    assert re.search(r"native \S+: agreement is 0\.99\d+, at least 1 wanted", result.stdout)
    assert re.search(r"windows with another class: \d+ \(\w+ -> \w+, truly \w+\)", result.stdout)
    assert "activity-int8.tflite" in (project / "report.html").read_text("utf-8")
    before = json.loads((EXAMPLES / "parity-ci" / "baseline.json").read_text("utf-8"))
    after = json.loads((project / "baseline.json").read_text("utf-8"))
    assert after["reference"]["windows_sha256"] == before["reference"]["windows_sha256"]
    (baseline,) = (model["baseline"] for model in after["models"])
    assert baseline["incomparable"] is None


def notebook() -> nbformat.NotebookNode:
    return nbformat.read(EXAMPLES / "first_model.ipynb", as_version=4)


def printed_by(cells: list[nbformat.NotebookNode]) -> str:
    """What the code cells print to standard output."""
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return "".join(output.text for output in outputs if output.get("name") == "stdout")


def pictures(cells: list[nbformat.NotebookNode]) -> int:
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return sum("image/png" in output.get("data", {}) for output in outputs)


def test_notebook_runs_from_top_to_bottom(tmp_path, monkeypatch):
    monkeypatch.delenv("EDGE_RNN_DATA", raising=False)
    fresh = notebook()
    place = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(fresh, timeout=600, kernel_name="python3", resources=place).execute()
    printed = printed_by(fresh.cells)
    assert "data: digits, preset: demo" in printed
    (accuracy,) = re.findall(r"test accuracy: (\S+) % of 1,000 windows", printed)
    assert float(accuracy) > 90
    assert min(agreements(printed)) >= 99.5
    (expected,) = re.findall(r"expected (\d), predicted", printed)
    assert f"predicted: {expected}, probability" in printed
    assert pictures(fresh.cells) == 3


def test_notebook_has_small_outputs_of_its_source():
    check = [sys.executable, "-m", "scripts.write_notebook", "--check"]
    result = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert (EXAMPLES / "first_model.ipynb").stat().st_size < 300_000
    cells = notebook().cells
    assert pictures(cells) == 3
    assert "passed" in printed_by(cells)
    assert not re.search(r"/(home|root|tmp|Users)/", printed_by(cells))


def test_readme_lists_every_example():
    files = {path.name for pattern in ("*.py", "*.ipynb", "*.md") for path in EXAMPLES.glob(pattern)}
    projects = {path.parent.name for path in EXAMPLES.glob("*/README.md")}
    readme = (EXAMPLES / "README.md").read_text("utf-8")
    listed = set(re.findall(r"\]\((\w+\.\w+|[\w-]+(?=/README\.md))", readme))
    assert listed == (files | projects) - {"README.md"}
