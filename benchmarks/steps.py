"""How file size, conversion time and latency grow with the number of time steps.

    python -m benchmarks.steps [--steps 28 64 128 256 512] [--rounds 20] [--runs 50]

Prints Markdown. The network is LSTM(128) with 28 features and 10 classes. Its weights are random, as
Keras initializes them, and the windows are uniform random numbers. Nothing is trained, and TensorFlow is
not needed. The bytes are those of the FlatBuffer, without metadata and probes. The latency is the median
in interleaved rounds (interleaved.py), with one process for each file and engine and one thread. MB is
the memory of that process, Python included.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.cpu import cpu_name
from benchmarks.interleaved import Candidate, measure
from benchmarks.timed_child import SHARED, installed
from convert.compiler.compile import compile_network
from convert.source_model.network import Dense, Lstm, Network
from edge_runtime.engines.engine import engine_version, installed_engines
from edge_runtime.model_file.metadata import STEP

FEATURES, UNITS, CLASSES = 28, 128, 10
STEPS = (28, 64, 128, 256, 512)
CALIBRATION = 500
"""Windows, as many as `edge-rnn convert` takes by default."""
TIMED_WINDOWS = 20


@dataclass(frozen=True)
class Row:
    """The figures for one number of steps."""

    steps: int
    file_bytes: int
    step_bytes: int
    """The size of the file with `--graph step`."""
    seconds: float
    """CPU time of the conversion, without a proof."""
    microseconds: dict[str, float]
    """Engine -> median of one window."""
    megabytes: dict[str, float]
    """Engine -> memory of the process that runs it, Python and numpy included."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--runs", type=int, default=50, help="of each file in each round")
    options = parser.parse_args()
    results: dict[str, list[Row]] = {"int8": [], "float32": []}
    for steps in sorted(options.steps):
        found = rows(steps, list(results), options.rounds, options.runs)
        for precision, row in found.items():
            results[precision].append(row)
    print(f"CPU: {cpu_name()}. {options.rounds * options.runs:,} runs of each file.")
    for precision, measured in results.items():
        table(precision, measured)


def rows(steps: int, precisions: list[str], rounds: int, runs: int) -> dict[str, Row]:
    """Convert to each precision, then time all files against each other."""
    rng = np.random.default_rng(0)
    network = keras_initial_network(steps, rng)
    windows = rng.random((CALIBRATION, steps, FEATURES), np.float32)
    with tempfile.TemporaryDirectory() as folder:
        sizes, candidates = {}, []
        for precision in precisions:
            start = time.process_time()
            data = compile_network(network, windows, precision=precision)
            seconds = time.process_time() - start
            step = compile_network(network, windows, precision=precision, graph=STEP)
            sizes[precision] = (len(data), len(step), seconds)
            file = Path(folder, f"{precision}.tflite")
            file.write_bytes(data)
            engines = list(installed_engines())
            if installed(SHARED):
                engines.append(SHARED)
            candidates += [Candidate(precision, engine, file) for engine in engines]
        timings = measure(candidates, windows[:TIMED_WINDOWS], rounds, runs)
    latencies: dict[str, dict[str, float]] = {precision: {} for precision in precisions}
    memory: dict[str, dict[str, float]] = {precision: {} for precision in precisions}
    for timing in timings:
        assert not timing.failure, timing.failure
        candidate = timing.candidate
        latencies[candidate.name][candidate.engine] = timing.median
        memory[candidate.name][candidate.engine] = (timing.resident or 0) / 1e6
    return {name: Row(steps, *sizes[name], latencies[name], memory[name]) for name in precisions}


def keras_initial_network(steps: int, rng: np.random.Generator) -> Network:
    """Glorot-uniform kernels, an orthogonal recurrent kernel, zero biases except the forget gate's 1."""
    q, r = np.linalg.qr(rng.normal(size=(4 * UNITS, UNITS)))
    recurrent = (q * np.sign(np.diag(r))).astype(np.float32)
    bias = np.zeros(4 * UNITS, np.float32)
    bias[UNITS : 2 * UNITS] = 1
    lstm = Lstm("lstm", glorot(4 * UNITS, FEATURES, rng), recurrent, bias)
    dense = Dense("dense", glorot(CLASSES, UNITS, rng), np.zeros(CLASSES, np.float32))
    return Network(steps, FEATURES, (lstm, dense))


def glorot(outputs: int, inputs: int, rng: np.random.Generator) -> np.ndarray:
    """Uniform within sqrt(6 / (inputs + outputs)) (Glorot and Bengio 2010)."""
    limit = np.sqrt(6 / (inputs + outputs))
    return rng.uniform(-limit, limit, (outputs, inputs)).astype(np.float32)


def titled(engine: str) -> str:
    return engine if engine == SHARED else f"{engine} {engine_version(engine)}"


def table(precision: str, measured: list[Row]) -> None:
    engines = list(measured[0].microseconds)
    print(f"\n{precision}:\n")
    print("| steps | file bytes | bytes per further step | conversion, CPU s | ms per step ", end="")
    print("".join(f"| us in {titled(name)} | per step | MB " for name in engines), end="")
    print("| file bytes with `--graph step` |")
    print("| --- " * (6 + 3 * len(engines)) + "|")
    for before, row in zip([None, *measured], measured):
        growth = ""
        if before is not None:
            growth = f"{(row.file_bytes - before.file_bytes) / (row.steps - before.steps):.0f}"
        print(f"| {row.steps} | {row.file_bytes:,} | {growth} | {row.seconds:.2f} ", end="")
        print(f"| {1e3 * row.seconds / row.steps:.1f} ", end="")
        for name in engines:
            print(f"| {row.microseconds[name]:,.1f} | {row.microseconds[name] / row.steps:.2f} ", end="")
            print(f"| {row.megabytes[name]:.0f} ", end="")
        print(f"| {row.step_bytes:,} |")


if __name__ == "__main__":
    main()
