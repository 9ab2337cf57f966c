"""Runs a Graph in numpy, for many windows at once: the reference for every tensor, and calibration.

Float operators follow the definition; int8 and int16 operators follow TFLite's reference kernels bit for
bit (integer_kernels, int16_kernels); FULLY_CONNECTED with integer weights and float activations follows
its hybrid kernel (hybrid_kernels).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Callable

import numpy as np
from numpy.typing import NDArray

from edge_runtime.numpy_engine import hybrid_kernels, int16_kernels, integer_kernels
from edge_runtime.numpy_engine.float_kernels import KERNELS as FLOAT_KERNELS
from edge_runtime.numpy_engine.float_kernels import FloatKernel
from edge_runtime.tflite.graph import Graph, Op, Operator, Quantization, Tensor

Array = NDArray[Any]
Kernel = Callable[["list[Array]"], "list[Array]"]

FloatKernels = Mapping[Op, FloatKernel]

Observer = Callable[[Tensor, Array], "Array | None"]


class PreparedGraph:
    """A graph, with everything computed in advance that does not depend on its inputs."""

    def __init__(self, graph: Graph, float_kernels: FloatKernels = FLOAT_KERNELS) -> None:
        """`float_kernels`: those of the float operators; matmuls of integer weights have their own.

        Raises KeyError for an operator without a kernel for its types.
        """
        self.graph = graph
        self._constants = {constant.name: constant.values for constant in graph.constants()}
        last_use = {name: k for k, op in enumerate(graph.operators) for name in op.inputs}
        self._steps = [
            (
                operator,
                prepared(graph, operator, float_kernels),
                [n for n in operator.inputs if last_use[n] == k and n not in graph.outputs],
            )
            for k, operator in enumerate(graph.operators)
        ]

    def run(self, inputs: list[Array], observe: Observer | None = None) -> list[Array]:
        """Every output for the given values of every input, in the graph's order.

        `observe`: see `run`. Values are freed after their last use, so the call needs little more memory
        than one step.
        """
        values = dict(self._constants)

        def record(name: str, result: Array) -> None:
            replaced = observe(self.graph.tensors[name], result) if observe else None
            values[name] = result if replaced is None else replaced

        for name, value in zip(self.graph.inputs, inputs):
            record(name, value)
        for operator, kernel, freed in self._steps:
            results = kernel([values[name] for name in operator.inputs])
            for name, result in zip(operator.outputs, results):
                record(name, result)
            for name in freed:
                values.pop(name, None)
        return [values[name] for name in self.graph.outputs]


def run(
    graph: Graph,
    windows: Array,
    observe: Observer | None = None,
    float_kernels: FloatKernels = FLOAT_KERNELS,
) -> Array:
    """The logits for `windows` `[N, steps, features]` in the input's dtype.

    For the graph of a single step, the logits after the last row of each window.

    `observe` is called with every tensor, the input included, and its values `[N, ...]`. An array that
    it returns replaces the values. For a single step it is called once for every row.
    `float_kernels`: see PreparedGraph.
    """
    if graph.states:
        return run_rows(graph, windows, observe, float_kernels)[-1]
    (result,) = PreparedGraph(graph, float_kernels).run([windows], observe)
    return result


def run_rows(
    graph: Graph,
    windows: Array,
    observe: Observer | None = None,
    float_kernels: FloatKernels = FLOAT_KERNELS,
) -> list[Array]:
    """The logits after every row, for the graph of a single step: its states are fed back."""
    states = [zeros(graph.tensors[name], len(windows)) for name, _ in graph.states]
    step, logits = PreparedGraph(graph, float_kernels), []
    for t in range(windows.shape[1]):
        result, *states = step.run([windows[:, t], *states], observe)
        logits.append(result)
    return logits


def zeros(tensor: Tensor, count: int) -> Array:
    """The real value 0 in a tensor's dtype and shape, for `count` windows."""
    zero = tensor.quantization.zero_point if tensor.quantization else 0
    return np.full((count, *tensor.shape[1:]), zero, tensor.dtype)


