"""The wheel without extras in fresh environments, as on a device."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.device.environments import VERSIONS
from tests.support.commands import succeed


@pytest.fixture(scope="module", params=VERSIONS)
def device(request, environments) -> Path:
    """The programs of a fresh environment with the wheel and its base dependencies."""
    return environments.programs(request.param)


def on_device(device: Path, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [device / "edge-rnn", *map(str, arguments)]
    environment = {"PATH": str(device), "HOME": str(cwd)}
    return subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=300, check=False
    )


def test_only_what_a_device_needs_is_installed(device):
    listed = subprocess.run(
        [device / "pip", "list", "--format", "json"], capture_output=True, check=True
    )
    names = {package["name"].lower().replace("_", "-") for package in json.loads(listed.stdout)}
    assert {"edge-rnn", "numpy", "click"} <= names
    assert not names & {
        "ai-edge-litert",
        "tensorflow",
        "keras",
        "pillow",
        "matplotlib",
        "scikit-learn",
        "h5py",
    }


def test_every_precision_predicts_real_digits(device, digits_run, digits_models, tmp_path):
    test = digits_run.run.test_windows()
    np.save(tmp_path / "digits.npy", test.x[:100])
    for precision, model in digits_models.items():
        printed = succeed(on_device(device, "predict", model, "digits.npy", "--json", cwd=tmp_path))
        logits = np.array([json.loads(line)["logits"] for line in printed.splitlines()])
        agreement = (logits.argmax(axis=1) == digits_run.full_logits[:100].argmax(axis=1)).mean()
        assert agreement >= 0.98, precision


def test_the_doctor_finds_nothing_wrong(device, tmp_path):
    printed = succeed(on_device(device, "doctor", cwd=tmp_path))
    assert "wrong" not in printed
    assert printed.splitlines()[-1].startswith("edge-rnn works on this machine with native ")


def test_help_lists_commands_that_are_not_installed_whole(device, tmp_path):
    words = succeed(on_device(device, "--help", cwd=tmp_path)).split()
    assert {"convert", "evaluate", "predict", "train"} <= set(words)


def test_workstation_commands_name_the_extra_in_one_line(device, digits_run, tmp_path):
    for arguments in (
        ("train", "--out", "run", "--data", "digits"),
        ("convert", digits_run.path),
        ("evaluate", digits_run.path),
    ):
        result = on_device(device, *arguments, cwd=tmp_path)
        assert result.returncode == 2
        (line,) = result.stderr.splitlines()
        assert "pip install 'edge-rnn[workstation]'" in line
    assert not list(tmp_path.iterdir())


def test_image_without_pillow_names_the_extra(device, digits_models, tmp_path):
    (tmp_path / "digit.png").write_bytes(b"\x89PNG")
    result = on_device(device, "predict", digits_models["int8"], "digit.png", cwd=tmp_path)
    assert result.returncode == 2
    assert "pip install 'edge-rnn[images]'" in result.stderr.splitlines()[-1]
