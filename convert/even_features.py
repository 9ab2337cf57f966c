"""Brings the features of a user's raw windows to one range, where rounding the window would lose some.

An integer file stores the window with one scale for all features, and `dynamic` rounds each row with
one. A pressure of 1013 +- 40 then leaves nothing of an acceleration of 0 +- 0.01. A model that begins
with a scaling has none of this (source_model.window_scaling). For any other, mean and standard deviation
of the calibration windows become the normalization, and the first matrices take up their inverse, so
that the model computes the same.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from convert.compiler.float_graph.unroll import unroll
from convert.source_model.fold import fold
from convert.source_model.network import WINDOW, Affine, Mask, Network
from convert.source_model.source_model import SourceModel
from convert.source_model.window_scaling import fitted_scaling, rescaled
from edge_runtime.model_file.normalization import Normalization
from edge_runtime.numpy_engine.interpret import run

UNEVEN = 4.0
"""How much wider than a feature's range the window's must be before the loss is measured. It costs that
feature two of the eight bits."""

LOST_LOGITS = 0.02
"""The loss that is worth a remedy, as a part of the logits' spread (benchmarks.raw_units)."""

WINDOW_LEVELS = 255
MEASURED_WINDOWS = 100

NOT_SCALED = ((0.0,), (1.0,))


def even_features(source: SourceModel) -> SourceModel:
    """The source, with a normalization of its features where that keeps an answer from being rounded
    away; with a note that names the remedy where the model's first layers do not allow it.

    Windows of bytes have one unit and stay as they are, and so do those of a run directory.
    """
    normalization, windows = source.normalization, source.calibration
    if "model" not in source.origin or normalization.dtype != "float32":
        return source
    rows = windows[_counting(source.network, windows)]
    unevenness = _unevenness(rows)
    if unevenness < UNEVEN:
        return source
    loss = _rounding_loss(source.network, windows)
    if not loss >= LOST_LOGITS:
        return source
    ranges = f"the features' ranges differ by up to 1:{unevenness:.0f}"
    fitted = fitted_scaling(rows, normalization.dtype)
    if (normalization.mean, normalization.std) == NOT_SCALED and fitted is not None:
        network, scaled = rescaled(source.network, fitted), fitted.apply(windows)
        folds = _scalings(network) <= _scalings(source.network)
        if folds and _rounding_loss(network, scaled) < loss / 2:
            note = f"{ranges}, so the file normalizes them, as the calibration windows are distributed"
            return _with(source, network, fitted, scaled, note)
    remedy = (
        f"{ranges}, and rounding the window to 8 bits moves the logits by {100 * loss:.0f} % of their "
        "spread: let the model begin with a Normalization layer that everything else reads"
    )
    return replace(source, notes=(*source.notes, remedy))


def _with(
    source: SourceModel,
    network: Network,
    normalization: Normalization,
    calibration: NDArray[np.float32],
    note: str,
) -> SourceModel:
    return replace(
        source,
        network=network,
        normalization=normalization,
        calibration=calibration,
        notes=(*source.notes, note),
    )


def _counting(network: Network, windows: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The rows that no Mask leaves out, `[N, steps]`. An integer file's range is theirs (clipped)."""
    counting = np.ones(windows.shape[:2], np.bool_)
    for layer, sources in zip(network.layers, network.sources):
        if isinstance(layer, Mask) and WINDOW in sources:
            width = windows.shape[-1] - network.static
            counting &= np.any(windows[..., :width] != layer.value, axis=-1)
    return counting


def _unevenness(rows: NDArray[np.float32]) -> float:
    """How much wider the range of all features is than that of the narrowest that varies."""
    if not len(rows):
        return 1.0
    low, high = rows.min(axis=0).astype(np.float64), rows.max(axis=0).astype(np.float64)
    varying = (high - low)[high > low]
    return float((high.max() - low.min()) / varying.min()) if len(varying) else 1.0


def _rounding_loss(network: Network, windows: NDArray[np.float32]) -> float:
    """The mean error of a logit if the window is rounded to 8 bits, as a part of their spread."""
    counting = _counting(network, windows)
    low, high = float(windows[counting].min()), float(windows[counting].max())
    step = (high - low) / WINDOW_LEVELS or 1.0
    some = windows[:MEASURED_WINDOWS].astype(np.float64)
    rounded = np.rint((some - low) / step) * step + low
    rounded = np.where(counting[:MEASURED_WINDOWS, :, np.newaxis], rounded, some)
    graph = unroll(network)
    logits = run(graph, some.astype(np.float32)).astype(np.float64)
    spread = float(logits.std())
    error = np.abs(run(graph, rounded.astype(np.float32)) - logits).mean()
    return float(error) / spread if spread > 0 else 0.0


def _scalings(network: Network) -> int:
    """How many Affines stay operators of the graph."""
    return sum(isinstance(layer, Affine) for layer in fold(network).layers)
