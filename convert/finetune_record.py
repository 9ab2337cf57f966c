"""Quantized Graph -> GraphRecord: the files that the converter and fine-tuning exchange."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.compiler.compile import lower
from convert.compiler.recipe import Recipe
from convert.readers.read_options import check_unread
from convert.readers.run_directory import open_run
from convert.targets.precision import scheme_for
from convert.targets.target import Target, target_named
from edge_runtime.errors import InputError
from edge_runtime.host.atomic_file import replacing
from edge_runtime.model_file.metadata import UNROLLED
from edge_runtime.runs.graph_record import (
    FINETUNED_PRECISIONS,
    GraphRecord,
    RecordedOperator,
    RecordedTensor,
)
from edge_runtime.runs.recorded_graph import scale_column
from edge_runtime.tflite.graph import Graph, Quantization, Tensor


def write_graph_record(
    run_directory: str | Path, out: str | Path, *, precision: str, target: str
) -> None:
    """Quantize a run's model and write its graph to the file `out`. Nothing is proven.

    `edge-rnn train --finetune` reads the file. Raises InputError for a precision that cannot be
    fine-tuned, for a folder in the file's place and for a file of the run, and what open_run raises.
    """
    if precision not in FINETUNED_PRECISIONS:
        raise InputError(
            f"--precision: {precision} cannot be fine-tuned. Choose {' or '.join(FINETUNED_PRECISIONS)}."
        )
    if Path(out).is_dir():
        raise InputError(f"{out}: is a folder. --write-graph names the file to write.")
    check_unread(out, "--write-graph", run_directory)
    scheme = scheme_for(precision, target_named(target))
    source = open_run(run_directory)
    graph = lower(source.network, source.calibration, precision=precision, target=target)
    with replacing(out) as temporary:
        record_of(graph, precision, scheme).save(temporary)


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


def check_finetuned(record: GraphRecord, *, target: Target, graph: str, recipe: Recipe | None) -> None:
    """Raises InputError for options that do not go with a fine-tuned run's recorded graph."""
    wanted = scheme_for(record.precision, target)
    if record.scheme != wanted:
        raise InputError(
            f"--target: {target.name} needs the scheme {wanted}, but the run was fine-tuned for "
            f"{record.scheme}. Choose another target."
        )
    if graph != UNROLLED:
        raise InputError(f"--graph: a fine-tuned run has no {graph} graph. Choose {UNROLLED}.")
    if recipe is not None and (recipe.ranges or recipe.weights):
        raise InputError(
            f"{recipe.path}: the scales of a fine-tuned run are fixed. Leave out [[range]] and "
            "[[weights]]."
        )


def _recorded(tensor: Tensor) -> RecordedTensor:
    affine = tensor.quantization or Quantization(())
    return RecordedTensor(tensor.shape, tensor.dtype.name, affine.scale, affine.zero_point)


def _real(tensor: Tensor) -> NDArray[Any]:
    if tensor.quantization is None:
        return tensor.values
    scale = scale_column(tensor.quantization.scale, tensor.values.ndim)
    real: NDArray[Any] = (tensor.values.astype(np.float64) - tensor.quantization.zero_point) * scale
    return real.astype(np.float32)
