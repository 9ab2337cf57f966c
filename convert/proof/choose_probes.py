"""Chooses the probe windows of a model file, and how far an engine may be off on them.

The rule, for the held-out windows that the model file has just been proven on:

- **Candidates** are windows of every class, from the closest decisions to the median. A class's windows
  are ordered by their lead, which is how far the full model's best logit is ahead of the second, and
  those at the fractions LEADS are candidates.
- The **tolerance** is ALLOWANCE times the usual difference of a candidate. This is the median over the
  candidates of the largest difference from the full model's logits in any engine.
- A candidate **qualifies** if every engine is within a third of the tolerance, and if its lead is at
  least twice the tolerance. No allowed difference then changes its class.
- Every class in turn gives its qualified candidate with the smallest lead, which shows a wrong file
  first. There is one probe for each class, as many as fit into USUAL_BYTES, and at least LEAST of them
  if these fit into MOST_BYTES.
- A file that gives numbers has other candidates (number_probes), and its differences are told in
  standard deviations of the output.
- If not even one window fits, the probes are **synthetic**. They are noise over the range of the
  training windows, with the logits of the float graph, and the file holds only their seed.

The reason for ALLOWANCE: engines round at different places, and one engine does so on different CPUs.
On a new device a good file therefore differs from the full model by other amounts than in its proof.
For the canonical model in int8 the tolerance comes to 0.97. None of 10,000 MNIST windows that one engine
gave within half of this tolerance was beyond it in the other engine. With a tolerance of 0.8 it was one
window, with 0.5 ten.
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
from convert.proof.number_probes import number_candidates, qualified_numbers, recorded_spreads
from convert.proof.parity import engine_logits
from convert.proof.row_parity import compared_rows, numpy_logits, unrolled_logits
from convert.source_model.source_model import SourceModel
from edge_runtime.inference.unit_length import scale_to_unit_length
from edge_runtime.model_file.metadata import CLASSIFICATION
from edge_runtime.model_file.parity_report import ParityReport
from edge_runtime.model_file.probe_record import ProbeRecord, Synthetic
from edge_runtime.model_file.probes import Probes, synthetic_windows
from edge_runtime.numpy_engine.interpret import run
from edge_runtime.tflite.graph import Graph

MOST_BYTES = 8000
"""Limit on the bytes of probes.bin in the file."""
USUAL_BYTES = 2000
LEAST = 2
"""The smallest number of probes, if they fit."""

ALLOWANCE = 5.0
LEAST_TOLERANCE = 1e-3
"""The order of summation differs between CPUs, so that float32 logits of 10 to 100 may differ by
about 1e-5."""

LEADS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
SYNTHETIC_COUNT = 4
SYNTHETIC_SEED = 1


@dataclass(frozen=True, eq=False)
class _Candidates:
    """Windows to choose from, ordered by preference; the closest decisions of every class come first."""

    windows: NDArray[Any]
    logits: NDArray[np.float32]

    @property
    def lead(self) -> NDArray[np.float64]:
        """How far the best logit is ahead of the second, `[N]`."""
        return _lead(self.logits)

    def take(self, indices: list[int]) -> _Candidates:
        """The candidates at these positions."""
        return _Candidates(self.windows[indices], self.logits[indices])


def choose_probes(
    model: str | Path,
    source: SourceModel,
    report: ParityReport,
    engines: ProofEngines,
    graph: Graph,
) -> Probes:
    """Probes for the model file `model`, which passed the proof `report` or was not proven.

    Runs the report's engines on a few windows, also those outside the target. If no engine has run the
    file, its `graph` is run in numpy. `engines`: those of the proof. The probes of a step file are
    compared after every row, or after some rows of long windows. Raises EngineError when an engine fails
    that ran in the proof.
    """
    ran = {(r.engine, r.version) for r in report.engines if r.ran}
    proven = [item for item in engines.available if (item.distribution, item.version) in ran]
    steps = source.network.steps
    rows = compared_rows(steps, _rows_that_fit(source.logits.shape[1])) if graph.states else ()
    runs = _Runs(Path(model), source, proven, graph, rows, recorded_spreads(source))
    candidates = _candidates(source)
    expected = runs.expected(candidates.windows, candidates.logits)
    differences = runs.differences(candidates.windows, expected)
    tolerance = _tolerance(differences)
    if runs.spreads:
        chosen = qualified_numbers(differences, tolerance, LEAST)
    else:
        chosen = _qualified(candidates, differences, tolerance)
    return _fitting(replace(candidates, logits=expected).take(chosen), runs, tolerance) or _synthetic(
        runs
    )


def _rows_that_fit(classes: int) -> int:
    return max(1, MOST_BYTES // (SYNTHETIC_COUNT * (classes + 1) * np.dtype(np.float32).itemsize))


@dataclass(frozen=True)
class _Runs:
    """The logits of the full model and of the engines for probe windows."""

    model: Path
    source: SourceModel
    engines: list[ProofEngine]
    graph: Graph
    rows: tuple[int, ...]
    """The numbers of the compared rows; () for an unrolled file."""
    spreads: tuple[float, ...]
    """The units of differences of a file that gives numbers; () for a classifier's."""

    def expected(self, raw: NDArray[Any], final: NDArray[np.float32]) -> NDArray[np.float32]:
        """The expected logits: those of the full model, `final`.

        For a step file they are the unrolled float network's after each of the rows,
        `[N, rows, classes]`.
        """
        if not self.rows:
            return final
        normalized = self.source.normalization.apply(raw)
        return unrolled_logits(self.source.network, normalized, self.rows, self.source.unit_length)

    def differences(self, raw: NDArray[Any], expected: NDArray[np.float32]) -> NDArray[np.float64]:
        """The largest difference of a logit in any engine and after any row, for each window, `[N]`."""
        found = [self._logits(raw, engine) for engine in self.engines]
        if not found:
            normalized = self.source.normalization.apply(raw)
            found = [self._after_rows(numpy_logits(self.graph, normalized, self.source.unit_length))]
        unit = np.array(self.spreads or 1.0)
        off = [np.abs(logits.astype(np.float64) - expected) / unit for logits in found]
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
    everything = _Candidates(source.held_out.x, source.logits)
    if source.task != CLASSIFICATION:
        return everything.take(number_candidates(source.logits))
    lead, classes = _lead(source.logits), source.logits.argmax(axis=1)
    ranked = set()
    for label in np.unique(classes):
        members = np.flatnonzero(classes == label)
        ordered = members[np.argsort(lead[members], kind="stable")]
        ranked |= {(part, int(label), int(ordered[int(part * len(ordered))])) for part in LEADS}
    indices = list(dict.fromkeys(index for _, _, index in sorted(ranked)))
    return everything.take(indices)


