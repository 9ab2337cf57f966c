"""FULLY_CONNECTED -> a call of a matmul kernel, with its packed weights, biases and factors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edge_runtime.native.loops import rows_of
from edge_runtime.native.packing import (
    BLOCK_OUTPUTS,
    input_offset,
    packed_blocks,
    packed_rows,
    packed_values,
)
from edge_runtime.native.plan_format import MATMUL_PARAMS, Kernel, Layout, aligned
from edge_runtime.native.program import Program, demand_room
from edge_runtime.native.storage import View
from edge_runtime.numpy_engine.multipliers import matmul_multipliers, reduced_to_16_bits
from edge_runtime.tflite.flatbuffer_reader import MalformedError
from edge_runtime.tflite.graph import Operator, Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST_SUM = 1 << 30
"""Sums below it, and their rounding, fit into 32 bits."""

MOST_HYBRID_INPUTS = 1 << 24
"""From here on, the sum of a row of int8 weights may exceed 32 bits."""

RELU_OR_NOT = {True: (0, 1), False: (0, 0)}
"""er_matmul's limits of a float result."""


class _Matmul(NamedTuple):
    """The parameters of a matmul that do not depend on where its tensors lie, after its kernel."""

    kernel: Kernel
    weights: int
    bias: int
    mults: int
    shifts: int
    zero: int
    low: int
    high: int
    wide: bool


def emit_matmul(program: Program, operator: Operator, time: int) -> None:
    """Add the call of a FULLY_CONNECTED operator, the number `time` in the graph."""
    x, weights, bias = (program.graph.tensors[name] for name in operator.inputs)
    result = program.graph.tensors[operator.outputs[0]]
    if x.data is not None or weights.data is None or bias.data is None:
        raise MalformedError("the native engine has no FULLY_CONNECTED of computed weights")
    source, target = program.view(x.name, time), program.view(result.name, time)
    (rows, pitch0), (_, pitch) = (
        rows_of(source, x.dtype.itemsize),
        rows_of(target, result.dtype.itemsize),
    )
    key = (operator.inputs[1:], x.quantization, result.quantization, operator.relu)
    matmul = program.matmuls.get(key)  # the steps of an unrolled graph share theirs
    if matmul is None:
        make = {"b": _int8, "h": _int16}.get(result.dtype.char, _float)
        matmul = program.matmuls[key] = make(program, operator, (x, weights, bias, result))
    outputs, inputs = weights.shape
    params = MATMUL_PARAMS.pack(rows, inputs, outputs, pitch0, pitch, *matmul[1:])
    views = [source, target]
    if matmul.kernel is Kernel.MATMUL_HYBRID:
        scratch = View(program.storage.add_buffer(aligned(inputs, 16)), 0, (), ())
        program.storage.use(scratch, time)
        views.insert(1, scratch)
    program.call(matmul.kernel, views, params)


Tensors = tuple[Tensor, Tensor, Tensor, Tensor]
"""The activation, weights, bias and result of a matmul."""


def _int8(program: Program, operator: Operator, tensors: Tensors) -> _Matmul:
    x, weights, bias, result = tensors
    multipliers = matmul_multipliers(x, weights, result)
    zero_point = x.affine.zero_point
    magnitudes = np.abs(weights.values.astype(np.int64)).sum(axis=1)
    sums = weights.values.sum(axis=1, dtype=np.int64)
    # The kernels add x * w, or (x + 128) * w, and the bias makes up for the rest.
    largest = int((255 * magnitudes + np.abs(bias.values.astype(np.int64))).max()) + 128 * int(
        magnitudes.max()
    )
    wide = largest >= LARGEST_SUM or any(item.shift > 0 for item in multipliers)
    wide = wide or int(weights.values.min()) < -127
    layout = Layout.ROWS if wide else program.layout
    moved = bias.values - input_offset(layout, zero_point) * sums
    if np.abs(moved).max() >= 1 << 31:
        raise MalformedError("a bias exceeds 32 bits")
    add, count, key = (
        program.constants.offset_in_plan,
        len(sums),
        (operator.inputs[1:], x.affine, result.affine),
    )
    affine = result.affine
    return _Matmul(
        Kernel.MATMUL_S8,
        _weights(program, weights, layout, 4),
        add(("bias", key, layout), packed_values(moved.astype(np.int32), count).tobytes),
        add(("mults", key), _each([item.mantissa for item in multipliers], count).tobytes),
        add(("shifts", key), _each([-item.shift for item in multipliers], count).tobytes),
        affine.zero_point,
        max(affine.zero_point, -128) if operator.relu else -128,
        127,
        wide,
    )


