"""Models that cut every window into parts and treat each part alike, as a CNN before an LSTM does.

PyTorch reshapes `[batch, parts, steps, features]` to `[batch * parts, steps, features]`, and back after
the convolutions. In between, a tensor's batch counts parts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convert.readers.onnx.choose import selected, vector_of
from convert.readers.onnx.tracing import ShapedNode, Traced, Unsupported
from convert.source_model.network import Layer, TimeDistributed

NOT_ALIKE = "cuts windows into parts that are not treated alike. Expected a chain of layers for each."


@dataclass(frozen=True)
class Cut:
    """Stands in front of the layers that read each part; its output's batch counts the parts."""

    name: str
    count: int


def with_batch(value: Traced, batch: int | None = None) -> Traced:
    """The same value with tensors of this batch, or of the smallest among theirs.

    Raises Unsupported if there is no such value.
    """
    batch = batch or min((tensor.batch for tensor in value.tensors), default=1)
    while any(tensor.batch > batch for tensor in value.tensors):
        value = closed(value)
    if any(tensor.batch < batch for tensor in value.tensors):
        value = _cut(value, batch)
    return value


def _cut(value: Traced, batch: int) -> Traced:
    if len(value.tensors) > 1:
        raise Unsupported(NOT_ALIKE)
    tensor = value.tensor
    count, rest = divmod(batch, tensor.batch)
    if rest or tensor.steps is None or tensor.steps % count:
        raise Unsupported("reads the elements of its input in an order that is not a sequence of rows")
    part = tensor.then(Cut("parts", count), tensor.steps // count, tensor.width, batch=batch)
    return Traced((part,), value.positions)


def closed(value: Traced) -> Traced:
    """The value with one vector for each part, as the rows of sequences over whole windows."""
    value = value.used()
    if len(value.tensors) > 1:
        raise Unsupported(NOT_ALIKE)
    tensor, positions = value.tensor, value.positions
    value.check_padding()
    elements = np.unique(positions % tensor.size)
    vector, columns = vector_of(tensor, elements)
    vector = selected(vector, columns)
    cut, layers = _inside(vector)
    assert isinstance(cut.layer, Cut)
    before, count, width = cut.sources[0], cut.layer.count, vector.width
    name = f"parts_{layers[0].name}" if layers else "parts"
    rows = before.then(TimeDistributed(name, count, layers), count, width)
    column = np.searchsorted(elements, positions % tensor.size)
    return Traced((rows,), positions // tensor.size * width + column)


def _inside(tensor: ShapedNode) -> tuple[ShapedNode, tuple[Layer, ...]]:
    """The Cut in front of a tensor, and the layers after it."""
    layers: list[Layer] = []
    while not isinstance(tensor.layer, Cut):
        if len(tensor.sources) != 1:
            raise Unsupported(NOT_ALIKE)
        layers.insert(0, tensor.layer)  # type: ignore[arg-type]
        (tensor,) = tensor.sources
    return tensor, tuple(layers)