def _qualified(candidates: _Candidates, differences: NDArray[np.float64], tolerance: float) -> list[int]:
    """The first position that qualifies in every class; if none does, those with the largest lead."""
    close, lead = differences <= tolerance / 3, candidates.lead
    classes = candidates.logits.argmax(axis=1)
    chosen: dict[int, int] = {}
    for index in np.flatnonzero(close & (lead >= 2 * tolerance)):
        chosen.setdefault(int(classes[index]), int(index))
    safest = [int(index) for index in np.argsort(-lead, kind="stable") if close[index]]
    return list(chosen.values()) or safest[:LEAST]


def _fitting(candidates: _Candidates, runs: _Runs, tolerance: float) -> Probes | None:
    """As many candidates as the limits allow; None if not even one fits."""
    best, origin = None, runs.source.split
    for count in range(1, len(candidates.windows) + 1):
        windows = candidates.windows[:count]
        dtype, rows, spreads = str(windows.dtype), runs.rows, runs.spreads
        record = ProbeRecord(count, dtype, tolerance, origin, rows=rows, spreads=spreads)
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
    if source.unit_length:
        scale_to_unit_length(final)
    expected = runs.expected(windows, final)
    tolerance = _tolerance(runs.differences(windows, expected))
    record = ProbeRecord(SYNTHETIC_COUNT, dtype, tolerance, "synthetic", recipe, runs.rows, runs.spreads)
    return Probes(record, windows, expected)
