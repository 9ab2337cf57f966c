"""Float Graph -> int8 or int16x8 Graph, in which every tensor is an integer, input and output included.

Scales of activations come from scales.int8_scales or scales.int16_scales. Graphs with float activations
and smaller weights are made by weights.formats.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.compiler.integer_operators import int8_inputs, runs_in_float
from convert.compiler.scales.clipped import clipped_by_range, masks_on_the_grid
from convert.compiler.weights.gptq import quantize_matrix
from edge_runtime.tflite.graph import Graph, Op, Operator, Quantization, Tensor

BIAS_LIMITS = {"int32": 2**31 - 1, "int64": 2**46 - 1}
"""Largest bias; the kernels multiply 64-bit sums of up to 48 bits (internal/common.cc)."""


def to_int8(
    graph: Graph, moments: dict[str, NDArray[np.float64]], quantizations: dict[str, Quantization]
) -> Graph:
    """The graph with integer tensors, except those that stay float (Tensor.keep_float).

    `moments`: gptq.second_moments of the float `graph`. `quantizations` has an entry for every
    activation and small constant. Biases are int32.
    """
    return _to_integer(graph, moments, quantizations, np.dtype(np.int8), np.dtype(np.int32))


def to_int16x8(
    graph: Graph, moments: dict[str, NDArray[np.float64]], quantizations: dict[str, Quantization]
) -> Graph:
    """The same as `to_int8` with int16 activations and int64 biases; the matrices are int8."""
    return _to_integer(graph, moments, quantizations, np.dtype(np.int16), np.dtype(np.int64))


def _to_integer(
    graph: Graph,
    moments: dict[str, NDArray[np.float64]],
    quantizations: dict[str, Quantization],
    dtype: np.dtype[Any],
    bias_dtype: np.dtype[Any],
) -> Graph:
    graph = masks_on_the_grid(clipped_by_range(graph), quantizations, dtype)
    quantizations = {name: found for name, found in quantizations.items() if name in graph.tensors}
    graph = _with_float_islands(graph)
    tensors = dict(graph.tensors)
    tensors.update(_int8_matrices(graph, moments))
    for name, quantization in quantizations.items():
        tensors[name] = _as_integer(tensors[name], quantization, dtype)
    for operator in graph.matmuls():
        source, weights, bias = (tensors[name] for name in operator.inputs)
        tensors[bias.name] = _bias(graph.tensors[bias.name], source, weights, bias_dtype)
    return replace(graph, tensors=tensors)


def _with_float_islands(graph: Graph) -> Graph:
    """The graph with DEQUANTIZE before and QUANTIZE after the operators that stay in float32."""
    tensors, operators = dict(graph.tensors), []
    integer = [operator for operator in graph.operators if not runs_in_float(graph, operator)]
    integer_inputs = {name for operator in integer for name in int8_inputs(operator)}

    def as_float(name: str) -> str:
        """The float32 form of an input, made once."""
        tensor, copy = tensors[name], f"{name}_f32"
        if tensor.keep_float or (tensor.data is not None and name not in integer_inputs):
            return name
        if tensor.data is not None:
            tensors[copy] = replace(tensor, name=copy, keep_float=True)
        elif copy not in tensors:
            tensors[copy] = Tensor(copy, tensor.shape, keep_float=True)
            operators.append(Operator(Op.DEQUANTIZE, (name,), (copy,)))
        return copy

    for operator in graph.operators:
        if not runs_in_float(graph, operator):
            operators.append(operator)
            continue
        inputs = tuple(as_float(name) for name in operator.inputs)
        if all(tensors[name].keep_float for name in operator.outputs):
            operators.append(replace(operator, inputs=inputs))
            continue
        (result,) = operator.outputs
        unrounded = f"{result}_unrounded"
        tensors[unrounded] = Tensor(unrounded, tensors[result].shape, keep_float=True)
        operators.append(replace(operator, inputs=inputs, outputs=(unrounded,)))
        operators.append(Operator(Op.QUANTIZE, (unrounded,), (result,)))
    return replace(graph, tensors=tensors, operators=tuple(operators))


def _int8_matrices(graph: Graph, moments: dict[str, NDArray[np.float64]]) -> dict[str, Tensor]:
    result = {}
    for name in graph.matrices():
        q, quantization = quantize_matrix(graph.tensors[name].values, moments[name], per_channel=True)
        result[name] = Tensor(name, q.shape, q.dtype, q, quantization)
    return result


def _as_integer(tensor: Tensor, quantization: Quantization, dtype: np.dtype[Any]) -> Tensor:
    integer = replace(tensor, dtype=dtype, quantization=quantization)
    return integer if tensor.data is None else replace(integer, data=integer.encode(tensor.data))


def _bias(bias: Tensor, source: Tensor, weights: Tensor, dtype: np.dtype[Any]) -> Tensor:
    """The integer bias, whose scale is the input's times the weights', as FULLY_CONNECTED requires."""
    scale = np.float32(source.affine.scale[0]) * np.array(weights.affine.scale, np.float32)
    limit = BIAS_LIMITS[dtype.name]
    q = np.clip(np.rint(bias.values / scale.astype(np.float64)), -limit - 1, limit)
    quantization = Quantization(tuple(float(value) for value in scale))
    return Tensor(bias.name, bias.shape, dtype, q.astype(dtype), quantization)
