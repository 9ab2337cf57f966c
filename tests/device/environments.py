"""The Pythons that are installed here, and fresh environments of them with the wheel."""

from __future__ import annotations

import glob
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

VERSIONS = ("3.9", "3.10", "3.11", "3.12", "3.13")
"""CPython versions that the device side is for."""

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


class Environments:
    """A fresh environment of each Python with the wheel and its base dependencies, made once."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self._folder, self._wheel = folder, wheel

    def programs(self, version: str) -> Path:
        """The folder of its programs. Skips the test where there is no such Python."""
        folder, interpreter = self._folder / version, python(version)
        if interpreter is None:
            pytest.skip(f"Python {version} is not installed here")
        if not folder.exists():
            subprocess.run([interpreter, "-m", "venv", folder], check=True)
            self._pip(folder, str(self._wheel))
        return folder / "bin"

    def with_test_tools(self, version: str) -> Path:
        """A folder for PYTHONPATH, with pytest and what the tests use, beside the environment."""
        folder, tools = self.programs(version).parent, self._folder / f"{version}-tools"
        self._pip(folder, "--target", str(tools), *TEST_TOOLS)
        return tools

    def _pip(self, folder: Path, *arguments: str) -> None:
        command = [folder / "bin" / "pip", "install", "--quiet", *arguments]
        subprocess.run(command, check=True, capture_output=True, timeout=600)
