"""Network -> float Graph of one time step, for devices that receive one row at a time.

The inputs are the row `[1, features]` and the states of every recurrent layer, h first. The outputs are
the logits after this row and the new states in the same order. The logits of a window are those after
its last row if the states start at zero (edge_runtime.numpy_engine.interpret.run_rows). The step has the
same arithmetic as the unrolled graph, since both are built from the same cells.
"""

from __future__ import annotations

from typing import Any

from convert.compiler.float_graph.attention import add_mask
from convert.compiler.float_graph.builder import GraphBuilder
from convert.compiler.float_graph.layers import ROW_LAYERS
from convert.compiler.float_graph.recurrent_cells import State, add_constants, add_step, state_names
from convert.compiler.float_graph.rows import add_join
from convert.compiler.float_graph.step_builder import StepBuilder
from convert.compiler.float_graph.tokens import TokenReader, add_input
from convert.compiler.float_graph.unroll import OUTPUT, lowered_form, prefixes, renamed
from convert.source_model.network import (
    RECURRENT_LAYERS,
    WINDOW,
    Embedding,
    Flatten,
    Join,
    Layer,
    Mask,
    Network,
    Recurrent,
    TakeRows,
)
from edge_runtime.errors import InputError
from edge_runtime.tflite.graph import Graph

ROW = "row"


def step_graph(network: Network) -> Graph:
    """The float32 graph of one step: `[1, features]` and states to `[1, classes]` and states.

    Raises InputError that names the first layer that needs the whole window.
    """
    lowered = lowered_form(network)
    builder = GraphBuilder()
    tokens = lowered.tokens
    add_input(builder, ROW, (1, lowered.features), tokens)
    row: Any = TokenReader(builder, ROW, tokens) if tokens else ROW
    states: list[tuple[str, str]] = []
    values: list[Any] = []
    check_row_by_row(lowered)
    for layer, sources, prefix in zip(lowered.layers, lowered.sources, prefixes(lowered)):
        given = [row if k == WINDOW else values[k] for k in sources]
        if isinstance(layer, RECURRENT_LAYERS):
            before = _state_inputs(builder, layer, prefix)
            add_constants(builder, layer, prefix)
            after = add_step(StepBuilder(builder, prefix, 1), layer, given[0], before, *given[1:])
            states += zip(before, after)
            values.append(after[0])
        else:
            values.append(_row_layer(builder, layer, prefix, given))
    value = values[-1]
    inputs = (ROW, *(before for before, _ in states))
    outputs = (value, *(after for _, after in states))
    return renamed(builder.build(inputs, outputs, tuple(states)), value, OUTPUT)


def _row_layer(builder: GraphBuilder, layer: Layer, prefix: str, given: list[Any]) -> str:
    """A layer without state, on the row that each of its sources gives."""
    if isinstance(layer, Join):
        return add_join(builder, layer, given, f"{prefix}y")
    if isinstance(layer, (TakeRows, Flatten)):
        return str(given[0])
    if isinstance(layer, Embedding):
        return str(given[0].embedding(layer, prefix)[0])
    if isinstance(layer, Mask):
        reader = given[0]
        if isinstance(reader, TokenReader):
            return reader.mask(layer, prefix)[0]
        return add_mask(builder, layer, prefix, reader, "")
    return ROW_LAYERS[type(layer)](builder, layer, prefix, given[0], "")


_ON_ROWS = (*ROW_LAYERS, Embedding, Join, Mask)
"""Layers without state that make one row of one row of each source."""


def check_row_by_row(network: Network) -> None:
    """Raises InputError that names the first layer that cannot work on one row at a time.

    The last row may be taken alone and flattened: the logits of a window are those after its last row.
    """
    last = (network.steps - 1,)
    sequences = {WINDOW: True}
    for number, (layer, sources) in enumerate(zip(network.layers, network.sources)):
        of_sequence = any(sequences[k] for k in sources)
        problem = _problem(layer, last, of_sequence)
        if problem:
            kind = type(layer).__name__
            raise InputError(
                f"--graph step: the layer {layer.name} ({kind}) {problem}, but a step has one row at a "
                "time. Use --graph unrolled."
            )
        if isinstance(layer, RECURRENT_LAYERS):
            sequences[number] = layer.return_sequences
        else:
            sequences[number] = of_sequence and not isinstance(layer, TakeRows)


def _problem(layer: Layer, last: tuple[int, ...], of_sequence: bool) -> str | None:
    """Why the layer cannot read one row at a time; None if it can."""
    if isinstance(layer, RECURRENT_LAYERS):
        return "reads the window from its last row" if layer.go_backwards else None
    if isinstance(layer, TakeRows):
        return None if layer.rows == last else "takes rows of the window"
    rows = isinstance(layer, _ON_ROWS) and not (isinstance(layer, Join) and layer.kind == "rows")
    if rows or (isinstance(layer, Flatten) and not of_sequence):
        return None
    return "needs the whole window"


def _state_inputs(builder: GraphBuilder, layer: Recurrent, prefix: str) -> State:
    shape = (1, layer.units)
    return tuple(builder.activation(f"{prefix}{name}0", shape) for name in state_names(layer))


def state_labels(graph: Graph) -> tuple[str, ...]:
    """The names of the states in the metadata; () for an unrolled graph.

    They are h and c, or `{layer}/h` and `{layer}/c` in a network of several recurrent layers.
    """
    return tuple(before[: -len("0")] for before, _ in graph.states)
