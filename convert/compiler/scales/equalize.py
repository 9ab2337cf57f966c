"""Equalizes the ranges of what is concatenated, so that a shared int8 scale serves both sides.

CONCATENATION does not rescale: [x_t, h] has one scale, and where x reaches 10 and h stays below 0.5, h
is left with 4 bits. Here x is divided by a factor, and the columns of the matmul that read it are
multiplied by it. The network computes the same, and the new operator loses nothing, as its integers are
x's own. The window takes one operator, the rows of another layer one in each step.

The columns for x and h share scales too, one for each row of the matrix, so a factor that brings the
activations together drives the weights apart. The factor is the geometric mean of the best one for
either side: Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction",
section 4.1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from convert.compiler.scales.calibrate import Range
from edge_runtime.tflite.graph import Graph, Op, Operator, Tensor

LEAST_FACTOR = 1.5
"""A smaller factor is not worth the operator in front of the window."""

LEAST_FACTOR_BY_STEP = 2.0
"""A smaller factor, less than one of the 8 bits, is not worth an operator in every step. A stack of
layers shares its scales, so the last and quietest layer can lose three bits without it."""


@dataclass(frozen=True)
class _Join:
    """Matrices that read the same concatenations, and every pair that is concatenated for them."""

    weights: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]

    def factor(self, graph: Graph, ranges: dict[str, Range]) -> float:
        """What to divide the first ones of the pairs by; 1 where a side is zero throughout."""
        reach = []
        for side in (0, 1):
            names = [pair[side] for pair in self.pairs if pair[side] in ranges]
            reach.append(max((_reach(graph, name, ranges) for name in names), default=0.0))
        matrix = np.vstack([np.abs(graph.tensors[name].values) for name in self.weights])
        width = graph.tensors[self.pairs[0][0]].shape[-1]
        columns = [float(matrix[:, :width].max()), float(matrix[:, width:].max())]
        if min(*reach, *columns) <= 0:
            return 1.0
        activations, weights = reach[0] / reach[1], columns[1] / columns[0]
        between = float(np.sqrt(activations * weights))
        return float(np.clip(between, min(1.0, activations), max(1.0, activations)))

    def reads_only(self, rows: set[str]) -> bool:
        """Whether every first one is among `rows`."""
        return all(pair[0] in rows for pair in self.pairs)


def equalize(graph: Graph, ranges: dict[str, Range]) -> Graph:
    """The float `graph` with equalized ranges where that is worth an operator.

    `ranges`: those of every activation, from calibrate. Returns `graph` itself where nothing is to be
    done. Otherwise the result has new tensors, which must be calibrated.
    """
    rows = _window_rows(graph)
    joins = [(join, join.factor(graph, ranges)) for join in _joins(graph)]
    of_window = [factor for join, factor in joins if join.reads_only(rows)]
    common = min(of_window, key=_strength, default=1.0)
    if _strength(common) >= LEAST_FACTOR and _only_matmuls_read(graph, rows):
        graph = _scale_window(graph, rows, common)
    for number, (join, factor) in enumerate(joins):
        if not join.reads_only(rows) and _strength(factor) >= LEAST_FACTOR_BY_STEP:
            graph = _scale_rows(graph, join, factor, f"_s{number}")
    return graph


def _strength(factor: float) -> float:
    """The factor or its inverse, whichever is larger."""
    return max(factor, 1 / factor)


def _reach(graph: Graph, name: str, ranges: dict[str, Range]) -> float:
    """The largest absolute value; of the window's rows without the rarest values of the window."""
    found = ranges[graph.input] if name in _window_rows(graph) else ranges[name]
    return max(-found.central_low, found.central_high)


def _window_rows(graph: Graph) -> set[str]:
    return {
        name
        for operator in graph.operators
        if operator.op is Op.UNPACK and operator.inputs[0] == graph.input
        for name in operator.outputs
    }


