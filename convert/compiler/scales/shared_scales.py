"""Tensors that must share scale and zero_point.

CONCATENATION, GATHER, PACK, REDUCE_MAX, RESHAPE, SPLIT and UNPACK only move bytes in TFLite's int8
kernels (8-bit quantization specification), so all of their tensors form one group. So does MINIMUM, the
end of a hard sigmoid, which does nothing to integers of the right range. A mask's product with a state,
and the sum of two such products, share the state's scale: so a masked row leaves it exactly as it is.

The inputs of matmuls that share a bias form a group, as the integers of the bias are in units of input
scale times weight scale. The outputs of matmuls that share a matrix form one too, as XNNPACK's packed
copy of a matrix holds the scales on both sides, and one copy is to serve every step
(edge_runtime.engines.shared_weights).

Where a group would hold tensors whose scale is fixed (by the format: outputs of LOGISTIC and TANH; by
what they are: Tensor.clip) beside others that need another one, `separate` puts a QUANTIZE behind the
fixed ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from convert.compiler.integer_operators import runs_in_float
from convert.compiler.scales.calibrate import Range, affine
from edge_runtime.tflite.graph import FLOAT32, Graph, Op, Operator, Quantization, Tensor

MOVING_OPERATORS = (
    Op.CONCATENATION,
    Op.GATHER,
    Op.MINIMUM,
    Op.PACK,
    Op.REDUCE_MAX,
    Op.RESHAPE,
    Op.SPLIT,
    Op.UNPACK,
)


LOGISTIC_OUT = Quantization((1 / 256,), -128)
TANH_OUT = Quantization((1 / 128,), 0)
"""Fixed by the format (8-bit quantization specification: LOGISTIC, TANH)."""

FIXED = {Op.LOGISTIC: LOGISTIC_OUT, Op.TANH: TANH_OUT}


def shared_groups(graph: Graph) -> list[list[str]]:
    """Every set of tensors that share one scale, in the order of the graph; each has at least two."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    moved = (*_moved(graph), *_masked(graph))
    for first, *others in (*moved, *_sharing_a_bias(graph), *sharing_a_matrix(graph)):
        for name in others:
            parent[root(name)] = root(first)
    # A step's state is fed back as it is: what shares a scale with one side shares it with the other.
    for before, after in graph.states:
        if before in parent or after in parent:
            parent[root(before)] = root(after)
    groups: dict[str, list[str]] = {}
    for name in list(parent):
        groups.setdefault(root(name), []).append(name)
    return list(groups.values())


def _moved(graph: Graph) -> list[list[str]]:
    """The tensors of each operator that moves data, without its axis."""
    first = slice(0, 1)
    data = dict.fromkeys((Op.GATHER, Op.MINIMUM, Op.REDUCE_MAX, Op.RESHAPE), first)
    data[Op.SPLIT] = slice(1, 2)
    return [
        [*operator.inputs[data.get(operator.op, slice(None))], *operator.outputs]
        for operator in graph.operators
        if operator.op in MOVING_OPERATORS
        and not runs_in_float(graph, operator)
        and graph.tensors[operator.outputs[0]].dtype == FLOAT32
    ]


def _becomes_integer(graph: Graph, name: str) -> bool:
    tensor = graph.tensors[name]
    return tensor.dtype == FLOAT32 and not tensor.keep_float


def _masked(graph: Graph) -> list[list[str]]:
    """Each product of a mask `[1, 1]` with what it multiplies, and each sum of two such products."""
    products = {operator.outputs[0]: other for operator, other in _masked_products(graph)}
    sums = [
        [operator.outputs[0], *operator.inputs]
        for operator in graph.operators
        if operator.op is Op.ADD and all(name in products for name in operator.inputs)
    ]
    return [*([product, other] for product, other in products.items()), *sums]


def _masked_products(graph: Graph) -> Iterator[tuple[Operator, str]]:
    """Each MUL of a mask that becomes an integer operator, and what it multiplies."""
    for operator in graph.operators:
        names = (*operator.inputs, *operator.outputs)
        if operator.op is Op.MUL and all(_becomes_integer(graph, name) for name in names):
            masks = [name for name in operator.inputs if graph.tensors[name].is_mask]
            if len(masks) == 1:
                yield operator, next(name for name in operator.inputs if name not in masks)


def _sharing_a_bias(graph: Graph) -> list[list[str]]:
    """The inputs of all matmuls with the same bias."""
    inputs: dict[str, list[str]] = {}
    for operator in graph.matmuls():
        inputs.setdefault(operator.inputs[2], []).append(operator.inputs[0])
    return [names for names in inputs.values() if len(set(names)) > 1]


def sharing_a_matrix(graph: Graph) -> list[list[str]]:
    """The outputs of all matmuls with the same matrix."""
    outputs: dict[str, list[str]] = {}
    for operator in graph.matmuls():
        outputs.setdefault(operator.inputs[1], []).append(operator.outputs[0])
    return [names for names in outputs.values() if len(names) > 1]


