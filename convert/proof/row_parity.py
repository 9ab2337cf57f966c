"""A step file's second proof, which compares its logits after every row with the unrolled network's.

The reference is the float graph unrolled to t rows, for every t, so that the step graph is not its own
reference. It is run in numpy, since the full model takes whole windows only. The first proof
(convert.proof.parity) measures how the float graph agrees with the full model.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convert.compiler.float_graph.unroll import unroll
from convert.proof.engines import ProofEngines
from convert.proof.output_errors import output_spreads
from convert.proof.parity import DECIMALS, engine_logits
from convert.source_model.network import Network
from convert.source_model.source_model import SourceModel
from edge_runtime.inference.unit_length import scale_to_unit_length
from edge_runtime.model_file.metadata import CLASSIFICATION
from edge_runtime.model_file.parity_figures import RowParity
from edge_runtime.model_file.parity_report import ParityReport
from edge_runtime.numpy_engine.interpret import run, run_rows
from edge_runtime.tflite.graph import Graph

ROW_WINDOWS = 100
MAX_ROWS = 32
"""All rows of a window are compared up to this number; of longer windows this many, evenly spaced."""

Float32 = NDArray[np.float32]


def with_row_proof(
    report: ParityReport, model: str | Path, source: SourceModel, graph: Graph, engines: ProofEngines
) -> ParityReport:
    """The report with the proof row by row, in numpy and in every engine that ran the model.

    `model`: the step file; `graph`: the step graph in it. Uses the first 100 held-out windows.
    """
    raw = source.held_out.x[:ROW_WINDOWS]
    windows = source.normalization.apply(raw)
    rows = compared_rows(source.network.steps)
    expected = unrolled_logits(source.network, windows, rows, source.unit_length)
    # Outputs of different units count alike.
    unit = 1.0 if source.task == CLASSIFICATION else output_spreads(source.logits, source.task)

    def compare(engine: str, logits: Float32) -> RowParity:
        return _compare(engine, logits[:, [row - 1 for row in rows]] / unit, expected / unit, rows)

    results = [compare("numpy", numpy_logits(graph, windows, source.unit_length))]
    ran = {(result.engine, result.version) for result in report.engines if result.failure is None}
    for engine in engines.available:
        if (engine.distribution, engine.version) in ran:
            logits = engine_logits(
                model, raw, engine=engine.distribution, by_row=True, python=engine.python
            )
            results.append(compare(f"{engine.distribution} {engine.version}", logits))
    return replace(report, by_row=tuple(results))


def compared_rows(steps: int, most: int = MAX_ROWS) -> tuple[int, ...]:
    """The numbers (from 1) of at most `most` and MAX_ROWS rows to compare. The last is `steps`."""
    count = min(steps, most, MAX_ROWS)
    return tuple(int(row) for row in np.unique(np.linspace(steps, 1, count).round()))


def unrolled_logits(
    network: Network, windows: Float32, rows: tuple[int, ...], unit_length: bool = False
) -> Float32:
    """Logits `[N, len(rows), classes]` of the first t rows of normalized windows, t in `rows`.

    `unit_length`: then scaled to length 1.
    """
    logits = [run(unroll(replace(network, steps=t)), windows[:, :t]) for t in rows]
    stacked = np.stack(logits, axis=1)
    return scale_to_unit_length(stacked) if unit_length else stacked


def numpy_logits(graph: Graph, windows: Float32, unit_length: bool = False) -> Float32:
    """Logits of normalized windows, computed in numpy; `unit_length`: then scaled to length 1.

    `[N, classes]`, or `[N, steps, classes]` for the graph of a step.
    """
    fed = graph.tensors[graph.input].encode(windows)
    logits = np.stack(run_rows(graph, fed), axis=1) if graph.states else run(graph, fed)
    decoded = graph.tensors[graph.output].decode(logits)
    return scale_to_unit_length(decoded) if unit_length else decoded


def _compare(engine: str, logits: Float32, expected: Float32, rows: tuple[int, ...]) -> RowParity:
    difference = np.abs(logits.astype(np.float64) - expected)
    return RowParity(
        engine=engine,
        windows=len(logits),
        rows=rows,
        max_logit_difference=round(float(difference.max()), DECIMALS),
        mean_logit_differences=tuple(
            round(float(mean), DECIMALS) for mean in difference.mean(axis=(0, 2))
        ),
        spread=round(float(expected.std()), DECIMALS),
    )
