"""tests/runtime on every Python that is installed here, with the wheel instead of the sources."""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import product

import pytest

from convert.compiler.compile import GRAPHS
from tests.device.environments import VERSIONS, python
from tests.support.commands import OFFERED, ROOT
from tests.support.model_files import FOLDER_VARIABLE, flatbuffer_of

NEEDED = ("__init__.py", "conftest.py", "fuzz", "runtime", "support")
"""What of tests/ those tests use."""


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """A folder with the tests and no sources, and FlatBuffers for them, as a device has no compiler."""
    folder = tmp_path_factory.mktemp("runtime-tests")
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
    return folder


@pytest.fixture(scope="module")
def outcomes(environments, copied) -> dict[str, Future[subprocess.CompletedProcess[str]]]:
    """Version -> the run of the tests; two at a time."""
    pool = ThreadPoolExecutor(2)
    return {
        version: pool.submit(run_tests, environments, version, copied)
        for version in VERSIONS
        if python(version)
    }


def run_tests(environments, version: str, copied) -> subprocess.CompletedProcess[str]:
    programs, tools = environments.programs(version), environments.with_test_tools(version)
    environment = {
        "PATH": os.pathsep.join([str(programs), os.defpath]),
        "PYTHONPATH": str(tools),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(tools),
        FOLDER_VARIABLE: str(copied / "flatbuffers"),
    }
    command = [programs / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/runtime"]
    command += ["-W", "error::RuntimeWarning"]  # newer numpy versions give more of them
    return subprocess.run(
        command, cwd=copied, env=environment, capture_output=True, text=True, timeout=900, check=False
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_the_tests_of_the_runtime_pass(outcomes, version):
    if version not in outcomes:
        pytest.skip(f"Python {version} is not installed here")
    result = outcomes[version].result()
    print(f"Python {version}: {result.stdout.splitlines()[-1]}")
    assert result.returncode == 0, result.stdout + result.stderr
