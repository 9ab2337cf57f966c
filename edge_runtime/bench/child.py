"""One model in a fresh process, measured on request. edge_runtime.bench.child_session starts it.

    python -m edge_runtime.bench.child '{"model": "m.tflite", "input": null, "jobs": 1, "options": {}}'

Opens the model, predicts once, and says in a line of JSON how long that took. Each further line of
standard input asks for something, in JSON, and is answered with a line of JSON:

    {"ask": "warm_up", "seconds": 1.0}        predict until it gets no faster, at most this long
    {"ask": "latency", "seconds": 0.05}       predict one window after the other for so many seconds
    {"ask": "throughput", "seconds": 2.0, "windows": 1000}      predict batches of so many windows
    {"ask": "profile", "seconds": 2.0}        where the engine spends its time, or why that is unknown

A failure is answered with the error's name and sentence, and ends the process.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any, Callable

STARTED = time.perf_counter_ns()
"""When this process began, on a clock that all processes of the machine share."""

Opened = tuple[dict[str, Any], dict[str, Callable[..., Any]]]
"""The facts that are the first answer, and for each request the function that answers it."""


def main() -> int:
    """Serve `_open_model`; returns the exit code."""
    return serve(_open_model)


def serve(open_model: Callable[[dict[str, Any]], Opened]) -> int:
    """Open what the JSON in the first argument describes, and answer until standard input ends.

    The other fields of a request are the keyword arguments of the function that answers it. Returns the
    exit code.
    """
    from edge_runtime.errors import EdgeRnnError

    try:
        facts, functions = open_model(json.loads(sys.argv[1]))
        _answer(facts)
        for line in sys.stdin:
            request = json.loads(line)
            _answer(functions[request.pop("ask")](**request))
    except EdgeRnnError as error:
        _answer({"error": type(error).__name__, "message": str(error)})
        return error.exit_code
    return 0


def _open_model(config: dict[str, Any]) -> Opened:
    from edge_runtime.bench.measured_model import MeasuredModel

    imported = time.perf_counter_ns()
    model = MeasuredModel(config["model"], config["input"], config["jobs"], config["options"])
    cold = {"started": STARTED, "imports": imported - STARTED, **model.cold}
    return {**model.facts, "cold": cold, "peak_bytes": model.peak}, {
        "warm_up": model.warm_up,
        "latency": model.latency,
        "throughput": model.throughput,
        "profile": model.profile,
    }


def _answer(content: Any) -> None:
    print(json.dumps(content), flush=True)


if __name__ == "__main__":
    sys.exit(main())