def run_all(graph: Graph, inputs: list[Array], observe: Observer | None = None) -> list[Array]:
    """Every output for the given values of every input, in the graph's order. See `run` for the rest."""
    return PreparedGraph(graph).run(inputs, observe)


def apply(graph: Graph, operator: Operator, inputs: list[Array]) -> list[Array]:
    """One operator on the values of its inputs, activations with a leading batch axis of any size."""
    return prepared(graph, operator)(inputs)


def prepared(graph: Graph, operator: Operator, float_kernels: FloatKernels = FLOAT_KERNELS) -> Kernel:
    """The operator's kernel, from the values of its inputs to those of its outputs.

    Raises KeyError when there is none for its types.
    """
    tensors = [graph.tensors[name] for name in (*operator.inputs, *operator.outputs)]
    if operator.op in _MOVES:
        return partial(_MOVES[operator.op], operator, tensors)
    if tensors[-1].dtype == np.int8:
        return integer_kernels.KERNELS[operator.op](operator, tensors)
    if tensors[-1].dtype == np.int16:
        return int16_kernels.KERNELS[operator.op](operator, tensors)
    if operator.op is Op.FULLY_CONNECTED and tensors[1].dtype == np.int8:
        return partial(hybrid_kernels.fully_connected, operator, tensors)
    return partial(float_kernels[operator.op], operator, tensors)


def _concatenation(operator: Operator, tensors: list[Tensor], inputs: list[Array]) -> list[Array]:
    return [np.concatenate(_as_many(inputs), axis=operator.axis or 0)]


def _gather(operator: Operator, tensors: list[Tensor], inputs: list[Array]) -> list[Array]:
    """Rows of a table. A number beyond its ends gives its first or last row."""
    table, tokens = inputs
    return [table.take(tokens, axis=0, mode="clip")]


def _pack(operator: Operator, tensors: list[Tensor], inputs: list[Array]) -> list[Array]:
    return [np.stack(_as_many(inputs), axis=operator.axis or 0)]


def _as_many(inputs: list[Array]) -> list[Array]:
    """Constants among activations of a batch become as many."""
    batch = max(len(value) for value in inputs)
    return [
        value if len(value) == batch else np.broadcast_to(value, (batch, *value.shape[1:]))
        for value in inputs
    ]


def _reduce_max(operator: Operator, tensors: list[Tensor], inputs: list[Array]) -> list[Array]:
    """The axis is kept where the result has as many dimensions as the input."""
    keep = len(tensors[0].shape) == len(tensors[-1].shape)
    return [inputs[0].max(axis=operator.axis, keepdims=keep)]


def _reshape(operator: Operator, tensors: list[Tensor], inputs: list[Array]) -> list[Array]:
    return [inputs[0].reshape(len(inputs[0]), *tensors[-1].shape[1:])]


def _split(operator: Operator, tensors: list[Tensor], inputs: list[Array]) -> list[Array]:
    return np.split(inputs[1], len(operator.outputs), axis=operator.axis or 0)


def _unpack(operator: Operator, tensors: list[Tensor], inputs: list[Array]) -> list[Array]:
    return list(np.moveaxis(inputs[0], operator.axis or 0, 0))


_MOVES: dict[Op, FloatKernel] = {
    Op.CONCATENATION: _concatenation,
    Op.GATHER: _gather,
    Op.PACK: _pack,
    Op.REDUCE_MAX: _reduce_max,
    Op.RESHAPE: _reshape,
    Op.SPLIT: _split,
    Op.UNPACK: _unpack,
}
"""Operators that only move or choose data: the same for every dtype."""


def rounding_observer(quantizations: dict[str, Quantization]) -> Observer:
    """For `run` on a float graph: rounds the named tensors to what their int8 form can hold."""

    def observe(tensor: Tensor, values: NDArray[Any]) -> NDArray[Any] | None:
        quantization = quantizations.get(tensor.name)
        if quantization is None:
            return None
        rounded = replace(tensor, dtype=np.dtype(np.int8), quantization=quantization)
        return rounded.decode(rounded.encode(values))

    return observe
