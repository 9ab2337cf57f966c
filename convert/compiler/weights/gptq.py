"""Rounds weights so that the outputs, not the weights, change least.

Rounding each weight to the nearest integer is best for the weight alone. Here the columns are rounded
one after the other, and each column's error is made up for by the columns still to come, as far as
the inputs seen in calibration are correlated. Source: Frantar et al. 2022, "GPTQ: Accurate
Post-Training Quantization for Generative Pre-trained Transformers", section 3, after the Optimal
Brain Surgeon (Hassibi and Stork 1993). On the canonical MNIST model it halves the logit error that
rounding causes (docs/internals/graph.md).

The same model gives the same integers on every computer: the moments are exact_product's, and the
factors are computed by elementwise operations, without LAPACK.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.compiler.reproducible_run import exact_product, run_reproducibly
from edge_runtime.tflite.graph import Graph, Quantization, Tensor
from edge_runtime.tflite.quantization import WEIGHT_LIMIT

DAMPING = 0.01
"""Added to the diagonal of the second moments, as a fraction of its mean (as in the paper)."""

Float64 = NDArray[np.float64]


def second_moments(graph: Graph, windows: NDArray[np.float32]) -> dict[str, Float64]:
    """Name of each FULLY_CONNECTED's weights -> mean of x x^T over its inputs, `[inputs, inputs]`.

    `graph` is float; `windows`: normalized calibration windows `[N, steps, features]`. Weights that
    several operators share (one per step) get the mean over all of them.
    """
    readers: dict[str, list[str]] = {}
    for operator in graph.matmuls():
        readers.setdefault(operator.inputs[0], []).append(operator.inputs[1])
    sums: dict[str, Float64] = {}
    counts: dict[str, int] = {}

    def observe(tensor: Tensor, values: NDArray[Any]) -> None:
        if tensor.name not in readers:
            return
        columns = values.reshape(-1, values.shape[-1]).T
        product = exact_product(columns, columns)
        for weights in readers[tensor.name]:
            sums[weights] = sums.get(weights, 0.0) + product
            counts[weights] = counts.get(weights, 0) + columns.shape[1]

    for tensor in graph.constants():  # the state before the first step
        observe(tensor, tensor.values)
    run_reproducibly(graph, windows, observe)
    return {name: total / counts[name] for name, total in sums.items()}


def quantize_matrix(
    weights: NDArray[np.float32], moments: Float64, *, per_channel: bool
) -> tuple[NDArray[np.int8], Quantization]:
    """int8 weights `[outputs, inputs]` and their scales; the largest weight is the largest integer."""
    largest = np.abs(weights).max(axis=1 if per_channel else None, keepdims=True)
    scale = (np.where(largest > 0, largest, 1) / WEIGHT_LIMIT).astype(np.float32)
    q = round_weights(weights, scale.astype(np.float64), rounding_plan(moments), WEIGHT_LIMIT)
    return q, Quantization(tuple(float(value) for value in scale.reshape(-1)))


@dataclass(frozen=True, eq=False)
class RoundingPlan:
    """What rounding a matrix needs to know about its inputs, whatever its scales."""

    order: NDArray[np.intp]
    """The inputs `[inputs]` in the order of their rounding."""
    factor: Float64
    """Upper Cholesky factor `[inputs, inputs]` of the inverse of the damped moments, in that order."""


def rounding_plan(moments: Float64) -> RoundingPlan:
    """The plan for second `moments` `[inputs, inputs]`; its time grows with the cube of the inputs."""
    # The inputs that matter most come first, when all the others can still make up for them.
    order = np.argsort(-np.diag(moments), kind="stable")
    return RoundingPlan(order, _inverse_factor(moments[np.ix_(order, order)]))


def round_weights(
    weights: NDArray[np.float32],
    scale: Float64,
    plan: RoundingPlan,
    limit: int,
    lowest: int | None = None,
) -> NDArray[np.int8]:
    """The integers `[outputs, inputs]` in `lowest`..`limit` for `weights` of the same shape.

    `scale`: `[outputs, 1]` or `[1, 1]`; `lowest` is -limit by default.
    """
    least = -limit if lowest is None else lowest
    order, factor = plan.order, plan.factor
    remaining = weights[:, order].astype(np.float64)
    rounded = np.empty_like(remaining)
    for k in range(remaining.shape[1]):
        column = remaining[:, k : k + 1]
        q = np.clip(np.rint(column / scale), least, limit)
        rounded[:, k : k + 1] = q
        error = (column - q * scale) / factor[k, k]
        remaining[:, k + 1 :] -= error * factor[k, k + 1 :]
    result = np.empty(weights.shape, np.int8)
    result[:, order] = rounded
    return result


def _inverse_factor(moments: Float64) -> Float64:
    """Upper Cholesky factor U of the damped moments' inverse, U^T U.

    With the damped moments as R R^T, R upper, U is the inverse of R.
    """
    damping = DAMPING * np.trace(moments) / len(moments) or 1.0
    return _inverse_upper(_upper_factor(moments + damping * np.eye(len(moments))))


def _upper_factor(matrix: Float64) -> Float64:
    """R, upper, with R R^T the positive definite `matrix`: Cholesky, the last column first."""
    rest, factor = matrix.copy(), np.zeros_like(matrix)
    for k in range(len(matrix) - 1, -1, -1):
        column = rest[: k + 1, k] / np.sqrt(rest[k, k])
        factor[: k + 1, k] = column
        rest[:k, :k] -= column[:k, None] * column[:k]
    return factor


def _inverse_upper(factor: Float64) -> Float64:
    """The inverse of an upper triangular matrix, by back substitution."""
    inverse = np.eye(len(factor))
    for k in range(len(factor) - 1, -1, -1):
        inverse[k, k:] /= factor[k, k]
        inverse[:k, k:] -= factor[:k, k, None] * inverse[k, k:]
    return inverse
