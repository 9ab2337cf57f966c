"""Which operators and tensors of a graph become integers when it is quantized to int8 or int16x8."""

from __future__ import annotations

from edge_runtime.tflite.graph import FLOAT32, Graph, Op, Operator

_FLOAT_ONLY = (Op.ELU, Op.MEAN, Op.RSQRT, Op.SOFTMAX, Op.SQUARED_DIFFERENCE)
"""Operators whose int8 kernels are missing, imprecise, or round differently between versions."""


def runs_in_float(graph: Graph, operator: Operator) -> bool:
    """Whether the operator computes in float32 even in an integer graph."""
    names = (*operator.inputs, *operator.outputs)
    return operator.op in _FLOAT_ONLY or any(graph.tensors[name].keep_float for name in names)


def int8_inputs(operator: Operator) -> tuple[str, ...]:
    """The inputs, except weights and axis, that an integer graph holds in int8 with their own scale."""
    if operator.op is Op.FULLY_CONNECTED:
        return operator.inputs[:1]
    if operator.op is Op.SPLIT:
        return operator.inputs[1:]
    alone = operator.op in (Op.GATHER, Op.MINIMUM, Op.REDUCE_MAX, Op.RESHAPE)
    return operator.inputs[:1] if alone else operator.inputs


def integer_tensors(graph: Graph) -> list[str]:
    """The activations and constants that an integer graph holds in int8, in the graph's order.

    Tokens, which are int32 in every graph, are not among them.
    """
    names: dict[str, None] = dict.fromkeys(graph.inputs)
    for operator in graph.operators:
        if not runs_in_float(graph, operator):
            names.update(dict.fromkeys(int8_inputs(operator)))
            names.update(dict.fromkeys(operator.outputs))
        else:
            activations = [name for name in operator.inputs if graph.tensors[name].data is None]
            names.update(dict.fromkeys((*activations, *operator.outputs)))
    tensors = graph.tensors
    return [name for name in names if not tensors[name].keep_float and tensors[name].dtype == FLOAT32]
