"""The results of `edge-rnn bench`, printable and as JSON. Latencies are in microseconds."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from edge_runtime.bench.machine_state import MachineState
from edge_runtime.model_file.metadata import CLASSIFICATION

UNKNOWN = "unknown"


@dataclass(frozen=True)
class ColdStart:
    """From the start of a fresh Python process to its first prediction, in milliseconds.

    Each figure is the median over `processes` processes, so that `total` may differ from the sum.
    """

    python: float
    """Until Python runs the first line of edge_runtime."""
    imports: float
    """Importing numpy and edge_runtime."""
    opening: float
    """Reading and checking the file, loading the engine and the model into it."""
    first_prediction: float
    total: float
    processes: int

    def __str__(self) -> str:
        """`182 ms: Python 20, imports 95, opening 60, first prediction 5 (median of 5 processes)`"""
        return (
            f"{self.total:.0f} ms: Python {self.python:.0f}, imports {self.imports:.0f}, opening "
            f"{self.opening:.0f}, first prediction {self.first_prediction:.1f} "
            f"(median of {self.processes} processes)"
        )


@dataclass(frozen=True)
class Latency:
    """Latency of consecutive predictions of one window each, after the warm-up."""

    p50: float
    p90: float
    p99: float
    runs: int
    warm_up_runs: int
    """Runs until predictions became no faster."""
    warm_up_ms: float

    def __str__(self) -> str:
        """`p50 35.1 us, p90 36.0, p99 53.2 (20,000 runs)`"""
        return f"p50 {self.p50:.1f} us, p90 {self.p90:.1f}, p99 {self.p99:.1f} ({self.runs:,} runs)"


@dataclass(frozen=True)
class Throughput:
    """Throughput of batches with `jobs` interpreters of `threads` threads each."""

    threads: int
    jobs: int
    windows_per_second: float


@dataclass(frozen=True)
class OperatorTime:
    """The operators of one kind whose outputs have the same shape."""

    kind: str
    count: int
    """Number of such operators in the graph."""
    microseconds: float
    """Time of all of them together in one run, mean."""


@dataclass(frozen=True)
class ModelBench:
    """The figures of one model."""

    model: str
    precision: str
    graph: str
    steps: int
    features: int
    classes: int
    """Number of outputs, which are a classifier's classes."""
    task: str
    """classification, regression or embedding."""
    file_bytes: int
    cold_start: ColdStart
    peak_bytes: int | None
    """Peak memory after the first prediction, Python included; None if the system does not tell."""
    latency: Latency
    throughput: tuple[Throughput, ...]
    profile: tuple[OperatorTime, ...]
    """The longest first; empty if the engine offers no profile."""
    profile_note: str
    """Why the profile is empty; empty otherwise."""

    def lines(self) -> list[str]:
        """The lines of text for this model, without what all models of a report share."""
        latency = self.latency
        peak = UNKNOWN if self.peak_bytes is None else f"{self.peak_bytes / 1e6:.1f} MB"
        outputs = "classes" if self.task == CLASSIFICATION else "outputs"
        shape = f"{self.steps} steps of {self.features} features, {self.classes} {outputs}"
        facts = {
            "cold start": str(self.cold_start),
            "peak memory": f"{peak} after the first prediction",
            "warm-up": f"{latency.warm_up_runs} runs, {latency.warm_up_ms:.1f} ms",
            "latency": str(latency),
            "profile": self.profile_note or f"{sum(o.microseconds for o in self.profile):.0f} us a run",
        }
        return [
            f"{self.model}: {self.precision}, {self.graph}, {shape}, {self.file_bytes:,} bytes",
            *(f"  {name:<12} {text}" for name, text in facts.items()),
            *(f"    {self._share(item)}" for item in self.profile),
            "  throughput   threads  jobs  windows/s",
            *(
                f"               {item.threads:7}  {item.jobs:4}  {item.windows_per_second:9,.0f}"
                for item in self.throughput
            ),
        ]

    def _share(self, item: OperatorTime) -> str:
        share = item.microseconds / sum(other.microseconds for other in self.profile)
        return f"{100 * share:5.1f} %  {item.microseconds:8.1f} us  {item.count:4} x {item.kind}"


@dataclass(frozen=True)
class Ratio:
    """Latency of the first model divided by that of the second, from the medians of each round."""

    median: float
    lower: float
    upper: float
    """Quartiles: half of the rounds lie between them."""
    rounds: int

    def __str__(self) -> str:
        """`0.480 (half of 40 rounds within 0.471 to 0.493)`"""
        between = f"{self.lower:.3f} to {self.upper:.3f}"
        return f"{self.median:.3f} (half of {self.rounds} rounds within {between})"


@dataclass(frozen=True)
class BenchReport:
    """Results of one model or two, on one machine and in one engine."""

    engine: str
    version: str
    kernels: str | None
    """The kernels that native uses on this processor; None for the other engines."""
    numpy: str
    python: str
    threads: int
    shared_weights: bool
    machine: MachineState
    machine_after: MachineState
    models: tuple[ModelBench, ...]
    ratio: Ratio | None
    """The ratio of two models' latencies; None for one model."""

    def __str__(self) -> str:
        """The text of `edge-rnn bench`."""
        shared = ", shared weights" if self.shared_weights else ""
        kernels = f", {self.kernels} kernels" if self.kernels else ""
        threads = f"{self.threads} thread{'s' * (self.threads != 1)}"
        lines = [
            f"machine: {self.machine}",
            f"engine: {self.engine} {self.version}{kernels}, {threads}{shared}; "
            f"Python {self.python}, numpy {self.numpy}",
        ]
        for model in self.models:
            lines += ["", *model.lines()]
        if self.ratio is not None:
            first, second = self.models
            lines += ["", f"latency of {first.model} by that of {second.model}: {self.ratio}"]
        if self.machine_after != self.machine:
            lines += ["", f"machine afterwards: {self.machine_after.conditions}"]
        return "\n".join(lines)

    def to_json(self) -> str:
        """One line of JSON."""
        record: dict[str, Any] = asdict(self)
        return json.dumps(record, allow_nan=False)
