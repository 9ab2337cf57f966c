"""One runtime that predicts many windows, on request; throughput.py starts it.

    python benchmarks/batch_child.py ENGINE MODEL WINDOWS.npy THREADS BATCH

WINDOWS are raw, `[N, steps, features]`. For ours (an engine of edge_runtime, or ai-edge-litert with
shared weights) THREADS are jobs, interpreters of one thread each, and all windows go into one predict();
for ONNX Runtime they are its threads within an operator, and BATCH windows go into each call, normalized
before. Prints JSON with the classes of all windows, and for ours with what Python's allocator had to
give, at its peak, while the logits of all windows went into a buffer. Then for each line of standard
input the seconds that all windows took.
"""

from __future__ import annotations

import json
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Callable

import numpy as np
from timed_child import SHARED

from edge_runtime.inference.classifier import Classifier
from edge_runtime.inference.pool import ClassifierPool
from edge_runtime.model_file.normalization import Normalization

ORT = "onnxruntime"
PIXELS = Normalization((0.0,), (255.0,), "uint8")

Run = Callable[[], np.ndarray]


def main() -> None:
    engine, model, file, threads, batch = sys.argv[1:]
    windows = np.load(file)
    peak = None
    if engine == ORT:
        run = onnx_run(Path(model), PIXELS.apply(windows), int(threads), int(batch))
    else:
        options = {"engine": engine.split(",")[0], "shared_weights": engine == SHARED}
        peak = allocated(Classifier(model, **options), windows)
        run = our_run(ClassifierPool(model, int(threads), **options), windows)
    print(json.dumps({"classes": run().tolist(), "allocated": peak}), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        run()
        print(time.perf_counter() - start, flush=True)


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
    main()
