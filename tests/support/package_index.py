"""Whether packages can be installed here, for tests that make an environment of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import urllib.error
import urllib.request


def pypi_answers() -> bool:
    """Whether pip can install something from its index, which may be a mirror."""
    command = [shutil.which("python3") or "python3", "-m", "pip", "config", "get", "global.index-url"]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    index = os.environ.get("PIP_INDEX_URL") or found or "https://pypi.org/simple"
    try:
        with urllib.request.urlopen(f"{index.rstrip('/')}/click/", timeout=10):
            return True
    except (urllib.error.URLError, OSError):
        return False
