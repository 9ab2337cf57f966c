"""A process that measures one model, started and asked (edge_runtime.bench.child)."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from typing import IO, Any

from edge_runtime import errors
from edge_runtime.host.child_process import module_command

CLOSING_TIME = 10
"""Seconds that a process has to end when its input has."""
_ERRORS = {
    kind.__name__: kind
    for kind in (errors.DataError, errors.EngineError, errors.InputError, errors.ModelError)
}


@contextlib.contextmanager
def open_session(
    model: str, *, source: str | None = None, jobs: int = 1, options: dict[str, Any]
) -> Iterator[Session]:
    """A started process that has predicted once; it ends with the block.

    Raises the error that the model raised there, and EngineError when the process dies.
    """
    config = json.dumps({"model": model, "input": source, "jobs": jobs, "options": options})
    command = module_command("edge_runtime.bench.child", config)
    with tempfile.TemporaryFile("w+") as said:  # by an engine, or by a process that dies
        start = time.perf_counter_ns()
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True
        ) as process:
            try:
                yield Session(model, process, said, start)
            finally:
                _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it has ended already
        process.stdin.close()
    try:
        process.wait(CLOSING_TIME)
    except subprocess.TimeoutExpired:
        process.kill()


class Session:
    """Questions and answers. `facts`: the first answer, with how long it took to get there."""

    def __init__(self, model: str, process: subprocess.Popen[str], said: IO[str], start: int) -> None:
        """`start`: perf_counter_ns just before the process was started."""
        self._model, self._process, self._said = model, process, said
        self.facts = self._read()
        cold = self.facts["cold"]
        cold["python"] = cold.pop("started") - start

    def ask(self, **request: Any) -> Any:
        """The answer to a request; the name of the first argument says what is wanted."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it is dead: so there will be no answer
            print(json.dumps(request), file=self._process.stdin, flush=True)
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
        lines = self._said.read().strip().splitlines()
        reason = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        last = f": {lines[-1]}" if lines else ""
        return errors.EngineError(f"{self._model}: the process that measures it died, {reason}{last}")
