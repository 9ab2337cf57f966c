"""Which windows become the probes of a model file, and how far an engine may be off on them.

The rule, for held-out windows that the model file has already been proven on:

- A **candidate** is a window whose class no allowed rounding can turn: the full model's best logit is
  ahead of the second by at least twice the tolerance, and every engine finds the same class.
- Class after class gives the candidate with the smallest such lead: the closest calls show a wrong
  file first. As many as fit into USUAL_BYTES, one a class at the most; at least LEAST, if these fit
  into MOST_BYTES.
- Where not even one window fits, the probes are synthetic: noise over the range of the training
  windows, of which the file keeps the seed only, with the logits of the float graph.

The tolerance is ALLOWANCE times the largest difference from the full model's logits that any engine
showed, on all windows of the proof and on the probes: engines round at other places, and so does the
same engine on another CPU. Measured on MNIST, ai-edge-litert on a Cortex-A72 differs from the same
version on x86-64 by at most 0.21 in int8 and 0.03 in dynamic, where the proofs see 0.5 and 0.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.embed import archived_bytes
from convert.interpret import run
from convert.parity import engine_logits
from convert.source import Source
from convert.unroll import unroll
from edge_runtime.parity_report import ParityReport
from edge_runtime.probe_record import ProbeRecord, Synthetic
from edge_runtime.probes import Probes, synthetic_windows

MOST_BYTES = 8000
"""Of the file, for probes.bin."""
USUAL_BYTES = 2000
LEAST = 2
"""Probes, if they fit."""

ALLOWANCE = 2.0
LEAST_TOLERANCE = 1e-3
"""The order of summation differs between CPUs: float32 logits of some tens differ by some 1e-5."""

CANDIDATES_A_CLASS = 4
SYNTHETIC_COUNT = 4
SYNTHETIC_SEED = 1


@dataclass(frozen=True, eq=False)
class _Pool:
    """Held-out windows to choose from, the first choice first."""

    windows: NDArray[Any]
    logits: NDArray[np.float32]


def choose_probes(model: str | Path, source: Source, report: ParityReport) -> Probes:
    """Probes for the model file `model`, which passed the proof `report`.

    Runs its engines on a few windows. Raises EngineError when one of them fails now.
    """
    engines = [result.engine for result in report.engines if result.agreement is not None]
    tolerance = _tolerance(report)
    pool = _pool(source, 2 * tolerance)
    agreed = _agreed(pool, [engine_logits(model, pool.windows, engine=name) for name in engines])
    probes = _fitting(agreed, source.split, tolerance)
    return probes or _synthetic(model, source, engines, tolerance)


def _tolerance(report: ParityReport) -> float:
    seen = [result.max_logit_difference for result in report.engines]
    largest = max((value for value in seen if value is not None), default=0.0)
    return max(ALLOWANCE * largest, LEAST_TOLERANCE)


def _pool(source: Source, lead: float) -> _Pool:
    """Candidates but for the engines' agreement: closest calls of every class, classes in turn."""
    ordered = np.sort(source.logits.astype(np.float64), axis=1)
    ahead = ordered[:, -1] - (ordered[:, -2] if ordered.shape[1] > 1 else -np.inf)
    classes = source.logits.argmax(axis=1)
    ranked = []
    for label in np.unique(classes):
        members = np.flatnonzero((classes == label) & (ahead >= lead))
        nearest = members[np.argsort(ahead[members], kind="stable")][:CANDIDATES_A_CLASS]
        ranked += [(rank, label, index) for rank, index in enumerate(nearest)]
    if not ranked:  # every call is close: the widest lead is the safest probe
        ranked = [(0, classes[index], index) for index in np.argsort(-ahead, kind="stable")[:LEAST]]
    indices = [index for _, _, index in sorted(ranked)]
    return _Pool(source.held_out.x[indices], source.logits[indices])


def _agreed(pool: _Pool, found: list[NDArray[np.float32]]) -> _Pool:
    """The first window of every class on which every engine finds the class."""
    classes = pool.logits.argmax(axis=1)
    same = np.all([logits.argmax(axis=1) == classes for logits in found], axis=0)
    chosen: dict[int, int] = {}
    for index in np.flatnonzero(same):
        chosen.setdefault(int(classes[index]), int(index))
    indices = list(chosen.values())
    return _Pool(pool.windows[indices], pool.logits[indices])


def _fitting(pool: _Pool, origin: str, tolerance: float) -> Probes | None:
    """As many windows as the limits allow; None when not even one does."""
    best = None
    for count in range(1, len(pool.windows) + 1):
        windows = pool.windows[:count]
        record = ProbeRecord(count, str(windows.dtype), tolerance, origin)
        probes = Probes(record, windows, pool.logits[:count])
        size = archived_bytes(probes)
        if size > (MOST_BYTES if count <= LEAST else USUAL_BYTES):
            break
        best = probes
    return best


def _synthetic(
    model: str | Path, source: Source, engines: list[str], tolerance: float
) -> Probes:
    dtype = str(source.held_out.x.dtype)
    normalization = source.normalization
    raw = source.calibration * np.float32(normalization.std) + np.float32(normalization.mean)
    recipe = Synthetic(SYNTHETIC_SEED, float(raw.min()), float(raw.max()))
    shape = (SYNTHETIC_COUNT, source.network.steps, source.network.features)
    windows = synthetic_windows(recipe, shape, dtype)
    expected = run(unroll(source.network), normalization.apply(windows)).astype(np.float32)
    found = [engine_logits(model, windows, engine=name) for name in engines]
    largest = max(float(np.abs(logits.astype(np.float64) - expected).max()) for logits in found)
    record = ProbeRecord(
        SYNTHETIC_COUNT, dtype, max(tolerance, ALLOWANCE * largest), "synthetic", recipe
    )
    return Probes(record, windows, expected)
