"""Scales with which every int8 product is rounded to the same integer on x86 and on ARM.

XNNPACK's MUL rounds a product half-way between two integers to the even one on x86, up on ARM (its
src/qs8-vmul: cvtps_epi32 of a float32 product, vrshl of a fixed-point one), and so a file would compute
something else on the device than in its proof. A sigmoid's scale is 1/256: where it multiplies a cell
state whose scale is the product's too, as the limits of both are clipped alike, products of 128 are
halves. With an output scale that is one part in 65,536 larger none is, which costs nothing. What that
makes of the logits is in docs/results/device.md.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from convert.compiler.scales.shared_scales import FIXED, tied_groups
from edge_runtime.tflite.graph import Graph, Op, Operator, Quantization

LARGEST_PRODUCT = 255 * 255
"""Of two int8 values, each less its zero_point."""

WIDENINGS = [1 + k * 2**-16 for k in range(1, 9)]

Quantizations = dict[str, Quantization]


def without_half_ways(graph: Graph, quantizations: Quantizations) -> Quantizations:
    """`quantizations` of an int8 graph, with wider outputs of MUL where its kernels would round apart.

    Tensors that share a scale are widened together. Left as they are: scales that the format fixes, and
    products that share their scale with a factor (a GRU's r * h), which no common scale helps.
    """
    groups = {name: tuple(group) for group in tied_groups(graph) for name in group}
    products: dict[tuple[str, ...], list[Operator]] = {}
    for operator in graph.operators:
        names = (*operator.inputs, *operator.outputs)
        if operator.op is Op.MUL and all(name in quantizations for name in names):
            output = operator.outputs[0]
            products.setdefault(groups.get(output, (output,)), []).append(operator)
    result = dict(quantizations)
    for group, operators in products.items():
        result.update(_widened(group, operators, result))
    return result


def _widened(
    group: tuple[str, ...], operators: list[Operator], quantizations: Quantizations
) -> Quantizations:
    """The quantizations to change for `group`, which holds the outputs of `operators`, if any."""
    if quantizations[group[0]] in FIXED.values() or not any(
        rounds_apart(operator, quantizations) for operator in operators
    ):
        return {}
    for factor in WIDENINGS:
        changed = {name: _scaled(quantizations[name], factor) for name in group}
        tried = {**quantizations, **changed}
        if not any(rounds_apart(operator, tried) for operator in operators):
            return changed
    return {}


def _scaled(quantization: Quantization, factor: float) -> Quantization:
    return replace(quantization, scale=(float(np.float32(quantization.scale[0] * factor)),))


def rounds_apart(operator: Operator, quantizations: Quantizations) -> bool:
    """Whether some product of a MUL is rounded to another integer on x86 than on ARM."""
    first, second, output = (
        np.float32(quantizations[name].scale[0]) for name in (*operator.inputs, *operator.outputs)
    )
    factor = first * second / output
    products = np.arange(-LARGEST_PRODUCT, LARGEST_PRODUCT + 1)
    to_even = np.rint(products.astype(np.float32) * factor)
    upwards = np.floor(products * np.float64(factor) + 0.5)  # exact: 17 bits times 24
    inside = np.abs(upwards) <= 255  # the rest saturates
    return bool((to_even != upwards)[inside].any())
