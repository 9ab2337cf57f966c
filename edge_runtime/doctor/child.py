"""Runs a module of this package in a child process, and tells how it ended.

What may be broken, numpy and the engines, is imported there only.
"""

from __future__ import annotations

import signal
import subprocess
from dataclasses import dataclass

from edge_runtime.host.child_process import module_command


@dataclass(frozen=True)
class Ending:
    """How a child process ended; truthy when it ended well."""

    code: int | None
    """Its exit code; below zero: the signal that ended it; None: it was stopped, its time was up."""
    errors: str
    """What it printed on standard error."""

    def __bool__(self) -> bool:
        return self.code == 0

    @property
    def timed_out(self) -> bool:
        """Whether it had to be stopped."""
        return self.code is None

    @property
    def signal(self) -> str | None:
        """The name of the signal that ended it, e.g. SIGILL."""
        if self.code is None or self.code >= 0:
            return None
        try:
            return signal.Signals(-self.code).name
        except ValueError:  # a signal without a name, as real-time signals are
            return f"signal {-self.code}"


def run_module(module: str, *arguments: str, seconds: float) -> Ending:
    """`python -m module arguments` with this process's path, stopped after `seconds`."""
    command = module_command(module, *arguments)
    try:
        result = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        return Ending(None, _text(error.stderr))
    return Ending(result.returncode, _text(result.stderr))


def _text(output: bytes | None) -> str:
    return (output or b"").decode("utf-8", "replace")
