"""The installed Pythons, and fresh environments of them with the wheel."""

from __future__ import annotations

import glob
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.made_once import made_once

VERSIONS = ("3.9", "3.10", "3.11", "3.12", "3.13")
"""CPython versions that the device side supports."""

BY_PIP = "3.11"
"""The version whose environment pip makes, as users do."""

TEST_TOOLS = ("pytest>=8", "filelock", "hypothesis", "pillow", "pyserial")


def python(version: str) -> str | None:
    """An interpreter of that version: the running one, on the path, or under pyenv."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    home = Path.home() / ".pyenv" / "versions"
    installed = sorted(glob.glob(f"{home}/{version}.*/bin/python"))
    candidates = [*installed, shutil.which(f"python{version}")]
    for candidate in filter(None, candidates):
        check = subprocess.run([candidate, "-c", "import venv"], capture_output=True, check=False)
        if check.returncode == 0:
            return candidate
    return None


def make_environment(
    interpreter: str, folder: Path, *installations: tuple[object, ...], pip: bool = False
) -> Path:
    """A fresh environment in which `pip install` has run with each of these arguments.

    Returns the folder of its programs, pip included. uv makes it in a tenth of the time if uv is
    installed, unless `pip` asks for an environment as users have it.
    """
    uv = Path(sys.executable).with_name("uv")
    if pip or not uv.exists():
        run([interpreter, "-m", "venv", folder])
        installer = [folder / "bin" / "pip", "install", "--quiet"]
    else:
        run([uv, "venv", "--quiet", "--seed", "--python", interpreter, folder])
        installer = [uv, "pip", "install", "--quiet", "--python", folder / "bin" / "python"]
    for arguments in installations:
        run([*installer, *arguments])
    return folder / "bin"


def run(command: list[object]) -> None:
    """Run a command that has to succeed."""
    result = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=600, check=False
    )
    assert result.returncode == 0, f"{command}: {result.stderr}"


class Environments:
    """A fresh environment of each Python with the wheel and its base dependencies, made once."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self._folder, self._wheel = folder, wheel

    def programs(self, version: str) -> Path:
        """The folder of its programs. Skips the test if that Python is not installed."""
        interpreter = python(version)
        if interpreter is None:
            pytest.skip(f"Python {version} is not installed")
        made_once(
            self._folder / version,
            lambda folder: make_environment(interpreter, folder, (self._wheel,), pip=version == BY_PIP),
        )
        return self._folder / version / "bin"

    def with_test_tools(self, version: str) -> Path:
        """The same for a second environment, which also has pytest and everything that the tests use."""
        interpreter = python(version)
        if interpreter is None:
            pytest.skip(f"Python {version} is not installed")
        made_once(
            self._folder / f"{version}-tests",
            lambda folder: make_environment(interpreter, folder, (self._wheel, *TEST_TOOLS)),
        )
        return self._folder / f"{version}-tests" / "bin"
