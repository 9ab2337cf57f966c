"""Runs the command edge-rnn for the other examples, and shows the line that a shell would take."""

from __future__ import annotations

import shlex
import subprocess
import sys


def edge_rnn(*arguments: object) -> None:
    """Run `edge-rnn ARGUMENTS` in a process of its own; end this one with its exit code if it fails."""
    words = [str(argument) for argument in arguments]
    print(f"\n$ edge-rnn {shlex.join(words)}", flush=True)
    # The same command, in the environment of this Python even where that is not activated.
    result = subprocess.run([sys.executable, "-m", "edge_runtime", *words])
    if result.returncode:
        sys.exit(result.returncode)
