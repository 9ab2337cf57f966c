"""Rounds weights so that the outputs, not the weights, change least.

Rounding each weight to the nearest integer is best for the weight alone. Here the columns are rounded
one after the other, and each column's error is made up for by the columns still to come, as far as
the inputs seen in calibration are correlated. Source: Frantar et al. 2022, "GPTQ: Accurate
Post-Training Quantization for Generative Pre-trained Transformers", section 3, after the Optimal
Brain Surgeon (Hassibi and Stork 1993). On the canonical MNIST model it halves the logit error that
rounding causes (docs/internals/graph.md).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.numpy_engine.interpret import run
from edge_runtime.tflite.graph import Graph, Op, Quantization, Tensor

DAMPING = 0.01
"""Added to the diagonal of the second moments, as a fraction of its mean (as in the paper)."""

WEIGHT_LIMIT = 127
"""Weights use -127..127, symmetric (8-bit quantization specification): -128 is left out."""

Float64 = NDArray[np.float64]


def second_moments(graph: Graph, windows: NDArray[np.float32]) -> dict[str, Float64]:
    """Name of each FULLY_CONNECTED's weights -> mean of x x^T over its inputs, `[inputs, inputs]`.

    `graph` is float; `windows`: normalized calibration windows `[N, steps, features]`. Weights that
    several operators share (one per step) get the mean over all of them.
    """
    readers: dict[str, list[str]] = {}
    for operator in graph.operators:
        if operator.op is Op.FULLY_CONNECTED:
            readers.setdefault(operator.inputs[0], []).append(operator.inputs[1])
    sums: dict[str, Float64] = {}
    counts: dict[str, int] = {}

    def observe(tensor: Tensor, values: NDArray[Any]) -> None:
        for weights in readers.get(tensor.name, ()):
            rows = values.reshape(-1, values.shape[-1])
            sums[weights] = sums.get(weights, 0.0) + (rows.T @ rows).astype(np.float64)
            counts[weights] = counts.get(weights, 0) + len(rows)

    for tensor in graph.constants():  # the state before the first step
        observe(tensor, tensor.values)
    run(graph, windows, observe)
    return {name: total / counts[name] for name, total in sums.items()}


def round_weights(
    weights: NDArray[np.float32],
    scale: Float64,
    moments: Float64,
    limit: int,
    lowest: int | None = None,
) -> NDArray[np.int8]:
    """The integers `[outputs, inputs]` in `lowest`..`limit` for `weights` of the same shape.

    `scale`: `[outputs, 1]` or `[1, 1]`; `moments`: `[inputs, inputs]`, from `second_moments`; `lowest`
    is -limit by default.
    """
    least = -limit if lowest is None else lowest
    # The inputs that matter most come first, when all the others can still make up for them.
    order = np.argsort(-np.diag(moments), kind="stable")
    factor = _inverse_factor(moments[np.ix_(order, order)])
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
    """Upper Cholesky factor of the damped moments' inverse."""
    damping = DAMPING * np.trace(moments) / len(moments) or 1.0
    damped = moments + damping * np.eye(len(moments))
    factor: Float64 = np.linalg.cholesky(np.linalg.inv(damped)).T
    return factor


def quantize_matrix(
    weights: NDArray[np.float32], moments: Float64, *, per_channel: bool
) -> tuple[NDArray[np.int8], Quantization]:
    """int8 weights `[outputs, inputs]` and their scales; the largest weight is the largest integer."""
    largest = np.abs(weights).max(axis=1 if per_channel else None, keepdims=True)
    scale = (np.where(largest > 0, largest, 1) / WEIGHT_LIMIT).astype(np.float32)
    q = round_weights(weights, scale.astype(np.float64), moments, WEIGHT_LIMIT)
    return q, Quantization(tuple(float(value) for value in scale.reshape(-1)))
