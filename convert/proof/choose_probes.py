"""Which windows become the probes of a model file, and how far an engine may be off on them.

The rule, for the held-out windows that the model file has just been proven on:

- **Candidates** are windows of every class, from the closest calls to the median: those at the
  fractions LEADS of the class, ordered by how far the full model's best logit leads the second.
- The **tolerance** is ALLOWANCE times what a candidate usually differs by: the median over them of the
  largest difference from the full model's logits that any engine shows.
- A candidate **qualifies** when every engine is within a third of the tolerance, and its lead is at
  least twice the tolerance: no difference that is allowed turns its class.
- Class after class gives the qualified candidate with the smallest lead, which shows a wrong file
  first: one a class, as many as fit into USUAL_BYTES; LEAST of them, if these fit into MOST_BYTES.
- Where not even one window fits, the probes are **synthetic**: noise over the range of the training
  windows, of which the file keeps the seed only, with the logits of the float graph.

Why ALLOWANCE: engines round at other places, and so does one engine on another CPU, so a sound file
differs from the full model by other amounts on a device that was not there when it was made. Of 10,000
MNIST windows in int8, the canonical model, with the tolerance of 0.97 that it comes to, none that
one engine gave within half of it was beyond it in the other engine; with 0.8 it was one, with 0.5 ten.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.compiler.float_graph.unroll import unroll
from convert.model_file.archive import archived_bytes
from convert.proof.engines import ProofEngine, ProofEngines
from convert.proof.parity import engine_logits
from convert.proof.row_parity import compared_rows, numpy_logits, unrolled_logits
from convert.source_model.source_model import SourceModel
from edge_runtime.model_file.parity_report import ParityReport
from edge_runtime.model_file.probe_record import ProbeRecord, Synthetic
from edge_runtime.model_file.probes import Probes, synthetic_windows
from edge_runtime.numpy_engine.interpret import run
from edge_runtime.tflite.graph import Graph

MOST_BYTES = 8000
"""Of the file, for probes.bin."""
USUAL_BYTES = 2000
LEAST = 2
"""Probes, if they fit."""

ALLOWANCE = 5.0
LEAST_TOLERANCE = 1e-3
"""The order of summation differs between CPUs: float32 logits of some tens differ by some 1e-5."""

LEADS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
SYNTHETIC_COUNT = 4
SYNTHETIC_SEED = 1


@dataclass(frozen=True, eq=False)
class _Candidates:
    """Windows to choose from, the first choice first: the closest calls of every class, then others."""

    windows: NDArray[Any]
    logits: NDArray[np.float32]

    @property
    def lead(self) -> NDArray[np.float64]:
        """How far the best logit is ahead of the second, `[N]`."""
        return _lead(self.logits)

    def take(self, indices: list[int]) -> _Candidates:
        """Those at these positions."""
        return _Candidates(self.windows[indices], self.logits[indices])


def choose_probes(
    model: str | Path,
    source: SourceModel,
    report: ParityReport,
    engines: ProofEngines,
    graph: Graph,
) -> Probes:
    """Probes for the model file `model`, which did not fail the proof `report`.

    Runs the engines of the report on a few windows, those outside of the target too; where none has run
    the file, the `graph` in it is run in numpy. `engines`: those of the proof. The probes of a step file
    are compared after every row (of long windows after some of them). Raises EngineError when an engine
    fails now.
    """
    ran = {(r.engine, r.version) for r in report.engines if r.agreement is not None}
    proven = [item for item in engines.available if (item.distribution, item.version) in ran]
    steps = source.network.steps
    rows = compared_rows(steps, _rows_that_fit(source.logits.shape[1])) if graph.states else ()
    runs = _Runs(Path(model), source, proven, graph, rows)
    candidates = _candidates(source)
    expected = runs.expected(candidates.windows, candidates.logits)
    differences = runs.differences(candidates.windows, expected)
    tolerance = _tolerance(differences)
    chosen = _qualified(candidates, differences, tolerance)
    probes = _fitting(replace(candidates, logits=expected).take(chosen), source.split, tolerance, rows)
    return probes or _synthetic(runs)


def _rows_that_fit(classes: int) -> int:
    return max(1, MOST_BYTES // (SYNTHETIC_COUNT * (classes + 1) * np.dtype(np.float32).itemsize))


@dataclass(frozen=True)
class _Runs:
    """What the full model and the engines give for probe windows."""

    model: Path
    source: SourceModel
    engines: list[ProofEngine]
    graph: Graph
    rows: tuple[int, ...]
    """Of a step file."""

    def expected(self, raw: NDArray[Any], final: NDArray[np.float32]) -> NDArray[np.float32]:
        """The logits to expect: `final`, the full model's; of a step file the unrolled float network's
        after each of the rows, `[N, rows, classes]`."""
        if not self.rows:
            return final
        normalized = self.source.normalization.apply(raw)
        return unrolled_logits(self.source.network, normalized, self.rows)

    def differences(self, raw: NDArray[Any], expected: NDArray[np.float32]) -> NDArray[np.float64]:
        """The largest difference of a logit in any engine and after any row, window by window `[N]`."""
        found = [self._logits(raw, engine) for engine in self.engines]
        if not found:
            found = [self._after_rows(numpy_logits(self.graph, self.source.normalization.apply(raw)))]
        off = [np.abs(logits.astype(np.float64) - expected) for logits in found]
        each = [values.reshape(len(raw), -1).max(axis=1) for values in off]
        largest: NDArray[np.float64] = np.max(each, axis=0)
        return largest

    def _logits(self, raw: NDArray[Any], engine: ProofEngine) -> NDArray[np.float32]:
        logits = engine_logits(
            self.model, raw, engine=engine.distribution, python=engine.python, by_row=bool(self.rows)
        )
        return self._after_rows(logits)

    def _after_rows(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        return logits[:, [row - 1 for row in self.rows]] if self.rows else logits


def _tolerance(differences: NDArray[np.float64]) -> float:
    return float(f"{max(ALLOWANCE * float(np.median(differences)), LEAST_TOLERANCE):.4g}")


def _lead(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    ordered = np.sort(logits.astype(np.float64), axis=1)
    second = ordered[:, -2] if ordered.shape[1] > 1 else -np.inf
    lead: NDArray[np.float64] = ordered[:, -1] - second
    return lead


def _candidates(source: SourceModel) -> _Candidates:
    lead, classes = _lead(source.logits), source.logits.argmax(axis=1)
    ranked = set()
    for label in np.unique(classes):
        members = np.flatnonzero(classes == label)
        ordered = members[np.argsort(lead[members], kind="stable")]
        ranked |= {(part, int(label), int(ordered[int(part * len(ordered))])) for part in LEADS}
    indices = list(dict.fromkeys(index for _, _, index in sorted(ranked)))
    return _Candidates(source.held_out.x, source.logits).take(indices)


def _qualified(candidates: _Candidates, differences: NDArray[np.float64], tolerance: float) -> list[int]:
    """Positions: the first of every class that qualifies; where none does, those that lead by most."""
    close, lead = differences <= tolerance / 3, candidates.lead
    classes = candidates.logits.argmax(axis=1)
    chosen: dict[int, int] = {}
    for index in np.flatnonzero(close & (lead >= 2 * tolerance)):
        chosen.setdefault(int(classes[index]), int(index))
    safest = [int(index) for index in np.argsort(-lead, kind="stable") if close[index]]
    return list(chosen.values()) or safest[:LEAST]


def _fitting(
    candidates: _Candidates, origin: str, tolerance: float, rows: tuple[int, ...]
) -> Probes | None:
    """As many as the limits allow; None when not even one does."""
    best = None
    for count in range(1, len(candidates.windows) + 1):
        windows = candidates.windows[:count]
        record = ProbeRecord(count, str(windows.dtype), tolerance, origin, rows=rows)
        probes = Probes(record, windows, candidates.logits[:count])
        if archived_bytes(probes) > (MOST_BYTES if count <= LEAST else USUAL_BYTES):
            break
        best = probes
    return best


def _synthetic(runs: _Runs) -> Probes:
    source = runs.source
    dtype, normalization = str(source.held_out.x.dtype), source.normalization
    mean, std = (np.asarray(part, np.float32) for part in (normalization.mean, normalization.std))
    raw = source.calibration * std + mean
    recipe = Synthetic(SYNTHETIC_SEED, float(raw.min()), float(raw.max()))
    shape = (SYNTHETIC_COUNT, source.network.steps, source.network.features)
    windows = synthetic_windows(recipe, shape, dtype)
    final = run(unroll(source.network), normalization.apply(windows)).astype(np.float32)
    expected = runs.expected(windows, final)
    tolerance = _tolerance(runs.differences(windows, expected))
    record = ProbeRecord(SYNTHETIC_COUNT, dtype, tolerance, "synthetic", recipe, runs.rows)
    return Probes(record, windows, expected)
