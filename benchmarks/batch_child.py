"""One runtime that predicts many windows, on request; throughput.py starts it.

    python -m benchmarks.batch_child '{"engine": "onnxruntime", "model": "m.onnx", "windows": "w.npy",
        "threads": 2, "batch": 64}'

The windows are raw, `[N, steps, features]`. For ours (an engine of edge_runtime, or ai-edge-litert with
shared weights), `threads` is the number of interpreters, each with one thread, and all windows go into
one predict(). For ONNX Runtime it is the number of threads within an operator, and `batch` normalized
windows go into each call. Prints a line of JSON with the classes of all windows. For ours it also has
the peak of what Python's allocator gave while the logits of all windows went into a buffer. Then answers
each {"ask": "time"} with the seconds that all windows took (edge_runtime.bench.child). With one thread
these are seconds of the CPU, which other load on the machine does not lengthen.
"""

from __future__ import annotations

import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any, Callable

import numpy as np

from benchmarks.timed_child import SHARED
from edge_runtime.bench.child import Opened, serve
from edge_runtime.inference.classifier import Classifier
from edge_runtime.inference.pool import ClassifierPool
from edge_runtime.model_file.normalization import Normalization

ORT = "onnxruntime"
PIXELS = Normalization((0.0,), (255.0,), "uint8")

Run = Callable[[], np.ndarray]


def opened(config: dict[str, Any]) -> Opened:
    """Predict all windows once. Each answer is the seconds for predicting all of them again."""
    engine, model, threads = config["engine"], Path(config["model"]), config["threads"]
    windows = np.load(config["windows"])
    peak = None
    if engine == ORT:
        run = onnx_run(model, PIXELS.apply(windows), threads, config["batch"])
    else:
        options = {"engine": engine.split(",")[0], "shared_weights": engine == SHARED}
        peak = allocated(Classifier(model, **options), windows)
        run = our_run(ClassifierPool(model, threads, **options), windows)
    return {"classes": run().tolist(), "allocated": peak}, {"time": lambda: seconds(run, threads)}


def seconds(run: Run, threads: int) -> float:
    """How long a run takes."""
    clock = time.process_time if threads == 1 else time.perf_counter
    start = clock()
    run()
    return clock() - start


def our_run(pool: ClassifierPool, windows: np.ndarray) -> Run:
    return lambda: np.array([prediction.index for prediction in pool.predict(windows)])


def allocated(classifier: Classifier, windows: np.ndarray) -> int:
    """Bytes."""
    buffer = np.empty((len(windows), len(classifier.labels)), np.float32)
    classifier.logits(windows[:1], out=buffer[:1])
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    classifier.logits(windows, out=buffer)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    return peak


def onnx_run(model: Path, windows: np.ndarray, threads: int, batch: int) -> Run:
    import onnxruntime as ort

    settings = ort.SessionOptions()
    settings.intra_op_num_threads, settings.inter_op_num_threads = threads, 1
    session = ort.InferenceSession(str(model), settings, providers=["CPUExecutionProvider"])
    parts = [windows[start : start + batch] for start in range(0, len(windows), batch)]

    def run() -> np.ndarray:
        return np.concatenate([session.run(None, {"window": part})[0].argmax(axis=1) for part in parts])

    return run


if __name__ == "__main__":
    sys.exit(serve(opened))