def _int16(program: Program, operator: Operator, tensors: Tensors) -> _Matmul:
    x, weights, bias, result = tensors
    pairs = [reduced_to_16_bits(item) for item in matmul_multipliers(x, weights, result)]
    if any(not 1 <= shift <= 62 for _, shift in pairs):
        raise MalformedError("the scales of a FULLY_CONNECTED differ too much")
    magnitudes = np.abs(weights.values.astype(np.int64)).sum(axis=1)
    wide = bool(32768 * int(magnitudes.max()) >= 1 << 31)
    layout = Layout.ROWS if wide else program.layout
    add, count, key = (
        program.constants.offset_in_plan,
        len(magnitudes),
        (operator.inputs[1:], x.affine, result.affine),
    )
    return _Matmul(
        Kernel.MATMUL_S16,
        _weights(program, weights, layout, 2),
        add(("bias", key), packed_values(bias.values.astype(np.int64), count).tobytes, 8),
        add(("mults", key), _each([factor for factor, _ in pairs], count).tobytes),
        add(("shifts", key), _each([shift for _, shift in pairs], count).tobytes),
        0,
        0 if operator.relu else -32768,
        32767,
        wide,
    )


def _float(program: Program, operator: Operator, tensors: Tensors) -> _Matmul:
    _, weights, bias, _ = tensors
    if weights.dtype == np.int8:
        return _hybrid(program, operator, tensors)
    add = program.constants.offset_in_plan
    values = packed_values(bias.values.astype(np.float32), weights.shape[0])
    return _Matmul(
        Kernel.MATMUL_F32,
        _weights(program, weights, program.layout, 1),
        add(("bias", bias.name), values.tobytes),
        0,
        0,
        0,
        *RELU_OR_NOT[operator.relu],
        False,
    )


def _hybrid(program: Program, operator: Operator, tensors: Tensors) -> _Matmul:
    _, weights, bias, _ = tensors
    add, count = program.constants.offset_in_plan, weights.shape[0]
    if weights.shape[1] >= MOST_HYBRID_INPUTS:
        raise MalformedError(f"a FULLY_CONNECTED has {weights.shape[1]:,} inputs")
    wide = int(weights.values.min()) < -127 or 383 * 128 * weights.shape[1] >= 1 << 31
    layout = Layout.ROWS if wide else program.layout
    sums = weights.values.sum(axis=1, dtype=np.int64).astype(np.int32)
    scales = np.broadcast_to(np.asarray(weights.affine.scale, np.float32), (count,))
    return _Matmul(
        Kernel.MATMUL_HYBRID,
        _weights(program, weights, layout, 4),
        add(("bias", bias.name), packed_values(bias.values.astype(np.float32), count).tobytes),
        add(("scales", weights.name), packed_values(scales, count).tobytes),
        add(("sums", weights.name), packed_values(sums, count).tobytes),
        0,
        *RELU_OR_NOT[operator.relu],
        wide,
    )


def _weights(program: Program, weights: Tensor, layout: Layout, together: int) -> int:
    def packed() -> bytes:
        first, second = (1, BLOCK_OUTPUTS) if layout is Layout.ROWS else (BLOCK_OUTPUTS, together)
        outputs, inputs = aligned(weights.shape[0], first), aligned(weights.shape[1], second)
        demand_room(outputs * inputs * weights.dtype.itemsize, "plan")
        if layout is Layout.ROWS:
            return packed_rows(weights.values).tobytes()
        return packed_blocks(weights.values, together).tobytes()

    # int8 matmuls read other blocks than int16 ones.
    key = ("weights", weights.name, layout is not Layout.ROWS and together)
    return program.constants.offset_in_plan(key, packed, 64)


def _each(values: list[int], count: int) -> NDArray[Any]:
    return packed_values(np.asarray(values, np.int64).astype(np.int32), count)
