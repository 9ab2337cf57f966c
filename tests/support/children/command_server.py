"""Loads TensorFlow once and runs each program in a fork. Tests start it as a process.

Loading TensorFlow takes longer than most of the work of `edge-rnn train` and `edge-rnn convert`. Only
modules are loaded before the fork. Nothing is computed, and no thread runs.

Reads one JSON object a line. `arguments`: as in sys.argv. `code` or `file`: the program or its path.
`folder` and `environment`: those of the process. `input`, `output` and `errors`: paths of the standard
streams. `seconds`: the time after which the program is killed. Answers with the exit code, as subprocess
defines it.
"""

from __future__ import annotations

import gc
import json
import os
import random
import runpy
import signal
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
import numpy as np
import tensorflow as tf

LOADED = (keras, tf)


def next_program() -> dict | None:
    """The request of a program, in a fork of its own; None in this process, after the last request."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            return json.loads(line)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    return None


def become(request: dict) -> None:
    """Make this process what a new one would be."""
    signal.alarm(request["seconds"])
    for path, stream, flags in (
        (request["input"], 0, os.O_RDONLY),
        (request["output"], 1, os.O_WRONLY),
        (request["errors"], 2, os.O_WRONLY),
    ):
        os.dup2(os.open(path, flags), stream)
    sys.stdin = os.fdopen(os.dup(0))
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = request["arguments"]
    # Random numbers without a seed must differ between two processes.
    random.seed()
    np.random.seed()


def run(request: dict) -> None:
    """Run the program."""
    if "code" in request:
        sys.path[0] = ""
        exec(compile(request["code"], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.path[0] = str(Path(request["file"]).parent)
        runpy.run_path(request["file"], run_name="__main__")


if __name__ == "__main__":
    gc.freeze()  # so that a fork's garbage collection does not copy the memory
    program = next_program()
    if program is not None:
        become(program)
        run(program)
