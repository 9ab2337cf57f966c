"""What the classifier adds to the engine, in one process; footprint.py starts it.

    python -m benchmarks.overhead_child MODEL WINDOWS.npy ENGINE [--rounds 200] [--runs 50]

WINDOWS are raw, in the unit of the training data. Every round times some runs of each of three ways, one
after the other:

    bare      set_tensor, invoke and get_tensor with a tensor that is ready
    logits    Classifier.logits(window, out=buffer)
    predict   Classifier.predict(window)

Prints JSON, in microseconds: the median of the bare runs and, for the others, the median over the rounds
of the difference of each round's medians. All of them run the same interpreter, because another one's
matrices would be elsewhere in memory.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from itertools import cycle
from typing import Any, Callable

import numpy as np

from edge_runtime.inference.classifier import Classifier
from edge_runtime.tflite.quantization import quantize


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("windows")
    parser.add_argument("engine")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--runs", type=int, default=50)
    options = parser.parse_args()
    windows = np.load(options.windows)
    with Classifier(options.model, engine=options.engine) as classifier:
        ways = {
            "bare": bare(classifier, windows),
            "logits": logits(classifier, windows),
            "predict": predict(classifier, windows),
        }
        rounds = [
            {name: median(run, options.runs) for name, run in ways.items()}
            for _ in range(options.rounds)
        ]
    result = {"bare": statistics.median(part["bare"] for part in rounds)}
    for name in ("logits", "predict"):
        result[name] = statistics.median(part[name] - part["bare"] for part in rounds)
    print(json.dumps(result))


def median(run: Callable[[], Any], runs: int) -> float:
    """Microseconds of a run, after a few that bring its code and data back."""
    clock, times = time.perf_counter_ns, []
    for _ in range(5):
        run()
    for _ in range(runs):
        start = clock()
        run()
        times.append(clock() - start)
    return statistics.median(times) / 1e3


def bare(classifier: Classifier, windows: np.ndarray) -> Callable[[], Any]:
    interpreter = classifier._interpreter  # the interpreter that the classifier runs
    source, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    tensors = classifier.spec.normalization.apply(windows)[:, np.newaxis]
    if source["dtype"] != np.float32:
        tensors = quantize(tensors, *source["quantization"], source["dtype"])
    ready = cycle(list(tensors))
    index, output = source["index"], result["index"]

    def run() -> np.ndarray:
        interpreter.set_tensor(index, next(ready))
        interpreter.invoke()
        return interpreter.get_tensor(output)

    return run


def logits(classifier: Classifier, windows: np.ndarray) -> Callable[[], Any]:
    raw, buffer = cycle(list(windows)), np.empty((1, len(classifier.labels)), np.float32)
    return lambda: classifier.logits(next(raw), out=buffer)


def predict(classifier: Classifier, windows: np.ndarray) -> Callable[[], Any]:
    raw = cycle(list(windows))
    return lambda: classifier.predict(next(raw))


if __name__ == "__main__":
    main()
