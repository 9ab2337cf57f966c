"""One model in a fresh process, measured on request; edge_runtime.bench.child_session starts it.

    python -m edge_runtime.bench.child '{"model": "m.tflite", "input": null, "jobs": 1, "options": {}}'

Opens the model, predicts once, and says in a line of JSON how long that took. Each further line of
standard input asks for something, in JSON, and is answered with a line of JSON:

    {"warm_up": 1.0}                          predict until it gets no faster, this long at most
    {"latency": 0.05}                         predict one window after the other for so many seconds
    {"throughput": 2.0, "windows": 1000}      predict batches of so many windows
    {"profile": 2.0}                          where the engine spends its time, or why that is unknown

A failure is answered with the error's name and sentence, and is the end.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any


def main() -> int:
    """Serve until standard input ends; returns the exit code."""
    started = time.perf_counter_ns()  # on a clock that all processes of the machine share
    from edge_runtime.errors import EdgeRnnError

    try:
        _serve(json.loads(sys.argv[1]), started)
    except EdgeRnnError as error:
        _answer({"error": type(error).__name__, "message": str(error)})
        return error.exit_code
    return 0


def _serve(config: dict[str, Any], started: int) -> None:
    from edge_runtime.bench.measured_model import MeasuredModel

    imported = time.perf_counter_ns()
    model = MeasuredModel(config["model"], config["input"], config["jobs"], config["options"])
    cold = {"started": started, "imports": imported - started}
    _answer({**model.facts, "cold": {**cold, **model.cold}, "peak_bytes": model.peak})
    for line in sys.stdin:
        request = json.loads(line)
        _answer(getattr(model, next(iter(request)))(*request.values()))


def _answer(content: Any) -> None:
    print(json.dumps(content), flush=True)


if __name__ == "__main__":
    sys.exit(main())
