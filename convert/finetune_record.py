"""Quantized Graph <-> GraphRecord: what fine-tuning is told, and what it gives back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.compiler.compile import lower
from convert.compiler.weights.gptq import WEIGHT_LIMIT
from convert.source_model.source_model import open_run
from convert.targets.precision import precision_named, scheme_for
from convert.targets.target import Target, target_named
from edge_runtime.errors import InputError
from edge_runtime.host.atomic_file import replacing
from edge_runtime.runs.graph_record import GraphRecord, RecordedOperator, RecordedTensor
from edge_runtime.tflite.graph import Graph, Op, Operator, Quantization, Tensor

FINETUNED = ("int8", "mixed")
"""Precisions whose graphs can be recorded: every rounding is known beforehand."""


def write_graph_record(
    run_directory: str | Path, out: str | Path, *, precision: str, target: str
) -> None:
    """Quantize a run's model and write the graph for `edge-rnn train --finetune`; nothing is proven.

    Raises InputError for a precision that cannot be fine-tuned, and what open_run raises.
    """
    name = precision_named(precision).name
    if name not in FINETUNED:
        raise InputError(f"--precision {name} cannot be fine-tuned: choose {' or '.join(FINETUNED)}")
    scheme = scheme_for(name, target_named(target))
    source = open_run(run_directory)
    graph = lower(source.network, source.calibration, precision=name, target=target)
    with replacing(out) as temporary:
        record_of(graph, name, scheme).save(temporary)


def record_of(graph: Graph, precision: str, scheme: str) -> GraphRecord:
    """The record of a quantized graph; constants as the real values that their integers stand for."""
    tensors = graph.tensors.values()
    return GraphRecord(
        precision=precision,
        scheme=scheme,
        inputs=graph.inputs,
        outputs=graph.outputs,
        operators=tuple(
            RecordedOperator(item.op.value, item.inputs, item.outputs, item.axis, item.relu)
            for item in graph.operators
        ),
        tensors={tensor.name: _recorded(tensor) for tensor in tensors},
        constants={tensor.name: _real(tensor) for tensor in tensors if tensor.data is not None},
    )


def graph_of(record: GraphRecord) -> Graph:
    """The quantized graph of a record: constants rounded to nearest with the recorded scales."""
    operators = tuple(
        Operator(Op(item.op), item.inputs, item.outputs, item.axis, item.relu)
        for item in record.operators
    )
    graph = Graph({}, operators, record.inputs, record.outputs)
    weights = set(graph.matrices())
    for name, item in record.tensors.items():
        lowest = -WEIGHT_LIMIT if name in weights else None
        graph.tensors[name] = _tensor(name, item, record.constants.get(name), lowest)
    return graph


def finetuned_graph(record: GraphRecord, target: Target) -> Graph:
    """`graph_of` a fine-tuned run's record. Raises InputError when `target` wants another arithmetic."""
    wanted = scheme_for(record.precision, target)
    if record.scheme != wanted:
        raise InputError(
            f"target {target.name} wants {wanted}, the run was fine-tuned for {record.scheme}: choose "
            "another target"
        )
    return graph_of(record)


def _recorded(tensor: Tensor) -> RecordedTensor:
    affine = tensor.quantization or Quantization(())
    return RecordedTensor(tensor.shape, tensor.dtype.name, affine.scale, affine.zero_point)


def _real(tensor: Tensor) -> NDArray[Any]:
    if tensor.quantization is None:
        return tensor.values
    scale = _column(tensor.quantization.scale, tensor.values.ndim)
    real: NDArray[Any] = (tensor.values.astype(np.float64) - tensor.quantization.zero_point) * scale
    return real.astype(np.float32)


def _tensor(name: str, item: RecordedTensor, real: NDArray[Any] | None, lowest: int | None) -> Tensor:
    dtype = np.dtype(item.dtype)
    if not item.scale:
        return Tensor(name, item.shape, dtype, real, keep_float=real is None)
    data = None
    if real is not None:
        limits = np.iinfo(dtype)
        scale = _column(item.scale, real.ndim)
        q = np.rint(real.astype(np.float64) / scale) + item.zero_point
        data = np.clip(q, limits.min if lowest is None else lowest, limits.max).astype(dtype)
    return Tensor(name, item.shape, dtype, data, Quantization(item.scale, item.zero_point))


def _column(scale: tuple[float, ...], dimensions: int) -> NDArray[np.float64]:
    """The scales along axis 0 of an array with that many dimensions."""
    return np.array(scale, np.float64).reshape(-1, *(1,) * (dimensions - 1))
