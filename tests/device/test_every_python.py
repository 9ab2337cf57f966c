"""tests/runtime on every installed Python, with the wheel instead of the sources."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from itertools import product

import pytest

from convert.compiler.compile import GRAPHS
from tests.device.environments import VERSIONS
from tests.support.commands import OFFERED, ROOT
from tests.support.made_once import made_once
from tests.support.model_files import FOLDER_VARIABLE, flatbuffer_of

NEEDED = ("__init__.py", "conftest.py", "fuzz", "runtime", "support")
"""The parts of tests/ that those tests use."""


OTHERS = tuple(
    version for version in VERSIONS if version != f"{sys.version_info.major}.{sys.version_info.minor}"
)
"""The running Python is left out, as it has run them from the sources."""

OLDEST = OTHERS[0]
"""The one that lacks most. `make nightly` runs the newer ones, too."""


@pytest.fixture(scope="session")
def copied(shared_folder):
    """A folder with the tests and no sources, and FlatBuffers for them, as a device has no compiler."""

    def copy(folder):
        for name in NEEDED:
            source, target = ROOT / "tests" / name, folder / "tests" / name
            target.parent.mkdir(exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        (folder / "flatbuffers").mkdir()
        for precision, graph in product(OFFERED, GRAPHS):
            flatbuffer = flatbuffer_of(precision, graph)
            (folder / "flatbuffers" / f"{precision}-{graph}").write_bytes(flatbuffer)

    return made_once(shared_folder / "runtime-tests", copy)


@pytest.mark.parametrize(
    "version",
    [
        version if version == OLDEST else pytest.param(version, marks=pytest.mark.nightly)
        for version in OTHERS
    ],
)
def test_the_tests_of_the_runtime_pass(environments, copied, tmp_path, version):
    programs = environments.with_test_tools(version)
    environment = {
        "PATH": os.pathsep.join([str(programs), os.defpath]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(tmp_path),
        FOLDER_VARIABLE: str(copied / "flatbuffers"),
    }
    command = [programs / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/runtime"]
    command += ["-W", "error::RuntimeWarning"]  # newer numpy versions give more of them
    result = subprocess.run(
        command, cwd=copied, env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    print(f"Python {version}: {result.stdout.splitlines()[-1]}")
    assert result.returncode == 0, result.stdout + result.stderr