def fixed_quantization(graph: Graph, group: list[str], ranges: dict[str, Range]) -> Quantization | None:
    """The quantization that is fixed for the whole group, None where ranges decide.

    A group of LOGISTIC's or TANH's outputs, or of clipped tensors, may hold others too, if that
    quantization represents them.
    """
    fixed, free = _fixed_and_free(graph, group)
    if not fixed or len(set(fixed.values())) > 1:
        return None
    quantization = next(iter(fixed.values()))
    low, high = _representable(quantization)
    inside = all(low <= ranges[name].low and ranges[name].high <= high for name in free)
    return quantization if inside else None


def _representable(quantization: Quantization) -> tuple[float, float]:
    """The values of int8, one unit more at the upper end: 1 counts as representable by TANH's scale."""
    scale, zero_point = quantization.scale[0], quantization.zero_point
    return scale * (-128 - zero_point), scale * (128 - zero_point)


def _fixed_and_free(graph: Graph, group: list[str]) -> tuple[dict[str, Quantization], list[str]]:
    """Members whose scale is fixed, and members that are computed otherwise or fed.

    A state before the row counts as computed by what computes it after the row. Constants of a group,
    but for the table of a mask, take what scale the others have.
    """
    made_by = {name: operator.op for name, operator in graph.producers().items()}
    made_by.update({before: made_by[after] for before, after in graph.states})
    fixed = {name: FIXED[made_by[name]] for name in group if made_by.get(name) in FIXED}
    for name in group:
        clip = graph.tensors[name].clip
        if clip is not None:
            fixed[name] = affine(*clip)
    free = [
        name
        for name in group
        if name not in fixed
        and graph.tensors[name].data is None
        and made_by.get(name) not in MOVING_OPERATORS
    ]
    return fixed, free


def separate(
    graph: Graph, ranges: dict[str, Range], *, tables: bool = False
) -> tuple[Graph, dict[str, Range]]:
    """The graph with a QUANTIZE where a fixed scale meets others, and the ranges with the new tensors.

    `tables`: also where LOGISTIC or TANH reads a result of LOGISTIC or TANH, whose fixed scale has
    rounding ties in the second table (see rounding_ties). In the float graph the new operators pass
    their input on; float files are not made from it.
    """
    shared = _copies(graph, ranges)
    tabulated = _table_copies(graph) if tables else {}
    copies = {**shared, **tabulated}
    if not copies:
        return graph, ranges
    tensors, operators = dict(graph.tensors), []

    def add_copies(names: tuple[str, ...]) -> None:
        for name in names:
            if name in copies:
                tensors[copies[name]] = Tensor(copies[name], tensors[name].shape)
                operators.append(Operator(Op.QUANTIZE, (name,), (copies[name],)))

    add_copies(graph.inputs)
    masked = {operator.outputs[0] for operator, _ in _masked_products(graph)}
    for operator in graph.operators:
        if operator.op in (*MOVING_OPERATORS, *FIXED, Op.FULLY_CONNECTED) or (
            operator.outputs[0] in masked
        ):
            read = tabulated if operator.op in FIXED else shared
            inputs = tuple(read.get(name, name) for name in operator.inputs)
            operator = replace(operator, inputs=inputs)
        operators.append(operator)
        add_copies(operator.outputs)
    widened = {**ranges, **{copy: ranges[name] for name, copy in copies.items()}}
    return replace(graph, tensors=tensors, operators=tuple(operators)), widened


def _copies(graph: Graph, ranges: dict[str, Range]) -> dict[str, str]:
    """Tensor whose scale is fixed -> name of its form in the scale that its group will have."""
    read = {name for op in graph.operators if op.op in MOVING_OPERATORS for name in op.inputs}
    read.update(name for names in _sharing_a_bias(graph) for name in names)
    read.update(name for _, name in _masked_products(graph))
    copies: dict[str, str] = {}
    for group in shared_groups(graph):
        fixed, _ = _fixed_and_free(graph, group)
        if fixed and fixed_quantization(graph, group, ranges) is None:
            copies.update({name: f"{name}_q" for name in fixed if name in read})
    return copies


def _table_copies(graph: Graph) -> dict[str, str]:
    """Result of LOGISTIC or TANH that LOGISTIC or TANH reads -> name of its form in a free scale."""
    made_by = graph.producers()
    names = [
        operator.inputs[0]
        for operator in graph.operators
        if operator.op in FIXED and not graph.tensors[operator.outputs[0]].keep_float
    ]
    return {name: f"{name}_q" for name in names if name in made_by and made_by[name].op in FIXED}


def with_shared_states(graph: Graph, quantizations: dict[str, Quantization]) -> dict[str, Quantization]:
    """`quantizations` with one scale for each state of a step, whose output is then fed back as it is.

    The input gets the output's scale: the ranges of what a step computes are chosen with more care.
    Where CONCATENATION gives the input the scale of other tensors, the output has that scale too (see
    shared_groups). A state that stays float32 (see cell_state) has no scale.
    """
    integer = [pair for pair in graph.states if pair[1] in quantizations]
    return {**quantizations, **{before: quantizations[after] for before, after in integer}}
