"""Conv, MaxPool and AveragePool nodes of ONNX along the steps -> Conv1d and Pooling.

The nodes may have two dimensions if one of them has size 1. Raises Unsupported. Definitions:
https://onnx.ai/onnx/operators/.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convert.readers.onnx.choose import absorb
from convert.readers.onnx.file import OnnxNode
from convert.readers.onnx.layouts import Sequence, as_sequence
from convert.readers.onnx.tracing import (
    PADDING,
    Array,
    Positions,
    Traced,
    Unsupported,
    Value,
    as_constant,
    as_traced,
    natural,
)
from convert.source_model.network import Conv1d, Pooling


@dataclass(frozen=True)
class _Sliding:
    """How a node slides along the steps."""

    stride: int
    dilation: int
    padding: tuple[int, int]
    width: int

    def steps(self, steps: int) -> int:
        """The number of results for so many rows."""
        room = steps + sum(self.padding) - (self.width - 1) * self.dilation - 1
        if room < 0:
            raise Unsupported(f"is wider than the {steps} rows it reads")
        return room // self.stride + 1


def convolution(node: OnnxNode, values: list[Value]) -> Traced:
    """Conv, also in groups: features of other groups have weights of zero."""
    x, weights, *bias = values
    x, kernel = as_traced(x), as_constant(weights, "W")
    axis = _long_axis(x.positions, kernel.shape[2:])
    single = tuple(k for k in range(2, x.positions.ndim) if k != axis)
    positions = np.squeeze(x.positions, single).transpose(0, 2, 1)
    kernel = np.squeeze(kernel, single).transpose(0, 2, 1)  # [filters, width, inputs of a group]
    kernel = _ungrouped(kernel, node.attributes.get("group", 1), positions.shape[2])
    sliding = _sliding(node, axis - 2, positions.shape[1], kernel.shape[1])
    before, after, positions = _unpadded(positions)
    sequence = as_sequence(x, positions)
    padding = (sliding.padding[0] + before, sliding.padding[1] + after)
    filters = len(kernel)
    zeros = np.zeros(filters, np.float32)
    layer = Conv1d(
        node.name,
        absorb(kernel, sequence.columns, sequence.tensor.width),
        zeros + as_constant(bias[0], "B").astype(np.float32) if bias and bias[0] is not None else zeros,
        sliding.stride,
        sliding.dilation,
        padding,
    )
    steps = sliding.steps(sequence.steps + before + after)
    return _channels_first(sequence, layer, steps, np.arange(filters), filters, single)


def _ungrouped(kernel: Array, groups: int, inputs: int) -> Array:
    """`[filters, width, inputs / groups]` as `[filters, width, inputs]`"""
    filters, width, each = kernel.shape
    full = np.zeros((filters, width, inputs), np.float32)
    for group, rows in enumerate(np.split(np.arange(filters), groups)):
        full[rows, :, group * each : (group + 1) * each] = kernel[rows]
    return full


def _channels_first(
    sequence: Sequence,
    layer: Conv1d | Pooling,
    steps: int,
    columns: Positions,
    width: int,
    single: tuple[int, ...],
) -> Traced:
    """The layer's output `[batch, columns, steps]`, with axes of size 1 where the input has them."""
    tensor = sequence.tensor.then(layer, steps, width)
    positions = natural(tensor.batch, steps, width)[:, :, columns].transpose(0, 2, 1)
    return Traced((tensor,), np.expand_dims(positions, single))


def pooling(node: OnnxNode, values: list[Value]) -> Traced:
    """MaxPool and AveragePool. Padding counts neither for the maximum nor for the average."""
    x, shape = as_traced(values[0]), tuple(node.attributes["kernel_shape"])
    axis = _long_axis(x.positions, shape)
    single = tuple(k for k in range(2, x.positions.ndim) if k != axis)
    positions = np.squeeze(x.positions, single).transpose(0, 2, 1)
    sliding = _sliding(node, axis - 2, positions.shape[1], shape[axis - 2])
    if sliding.dilation != 1:
        raise Unsupported(f"has dilations {node.attributes['dilations']}. Expected 1.")
    counted = node.attributes.get("count_include_pad", 0) and any(sliding.padding)
    if node.op == "AveragePool" and counted:
        raise Unsupported(
            "counts padding in its averages. Expected count_include_pad=0 (in PyTorch False)."
        )
    sequence = as_sequence(x, positions)
    padding = sliding.padding
    if node.attributes.get("ceil_mode", 0):
        padding = (padding[0], padding[1] + _missing(sliding, sequence.steps))
    kind = {"MaxPool": "max", "AveragePool": "average"}[node.op]
    layer = Pooling(node.name, kind, sliding.width, sliding.stride, padding)
    steps = _Sliding(sliding.stride, 1, padding, sliding.width).steps(sequence.steps)
    return _channels_first(sequence, layer, steps, sequence.columns, sequence.tensor.width, single)


def _missing(sliding: _Sliding, steps: int) -> int:
    """Rows that the last window of ceil_mode lacks; it has to begin before the padding behind."""
    left = steps + sum(sliding.padding) - sliding.width
    begin = -(-left // sliding.stride) * sliding.stride
    if begin >= steps + sliding.padding[0]:
        return 0
    return max(0, begin - left)


def _sliding(node: OnnxNode, at: int, steps: int, width: int) -> _Sliding:
    stride, dilation = (node.attributes.get(k, [1, 1])[at] for k in ("strides", "dilations"))
    padding = _padding(node, at, steps, width, stride, dilation)
    return _Sliding(stride, dilation, padding, width)


def _long_axis(positions: Positions, kernel: tuple[int, ...]) -> int:
    """The axis of the steps, which is the only spatial axis or the only one whose size is not 1."""
    spatial = range(2, positions.ndim)
    long = [k for k in spatial if positions.shape[k] != 1 or kernel[k - 2] != 1]
    if len(long) > 1 or not spatial:
        raise Unsupported("works along several axes. Expected the steps only.")
    return long[0] if long else 2


def _padding(
    node: OnnxNode, at: int, steps: int, width: int, stride: int, dilation: int
) -> tuple[int, int]:
    auto = node.attributes.get("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        total = max(0, (-(-steps // stride) - 1) * stride + (width - 1) * dilation + 1 - steps)
        small, large = total // 2, total - total // 2
        return (small, large) if auto == "SAME_UPPER" else (large, small)
    pads = node.attributes.get("pads")
    if auto == "VALID" or pads is None:
        return 0, 0
    return pads[at], pads[at + len(pads) // 2]


def _unpadded(positions: Positions) -> tuple[int, int, Positions]:
    """Numbers of padding rows before and after, and the positions `[batch, steps, features]` between."""
    real = np.flatnonzero(~(positions == PADDING).all(axis=(0, 2)))
    if not len(real):
        raise Unsupported("reads nothing but padding")
    first, last = int(real[0]), int(real[-1])
    return first, positions.shape[1] - 1 - last, positions[:, first : last + 1]
