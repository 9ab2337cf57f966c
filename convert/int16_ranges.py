"""Scale of every int16 activation. All are symmetric: zero_point 0, as the format demands for int16.

With 65,535 levels nothing has to be traded: a tensor gets the whole range that calibration found and
some more, for windows that it has not seen. Two ranges end earlier. LOGISTIC and TANH are constant
beyond their kernel's table, and of the window the rarest values may be left out where a sensor's
spikes are far from everything else, as h shares its scale.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from convert.calibrate import Range
from convert.graph import Graph, Op, Operator, Quantization

FIXED_OUT = Quantization((1 / 32768,))
"""LOGISTIC and TANH, fixed by the kernels (activations.cc)."""

TABLE_END = 10.7
"""LOGISTIC is constant beyond the end of the kernels' table, TANH beyond half of it."""

HEADROOM = 1.25
"""Ranges are this much wider than what calibration has seen."""

SPIKE = 16.0
"""The window's range holds values up to this many times its central range."""

LEVELS = 32767

SUM_RATIO = 1 / 8192
"""ADD and SUB abort when their output's scale is less than 2 ** -14 of the larger input's (add.cc)."""

SAME_SCALE = (Op.CONCATENATION, Op.SPLIT, Op.UNPACK)
"""Operators that only move data: their inputs and outputs share one scale."""

Scales = dict[str, float]


def int16_quantizations(graph: Graph, ranges: dict[str, Range]) -> dict[str, Quantization]:
    """Tensor name -> Quantization for every activation and small constant of the float `graph`.

    `ranges`: calibrate.calibrate of the graph.
    """
    magnitudes = _magnitudes(graph, ranges)
    fixed = {name for op in graph.operators if op.op in (Op.LOGISTIC, Op.TANH) for name in op.outputs}
    groups = _groups(graph)
    scales: Scales = {}
    for names in groups:
        largest = max((magnitudes[name] for name in names), default=0.0)
        scale = FIXED_OUT.scale[0] if fixed & set(names) else float(np.float32(largest / LEVELS))
        scales.update(dict.fromkeys(names, scale or 1 / LEVELS))
    _widen_sums(graph, groups, scales)
    return {name: Quantization((scale,)) for name, scale in scales.items()}


def _magnitudes(graph: Graph, ranges: dict[str, Range]) -> dict[str, float]:
    """The largest magnitude that each activation's or small constant's scale must hold."""
    readers: dict[str, set[Op]] = {}
    for operator in graph.operators:
        for name in operator.inputs:
            readers.setdefault(name, set()).add(operator.op)
    result = {}
    for name in _quantized_names(graph):
        tensor = graph.tensors[name]
        if tensor.data is not None:
            result[name] = float(np.abs(tensor.data).max(initial=0.0))
            continue
        found = ranges[name]
        largest = max(-found.low, found.high) * HEADROOM
        if name in graph.inputs:
            largest = min(largest, SPIKE * max(-found.central_low, found.central_high))
        elif readers.get(name) == {Op.LOGISTIC}:
            largest = min(largest, TABLE_END)
        elif readers.get(name) == {Op.TANH}:
            largest = min(largest, TABLE_END / 2)
        result[name] = largest
    return result


def _quantized_names(graph: Graph) -> list[str]:
    """Activations, and float constants that are no weights or bias, in the graph's order."""
    parameters = {
        name for op in graph.operators if op.op is Op.FULLY_CONNECTED for name in op.inputs[1:]
    }
    return [
        name
        for name, tensor in graph.tensors.items()
        if tensor.dtype == np.float32 and name not in parameters
    ]


@dataclass
class _Ties:
    """Which tensors must have the same scale (union-find)."""

    parent: dict[str, str] = field(default_factory=dict)

    def root(self, name: str) -> str:
        while self.parent.setdefault(name, name) != name:
            name = self.parent[name]
        return name

    def tie(self, operator: Operator, names: list[str]) -> None:
        for name in names[1:]:
            self.parent[self.root(name)] = self.root(names[0])


def _groups(graph: Graph) -> list[list[str]]:
    """The tensors to quantize, in groups of one scale each."""
    names, ties = _quantized_names(graph), _Ties()
    for operator in graph.operators:
        if operator.op in SAME_SCALE:
            moved = [name for name in (*operator.inputs, *operator.outputs) if name in set(names)]
            ties.tie(operator, moved)
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(ties.root(name), []).append(name)
    return list(groups.values())


def _widen_sums(graph: Graph, groups: list[list[str]], scales: Scales) -> None:
    """Raises the scale of a sum whose inputs cancel out almost completely, as ADD and SUB demand."""
    group_of = {name: names for names in groups for name in names}
    for operator in graph.operators:
        if operator.op in (Op.ADD, Op.SUB):
            (output,) = operator.outputs
            least = max(scales[name] for name in operator.inputs) * SUM_RATIO
            if scales[output] < least:
                scales.update(dict.fromkeys(group_of[output], least))
