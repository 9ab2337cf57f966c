"""Scales with which no int8 result lies so close to a rounding tie that engines round it differently.

Products. XNNPACK's MUL rounds a product half-way between two integers to the even one on x86 and up on
ARM (its src/qs8-vmul: cvtps_epi32 of a float32 product, vrshl of a fixed-point one), and so a file would
compute something else on the device than in its proof. A sigmoid's scale is 1/256: where it multiplies
a cell state whose scale is the product's too, as the limits of both are clipped alike, products of 128
are ties. With an output scale that is one part in 65,536 larger there is none.

Tables. The engines tabulate LOGISTIC and TANH with float32 functions of the C library (TFLite:
activations.cc, PopulateLookupTable), whose last bits differ between libraries and CPUs. An entry that
lies closer to a tie than those bits reach is rounded to another integer somewhere. With an input scale
that is up to a few thousandths larger no entry does.

The cost is nothing that can be measured. What the ties made of the logits is in docs/results/device.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from convert.compiler.scales.shared_scales import FIXED, shared_groups
from edge_runtime.numpy_engine.integer_kernels import unrounded_table
from edge_runtime.tflite.graph import Graph, Op, Operator, Quantization

LARGEST_PRODUCT = 255 * 255
"""The largest product of two int8 values, each less its zero_point."""

TABLE_MARGIN = 1e-4
"""Least distance of a table's entry from a tie, in units of the output. The error of a float32 function
with a good C library is below 3e-5 units."""

WIDENINGS = (*(1 + k * 2**-16 for k in range(1, 9)), *(1 + k * 2**-12 for k in range(1, 65)))
"""Factors by which a scale may grow, in the order in which they are tried. The entry nearest to zero,
0.5, moves by 1e-4 units with each of the large ones."""

Group = tuple[str, ...]
Quantizations = dict[str, Quantization]


def without_rounding_ties(graph: Graph, quantizations: Quantizations) -> Quantizations:
    """`quantizations` of an int8 graph, with wider scales where engines would round differently.

    They are the outputs of MUL and the inputs of LOGISTIC and TANH. Tensors that share a scale are
    widened together. Two kinds of scales stay as they are: those that the format fixes, and those of
    products that share the scale of a factor (a GRU's r * h), which no common scale helps.
    """
    groups = _groups(graph)
    integer = [op for op in graph.operators if quantizations.keys() >= {*op.inputs, *op.outputs}]
    tables = _by_group(groups, ((op.inputs[0], op) for op in integer if op.op in FIXED))
    products = _by_group(groups, ((op.outputs[0], op) for op in integer if op.op is Op.MUL))
    result = dict(quantizations)
    # An input of a product may change with the tables, so they come first.
    for group, operators in tables.items():
        result.update(_widened(group, operators, result))
    for group, operators in products.items():
        helped = [operator for operator in operators if not set(group) & set(operator.inputs)]
        result.update(_widened(group, [*helped, *tables.get(group, ())], result))
    return result


def _groups(graph: Graph) -> dict[str, Group]:
    """Tensor -> all that share its scale, a step's states before and after the row included."""
    groups = {name: tuple(group) for group in shared_groups(graph) for name in group}
    for pair in graph.states:
        if not groups.keys() & set(pair):
            groups.update(dict.fromkeys(pair, pair))
    return groups


def _by_group(
    groups: dict[str, Group], operators: Iterable[tuple[str, Operator]]
) -> dict[Group, list[Operator]]:
    """The group of each tensor -> the operators that come with its tensors."""
    found: dict[Group, list[Operator]] = {}
    for name, operator in operators:
        found.setdefault(groups.get(name, (name,)), []).append(operator)
    return found


def _widened(group: Group, operators: list[Operator], quantizations: Quantizations) -> Quantizations:
    """The quantizations of `group` that free `operators` of ties; none where nothing is to be done."""
    if quantizations[group[0]] in FIXED.values() or not any(
        rounds_differently(operator, quantizations) for operator in operators
    ):
        return {}
    for factor in WIDENINGS:
        changed = {name: _scaled(quantizations[name], factor) for name in group}
        tried = {**quantizations, **changed}
        if not any(rounds_differently(operator, tried) for operator in operators):
            return changed
    return {}


def _scaled(quantization: Quantization, factor: float) -> Quantization:
    return replace(quantization, scale=(float(np.float32(quantization.scale[0] * factor)),))


def rounds_differently(operator: Operator, quantizations: Quantizations) -> bool:
    """Whether engines may round some result of a MUL, LOGISTIC or TANH to different integers."""
    if operator.op is Op.MUL:
        return _has_product_tie(operator, quantizations)
    return table_margin(operator, quantizations) < TABLE_MARGIN


def _has_product_tie(operator: Operator, quantizations: Quantizations) -> bool:
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


def table_margin(operator: Operator, quantizations: Quantizations) -> float:
    """The distance of a LOGISTIC's or TANH's entry that is closest to a tie, in units of the output."""
    source, output = (quantizations[name] for name in (*operator.inputs, *operator.outputs))
    entries = unrounded_table(operator.op, source, output)
    return float(np.abs(entries - np.floor(entries) - 0.5).min())
