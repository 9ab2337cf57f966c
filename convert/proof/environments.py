"""Virtual environments with one engine each, for a proof in a version that is not installed here.

They are kept in the user's cache folder, or in $EDGE_RNN_CACHE, one for each engine of the target table.
The printed command and --prove make the same environment.

`uv` makes them where it is installed. It finds every Python of the machine, and downloads one when none
fits and UV_PYTHON_DOWNLOADS allows it. Without uv, venv and pip do the same with a Python on the PATH.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from convert.targets.target import Engine
from edge_runtime.errors import EngineError, reason
from edge_runtime.host.child_process import Ending, run_command
from edge_runtime.host.optional_packages import needs_extra

INSTALL_SECONDS = 900
"""An installation that takes longer than this has hung. The slowest engine has about 20 MB."""

QUESTION_SECONDS = 60
"""A Python that takes longer than this to answer a question has hung."""

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
    """The shell command that makes the environment.

    Raises EngineError when no installed Python fits and there is no uv, which could download one.
    """
    commands = _commands(environment_folder(engine), fitting_python(engine), _requirements(engine))
    return " && ".join(shlex.join(command) for command in commands)


def environment_python(engine: Engine) -> tuple[Path, str] | None:
    """The Python of the engine's environment and the engine's version in it, or None.

    None where the environment does not exist, where an installation that was stopped left it incomplete,
    or where it holds another version.
    """
    python = environment_folder(engine) / "bin" / "python"
    if not python.exists():
        return None
    version = _ask(python, _VERSION_OF, engine.distribution)
    return (python, version) if version and engine.covers(engine.distribution, version) else None


def make_environment(engine: Engine) -> tuple[Path, str]:
    """Make the environment anew and return what `environment_python` does.

    Raises EngineError when no Python fits or the installation fails, with the reason.
    """
    python, folder = fitting_python(engine), environment_folder(engine)
    try:
        make_in(folder, python, _requirements(engine))
        made = environment_python(engine)
        if made is None:
            raise EngineError(f"{folder}: the installation did not bring {engine.name}")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return made


def make_in(folder: Path, python: str, requirements: Sequence[str]) -> None:
    """Make a fresh virtual environment with `requirements`, which are pip's.

    `python`: a path, a name, or what `fitting_python` returns. Raises EngineError with the reason when
    the installation fails.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for command in _commands(folder, python, requirements):
        _run(command, folder)


def install_in(folder: Path, requirements: Sequence[str]) -> None:
    """Install `requirements`, in which options of pip may occur, into an environment of `make_in`.

    Raises EngineError with the reason when the installation fails.
    """
    _run(_install_command(folder, requirements), folder)


def fitting_python(engine: Engine) -> str:
    """A CPython that the engine has wheels for: the running one, or else another one.

    With uv the other one is a range of versions that uv resolves, e.g. `cpython>=3.9,<3.12`; otherwise
    the newest one on the PATH. Raises EngineError that says which versions would do when there is none.
    """
    oldest, newest = (_numbers(version) for version in engine.pythons)
    if oldest <= sys.version_info[:2] <= newest:
        # The base interpreter: an environment made from an environment would depend on it.
        return getattr(sys, "_base_executable", "") or sys.executable
    if find_uv():
        return f"cpython>={engine.pythons[0]},<{newest[0]}.{newest[1] + 1}"
    for minor in range(newest[1], oldest[1] - 1, -1):
        name = f"python3.{minor}"
        # A name on the PATH may be a pyenv shim for a version that is not active, so it is asked.
        if shutil.which(name) and _ask(name, "import venv; print('yes')"):
            return name
    raise EngineError(
        f"{engine.name} needs CPython {' to '.join(engine.pythons)}, which is not on the PATH. Install "
        f"python{engine.pythons[1]}, or uv, which finds or downloads one (pip install uv)."
    )


def find_uv() -> str | None:
    """The program uv: of the package uv, or else on the PATH; None where it is not installed."""
    try:
        import uv

        return uv.find_uv_bin()
    except (ImportError, FileNotFoundError):
        pass
    found = shutil.which("uv")
    # A pyenv shim exists for every program of every version, and fails for those that are not active.
    works = found and run_command([found, "--version"], seconds=QUESTION_SECONDS)
    return found if works else None


def without_this_python() -> dict[str, str]:
    """The environment variables without those that mix this Python's packages into another Python.

    uv does not read pip's settings, so it is given the index that PIP_INDEX_URL names.
    """
    mixed = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
    kept = {name: value for name, value in os.environ.items() if name not in mixed}
    if "PIP_INDEX_URL" in kept:
        kept.setdefault("UV_DEFAULT_INDEX", kept["PIP_INDEX_URL"])
    return {**kept, "PYTHONNOUSERSITE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def _commands(folder: Path, python: str, requirements: Sequence[str]) -> list[list[str]]:
    """What makes the environment. `-I` keeps Python from looking into the working directory."""
    uv, folder = find_uv(), folder.absolute()
    if uv:
        make = [uv, "venv", "--quiet", "--python", python, str(folder)]
    else:
        make = [python, "-I", "-m", "venv", str(folder)]
    return [make, *([_install_command(folder, requirements)] if requirements else [])]


def _install_command(folder: Path, requirements: Sequence[str]) -> list[str]:
    uv, inside = find_uv(), str(folder.absolute() / "bin" / "python")
    if uv:
        return [uv, "pip", "install", "--quiet", "--python", inside, *requirements]
    return [inside, "-I", "-m", "pip", "install", "--quiet", *requirements]


def _run(command: list[str], environment: Path) -> None:
    """Run it in the root folder, as uv reads the pyproject.toml in and above its working directory."""
    root, variables = environment.absolute().anchor, without_this_python()
    try:
        ending = run_command(command, seconds=INSTALL_SECONDS, env=variables, folder=root)
        failure = None if ending else _reason(ending)
    except OSError as error:
        failure = reason(error)
    if failure:
        raise EngineError(f"{environment}: not made, as {shlex.join(command)} failed. {failure}")


def _requirements(engine: Engine) -> list[str]:
    return [f"{engine.distribution}=={engine.versions[-1]}", engine.numpy, "click"]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _ask(python: str | Path, program: str, *arguments: str) -> str | None:
    """What `program` prints in that interpreter, isolated from this one; None when it fails."""
    try:
        ending = run_command(
            [str(python), "-I", "-c", program, *arguments],
            seconds=QUESTION_SECONDS,
            env=without_this_python(),
        )
    except OSError:
        return None
    return ending.output.strip() if ending else None


def _reason(ending: Ending) -> str:
    """The first line that starts with ERROR, which is pip's cause; otherwise all, as uv is brief."""
    errors = [line for line in ending.errors.splitlines() if line.startswith("ERROR:")]
    return reason(errors[0] if errors else ending.errors.strip() or ending.cause)
