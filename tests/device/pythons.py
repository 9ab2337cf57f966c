"""The Pythons that are installed here."""

from __future__ import annotations

import glob
import shutil
import subprocess
import sys
from pathlib import Path


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
