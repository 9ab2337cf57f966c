"""A process that measures one model: how it is started and asked (edge_runtime.bench.child)."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

from edge_runtime import errors
from edge_runtime.host.child_process import Ending, module_command

CLOSING_TIME = 10
"""Seconds that a process has to end after its standard input was closed."""
_ERRORS = {
    kind.__name__: kind
    for kind in (errors.DataError, errors.EngineError, errors.InputError, errors.ModelError)
}

Request = Mapping[str, Any]
"""What a session is asked: "ask" says what, the other fields are details."""


@contextlib.contextmanager
def open_session(
    model: str, *, source: str | None = None, jobs: int = 1, options: dict[str, Any]
) -> Iterator[Session]:
    """A process of edge_runtime.bench.child that has predicted once; it ends with the block.

    Raises the error that the model raised there, and EngineError when the process dies.
    """
    config = {"model": model, "input": source, "jobs": jobs, "options": options}
    start = time.perf_counter_ns()
    with start_session("edge_runtime.bench.child", model, config) as session:
        cold = session.facts["cold"]
        cold["python"] = cold.pop("started") - start
        yield session


@contextlib.contextmanager
def start_session(
    module: str, name: str, config: dict[str, Any], *, variables: Mapping[str, str] | None = None
) -> Iterator[Session]:
    """A process that runs `module`, which calls edge_runtime.bench.child.serve; it ends with the block.

    `name`: of the model, for messages. `config`: what `serve` is given. `variables`: environment
    variables to be set besides those of this process. Raises what `open_session` raises.
    """
    command = module_command(module, json.dumps(config))
    with contextlib.ExitStack() as stack:
        # What an engine prints, or Python as it dies.
        said = stack.enter_context(tempfile.TemporaryFile("w+"))
        process = stack.enter_context(
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                env={**os.environ, **(variables or {})},
            )
        )
        stack.callback(_end, process)
        yield Session(name, process, said)


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it has ended already
        process.stdin.close()
    try:
        process.wait(CLOSING_TIME)
    except subprocess.TimeoutExpired:
        process.kill()


class Session:
    """Questions to a process, and its answers. `facts`: the first answer, given unasked."""

    def __init__(self, model: str, process: subprocess.Popen[str], said: IO[str]) -> None:
        self._model, self._process, self._said = model, process, said
        self.facts = self._read()

    def ask(self, request: Request) -> Any:
        """The answer to a request, e.g. `{"ask": "latency", "seconds": 0.05}`."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the process is dead, so no answer will come
            print(json.dumps(dict(request)), file=self._process.stdin, flush=True)
        return self._read()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._death()
        content = json.loads(line)
        if isinstance(content, dict) and "error" in content:
            raise _ERRORS.get(content["error"], errors.EdgeRnnError)(content["message"])
        return content

    def _death(self) -> errors.EngineError:
        code = self._process.wait()
        self._said.seek(0)
        ending = Ending(code, self._said.read())
        last = f" ({ending.last_line})" if ending.last_line else ""
        return errors.EngineError(
            f"{self._model}: the process that measures it died, {ending.cause}{last}"
        )


def in_turns(sessions: Sequence[Session], rounds: int, requests: Sequence[Request]) -> list[list[Any]]:
    """Each session's answers to its request, one a round; the order turns by one each round."""
    answers: list[list[Any]] = [[] for _ in sessions]
    for k in range(rounds):
        for n in (*range(k % len(sessions), len(sessions)), *range(k % len(sessions))):
            answers[n].append(sessions[n].ask(requests[n]))
    return answers
