"""Network -> float Graph of one time step, for devices that receive one row at a time.

The inputs are the row `[1, features]` and the states of every recurrent layer, h first. The outputs are
the logits after this row and the new states in the same order. The logits of a window are those after
its last row if the states start at zero (edge_runtime.numpy_engine.interpret.run_rows). The step has the
same arithmetic as the unrolled graph, since both are built from the same cells.
"""

from __future__ import annotations

from convert.compiler.float_graph.builder import GraphBuilder
from convert.compiler.float_graph.recurrent_cells import State, add_constants, add_step, state_names
from convert.compiler.float_graph.step_builder import StepBuilder
from convert.compiler.float_graph.unroll import OUTPUT, ROW_LAYERS, prefixes, renamed
from convert.source_model.fold import fold
from convert.source_model.network import RECURRENT_LAYERS, Layer, Network, Recurrent
from edge_runtime.errors import InputError
from edge_runtime.tflite.graph import Graph

ROW = "row"


def step_graph(network: Network) -> Graph:
    """The float32 graph of one step: `[1, features]` and states to `[1, classes]` and states.

    Raises InputError that names the first layer that needs the whole window: Bidirectional, Conv1d,
    Flatten, GlobalPooling, and a recurrent layer that reads backwards.
    """
    builder = GraphBuilder()
    value = builder.activation(ROW, (1, network.features))
    folded = fold(network)
    states: list[tuple[str, str]] = []
    for layer, prefix in zip(folded.layers, prefixes(folded)):
        check_row_by_row(layer)
        if isinstance(layer, RECURRENT_LAYERS):
            before = _state_inputs(builder, layer, prefix)
            add_constants(builder, layer, prefix)
            after = add_step(StepBuilder(builder, prefix, 1), layer, value, before)
            states += zip(before, after)
            value = after[0]
        else:
            value = ROW_LAYERS[type(layer)](builder, layer, prefix, value, "")
    inputs = (ROW, *(before for before, _ in states))
    outputs = (value, *(after for _, after in states))
    return renamed(builder.build(inputs, outputs, tuple(states)), value, OUTPUT)


def check_row_by_row(layer: Layer) -> None:
    """Raises InputError when the layer cannot work on one row at a time."""
    kind = type(layer).__name__
    if isinstance(layer, RECURRENT_LAYERS):
        reason = "reads the window from its last row" if layer.go_backwards else None
    else:
        reason = None if type(layer) in ROW_LAYERS else "needs the whole window"
    if reason:
        raise InputError(
            f"--graph step: the layer {layer.name} ({kind}) {reason}, but a step has one row at a time. "
            "Use --graph unrolled."
        )


def _state_inputs(builder: GraphBuilder, layer: Recurrent, prefix: str) -> State:
    shape = (1, layer.units)
    return tuple(builder.activation(f"{prefix}{name}0", shape) for name in state_names(layer))


def state_labels(graph: Graph) -> tuple[str, ...]:
    """The names of the states in the metadata; () for an unrolled graph.

    They are h and c, or `{layer}/h` and `{layer}/c` in a network of several recurrent layers.
    """
    return tuple(before[: -len("0")] for before, _ in graph.states)
