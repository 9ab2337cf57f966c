"""Activation functions as operators.

A hard sigmoid is clip(slope * x + 0.5, 0, 1). Behind a matmul, slope and offset are part of the matrix
and the bias (`scaled`), and the clip is RELU and MINIMUM. In an integer graph it costs nothing, as the
range of the tensor is the clip (Tensor.clip).
"""

from __future__ import annotations

import numpy as np

from convert.compiler.float_graph.builder import GraphBuilder
from convert.source_model.network import HARD_SIGMOID, HARD_SIGMOID_02, Weights
from edge_runtime.tflite.graph import Op

_OPERATORS = {
    "elu": Op.ELU,
    "relu": Op.RELU,
    "sigmoid": Op.LOGISTIC,
    "softmax": Op.SOFTMAX,
    "tanh": Op.TANH,
}

SLOPES = {HARD_SIGMOID: 1 / 6, HARD_SIGMOID_02: 0.2}
"""Hard sigmoids -> their slope; all have the offset 0.5 (see the names in convert.source_model)."""


def scaled(function: str, kernel: Weights, bias: Weights) -> tuple[Weights, Weights]:
    """The matrix `[n, inputs]` and bias `[n]` of a matmul that `add_behind` applies `function` to."""
    if function not in SLOPES:
        return kernel, bias
    slope = SLOPES[function]
    return (
        (kernel.astype(np.float64) * slope).astype(np.float32),
        (bias.astype(np.float64) * slope + 0.5).astype(np.float32),
    )


def add_behind(
    builder: GraphBuilder, function: str, inputs: list[str], name: str, *, product: str
) -> str:
    """`function` of a matmul, `inputs`: the row, and the matrix and the bias that `scaled` gave.

    The result is named `name`, and the matmul's, if it is another tensor, `product`.
    """
    shape = (1, builder.tensors[inputs[1]].shape[0])
    if function in ("linear", "relu"):
        relu = function == "relu"
        return builder.operator(Op.FULLY_CONNECTED, inputs, name, shape, relu=relu)
    clipped = function in SLOPES
    builder.operator(Op.FULLY_CONNECTED, inputs, product, shape, relu=clipped)
    if clipped:
        return _at_most_one(builder, product, name)
    return add_function(builder, function, product, name)


def add_behind_sum(builder: GraphBuilder, function: str, total: str, name: str) -> str:
    """`function` of a sum of matmuls, whose matrices and one of whose biases `scaled` gave."""
    if function not in SLOPES:
        return add_function(builder, function, total, name)
    shape = builder.tensors[total].shape
    positive = builder.operator(Op.RELU, [total], f"{name}_r", shape)
    return _at_most_one(builder, positive, name)


def add_function(builder: GraphBuilder, function: str, x: str, name: str) -> str:
    """`function` of any tensor; x itself for "linear"."""
    if function == "linear":
        return x
    shape = builder.tensors[x].shape
    if function not in SLOPES:
        return builder.operator(_OPERATORS[function], [x], name, shape)
    slope = builder.shared_constant(f"{function}/slope", np.full((1, 1), SLOPES[function], np.float32))
    half = builder.shared_constant("half", np.full((1, 1), 0.5, np.float32))
    steep = builder.operator(Op.MUL, [x, slope], f"{name}_m", shape)
    lifted = builder.operator(Op.ADD, [steep, half], f"{name}_s", shape)
    return add_behind_sum(builder, function, lifted, name)


def _at_most_one(builder: GraphBuilder, x: str, name: str) -> str:
    one = builder.shared_constant("one", np.ones((1, 1), np.float32))
    result = builder.operator(Op.MINIMUM, [x, one], name, builder.tensors[x].shape)
    for tensor in (x, result):  # in an integer graph they are the same tensor
        builder.clip(tensor, 0.0, 1.0)
    return result
