"""A model that is opened, run and timed: the part of edge_runtime.bench.child that needs numpy."""

from __future__ import annotations

import statistics
import time
from itertools import cycle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.bench.memory import peak_bytes
from edge_runtime.engines.engine import NATIVE, NUMPY, engine_version, native_kernels
from edge_runtime.inference.pool import PredictorPool
from edge_runtime.inference.predictor import Predictor
from edge_runtime.inputs.read_windows import read_windows
from edge_runtime.model_file.metadata import Metadata
from edge_runtime.model_file.read_file import read_model_file

RANDOM_WINDOWS = 64
"""Number of random windows that are used without a file of windows."""
SEED = 0
BLOCK = 10
"""Number of runs whose median the warm-up looks at."""
PATIENCE = 5
"""The warm-up ends after this many blocks in a row that are not faster than the best one."""
FASTER = 0.98
"""A block is faster when its median is below this share of the best one."""
REFRESH = 0.1
"""Share of a round that runs before the timed part, to fill the caches that another process used."""
FEWEST = 5
"""Least number of runs in a round, however long they take."""


class MeasuredModel:
    """Opens the model and predicts one window. `cold` has the nanoseconds, `peak` the bytes.

    `source`: a file of raw windows, or None for random ones. `options` are those of Classifier.
    Raises what Predictor, PredictorPool and read_windows raise.
    """

    def __init__(self, path: str, source: str | None, jobs: int, options: dict[str, Any]) -> None:
        start = time.perf_counter_ns()
        self._predictor = Predictor[Any](path, **options)
        opened = time.perf_counter_ns()
        self._path, self._trust = path, bool(options.get("trust"))
        self._windows = timed_windows(self._predictor.spec, source)
        self._one_by_one = cycle(list(self._windows))
        before = time.perf_counter_ns()
        self._predictor.predict(next(self._one_by_one))
        self.cold = {"opening": opened - start, "first_prediction": time.perf_counter_ns() - before}
        self.peak = peak_bytes()
        self._pool = PredictorPool[Any](path, jobs, **options) if jobs > 1 else self._predictor

    @property
    def facts(self) -> dict[str, Any]:
        """Facts about the model and the engine."""
        spec, engine = self._predictor.spec, self._predictor.engine
        return {
            "engine": engine,
            "version": engine_version(engine),
            "kernels": native_kernels()[0] if engine == NATIVE else None,
            "numpy": np.__version__,
            "precision": spec.precision,
            "graph": spec.graph,
            "steps": spec.steps,
            "features": spec.features,
            "classes": len(spec.labels),
            "task": spec.task,
        }

    def warm_up(self, seconds: float) -> dict[str, Any]:
        """Predict until the last blocks are not faster than those before, or for `seconds`."""
        end, best, waited, runs = time.perf_counter() + seconds, float("inf"), 0, 0
        start = time.perf_counter_ns()
        while waited < PATIENCE and time.perf_counter() < end:
            median = statistics.median(self._nanoseconds(BLOCK))
            waited = 0 if median < FASTER * best else waited + 1
            best, runs = min(best, median), runs + BLOCK
        return {"runs": runs, "nanoseconds": time.perf_counter_ns() - start}

    def latency(self, seconds: float) -> list[int]:
        """Nanoseconds of each prediction in about `seconds`."""
        end = time.perf_counter() + REFRESH * seconds
        while time.perf_counter() < end:
            self._predictor.predict(next(self._one_by_one))
        end, times = time.perf_counter() + seconds, self._nanoseconds(FEWEST)
        while time.perf_counter() < end:
            times += self._nanoseconds(FEWEST)
        return times

    def _nanoseconds(self, runs: int) -> list[int]:
        clock, predict, times = time.perf_counter_ns, self._predictor.predict, []
        windows = [next(self._one_by_one) for _ in range(runs)]
        for window in windows:
            start = clock()
            predict(window)
            times.append(clock() - start)
        return times

    def throughput(self, seconds: float, windows: int) -> dict[str, int]:
        """How many windows were predicted in how many nanoseconds, in batches of `windows`."""
        batch = np.resize(self._windows, (windows, *self._windows.shape[1:]))
        done, start = 0, time.perf_counter_ns()
        while done == 0 or time.perf_counter_ns() - start < 1e9 * seconds:
            self._pool.predict(batch)
            done += windows
        return {"windows": done, "nanoseconds": time.perf_counter_ns() - start}

    def profile(self, seconds: float) -> Any:
        """The operators' times, or a clause that says why they are unknown."""
        engine = self._predictor.engine
        if engine != NUMPY:
            return f"{engine} {engine_version(engine)} offers none to Python"
        from edge_runtime.bench.operator_profile import profile

        flatbuffer = read_model_file(self._path, trust=self._trust).flatbuffer
        normalized = self._predictor.spec.normalization.apply(self._windows[0])
        return [vars(item) for item in profile(flatbuffer, normalized, seconds)]


def timed_windows(spec: Metadata, source: str | None) -> NDArray[Any]:
    """The windows of the file, or always the same random ones, in the unit of the training data."""
    if source is not None:
        return read_windows(source, spec.steps, spec.features)
    shape, rng = (RANDOM_WINDOWS, spec.steps, spec.features), np.random.default_rng(SEED)
    if spec.normalization.dtype == "uint8":
        pixels: NDArray[np.uint8] = rng.integers(0, 256, shape, np.uint8)
        return pixels
    if spec.normalization.tokens:
        tokens: NDArray[np.int32] = rng.integers(0, spec.normalization.tokens, shape, np.int32)
        return tokens
    mean, std = np.array(spec.normalization.mean), np.array(spec.normalization.std)
    windows: NDArray[np.float32] = (mean + std * rng.standard_normal(shape)).astype(np.float32)
    return windows
