"""Matrices in the layouts that kernels read, padded with zeros (c/edge_rnn.h lists the layouts)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_runtime.native.plan_format import Layout, aligned

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK_OUTPUTS = 16
"""Outputs of a block, and values that a row is padded to a multiple of."""

GROUP_BLOCKS = 8
"""Blocks that lie together."""


def packed_rows(weights: NDArray[Any]) -> NDArray[Any]:
    """`weights` `[out, in]` as `[out, in padded]`."""
    return _padded(weights, 1, BLOCK_OUTPUTS)


def packed_blocks(weights: NDArray[Any], together: int) -> NDArray[Any]:
    """`weights` `[out, in]` in groups of up to 8 blocks, in one dimension.

    Each group is `[in/together, blocks, 16, together]`.
    """
    padded = _padded(_padded(weights, BLOCK_OUTPUTS, 1), 1, together)
    out, width = padded.shape
    blocks = padded.reshape(out // BLOCK_OUTPUTS, BLOCK_OUTPUTS, width // together, together).transpose(
        2, 0, 1, 3
    )
    groups = [
        blocks[:, first : first + GROUP_BLOCKS].ravel()
        for first in range(0, out // BLOCK_OUTPUTS, GROUP_BLOCKS)
    ]
    return np.concatenate(groups)


def packed_values(values: NDArray[Any], count: int) -> NDArray[Any]:
    """One value for each output, or one for all, as an array of `count` rounded up to whole blocks."""
    result = np.zeros(aligned(count, BLOCK_OUTPUTS), values.dtype)
    result[:count] = values
    return result


def input_offset(layout: Layout, zero_point: int) -> int:
    """What the kernels of a layout multiply instead of 0: their int8 sums are of x + 128 or of x."""
    return zero_point + (128 if layout is Layout.BLOCKS_UNSIGNED else 0)


def _padded(values: NDArray[Any], first: int, second: int) -> NDArray[Any]:
    rows, columns = (aligned(n, multiple) for n, multiple in zip(values.shape, (first, second)))
    if (rows, columns) == values.shape:
        return values
    result = np.zeros((rows, columns), values.dtype)
    result[: values.shape[0], : values.shape[1]] = values
    return result
