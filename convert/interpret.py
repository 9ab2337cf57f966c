"""Runs a Graph in numpy, for many windows at once: the reference for every tensor, and calibration.

Float operators follow the definition; int8 and int16 operators follow TFLite's reference kernels bit for
bit (integer_kernels, int16_kernels); FULLY_CONNECTED with integer weights and float activations follows
its hybrid kernel (hybrid_kernels).
"""

from __future__ import annotations

from typing import Any, Callable

import numpy as np
from numpy.typing import NDArray

from convert import float_kernels, hybrid_kernels, int16_kernels, integer_kernels
from convert.graph import Graph, Op, Operator, Quantization, Tensor
from edge_runtime.quantization import dequantize, quantize

Array = NDArray[Any]
Kernel = Callable[[Operator, "list[Tensor]", "list[Array]"], "list[Array]"]


Observer = Callable[[Tensor, Array], "Array | None"]


def run(graph: Graph, windows: Array, observe: Observer | None = None) -> Array:
    """The logits for `windows` `[N, steps, features]` in the input's dtype.

    When the graph is a single step: those after the last row of each window.

    `observe` is called with every tensor computed and its values `[N, ...]`, the input included; an
    array that it returns takes the values' place. Values are freed after their last use, so the call
    needs little more memory than one step. Of a single step it is called once for every row.
    """
    if graph.states:
        return run_rows(graph, windows, observe)[-1]
    (result,) = run_all(graph, [windows], observe)
    return result


def run_rows(graph: Graph, windows: Array, observe: Observer | None = None) -> list[Array]:
    """The logits after every row, for the graph of a single step: its states are fed back."""
    states = [zeros(graph.tensors[name], len(windows)) for name, _ in graph.states]
    logits = []
    for t in range(windows.shape[1]):
        result, *states = run_all(graph, [windows[:, t], *states], observe)
        logits.append(result)
    return logits


def zeros(tensor: Tensor, count: int) -> Array:
    """`count` times the value 0 of a tensor, in its dtype."""
    zero = tensor.quantization.zero_point if tensor.quantization else 0
    return np.full((count, *tensor.shape[1:]), zero, tensor.dtype)


def run_all(graph: Graph, inputs: list[Array], observe: Observer | None = None) -> list[Array]:
    """Every output for the given values of every input, in the graph's order; otherwise as `run`."""
    last_use = {name: k for k, op in enumerate(graph.operators) for name in op.inputs}
    values = {constant.name: constant.values for constant in graph.constants()}

    def record(name: str, result: Array) -> None:
        replaced = observe(graph.tensors[name], result) if observe else None
        values[name] = result if replaced is None else replaced

    for name, value in zip(graph.inputs, inputs):
        record(name, value)
    for k, operator in enumerate(graph.operators):
        results = apply(graph, operator, [values[name] for name in operator.inputs])
        for name, result in zip(operator.outputs, results):
            record(name, result)
        for name in operator.inputs:
            if last_use[name] == k and name not in graph.outputs:
                values.pop(name, None)
    return [values[name] for name in graph.outputs]


def apply(graph: Graph, operator: Operator, inputs: list[Array]) -> list[Array]:
    """One operator on the values of its inputs, activations with a leading batch axis of any size."""
    tensors = [graph.tensors[name] for name in (*operator.inputs, *operator.outputs)]
    return _kernel(operator, tensors)(operator, tensors, inputs)


def _kernel(operator: Operator, tensors: list[Tensor]) -> Kernel:
    if operator.op in _MOVES:
        return _MOVES[operator.op]
    if tensors[-1].dtype == np.int8:
        return integer_kernels.KERNELS[operator.op]
    if tensors[-1].dtype == np.int16:
        return int16_kernels.KERNELS[operator.op]
    if operator.op is Op.FULLY_CONNECTED and tensors[1].dtype == np.int8:
        return hybrid_kernels.fully_connected
    return float_kernels.KERNELS[operator.op]


def _concatenation(operator: Operator, tensors: list[Tensor], inputs: list[Array]) -> list[Array]:
    batch = max(len(value) for value in inputs)
    wide = [np.broadcast_to(value, (batch, *value.shape[1:])) for value in inputs]
    return [np.concatenate(wide, axis=operator.axis or 0)]


def _pack(operator: Operator, tensors: list[Tensor], inputs: list[Array]) -> list[Array]:
    batch = max(len(value) for value in inputs)
    whole = [np.broadcast_to(value, (batch, *value.shape[1:])) for value in inputs]
    return [np.stack(whole, axis=operator.axis or 0)]


def _reduce_max(operator: Operator, tensors: list[Tensor], inputs: list[Array]) -> list[Array]:
    return [inputs[0].max(axis=operator.axis)]


def _split(operator: Operator, tensors: list[Tensor], inputs: list[Array]) -> list[Array]:
    return np.split(inputs[1], len(operator.outputs), axis=operator.axis or 0)


def _unpack(operator: Operator, tensors: list[Tensor], inputs: list[Array]) -> list[Array]:
    return list(np.moveaxis(inputs[0], operator.axis or 0, 0))


_MOVES: dict[Op, Kernel] = {
    Op.CONCATENATION: _concatenation,
    Op.PACK: _pack,
    Op.REDUCE_MAX: _reduce_max,
    Op.SPLIT: _split,
    Op.UNPACK: _unpack,
}
"""Operators that only move or choose data: the same for every dtype."""


def rounding_observer(quantizations: dict[str, Quantization]) -> Observer:
    """For interpret.run on a float graph: rounds the named tensors to what their int8 form can hold."""

    def observe(tensor: Tensor, values: NDArray[Any]) -> NDArray[Any] | None:
        quantization = quantizations.get(tensor.name)
        if quantization is None:
            return None
        scale, zero_point = quantization.scale[0], quantization.zero_point
        return dequantize(quantize(values, scale, zero_point), scale, zero_point)

    return observe
