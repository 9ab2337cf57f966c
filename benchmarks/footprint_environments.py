"""The environments of footprint.py: each with one runtime and no more."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from convert.proof.environments import make_in, without_this_python

ROOT = Path(__file__).parents[1]
PROJECT = ("convert", "edge_runtime", "train", "pyproject.toml", "README.md", "LICENSE")
VERSIONS = (
    "import json; from importlib.metadata import distributions as d; "
    "print(json.dumps({x.metadata['Name'].lower().replace('_', '-'): x.version for x in d()}))"
)


@dataclass(frozen=True)
class Environment:
    """A virtual environment with what was asked for in it."""

    folder: Path
    versions: dict[str, str]
    """Distribution -> version of everything that is installed."""
    site_bytes: int
    """Of its site-packages, pip included."""

    def program(self, name: str) -> str:
        """The path of one of its programs."""
        return str(self.folder / "bin" / name)


def environment(folder: Path, requirements: list[str], wheel: Path | None = None) -> Environment:
    """The environment with `requirements`, made anew unless it is there; the wheel always is.

    `wheel` is installed without what it depends on. Raises EngineError where pip fails.
    """
    wanted, done = json.dumps(requirements), folder / "requirements.json"
    if not (done.exists() and done.read_text() == wanted):
        make_in(folder, sys._base_executable, requirements or ["pip"])
        done.write_text(wanted)
    python = str(folder / "bin" / "python")
    if wheel is not None:
        command = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--force-reinstall"]
        subprocess.run([*command, str(wheel)], check=True, env=without_this_python())
    printed = subprocess.run(
        [python, "-c", VERSIONS], check=True, env=without_this_python(), capture_output=True, text=True
    )
    (site,) = (folder / "lib").glob("python*/site-packages")
    return Environment(folder, json.loads(printed.stdout), size(site))


def size(folder: Path) -> int:
    """Bytes of all files below, links not followed."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def build_wheel(out: Path) -> Path:
    """The project's wheel, in the folder `out`."""
    with tempfile.TemporaryDirectory() as name:
        source = Path(name, "source")
        source.mkdir()
        for item in PROJECT:  # a copy, as setuptools would ship what an earlier build left in build/
            copy = shutil.copytree if (ROOT / item).is_dir() else shutil.copy
            copy(ROOT / item, source / item)
        command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(out), str(source)]
        subprocess.run(command, check=True, capture_output=True)
    (wheel,) = out.glob("*.whl")
    return wheel
