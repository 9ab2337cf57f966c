"""Activation functions of ONNX, element by element -> Activation layers, alone or with Affine and Join.

Every function takes the node and its inputs, Traced or constant, and returns the Traced output. Raises
Unsupported. Definitions: https://onnx.ai/onnx/operators/.
"""

from __future__ import annotations

from typing import Callable

import numpy as np

from convert.readers.onnx.file import OnnxNode
from convert.readers.onnx.tracing import ShapedNode, Traced, Unsupported, Value, as_constant, as_traced
from convert.source_model.network import HARD_SIGMOID, HARD_SIGMOID_02, Activation, Affine, Join


def elementwise(function: str) -> Callable[[OnnxNode, list[Value]], Traced]:
    """An activation function, element by element."""

    def handle(node: OnnxNode, values: list[Value]) -> Traced:
        return _each(as_traced(values[0]), lambda tensor: _activated(tensor, node.name, function))

    return handle


def _each(x: Traced, apply: Callable[[ShapedNode], ShapedNode]) -> Traced:
    """What `apply` makes of every tensor, without moving elements."""
    x.check_padding()
    return Traced(tuple(map(apply, x.tensors)), x.positions)


def _activated(tensor: ShapedNode, name: str, function: str) -> ShapedNode:
    return tensor.then(Activation(name, function), tensor.steps, tensor.width)


def _scaled(tensor: ShapedNode, name: str, scale: float, offset: float) -> ShapedNode:
    values = (np.full(tensor.width, value, np.float32) for value in (scale, offset))
    return tensor.then(Affine(name, *values), tensor.steps, tensor.width)


def elu(node: OnnxNode, values: list[Value]) -> Traced:
    """Elu with alpha 1."""
    if node.attributes.get("alpha", 1.0) != 1:
        raise Unsupported(f"has alpha={node.attributes['alpha']:g}. Expected 1.")
    return elementwise("elu")(node, values)


def hard_sigmoid(node: OnnxNode, values: list[Value]) -> Traced:
    """HardSigmoid with the slope of PyTorch and Keras 3, or that of Keras 2, which is ONNX's default."""
    alpha, beta = node.attributes.get("alpha", 0.2), node.attributes.get("beta", 0.5)
    return elementwise(named_hard_sigmoid(alpha, beta))(node, values)


def named_hard_sigmoid(alpha: float, beta: float) -> str:
    """The name of clip(alpha x + beta, 0, 1); raises Unsupported if it has none."""
    for name, slope in ((HARD_SIGMOID_02, 0.2), (HARD_SIGMOID, 1 / 6)):
        if np.allclose((alpha, beta), (slope, 0.5), rtol=1e-5):
            return name
    raise Unsupported(
        f"applies HardSigmoid with alpha={alpha:g} and beta={beta:g}. Expected alpha 0.2 or 1/6 and "
        "beta 0.5."
    )


def hard_swish(node: OnnxNode, values: list[Value]) -> Traced:
    """x * relu6(x + 3) / 6."""

    def apply(x: ShapedNode) -> ShapedNode:
        factor = _activated(x, node.name, HARD_SIGMOID)
        return x.then(Join(node.name, "multiply"), x.steps, x.width, factor)

    return _each(as_traced(values[0]), apply)


def leaky_relu(node: OnnxNode, values: list[Value]) -> Traced:
    """max(x, alpha x); also PRelu with one slope."""
    slope = np.asarray(node.attributes.get("alpha", 0.01))
    if node.op == "PRelu":
        slope = as_constant(values[1], "slope")
    if slope.size != 1 or not 0 <= float(slope.reshape(())) <= 1:
        raise Unsupported("has several slopes, or one that is not between 0 and 1. Expected one slope.")
    alpha = float(slope.reshape(()))

    def apply(x: ShapedNode) -> ShapedNode:
        return x.then(
            Join(node.name, "maximum"), x.steps, x.width, _scaled(x, f"{node.name}_slope", alpha, 0)
        )

    return _each(as_traced(values[0]), apply)


def clip(node: OnnxNode, values: list[Value]) -> Traced:
    """Clip, from RELU: low + relu(x - low), and for the upper bound high - relu(high - x)."""
    x, *bounds = values
    low, high = node.attributes.get("min"), node.attributes.get("max")
    for k, value in enumerate(bounds):
        bound = None if value is None else float(as_constant(value, "bound").reshape(()))
        low, high = (bound, high) if k == 0 else (low, bound)
    largest = float(np.finfo(np.float32).max)

    def apply(tensor: ShapedNode) -> ShapedNode:
        if low is not None and low > -largest:
            tensor = _rectified(tensor, node.name, 1, low)
        if high is not None and high < largest:
            tensor = _rectified(tensor, node.name, -1, high)
        return tensor

    return _each(as_traced(x), apply)


def _rectified(tensor: ShapedNode, name: str, sign: int, bound: float) -> ShapedNode:
    """bound + sign * relu(sign * (x - bound))"""
    if (sign, bound) == (1, 0):
        return _activated(tensor, name, "relu")
    above = _activated(_scaled(tensor, f"{name}_distance", sign, -sign * bound), name, "relu")
    return _scaled(above, f"{name}_bound", sign, bound)
