"""Virtual environments with one engine each, for a proof in a version that is not installed here.

They are kept in the user's cache folder, or in $EDGE_RNN_CACHE, one for each engine of the target table.
Whoever makes one with the printed command and whoever passes --prove gets the same.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from convert.targets.target import Engine
from edge_runtime.errors import EngineError
from edge_runtime.host.optional_packages import needs_extra

PIP_SECONDS = 900
"""An installation that takes longer than this has hung; the slowest engine is some 20 MB."""

_VERSION_OF = (
    "import sys, click, numpy; from importlib.metadata import version as v; print(v(sys.argv[1]))"
)


def environment_folder(engine: Engine) -> Path:
    """Where the engine's environment is, or would be."""
    cache = os.environ.get("EDGE_RNN_CACHE")
    if not cache:
        with needs_extra("workstation", "platformdirs", "edge-rnn convert"):
            import platformdirs
        cache = platformdirs.user_cache_dir("edge-rnn")
    return Path(cache).absolute() / "engines" / engine.name


def environment_command(engine: Engine) -> str:
    """The shell command that makes the environment. Raises EngineError when no Python here fits."""
    folder, python = environment_folder(engine), fitting_python(engine)
    install = [str(folder / "bin" / "pip"), "install", *_requirements(engine)]
    return f"{shlex.join([python, '-m', 'venv', str(folder)])} && {shlex.join(install)}"


def environment_python(engine: Engine) -> tuple[Path, str] | None:
    """The Python of an environment that is ready, and the engine's version in it; otherwise None.

    Not ready is one that a stopped installation left, or that holds another version.
    """
    python = environment_folder(engine) / "bin" / "python"
    if not python.exists():
        return None
    version = _ask(python, "-c", _VERSION_OF, engine.distribution)
    return (python, version) if version and engine.covers(engine.distribution, version) else None


def make_environment(engine: Engine) -> tuple[Path, str]:
    """Make the environment anew and return what `environment_python` does.

    Raises EngineError when no Python here fits, or when pip fails, with its last line.
    """
    python, folder = fitting_python(engine), environment_folder(engine)
    try:
        make_in(folder, python, _requirements(engine))
        made = environment_python(engine)
        if made is None:
            raise EngineError(f"{engine.name}: the environment {folder} does not hold it after pip")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return made


def make_in(folder: Path, python: str, requirements: list[str]) -> None:
    """A fresh virtual environment with `requirements`. Raises EngineError with pip's last line."""
    for command in (
        [python, "-m", "venv", "--clear", str(folder)],
        [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *requirements],
    ):
        try:
            result = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=PIP_SECONDS,
                env=without_this_python(),
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EngineError(f"{shlex.join(command)}: {error}") from None
        if result.returncode != 0:
            raise EngineError(f"{shlex.join(command)} failed: {_reason(result)}")


def fitting_python(engine: Engine) -> str:
    """A CPython that the engine has wheels for: the running one, or one on the path, the newest first.

    Raises EngineError that says which versions would do.
    """
    oldest, newest = (_numbers(version) for version in engine.pythons)
    if oldest <= sys.version_info[:2] <= newest:
        # The base interpreter: an environment made from an environment would depend on it.
        return getattr(sys, "_base_executable", "") or sys.executable
    for minor in range(newest[1], oldest[1] - 1, -1):
        name = f"python3.{minor}"
        # A name on the path may be a pyenv shim for a version that is not active: ask it.
        if shutil.which(name) and _ask(name, "-c", "import venv; print('yes')"):
            return name
    raise EngineError(
        f"{engine.name} needs CPython {' to '.join(engine.pythons)}, and none is on the path here: "
        f"install python{engine.pythons[1]}"
    )


def without_this_python() -> dict[str, str]:
    """This process's environment variables, but for those that mix its packages into another Python."""
    mixed = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
    kept = {name: value for name, value in os.environ.items() if name not in mixed}
    return {**kept, "PYTHONNOUSERSITE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def _requirements(engine: Engine) -> list[str]:
    return [f"{engine.distribution}=={engine.versions[-1]}", engine.numpy, "click"]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _ask(python: str | Path, *arguments: str) -> str | None:
    """What that interpreter prints, or None when it fails."""
    try:
        result = subprocess.run(
            [str(python), *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            env=without_this_python(),
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None


def _reason(result: subprocess.CompletedProcess[str]) -> str:
    """pip's first line that starts with ERROR, which names the cause; otherwise the last line."""
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return (errors or lines[-1:] or [f"exit code {result.returncode}"])[0]
