"""Runs commands until each prints its first line, in interleaved rounds; footprint.py starts it.

    echo '{"commands": {"bare": ["python", "bare.py"]}, "rounds": {"bare": 15}}' |
        python -m benchmarks.first_answer

Prints JSON: for each command, for each round, the milliseconds from its start to its first line, the
line, and the peak of its memory in bytes. Every command runs once before it is measured, so that all
files are in the system's cache. This program does not import numpy: Linux counts the memory of a process
that starts another one into the other's peak, so this process has to be smaller than all of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any


def main() -> None:
    request = json.load(sys.stdin)
    commands, rounds = request["commands"], request["rounds"]
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in commands}
    for command in commands.values():
        first_answer(command)
    names = list(commands)
    for k in range(max(rounds.values())):
        turn = k % len(names)
        for name in names[turn:] + names[:turn]:
            if k < rounds[name]:
                found[name].append(first_answer(commands[name]))
    json.dump(found, sys.stdout)


def first_answer(command: list[str]) -> dict[str, Any]:
    start = time.perf_counter_ns()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True
    ) as process:
        line = process.stdout.readline()
        nanoseconds = time.perf_counter_ns() - start
        process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0 or not line:
        sys.exit(f"{' '.join(command)}: exit code {process.returncode}, printed {line!r}")
    kilobyte = 1 if sys.platform == "darwin" else 1024
    return {"ms": nanoseconds / 1e6, "line": line.strip(), "peak": kilobyte * usage.ru_maxrss}


if __name__ == "__main__":
    main()
