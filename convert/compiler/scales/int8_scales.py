"""Scale and zero_point of every int8 activation: what the format fixes, and what calibration decides.

Ranges of states are chosen step by step, as an LSTM's state grows along the window. The pre-activations
of all steps share one range, as they come from one matrix (see shared_scales). Where an 8-bit result
saturates, so may its input. The pre-activations are clipped to where LOGISTIC and TANH have reached
their last representable value, which costs nothing and gives the rest of the range a finer scale. The
cell state has no such end, so its limits are searched for (see cell_state_search).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convert.compiler.integer_operators import integer_tensors
from convert.compiler.scales.calibrate import Range, affine
from convert.compiler.scales.cell_state import state_tensors
from convert.compiler.scales.cell_state_search import state_quantizations
from convert.compiler.scales.shared_scales import (
    FIXED,
    MOVING_OPERATORS,
    fixed_quantization,
    shared_groups,
    sharing_a_matrix,
)
from edge_runtime.tflite.graph import Graph, Op, Quantization

LOGISTIC_IN = (-6.24, 5.14)
"""sigmoid rounds to its first or last 8-bit value beyond these: ln(0.5 / 255.5), ln(254.5 / 1.5)."""

TANH_IN = (-3.12, 2.57)
"""tanh rounds to its first or last 8-bit value beyond these: atanh(-127.5 / 128), atanh(126.5 / 128)."""


def int8_quantizations(
    graph: Graph, ranges: dict[str, Range], windows: NDArray[np.float32]
) -> dict[str, Quantization]:
    """Tensor name -> Quantization for every int8 activation and small constant of the float `graph`.

    `graph` and `ranges` have been through shared_scales.separate. `windows`: the normalized calibration
    windows `[N, steps, features]` that `ranges` come from.
    """
    result = _format_quantizations(graph)
    by_matrix = [set(names) for names in sharing_a_matrix(graph)]
    for group in shared_groups(graph):
        cover = _covering_own if set(group) in by_matrix else _covering
        fixed = fixed_quantization(graph, group, ranges)
        result.update(dict.fromkeys(group, fixed or cover(graph, group, ranges)))
    integer = integer_tensors(graph)
    state = {name for name in state_tensors(graph) & set(integer) if not _only_squashed(graph, name)}
    for name in integer:
        if name not in result and name not in state:
            result[name] = _own_range(graph, name, ranges)
    result.update(state_quantizations(graph, ranges, windows, state - set(result)))
    return result


def _format_quantizations(graph: Graph) -> dict[str, Quantization]:
    """The outputs of LOGISTIC and TANH."""
    integer = [op for op in graph.operators if not graph.tensors[op.outputs[0]].keep_float]
    return {op.outputs[0]: FIXED[op.op] for op in integer if op.op in FIXED}


def _covering(graph: Graph, group: list[str], ranges: dict[str, Range]) -> Quantization:
    """One quantization for tensors that share it.

    The window counts with its central range, so that rare spikes of a sensor do not coarsen every h.
    """
    moved = {name for op in graph.operators if op.op in MOVING_OPERATORS for name in op.outputs}
    sources = [ranges[name] for name in group if name in ranges and name not in moved]
    sources += [_of_table(graph, name) for name in group if name in _tables(graph)]
    window = [ranges[name] for name in (graph.input, f"{graph.input}_scaled") if name in ranges]
    lows = [found.central_low if found in window else found.low for found in sources]
    highs = [found.central_high if found in window else found.high for found in sources]
    return affine(min(lows, default=0.0), max(highs, default=0.0))


def _tables(graph: Graph) -> set[str]:
    """The constants that GATHER reads rows of."""
    return {operator.inputs[0] for operator in graph.operators if operator.op is Op.GATHER}


def _of_table(graph: Graph, name: str) -> Range:
    """The range of all rows, those that no calibration window has included."""
    return Range.of(graph.tensors[name].values, central=False)


def _covering_own(graph: Graph, group: list[str], ranges: dict[str, Range]) -> Quantization:
    """One quantization that holds what each of the tensors would hold with one of its own."""
    limits = [_own_limits(graph, name, ranges[name]) for name in group]
    return affine(min(low for low, _ in limits), max(high for _, high in limits))


def _own_range(graph: Graph, name: str, ranges: dict[str, Range]) -> Quantization:
    """The quantization of the tensor's own values, clipped to what its readers can distinguish."""
    data, clip = graph.tensors[name].data, graph.tensors[name].clip
    if clip is not None:
        return affine(*clip)
    if data is not None:
        return affine(float(data.min()), float(data.max()))
    return affine(*_own_limits(graph, name, ranges[name]))


def _own_limits(graph: Graph, name: str, found: Range) -> tuple[float, float]:
    clip = graph.tensors[name].clip
    if clip is not None:
        return clip
    low, high = _useful_range(graph, name)
    return max(found.central_low, low), min(found.central_high, high)


def _useful_range(graph: Graph, name: str) -> tuple[float, float]:
    """The values of `name` that its readers can distinguish: all of them, unless a table saturates."""
    readers = {operator.op for operator in graph.operators if name in operator.inputs}
    if readers == {Op.LOGISTIC}:
        return LOGISTIC_IN
    return TANH_IN if readers == {Op.TANH} else (-np.inf, np.inf)


def _only_squashed(graph: Graph, name: str) -> bool:
    """Whether only TANH reads the tensor: the state of the last step, a GRU's candidate."""
    return _useful_range(graph, name) == TANH_IN
