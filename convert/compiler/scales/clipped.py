"""Clips and masks in integer graphs.

A hard sigmoid ends at 0 and 1. In float32 MINIMUM ends it, in an integer graph the range of the tensor.

A mask compares a row with a value, in float32. In an integer graph it sees the row as its integers
stand for it, so the value must be what its own integer stands for. Masked rows, whose value may be far
from all others (-999), have no part in the window's range.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.compiler.float_graph.attention import MAGNIFIED
from convert.compiler.integer_operators import runs_in_float
from convert.compiler.scales.calibrate import Range
from edge_runtime.tflite.graph import Graph, Op, Operator, Quantization


def clipped_by_range(graph: Graph) -> Graph:
    """The float `graph` without the MINIMUM behind tensors that become integers.

    What MINIMUM read takes the name of its result. So the graph is right only with integers.
    """
    ends = [
        operator
        for operator in graph.operators
        if operator.op is Op.MINIMUM and not runs_in_float(graph, operator)
    ]
    renamed = {operator.inputs[0]: operator.outputs[0] for operator in ends}
    tensors = {name: tensor for name, tensor in graph.tensors.items() if name not in renamed}
    operators = [
        replace(operator, outputs=tuple(renamed.get(name, name) for name in operator.outputs))
        for operator in graph.operators
        if operator not in ends
    ]
    return replace(graph, tensors=tensors, operators=tuple(operators))


def without_masked_rows(
    graph: Graph, ranges: dict[str, Range], windows: NDArray[np.float32]
) -> dict[str, Range]:
    """`ranges` with that of the window's rows that no mask leaves out.

    `windows`: normalized calibration windows `[N, steps, features]`.
    """
    rows = {name for op in graph.operators if op.inputs[0] == graph.input for name in op.outputs}
    values = [value for row, value in _masks(graph).values() if row in {*rows, graph.input}]
    if not values:
        return ranges
    magnified = graph.tensors[values[0]].values.reshape(-1)
    counted = windows[np.any(windows * np.float32(MAGNIFIED) != magnified, axis=-1)]
    if not len(counted):
        return ranges
    found = Range.of(counted, central=True)
    return {name: found if name in {*rows, graph.input} else kept for name, kept in ranges.items()}


def masks_on_the_grid(
    graph: Graph, quantizations: dict[str, Quantization], dtype: np.dtype[Any]
) -> Graph:
    """The float `graph` with each mask's value as the integers of its rows, of `dtype`, represent it."""
    tensors = dict(graph.tensors)
    for row, name in _masks(graph).values():
        if row in quantizations:
            stored = replace(tensors[row], dtype=dtype, quantization=quantizations[row])
            value = tensors[name].values / np.float32(MAGNIFIED)
            nearest = stored.decode(stored.encode(value))
            tensors[name] = replace(tensors[name], data=nearest * np.float32(MAGNIFIED))
    return replace(graph, tensors=tensors)


def _masks(graph: Graph) -> dict[str, tuple[str, str]]:
    """The difference of each mask -> the row that it reads, and its magnified value."""
    made_by = graph.producers()
    return {
        operator.outputs[0]: (made_by[operator.inputs[0]].inputs[0], operator.inputs[1])
        for operator in graph.operators
        if operator.op is Op.SQUARED_DIFFERENCE and _is_magnified(graph, made_by.get(operator.inputs[0]))
    }


def _is_magnified(graph: Graph, operator: Operator | None) -> bool:
    if operator is None or operator.op is not Op.MUL:
        return False
    factor = graph.tensors[operator.inputs[1]].data
    return (
        factor is not None and factor.size == 1 and float(factor.reshape(-1)[0]) == np.float32(MAGNIFIED)
    )
