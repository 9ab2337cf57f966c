"""Starts modules in child processes, and says how the processes ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.host.search_path import search_path

_RUN = "import runpy; runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
_KEEP = "from edge_runtime.host.search_path import keep_search_path; keep_search_path()"
_ON_PATH = f"import os, sys; sys.path[:] = sys.argv.pop(1).split(os.pathsep); {_KEEP}; {_RUN}"
_WITH_FOLDER = f"import sys; sys.path.insert(0, sys.argv.pop(1)); {_RUN}"
"""Programs for `python -c` that run a module as `python -m` does. `-m` itself would look for modules in
the working directory first. `-c` does not once it has set sys.path, or when it runs with `-I`."""


def module_command(module: str, *arguments: str) -> list[str]:
    """The command that runs `module` as `python -m` does, but never looks into the working directory.

    The child looks for modules where this process does (`search_path`).
    """
    return [sys.executable, "-c", _ON_PATH, os.pathsep.join(search_path()), module, *arguments]


def foreign_command(python: str | Path, folder: str | Path, module: str, *arguments: str) -> list[str]:
    """The command that runs `module`, which lies in `folder`, with the packages of another `python`.

    Like `module_command`, but the child looks into `folder` first and then where that Python looks when
    it is isolated (`-I`), which is neither the working directory nor what PYTHONPATH names.
    """
    return [str(python), "-I", "-c", _WITH_FOLDER, str(folder), module, *arguments]


@dataclass(frozen=True)
class Ending:
    """How a child process ended. It is true when the process succeeded."""

    code: int | None
    """Exit code; the negated number of the signal that ended it; None when it exceeded its time."""
    errors: str = ""
    """What it printed on standard error."""
    output: str = ""
    """What it printed on standard output, where that was kept."""

    def __bool__(self) -> bool:
        return self.code == 0

    @property
    def timed_out(self) -> bool:
        """Whether it was stopped because it took too long."""
        return self.code is None

    @property
    def signal(self) -> str | None:
        """The name of the signal that ended it, e.g. SIGILL; None when no signal did."""
        if self.code is None or self.code >= 0:
            return None
        try:
            return signal.Signals(-self.code).name
        except ValueError:  # real-time signals have no names
            return f"signal {-self.code}"

    @property
    def last_line(self) -> str:
        """The last line on standard error that is not blank; empty when there is none."""
        return next((line for line in reversed(self.errors.splitlines()) if line.strip()), "").strip()

    @property
    def cause(self) -> str:
        """The signal, the exit code, or "no answer in time": how it ended, not why."""
        if self.timed_out:
            return "no answer in time"
        return self.signal or f"exit code {self.code}"

    def __str__(self) -> str:
        """Why it failed, in one clause: the signal, or else its last line, or else the exit code."""
        if self.signal or self.timed_out:
            return self.cause
        return self.last_line or self.cause


def run_command(
    command: Sequence[str],
    *,
    seconds: float | None = None,
    env: Mapping[str, str] | None = None,
    folder: str | Path | None = None,
) -> Ending:
    """Run a command to its end with nothing on standard input, and stop it after `seconds`.

    `env`: its environment variables, `folder`: its working directory; default: those of this process.
    Raises OSError when it cannot be started.
    """
    try:
        result = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            env=env,
            cwd=folder,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        return Ending(None, _text(error.stderr), _text(error.stdout))
    return Ending(result.returncode, _text(result.stderr), _text(result.stdout))


def run_module(module: str, *arguments: str, seconds: float | None = None) -> Ending:
    """Run `module_command`'s command to its end, and stop it after `seconds`."""
    return run_command(module_command(module, *arguments), seconds=seconds)


def _text(output: bytes | None) -> str:
    return (output or b"").decode("utf-8", "replace")
