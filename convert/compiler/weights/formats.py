"""Stores the matrices of a graph with float activations in float32, float16, int8 or int4.

Every matrix has a format of its own. A float16 matrix is widened by a DEQUANTIZE when the model is
loaded. An int8 or int4 matrix is multiplied by activations that the engine rounds on the fly (dynamic).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from convert.compiler.reproducible_run import exact_product
from convert.compiler.scales.calibrate import affine
from convert.compiler.weights.gptq import quantize_matrix, round_weights, rounding_plan
from edge_runtime.tflite.graph import Graph, Op, Operator, Quantization, Tensor

INT4_RANGE = (-8, 7)

CLIPPINGS = tuple(np.arange(0.5, 1.01, 0.05))
"""Candidates for the weight that the largest 4-bit integer stands for, relative to the largest weight.
As 4 bits have 15 steps only, clipping a row's few large weights may make all others more precise."""

WEIGHT_KINDS = ("float32", "float16", "int8", "int4")


@dataclass(frozen=True)
class WeightFormat:
    """How one matrix is stored."""

    kind: str
    """One of WEIGHT_KINDS."""
    per_channel: bool = True
    """For int8 and int4: whether every row has a scale of its own."""


SCHEME_FORMATS = {
    "float32": WeightFormat("float32"),
    "float16": WeightFormat("float16"),
    "dynamic-per-channel": WeightFormat("int8"),
    "dynamic-per-tensor": WeightFormat("int8", per_channel=False),
    "int4-per-channel": WeightFormat("int4"),
    "int4-per-tensor": WeightFormat("int4", per_channel=False),
}
"""Quantization scheme (convert.targets.target) -> format of all matrices. Other schemes have integer
activations."""


def with_weights(
    graph: Graph, moments: Mapping[str, NDArray[np.float64]], formats: Mapping[str, WeightFormat]
) -> Graph:
    """The float `graph` with each of graph.matrices() in its format of `formats`.

    `moments`: gptq.second_moments of the graph; only those of int8 and int4 matrices are read.
    """
    tensors, widened = dict(graph.tensors), []
    for name in graph.matrices():
        stored = formats[name]
        if stored.kind == "float16":
            widened.append(_halve(tensors, name))
        elif stored.kind != "float32":
            tensors[name] = _integer(tensors[name], moments[name], stored)
    found = replace(graph, tensors=tensors, operators=(*widened, *graph.operators))
    kinds = {item.kind for item in formats.values()} - {"float32"}
    return with_tables(found, kinds.pop()) if len(kinds) == 1 else found


def _halve(tensors: dict[str, Tensor], name: str) -> Operator:
    """Stores a constant as float16, and gives the operator that widens it."""
    half = Tensor(f"{name}_f16", tensors[name].shape, np.dtype(np.float16))
    tensors[half.name] = replace(half, data=tensors[name].values.astype(np.float16))
    tensors[name] = replace(tensors[name], data=None)
    return Operator(Op.DEQUANTIZE, (half.name,), (name,))


def with_tables(graph: Graph, kind: str) -> Graph:
    """The graph with the tables of embeddings in a smaller format: float16, otherwise int8.

    An int8 table has one scale, and the rows that GATHER finds are widened.
    """
    tensors, before = dict(graph.tensors), []
    operators: list[Operator] = []
    for operator in graph.operators:
        name = operator.inputs[0]
        if operator.op is not Op.GATHER or tensors[name].clip is not None:
            operators.append(operator)
        elif kind == "float16":
            before.append(_halve(tensors, name))
            operators.append(operator)
        else:
            (found,) = operator.outputs
            stored = f"{found}_q"
            table = _int8_table(tensors[name])
            tensors[name] = table
            tensors[stored] = Tensor(stored, tensors[found].shape, table.dtype, None, table.affine)
            operators.append(replace(operator, outputs=(stored,)))
            operators.append(Operator(Op.DEQUANTIZE, (stored,), (found,)))
    return replace(graph, tensors=tensors, operators=(*before, *operators))


def _int8_table(table: Tensor) -> Tensor:
    values = table.values
    integer = replace(table, dtype=np.dtype(np.int8), quantization=affine(values.min(), values.max()))
    return replace(integer, data=integer.encode(values))


def _integer(matrix: Tensor, moments: NDArray[np.float64], stored: WeightFormat) -> Tensor:
    int4 = stored.kind == "int4"
    rounded = quantize_int4 if int4 else quantize_matrix
    q, quantization = rounded(matrix.values, moments, per_channel=stored.per_channel)
    return Tensor(matrix.name, q.shape, q.dtype, q, quantization, int4=int4)


def quantize_int4(
    weights: NDArray[np.float32], moments: NDArray[np.float64], *, per_channel: bool
) -> tuple[NDArray[np.int8], Quantization]:
    """-8..7 `[outputs, inputs]` and scales, with the clipping that changes the outputs least.

    The measure is the mean squared error of each output over the calibration inputs, which the second
    moments `[inputs, inputs]` give: e M e^T for a row's error e. Candidates are CLIPPINGS.
    """
    largest = np.abs(weights).max(axis=1 if per_channel else None, keepdims=True)
    whole = np.where(largest > 0, largest, 1) / INT4_RANGE[1]
    best_q = np.zeros(weights.shape, np.int8)
    best_scale = np.zeros((len(weights), 1))
    best_error = np.full((len(weights), 1), np.inf)
    plan = rounding_plan(moments)
    for clipping in CLIPPINGS:
        scale = (whole * clipping).astype(np.float32).astype(np.float64)
        q = round_weights(weights, scale, plan, INT4_RANGE[1], lowest=INT4_RANGE[0])
        error = q * scale - weights
        loss = (exact_product(error, moments) * error).sum(
            axis=1 if per_channel else None, keepdims=True
        )
        better = loss < best_error
        best_q = np.where(better, q, best_q)
        best_scale = np.where(better, scale, best_scale)
        best_error = np.where(better, loss, best_error)
    scales = best_scale if per_channel else best_scale[:1]
    return best_q, Quantization(tuple(float(value) for value in scales.reshape(-1)))