def _joins(graph: Graph) -> list[_Join]:
    """Every matrix whose matmuls read concatenations of two tensors, with those that read the same."""
    pairs = {
        op.outputs[0]: (op.inputs[0], op.inputs[1])
        for op in graph.operators
        if op.op is Op.CONCATENATION and len(op.inputs) == 2
    }
    found: dict[str, list[tuple[str, str]]] = {}
    for operator in graph.matmuls():
        if operator.inputs[0] in pairs:
            found.setdefault(operator.inputs[1], []).append(pairs[operator.inputs[0]])
    together: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for weights, group in found.items():
        together.setdefault(tuple(group), []).append(weights)
    return [_Join(tuple(names), group) for group, names in together.items()]


def _only_matmuls_read(graph: Graph, rows: set[str]) -> bool:
    """Whether every reader of the rows is a matmul or a concatenation that only matmuls read."""
    consumers = graph.consumers()
    readers = [operator for name in rows for operator in consumers[name]]
    patches = {operator.outputs[0] for operator in readers if operator.op is Op.CONCATENATION}
    readers_of_patches = [operator for name in patches for operator in consumers[name]]
    return all(operator.op in (Op.CONCATENATION, Op.FULLY_CONNECTED) for operator in readers) and all(
        operator.op is Op.FULLY_CONNECTED for operator in readers_of_patches
    )


def _scale_window(graph: Graph, rows: set[str], factor: float) -> Graph:
    """One MUL in front of the UNPACK; every matrix that reads rows has their columns multiplied."""
    scaled = f"{graph.input}_scaled"
    tensors = dict(graph.tensors)
    tensors[scaled] = Tensor(scaled, tensors[graph.input].shape)
    tensors["window_factor"] = _factor("window_factor", factor)
    operators = [Operator(Op.MUL, (graph.input, "window_factor"), (scaled,))]
    for operator in graph.operators:
        if graph.input in operator.inputs:
            inputs = tuple(scaled if name == graph.input else name for name in operator.inputs)
            operator = replace(operator, inputs=inputs)
        operators.append(operator)
    for weights, columns in _columns(graph, rows).items():
        tensors[weights] = _multiplied(tensors[weights], columns, factor)
    return replace(graph, tensors=tensors, operators=tuple(operators))


def _columns(graph: Graph, rows: set[str]) -> dict[str, list[slice]]:
    """Matrix -> the columns that read one of `rows`, directly or through a concatenation."""
    width = {name: tensor.shape[-1] for name, tensor in graph.tensors.items() if tensor.shape}
    parts: dict[str, list[slice]] = {name: [slice(0, width[name])] for name in rows}
    for operator in graph.operators:
        if operator.op is Op.CONCATENATION:
            start = 0
            for name in operator.inputs:
                if name in rows:
                    part = slice(start, start + width[name])
                    parts.setdefault(operator.outputs[0], []).append(part)
                start += width[name]
    return {
        operator.inputs[1]: parts[operator.inputs[0]]
        for operator in graph.matmuls()
        if operator.inputs[0] in parts
    }


def _scale_rows(graph: Graph, join: _Join, factor: float, suffix: str) -> Graph:
    """One MUL for each of the first tensors of `join`, in front of the concatenation."""
    tensors = dict(graph.tensors)
    divisor = f"{join.weights[0]}_factor"
    tensors[divisor] = _factor(divisor, factor)
    pairs, operators = set(join.pairs), []
    for operator in graph.operators:
        if operator.op is Op.CONCATENATION and tuple(operator.inputs) in pairs:
            first, second = operator.inputs
            scaled = f"{first}{suffix}"
            if scaled not in tensors:
                tensors[scaled] = Tensor(scaled, tensors[first].shape)
                operators.append(Operator(Op.MUL, (first, divisor), (scaled,)))
            operator = replace(operator, inputs=(scaled, second))
        operators.append(operator)
    columns = [slice(0, tensors[join.pairs[0][0]].shape[-1])]
    for weights in join.weights:
        tensors[weights] = _multiplied(tensors[weights], columns, factor)
    return replace(graph, tensors=tensors, operators=tuple(operators))


def _factor(name: str, factor: float) -> Tensor:
    value = np.full((1, 1), 1 / factor, np.float32)
    return Tensor(name, value.shape, value.dtype, value)


def _multiplied(weights: Tensor, columns: list[slice], factor: float) -> Tensor:
    data = weights.values.copy()
    for part in columns:
        data[:, part] *= np.float32(factor)
    return replace(weights, data=data)
