"""Operators -> calls of kernels, with the parameters that depend on scales.

The arithmetic is that of the numpy engine: its multipliers, and its tables for functions of one byte.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Callable

import numpy as np

from edge_runtime.native.loops import Loop, loops, rows_of
from edge_runtime.native.matmul_calls import emit_matmul
from edge_runtime.native.plan_format import GATHER_PARAMS, MAP_PARAMS, REDUCTION_PARAMS, Kernel
from edge_runtime.native.program import Program
from edge_runtime.native.storage import View, whole_as
from edge_runtime.numpy_engine.check_graph import FLOAT, INT8, INT16, JOINING
from edge_runtime.numpy_engine.fixed_point import Multiplier
from edge_runtime.numpy_engine.multipliers import (
    INT8_SUM_BITS,
    INT16_SUM_BITS,
    curve_factor,
    product_multiplier,
    rescale_multiplier,
    sum_multipliers,
)
from edge_runtime.tflite.flatbuffer_reader import MalformedError
from edge_runtime.tflite.graph import Op, Operator, Tensor

Numbers = dict[str, Any]

KERNELS: dict[tuple[Op, np.dtype[Any]], Kernel] = {
    (Op.ADD, INT8): Kernel.ADD_S8,
    (Op.SUB, INT8): Kernel.ADD_S8,
    (Op.MUL, INT8): Kernel.MUL_S8,
    (Op.LOGISTIC, INT8): Kernel.LOOKUP_S8,
    (Op.TANH, INT8): Kernel.LOOKUP_S8,
    (Op.RELU, INT8): Kernel.LOOKUP_S8,
    (Op.QUANTIZE, INT8): Kernel.LOOKUP_S8,
    (Op.ADD, INT16): Kernel.ADD_S16,
    (Op.SUB, INT16): Kernel.ADD_S16,
    (Op.MUL, INT16): Kernel.MUL_S16,
    (Op.LOGISTIC, INT16): Kernel.SIGMOID_S16,
    (Op.TANH, INT16): Kernel.TANH_S16,
    (Op.RELU, INT16): Kernel.RESCALE_S16,
    (Op.QUANTIZE, INT16): Kernel.RESCALE_S16,
    (Op.ADD, FLOAT): Kernel.ADD_F32,
    (Op.SUB, FLOAT): Kernel.SUB_F32,
    (Op.MUL, FLOAT): Kernel.MUL_F32,
    (Op.SQUARED_DIFFERENCE, FLOAT): Kernel.SQUARED_DIFFERENCE_F32,
    (Op.MINIMUM, FLOAT): Kernel.MINIMUM_F32,
    (Op.LOGISTIC, FLOAT): Kernel.SIGMOID_F32,
    (Op.TANH, FLOAT): Kernel.TANH_F32,
    (Op.RELU, FLOAT): Kernel.RELU_F32,
    (Op.ELU, FLOAT): Kernel.ELU_F32,
    (Op.RSQRT, FLOAT): Kernel.RSQRT_F32,
}
"""Operators whose kernel works value by value, with the type of their result. Those that change the type
are in _kernel_of."""

MEANS = {(Op.MEAN, FLOAT): Kernel.MEAN_F32}
MAXIMA = {
    (Op.REDUCE_MAX, INT8): Kernel.MAX_S8,
    (Op.REDUCE_MAX, INT16): Kernel.MAX_S16,
    (Op.REDUCE_MAX, FLOAT): Kernel.MAX_F32,
}


def emit(program: Program, operator: Operator, time: int) -> None:
    """Add the calls of an operator, the number `time` in the graph.

    Raises MalformedError, with a sentence, for an operator that the native engine has no kernel for.
    """
    if operator.op is Op.FULLY_CONNECTED:
        emit_matmul(program, operator, time)
    elif operator.op in JOINING:
        _emit_joined(program, operator, time)
    elif operator.op in (Op.MEAN, Op.REDUCE_MAX):
        _emit_reduction(program, operator, time)
    elif operator.op is Op.RESHAPE:
        _emit_reshaped(program, operator, time)
    elif operator.op is Op.GATHER:
        _emit_gather(program, operator, time)
    elif operator.op is Op.SOFTMAX:
        _emit_softmax(program, operator, time)
    else:
        _emit_elementwise(program, operator, time)


def _emit_elementwise(program: Program, operator: Operator, time: int) -> None:
    tensors = [program.graph.tensors[name] for name in (*operator.inputs, *operator.outputs)]
    kernel = _kernel_of(operator, tensors)
    key = (kernel, operator.op, *(tensor.quantization for tensor in tensors))
    numbers = program.numbers.get(key)  # the steps of an unrolled graph share theirs
    if numbers is None:
        made = _NUMBERS[kernel](program, operator, tensors) if kernel in _NUMBERS else {}
        numbers = program.numbers[key] = made
    views = [program.view(tensor.name, time) for tensor in tensors]
    _call_for_each(program, kernel, tensors[-1].shape, views, tensors, numbers)


def _kernel_of(operator: Operator, tensors: list[Tensor]) -> Kernel:
    source, result = tensors[0].dtype, tensors[-1].dtype
    if operator.op is Op.QUANTIZE and source == FLOAT:
        found = {INT8: Kernel.QUANTIZE_S8, INT16: Kernel.QUANTIZE_S16, FLOAT: Kernel.COPY}.get(result)
    elif operator.op is Op.DEQUANTIZE:
        found = {INT8: Kernel.DEQUANTIZE_S8, INT16: Kernel.DEQUANTIZE_S16}.get(source)
    else:
        found = KERNELS.get((operator.op, result))
    if found is None:
        raise MalformedError(f"the native engine has no {operator.op.value} from {source} to {result}")
    return found


def _call_for_each(
    program: Program,
    kernel: Kernel,
    shape: tuple[int, ...],
    views: list[View],
    tensors: list[Tensor],
    numbers: Numbers,
) -> None:
    sizes = [tensor.dtype.itemsize for tensor in tensors]
    for loop in loops(shape, views, sizes):
        moved = [View(view.buffer, offset, (), ()) for view, offset in zip(views, loop.offsets)]
        program.call(kernel, moved, _map(loop, numbers, sizes[0] if kernel is Kernel.COPY else 1))


def _map(loop: Loop, numbers: Numbers, unit: int = 1) -> bytes:
    """er_map; `unit`: bytes of a value where the width is in bytes."""
    get = numbers.get
    pitches, steps = loop.pitches, loop.steps
    second = len(pitches) > 2
    return MAP_PARAMS.pack(
        loop.rows,
        loop.width * unit,
        pitches[0],
        pitches[1] if second else 0,
        pitches[-1],
        steps[0],
        steps[1] if second else 1,
        get("table", 0),
        *(get(name, 0) for name in ("zero0", "zero1", "zero")),
        *get("multiplier0", (0, 0)),
        *get("multiplier1", (0, 0)),
        *get("multiplier", (0, 0)),
        get("low", 0),
        get("high", 0),
        get("scale", 0.0),
    )


def _sum_numbers(program: Program, operator: Operator, tensors: list[Tensor]) -> Numbers:
    first, second, output = tensors
    bits = INT8_SUM_BITS if output.dtype == INT8 else INT16_SUM_BITS
    sign = -1 if operator.op is Op.SUB else 1
    one, other, back = sum_multipliers(first, second, output, bits, sign)
    return {
        **_zeros(tensors),
        **_limits(output),
        "multiplier0": _pair(one, 0),
        "multiplier1": _pair(other, 0),
        "multiplier": _pair(back, 2 if output.dtype == INT8 else 0),
    }


def _product_numbers(program: Program, operator: Operator, tensors: list[Tensor]) -> Numbers:
    back = _pair(product_multiplier(*tensors), 0 if tensors[0].dtype == INT16 else 14)
    return {**_zeros(tensors), **_limits(tensors[-1]), "multiplier": back}


def _rescale_numbers(program: Program, operator: Operator, tensors: list[Tensor]) -> Numbers:
    limits = _limits(tensors[-1])
    if operator.op is Op.RELU:
        limits["low"] = 0
    return {**limits, "multiplier": _pair(rescale_multiplier(*tensors), 15)}


def _pair(multiplier: Multiplier, most: int) -> tuple[int, int]:
    """Mantissa and shift. Shifted by more than `most` to the left, a value could exceed 32 bits."""
    if multiplier.shift > most:
        raise MalformedError(f"its scales differ by a factor of 2^{multiplier.shift} in an operator")
    return multiplier.mantissa, multiplier.shift


def _zeros(tensors: list[Tensor]) -> Numbers:
    first, second, output = (tensor.affine.zero_point for tensor in tensors)
    return {"zero0": first, "zero1": second, "zero": output}


def _limits(tensor: Tensor) -> Numbers:
    info = np.iinfo(tensor.dtype)
    return {"low": int(info.min), "high": int(info.max)}


def _lookup_numbers(program: Program, operator: Operator, tensors: list[Tensor]) -> Numbers:
    key = (operator.op, tensors[0].affine, tensors[1].affine)

    def table() -> bytes:
        from edge_runtime.numpy_engine.integer_kernels import EVERY_INT8
        from edge_runtime.numpy_engine.integer_kernels import KERNELS as INT8_KERNELS

        (found,) = INT8_KERNELS[operator.op](operator, tensors)([EVERY_INT8])
        return bytes(found.astype(np.int8).tobytes())

    return {"table": program.constants.offset_in_plan(key, table)}


def _curve_numbers(program: Program, operator: Operator, tensors: list[Tensor]) -> Numbers:
    from edge_runtime.numpy_engine.int16_kernels import SIGMOID_TABLE

    table = program.constants.offset_in_plan("sigmoid", SIGMOID_TABLE.astype("<u2").tobytes)
    return {"table": table, "multiplier": curve_factor(tensors[0])}


def _quantize_numbers(program: Program, operator: Operator, tensors: list[Tensor]) -> Numbers:
    affine = tensors[-1].affine
    return {"scale": affine.scale[0], "zero": affine.zero_point}


def _dequantize_numbers(program: Program, operator: Operator, tensors: list[Tensor]) -> Numbers:
    affine = tensors[0].affine
    return {"scale": affine.scale[0], "zero0": affine.zero_point}


_NUMBERS: dict[Kernel, Callable[[Program, Operator, list[Tensor]], Numbers]] = {
    Kernel.ADD_S8: _sum_numbers,
    Kernel.ADD_S16: _sum_numbers,
    Kernel.MUL_S8: _product_numbers,
    Kernel.MUL_S16: _product_numbers,
    Kernel.RESCALE_S16: _rescale_numbers,
    Kernel.LOOKUP_S8: _lookup_numbers,
    Kernel.SIGMOID_S16: _curve_numbers,
    Kernel.TANH_S16: _curve_numbers,
    Kernel.QUANTIZE_S8: _quantize_numbers,
    Kernel.QUANTIZE_S16: _quantize_numbers,
    Kernel.DEQUANTIZE_S8: _dequantize_numbers,
    Kernel.DEQUANTIZE_S16: _dequantize_numbers,
}


def _emit_joined(program: Program, operator: Operator, time: int) -> None:
    """Copies of the parts that are not computed where the whole lies."""
    whole = program.graph.tensors[operator.outputs[0]]
    program.view(whole.name, time)
    for k, (name, place) in enumerate(zip(operator.inputs, program.storage.joined(operator))):
        if not program.storage.is_in_place(operator, k):
            part = program.graph.tensors[name]
            views = [program.view(name, time), place]
            _call_for_each(program, Kernel.COPY, part.shape, views, [part, part], {})


def _emit_reshaped(program: Program, operator: Operator, time: int) -> None:
    """A copy, in the shape of whichever of the two is whole."""
    source, target = program.view(operator.inputs[0], time), program.view(operator.outputs[0], time)
    part, result = (program.graph.tensors[name] for name in (operator.inputs[0], operator.outputs[0]))
    size = part.dtype.itemsize
    if _is_dense(source, size, 0):
        source = whole_as(source, target.shape, size)
    elif _is_dense(target, size, 0):
        target = whole_as(target, source.shape, size)
    else:
        raise MalformedError("the native engine has no RESHAPE from a part of a tensor into another")
    _call_for_each(program, Kernel.COPY, target.shape, [source, target], [part, result], {})


def _emit_gather(program: Program, operator: Operator, time: int) -> None:
    table, tokens = (program.graph.tensors[name] for name in operator.inputs)
    if table.data is None or len(table.shape) != 2:
        raise MalformedError("the native engine has a GATHER from a constant of two dimensions only")
    rows, size = table.shape[0], table.dtype.itemsize
    places = [program.view(name, time) for name in (*operator.inputs, *operator.outputs)]
    single = replace(places[1], shape=(*tokens.shape, 1), strides=(*places[1].strides, 4))
    (count, pitch1), (_, pitch) = rows_of(single, 4), rows_of(places[2], size)
    width = table.shape[1] * size
    program.call(Kernel.GATHER, places, GATHER_PARAMS.pack(count, width, rows, width, pitch1, pitch))


def _emit_reduction(program: Program, operator: Operator, time: int) -> None:
    name, result = operator.inputs[0], program.graph.tensors[operator.outputs[0]]
    kernel = {**MEANS, **MAXIMA}.get((operator.op, result.dtype))
    if kernel is None:
        raise MalformedError(f"the native engine has no {operator.op.value} of {result.dtype}")
    source, axis = program.view(name, time), operator.axis or 0
    size = result.dtype.itemsize
    outer, width = math.prod(source.shape[:axis]), math.prod(source.shape[axis + 1 :])
    count, pitch = source.shape[axis], source.strides[axis]
    plain = _is_dense(source, size, axis + 1)
    # For one outer index the pitch does not matter; for more the dimensions before have to be dense.
    if not plain or (outer > 1 and not _is_dense(source, pitch * count, 0, axis)):
        raise MalformedError(f"the native engine has no {operator.op.value} of a part of a tensor")
    target = program.view(result.name, time)
    params = REDUCTION_PARAMS.pack(outer, count, width, pitch * count, pitch, width * size)
    if not _is_dense(target, size, 0):
        raise MalformedError(f"the native engine has no {operator.op.value} into a part of a tensor")
    program.call(kernel, [source, target], params)


def _is_dense(view: View, stride: int, first: int, last: int | None = None) -> bool:
    """Whether the dimensions from `first` to `last` follow each other, the innermost `stride` apart."""
    for length, found in reversed(list(zip(view.shape, view.strides))[first:last]):
        if length > 1 and found != stride:
            return False
        stride *= length
    return True


def _emit_softmax(program: Program, operator: Operator, time: int) -> None:
    tensors = [program.graph.tensors[name] for name in (*operator.inputs, *operator.outputs)]
    if any(tensor.dtype != FLOAT for tensor in tensors):
        raise MalformedError(f"the native engine has no SOFTMAX of {tensors[0].dtype}")
    views = [program.view(tensor.name, time) for tensor in tensors]
    (rows, pitch0), (_, pitch) = (rows_of(view, 4) for view in views)
    loop = Loop(rows, tensors[0].shape[-1], (), (pitch0, pitch), (1, 1))
    program.call(Kernel.SOFTMAX_F32, views, _map(loop, {}))
