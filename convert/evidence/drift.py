"""How a file's errors grow over the steps of a window, by layer and gate (convert.explain)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from convert.compiler.compile import float_graph
from convert.even_features import NOT_SCALED
from convert.evidence.figures import Drift, LayerDrift
from convert.evidence.named_graph import named_graph
from convert.explain.loss_by_step import Explanation, explain
from convert.source_model.source_model import SourceModel
from convert.source_model.window_scaling import rescaled
from edge_runtime.model_file.metadata import STEP
from edge_runtime.model_file.normalization import Normalization
from edge_runtime.model_file.read_file import ModelFile
from edge_runtime.numpy_engine.read_graph import read_graph

DRIFT_WINDOWS = 200

UNQUANTIZED = "float32"


def measure_drift(file: ModelFile, source: SourceModel) -> Drift | str:
    """The errors by step on the calibration windows, or why there are none, as a sentence."""
    metadata = file.metadata
    if metadata.graph == STEP:
        return "a step file is compared after every row in its own proof, by 'edge-rnn convert'"
    if metadata.precision == UNQUANTIZED:
        return f"{UNQUANTIZED} quantizes nothing that could drift"
    scaled = _scaled_as(metadata.normalization, source)
    graph = None
    if scaled is not None:
        graph = named_graph(read_graph(file.flatbuffer), metadata, scaled)
    if scaled is None or graph is None:
        return "this edge-rnn makes another graph from the reference, so that the gates are not known"
    reference = float_graph(scaled.network)
    windows = scaled.calibration[:DRIFT_WINDOWS]
    found = explain(scaled.network, graph, reference, windows, precision=metadata.precision)
    layers = tuple(
        LayerDrift(item.layer, _rounded(item.errors), _rounded(item.spread), _rounded(item.gates))
        for item in found.layers
    )
    return Drift(found.windows, _verdict(found), layers)


def _scaled_as(normalization: Normalization, source: SourceModel) -> SourceModel | None:
    """The source as the converter saw it, which may have given the windows a normalization of its own
    (convert.even_features); None if the file has another one than that."""
    own = (source.normalization.mean, source.normalization.std)
    if own == (normalization.mean, normalization.std):
        return source
    if own != NOT_SCALED:
        return None
    return replace(
        source,
        network=rescaled(source.network, normalization),
        normalization=normalization,
        calibration=normalization.apply(source.calibration),
    )


def _verdict(found: Explanation) -> str:
    """Its own one needs a gate that was measured."""
    measured = any(any(values) for item in found.layers for values in item.gates.values())
    return found.verdict if measured else "no recurrent layer of the file has gates that can be measured"


def _rounded(values: dict[str, tuple[float, ...]]) -> dict[str, tuple[float, ...]]:
    return {name: tuple(float(np.round(value, 6)) for value in row) for name, row in values.items()}
