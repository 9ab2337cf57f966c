"""Scale and zero_point of every int8 activation: what the format fixes, and what calibration decides.

Ranges are chosen step by step, as an LSTM's state grows along the window. Where an 8-bit result
saturates, so may its input: the pre-activations are clipped to where LOGISTIC and TANH have reached
their last representable value, which costs nothing and gives the rest of the range a finer scale.
The cell state has no such end. A wide range rounds it coarsely and a narrow one clips it, so the
limit with the smallest logit error on calibration windows is taken.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.calibrate import Range
from convert.graph import Graph, Op, Quantization, Tensor
from convert.interpret import Observer, run
from edge_runtime.quantization import dequantize, quantize

LOGISTIC_OUT = Quantization((1 / 256,), -128)
TANH_OUT = Quantization((1 / 128,), 0)
"""Fixed by the format (8-bit quantization specification: LOGISTIC, TANH)."""

CENTERED = Quantization((1 / 256,), 0)
"""LOGISTIC's output minus 0.5 in LOGISTIC's own scale: the same integers shifted, nothing rounded."""

LOGISTIC_IN = (-6.24, 5.14)
"""sigmoid rounds to its first or last 8-bit value beyond these: ln(0.5 / 255.5), ln(254.5 / 1.5)."""

TANH_IN = (-3.12, 2.57)
"""tanh rounds to its first or last 8-bit value beyond these: atanh(-127.5 / 128), atanh(126.5 / 128)."""

STATE_LIMITS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, float("inf"))
"""Candidates for the largest |c/2| that the cell state's range holds."""

STATE_WINDOWS = 256
"""Calibration windows on which the candidates are compared."""


def int8_quantizations(
    graph: Graph, ranges: dict[str, Range], windows: NDArray[np.float32]
) -> dict[str, Quantization]:
    """Tensor name -> Quantization for every activation and small constant of the float `graph`.

    `windows`: normalized calibration windows `[N, steps, features]`, the ones `ranges` come from.
    """
    result = _format_quantizations(graph)
    result.update(_shared_quantizations(graph, ranges))
    for operator in graph.operators:
        if operator.op is Op.FULLY_CONNECTED:
            (name,) = operator.outputs
            result[name] = _clipped(ranges[name], _useful_range(graph, name))
    for name in _tanh_inputs(graph):
        result[name] = _clipped(ranges[name], TANH_IN)
    result.update(_state_quantizations(graph, ranges, windows[:STATE_WINDOWS], done=set(result)))
    return result


def affine(low: float, high: float) -> Quantization:
    """The int8 scale and zero_point that cover [low, high] and represent 0 exactly.

    Source: Jacob et al. 2018, section 3: the range is widened to include 0, and 0 falls on an integer.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32((high - low) / 255)) or 1.0
    return Quantization((scale,), int(np.clip(round(-128 - low / scale), -128, 127)))


def _clipped(found: Range, limits: tuple[float, float]) -> Quantization:
    return affine(max(found.low, limits[0]), min(found.high, limits[1]))


def _format_quantizations(graph: Graph) -> dict[str, Quantization]:
    """The outputs of LOGISTIC (through SPLIT) and TANH, and LOGISTIC's output minus 0.5."""
    result: dict[str, Quantization] = {}
    for operator in graph.operators:
        if operator.op in (Op.LOGISTIC, Op.SPLIT):
            result.update(dict.fromkeys(operator.outputs, LOGISTIC_OUT))
        elif operator.op is Op.TANH:
            result.update(dict.fromkeys(operator.outputs, TANH_OUT))
        elif operator.op is Op.SUB:
            result[operator.inputs[1]] = LOGISTIC_OUT
            result[operator.outputs[0]] = CENTERED
    return result


def _shared_quantizations(graph: Graph, ranges: dict[str, Range]) -> dict[str, Quantization]:
    """One for the window, its rows and every h: UNPACK and CONCATENATION keep their input's scale.

    Of the window the central range counts, so that rare spikes of a sensor do not coarsen every h.
    """
    moved = [op for op in graph.operators if op.op in (Op.CONCATENATION, Op.UNPACK)]
    names = {name for operator in moved for name in (*operator.inputs, *operator.outputs)}
    window = ranges[graph.input]
    states = {op.inputs[1] for op in moved if op.op is Op.CONCATENATION} & set(ranges)
    low = min([window.central_low, *(ranges[name].low for name in states)])
    high = max([window.central_high, *(ranges[name].high for name in states)])
    return dict.fromkeys(names, affine(low, high))


def _useful_range(graph: Graph, name: str) -> tuple[float, float]:
    """The values of `name` that its consumer can tell apart: all of them, unless it is LOGISTIC."""
    consumers = {operator.op for operator in graph.operators if name in operator.inputs}
    return LOGISTIC_IN if consumers == {Op.LOGISTIC} else (-np.inf, np.inf)


def _tanh_inputs(graph: Graph) -> set[str]:
    return {name for op in graph.operators if op.op is Op.TANH for name in op.inputs}


def state_candidate(
    ranges: dict[str, Range], names: Iterable[str], limit: float
) -> dict[str, Quantization]:
    """The quantization of the tensors `names` by their central ranges, clipped to +-`limit`."""
    return {
        name: affine(max(ranges[name].central_low, -limit), min(ranges[name].central_high, limit))
        for name in names
    }


def _state_quantizations(
    graph: Graph, ranges: dict[str, Range], windows: NDArray[np.float32], done: set[str]
) -> dict[str, Quantization]:
    """What no rule above fixes, under the best of STATE_LIMITS: the cell state, the two products it is
    the sum of, and the last h, which no concatenation ties to the window."""
    names = [name for name in ranges if name not in done]
    candidates = [state_candidate(ranges, names, limit) for limit in STATE_LIMITS]
    exact = run(graph, windows)

    def logit_error(candidate: dict[str, Quantization]) -> float:
        return float(np.mean((run(graph, windows, rounding_observer(candidate)) - exact) ** 2))

    return min(candidates, key=logit_error)


def rounding_observer(quantizations: dict[str, Quantization]) -> Observer:
    """For interpret.run on a float graph: rounds the named tensors to what their int8 form can hold."""

    def observe(tensor: Tensor, values: NDArray[Any]) -> NDArray[Any] | None:
        quantization = quantizations.get(tensor.name)
        if quantization is None:
            return None
        scale, zero_point = quantization.scale[0], quantization.zero_point
        return dequantize(quantize(values, scale, zero_point), scale, zero_point)

    return observe
