"""Scale of every int16 activation. All are symmetric: zero_point 0, as the format demands for int16.

With 65,535 levels nothing has to be traded: a tensor gets the whole range that calibration found and
some more, for windows that it has not seen. Two ranges end earlier. Inputs of LOGISTIC and TANH end
where the kernels' table does. The window's range leaves out a sensor's rare spikes where they are far
from everything else, as h shares its scale. The kernels compute with integers and a fixed table, so
no scale can make engines round differently.
"""

from __future__ import annotations

import numpy as np

from convert.compiler.integer_operators import integer_tensors
from convert.compiler.scales.calibrate import Range
from convert.compiler.scales.shared_scales import FIXED, fixed_quantization, shared_groups
from edge_runtime.tflite.graph import Graph, Op, Quantization

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


def int16_quantizations(graph: Graph, ranges: dict[str, Range]) -> dict[str, Quantization]:
    """Tensor name -> Quantization for every int16 activation and small constant of the float `graph`.

    `graph` and `ranges` have been through shared_scales.separate.
    """
    result = {op.outputs[0]: FIXED_OUT for op in graph.operators if op.op in FIXED}
    groups = _groups(graph)
    for group in groups:
        fixed = fixed_quantization(graph, group, ranges)
        if fixed in FIXED.values():
            result.update(dict.fromkeys(group, FIXED_OUT))
        elif fixed is not None or _is_clipped(graph, group):
            clips = [graph.tensors[name].clip or (0.0, 0.0) for name in group]
            largest = max(max(-low, high) for low, high in clips)
            result.update(dict.fromkeys(group, symmetric(largest)))
        elif group[0] not in result:
            largest = max(_magnitude(graph, name, ranges) for name in group)
            result.update(dict.fromkeys(group, symmetric(largest)))
    _widen_sums(graph, groups, result)
    return result


def _is_clipped(graph: Graph, group: list[str]) -> bool:
    """Whether all of the group's values end where their functions end, so that none needs headroom."""
    return all(graph.tensors[name].clip is not None for name in group)


def symmetric(largest: float) -> Quantization:
    """The int16 scale that covers -largest..largest."""
    return Quantization((float(np.float32(largest / LEVELS)) or 1 / LEVELS,))


def _groups(graph: Graph) -> list[list[str]]:
    """Every tensor to quantize, with those that share its scale."""
    groups = shared_groups(graph)
    shared = {name for group in groups for name in group}
    return groups + [[name] for name in integer_tensors(graph) if name not in shared]


def _magnitude(graph: Graph, name: str, ranges: dict[str, Range]) -> float:
    """The largest magnitude that the scale of an activation or small constant must hold."""
    data = graph.tensors[name].data
    if data is not None:
        return float(np.abs(data).max(initial=0.0))
    found, readers = ranges[name], {op.op for op in graph.operators if name in op.inputs}
    largest = HEADROOM * max(-found.low, found.high)
    if name in graph.inputs or readers == {Op.UNPACK}:
        return min(largest, SPIKE * max(-found.central_low, found.central_high))
    if readers == {Op.LOGISTIC}:
        return min(largest, TABLE_END)
    return min(largest, TABLE_END / 2) if readers == {Op.TANH} else largest


def _widen_sums(graph: Graph, groups: list[list[str]], found: dict[str, Quantization]) -> None:
    """Raises the scale of a sum whose inputs cancel out almost completely, as ADD and SUB demand."""
    group_of = {name: group for group in groups for name in group}
    for operator in graph.operators:
        if operator.op not in (Op.ADD, Op.SUB) or operator.outputs[0] not in found:
            continue
        largest = max(found[name].scale[0] for name in operator.inputs if name in found)
        if found[operator.outputs[0]].scale[0] < largest * SUM_RATIO:
            widened = Quantization((largest * SUM_RATIO,))
            found.update(dict.fromkeys(group_of[operator.outputs[0]], widened))
