"""Finds the cell states of LSTMs, and keeps them in float32 while everything around them is int8.

The state is the one tensor that is rounded again at every step, and it needs both the range of a counter
and the resolution of a gate: with 8 bits it causes most of the error (docs/internals/graph.md). The
literature on quantized LSTMs therefore keeps it wider than the rest: Li and Alvarez 2021, "On the
quantization of recurrent neural networks", hold it in 16 bits. Here it is float32: tflite-runtime 2.14
has no QUANTIZE from int8 to int16, XNNPACK no kernels for int16, and a sum or product of floats costs
about as much as one of bytes that must be rescaled. Matmuls, LOGISTIC, h, window and logits stay int8.
"""

from __future__ import annotations

from dataclasses import replace

from edge_runtime.tflite.graph import Graph, Op

_FEEDS_STATE = (Op.ADD, Op.ELU, Op.MUL, Op.SPLIT, Op.TANH)
"""Operators from the gates to the state, the candidate's function among them. What they read is int8."""

_FUNCTIONS = (Op.ELU, Op.LOGISTIC, Op.RELU, Op.TANH)
"""Functions of the state, the results of which the output gate multiplies."""


def state_tensors(graph: Graph) -> set[str]:
    """The cell states of LSTMs and the products they are sums of, and a GRU's sums before TANH.

    They are sums, or in the first step products, that go through TANH, and what is marked as a state.
    """
    made_by = graph.producers()
    squashed = {name for op in graph.operators if op.op is Op.TANH for name in op.inputs}
    states = {name for name in squashed if name in made_by and made_by[name].op in (Op.ADD, Op.MUL)}
    products = {
        name
        for state in states
        for name in made_by[state].inputs
        if made_by[state].op is Op.ADD and name in made_by and made_by[name].op is Op.MUL
    }
    return states | products | _cell_states(graph)


def keep_state_float(graph: Graph) -> Graph:
    """The float `graph`, marked so that quantization leaves the cell updates of its LSTMs in float32.

    The marked tensors are the state (in a single step also the state before the row), the products it
    is the sum of, the gates from their SPLIT on, the candidate, and tanh of the state. h is int8 again.
    A graph without an LSTM is returned as it is.
    """
    states = _cell_states(graph)
    fed_back = {before for before, after in graph.states if after in states}
    names = states | fed_back | _feeding(graph, states) | _squashed(graph, states)
    tensors = {
        name: replace(tensor, keep_float=True) if name in names else tensor
        for name, tensor in graph.tensors.items()
    }
    return replace(graph, tensors=tensors)


def _cell_states(graph: Graph) -> set[str]:
    """Every c_t and its products."""
    return {name for name, tensor in graph.tensors.items() if tensor.cell_state}


def _feeding(graph: Graph, states: set[str]) -> set[str]:
    """What the states are computed from by sums, products and SPLIT, back to LOGISTIC and TANH."""
    needed, found = set(states), set[str]()
    for operator in reversed(graph.operators):
        if operator.op in _FEEDS_STATE and needed & set(operator.outputs):
            found.update(operator.outputs)
            needed.update(operator.inputs)
    return found


def _squashed(graph: Graph, states: set[str]) -> set[str]:
    """tanh, or another function, of the states."""
    read = [op for op in graph.operators if op.op in _FUNCTIONS and op.inputs[0] in states]
    return {operator.outputs[0] for operator in read}
