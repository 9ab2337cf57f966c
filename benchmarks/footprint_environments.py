"""The environments of footprint.py, each with one runtime and no more."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from convert.proof.environments import install_in, make_in, without_this_python
from edge_runtime.errors import EngineError
from edge_runtime.host.child_process import run_command

ROOT = Path(__file__).parents[1]
PROJECT = (
    *("convert", "edge_runtime", "scripts", "train"),
    *("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"),
)
"""What the wheel is built from, as far as it exists."""
VERSIONS = (
    "import json; from importlib.metadata import distributions as d; "
    "print(json.dumps({x.metadata['Name'].lower().replace('_', '-'): x.version for x in d()}))"
)


@dataclass(frozen=True)
class Environment:
    """A virtual environment with the requested packages."""

    folder: Path
    versions: dict[str, str]
    """Distribution -> version of everything that is installed."""
    site_bytes: int
    """The size of its site-packages, with pip unless uv made the environment."""

    def program(self, name: str) -> str:
        """The path of one of its programs."""
        return str(self.folder / "bin" / name)


def environment(folder: Path, requirements: list[str], wheel: Path | None = None) -> Environment:
    """The environment with `requirements`, made when it is missing. The wheel is installed every time.

    `wheel` is installed without its dependencies. Raises EngineError when an installation fails.
    """
    wanted, done = json.dumps(requirements), folder / "requirements.json"
    if not (done.exists() and done.read_text() == wanted):
        make_in(folder, sys._base_executable, requirements)
        done.write_text(wanted)
    if wheel is not None:
        install_in(folder, ["--no-deps", "--force-reinstall", str(wheel.absolute())])
    python = str(folder / "bin" / "python")
    ending = run_command([python, "-I", "-c", VERSIONS], env=without_this_python())
    if not ending:
        raise EngineError(f"{folder}: {ending}")
    (site,) = (folder / "lib").glob("python*/site-packages")
    # pip compiles what it installs, and uv does not: a cold start would compile everything each time.
    run_command([python, "-I", "-m", "compileall", "-q", str(site)], env=without_this_python())
    return Environment(folder, json.loads(ending.output), size(site))


def size(folder: Path) -> int:
    """Bytes of all files below, links not followed."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def build_wheel(out: Path) -> Path:
    """The project's wheel, in the folder `out`."""
    with tempfile.TemporaryDirectory() as name:
        source = Path(name, "source")
        source.mkdir()
        # A copy, as setuptools would ship an older build/.
        for item in filter(lambda name: (ROOT / name).exists(), PROJECT):
            copy = shutil.copytree if (ROOT / item).is_dir() else shutil.copy
            copy(ROOT / item, source / item)
        command = [sys.executable, "-I", "-m", "build", "--wheel", "--outdir", str(out), str(source)]
        subprocess.run(command, check=True, capture_output=True)
    (wheel,) = out.glob("*.whl")
    return wheel
