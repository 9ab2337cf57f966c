"""Commands and scripts that need TensorFlow, run in forks of a process that has loaded it.

Each has the same command line, process and standard streams as if tests/support/commands.py had started
it, but does not wait seconds for TensorFlow to load. A test that is about starting a command uses
tests.support.commands.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support import commands
from tests.support.commands import CHILDREN, ROOT

NEED_TENSORFLOW = ("train", "evaluate", "convert", "sweep")

SECONDS = 900
"""Seconds after which a program hangs and is killed."""


@functools.cache
def _server() -> subprocess.Popen[str]:
    """The process with TensorFlow, one for each test process; it ends with the test process."""
    command = [sys.executable, str(CHILDREN / "command_server.py")]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def server_children() -> list[int]:
    """Process numbers of the programs that run in a fork at this moment."""
    pid = _server().pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _ask(request: dict) -> int:
    server = _server()
    server.stdin.write(json.dumps(request) + "\n")
    server.stdin.flush()
    answer = server.stdout.readline()
    if not answer:
        raise RuntimeError(f"the process with TensorFlow ended with {server.wait()}")
    return int(answer)


def _run(
    arguments: list[str],
    program: dict[str, str],
    *,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    input: str = "",
) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory() as name:
        streams = {stream: Path(name, stream) for stream in ("input", "output", "errors")}
        for stream, path in streams.items():
            path.write_text(input if stream == "input" else "")
        request = {
            **program,
            **{stream: str(path) for stream, path in streams.items()},
            "arguments": arguments,
            "folder": str(cwd or Path.cwd()),
            "environment": dict(os.environ if env is None else env),
            "seconds": SECONDS,
        }
        code = _ask(request)
        return subprocess.CompletedProcess(
            arguments, code, streams["output"].read_text(), streams["errors"].read_text()
        )


def edge_rnn(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
    """`edge-rnn` with these arguments: in a fork if it needs TensorFlow, otherwise as a new process.

    `options`: `env`, `cwd` and `input` of subprocess.run. Other options need a new process as well.
    """
    if str(arguments[0]) not in NEED_TENSORFLOW or not {*options} <= {"env", "cwd", "input"}:
        return commands.edge_rnn(*arguments, **options)
    program = Path(sys.executable).with_name("edge-rnn")
    return _run([str(program), *map(str, arguments)], {"file": str(program)}, **options)


def run_python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """`python -c CODE ARGUMENTS` in the project's folder."""
    return _run(["-c", *map(str, arguments)], {"code": code}, cwd=ROOT)


def run_script(path: Path, *arguments: object, input: str = "") -> subprocess.CompletedProcess[str]:
    """`python PATH ARGUMENTS`."""
    return _run([str(path), *map(str, arguments)], {"file": str(path)}, cwd=ROOT, input=input)
