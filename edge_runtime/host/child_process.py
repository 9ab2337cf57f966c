"""How this Python starts one of its modules in another process, wherever it stands."""

from __future__ import annotations

import os
import sys

START = (
    "import os, sys; sys.path[:] = sys.argv.pop(1).split(os.pathsep); import runpy; "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)
"""As `python -m`, on a given path: -m itself would look into the working directory first, and a clone of
edge-rnn there, or anything of numpy's name, is not what this process has."""


def module_command(module: str, *arguments: str) -> list[str]:
    """The command that runs `module` as `python -m` does, with this process's path."""
    return [sys.executable, "-c", START, os.pathsep.join(sys.path), module, *arguments]
