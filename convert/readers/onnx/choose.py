"""Parts of a tensor as tensors: some of its columns, some of its rows, one row as a vector."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from convert.readers.onnx.tracing import Array, Positions, ShapedNode
from convert.source_model.network import (
    RECURRENT_LAYERS,
    Activation,
    Affine,
    Conv1d,
    Dense,
    Flatten,
    Join,
    LayerNorm,
    Repeat,
    TakeRows,
)

_ROW_LAYERS = (Activation, Affine, Dense, LayerNorm)
"""Layers with one source that treat every row alike."""

COLUMNS = "columns"
"""Name of a dense layer that only picks columns."""


def selected(tensor: ShapedNode, columns: Positions) -> ShapedNode:
    """The columns, in this order. Layers in front that can give just these columns do so."""
    layer, width = tensor.layer, len(columns)
    if np.array_equal(columns, np.arange(tensor.width)):
        return tensor
    if isinstance(layer, (Dense, Conv1d)):
        part = replace(layer, kernel=layer.kernel[columns], bias=layer.bias[columns])
        return tensor.sources[0].then(part, tensor.steps, width)
    if isinstance(layer, Repeat) or (isinstance(layer, Activation) and "softmax" not in layer.function):
        return selected(tensor.sources[0], columns).then(layer, tensor.steps, width)
    if isinstance(layer, Affine):
        scaling = replace(layer, scale=layer.scale[columns], offset=layer.offset[columns])
        return selected(tensor.sources[0], columns).then(scaling, tensor.steps, width)
    kernel = np.zeros((width, tensor.width), np.float32)
    kernel[np.arange(width), columns] = 1
    return tensor.then(Dense(COLUMNS, kernel, np.zeros(width, np.float32)), tensor.steps, width)


def taken_rows(tensor: ShapedNode, rows: list[int]) -> ShapedNode:
    """The rows, in this order, as a sequence."""
    if rows == list(range(tensor.steps or 0)):
        return tensor
    name = f"rows_{rows[0]}_to_{rows[-1]}" if len(rows) > 1 else f"row_{rows[0]}"
    return tensor.then(TakeRows(name, tuple(rows)), len(rows), tensor.width)


def row_of(tensor: ShapedNode, row: int) -> ShapedNode:
    """One row of a sequence as a vector.

    A recurrent layer then gives only its last output. Layers after it that treat every row alike read
    one row instead of the sequence.
    """
    vector = _row_of(tensor, row)
    vector.row = (tensor, row)
    return vector


def _row_of(tensor: ShapedNode, row: int) -> ShapedNode:
    layer, width = tensor.layer, tensor.width
    assert tensor.steps is not None
    if isinstance(layer, RECURRENT_LAYERS) and row == tensor.steps - 1:
        return tensor.sources[0].then(replace(layer, return_sequences=False), None, width)
    if isinstance(layer, Repeat):
        return tensor.sources[0]
    if isinstance(layer, _ROW_LAYERS):
        return row_of(tensor.sources[0], row).then(layer, None, width)
    if isinstance(layer, Join) and layer.kind != "rows":
        first, *others = (
            source if source.steps is None else row_of(source, row) for source in tensor.sources
        )
        return first.then(layer, None, width, *others)
    if isinstance(layer, Join) and all(source.steps is None for source in tensor.sources):
        return tensor.sources[row]
    return taken_rows(tensor, [row]).then(Flatten("flatten"), None, width)


def vector_of(tensor: ShapedNode, elements: Positions) -> tuple[ShapedNode, Positions]:
    """A vector with these elements of a window `[steps * width]`, and the column of each in it."""
    if tensor.steps is None:
        return tensor, elements
    row, column = elements // tensor.width, elements % tensor.width
    rows = list(dict.fromkeys(row.tolist()))
    if len(rows) == 1:
        return row_of(tensor, rows[0]), column
    if sorted(rows) == list(range(tensor.steps)):
        rows = sorted(rows)
    place = np.zeros(tensor.steps, np.int64)
    place[rows] = np.arange(len(rows))
    flat = taken_rows(tensor, rows).then(Flatten("flatten"), None, len(rows) * tensor.width)
    return flat, place[row] * tensor.width + column


def absorb(kernel: Array, columns: Positions, width: int) -> NDArray[np.float32]:
    """A kernel `[..., n]` for features `columns` `[n]` as one for all `width` features."""
    full = np.zeros((*kernel.shape[:-1], width), np.float32)
    np.add.at(np.moveaxis(full, -1, 0), columns, np.moveaxis(kernel, -1, 0).astype(np.float32))
    return full
