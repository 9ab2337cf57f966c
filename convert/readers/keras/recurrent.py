"""Calls of recurrent layers -> nodes, with the mask and the states that are used.

A row that the mask leaves out leaves the state as it is. Keras repeats the last output there, or gives
zeros with zero_output_for_mask, which Bidirectional sets for sequences.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from convert.readers.keras.calls import KerasCall
from convert.readers.keras.cells import recurrent
from convert.readers.keras.layer_config import named, require
from convert.readers.keras.values import KerasValue, placed
from convert.source_model.network import MERGES, Bidirectional, Join, Lstm, Recurrent, TakeRows
from convert.source_model.nodes import Node
from edge_runtime.errors import DataError

Outputs = list["KerasValue | DataError"]
"""The outputs of a call; the error is raised when the model reads that output."""

JOINED = {"concat": "concat", "sum": "add", "mul": "multiply", "ave": "average"}
"""Bidirectional's merge_mode -> kind of Join."""


class RecurrentNode(Node):
    """What one recurrent layer gives."""

    def __init__(self, layer: Recurrent, value: KerasValue) -> None:
        """`value`: the rows that the layer reads, with their mask."""
        masks = () if value.mask is None else (value.mask,)
        super().__init__(layer, value.rows(layer.name), *masks)
        self.recurrent = layer
        self.steps = value.shape[0]


def read_recurrent(call: KerasCall) -> Outputs:
    """An LSTM, GRU, SimpleRNN or RNN."""
    value = _sequence(call)
    layer = recurrent(call.layer)
    node = RecurrentNode(layer, value)
    output = _output(call.name, call.layer, layer, node, value)
    if not call.layer.return_state:
        return [output]
    return [output, *_states(call, layer, node, value.shape[0])]


def read_bidirectional(call: KerasCall) -> Outputs:
    """A Bidirectional: one layer, or two if their states or both outputs are used."""
    value = _sequence(call)
    forward, backward = recurrent(call.layer.forward_layer), recurrent(call.layer.backward_layer)
    if forward.go_backwards or not backward.go_backwards:
        raise DataError(
            f"{named(call.layer)}: its first layer reads backwards. Expected the first to read forwards "
            "and the second backwards."
        )
    merge = call.layer.merge_mode
    if merge is None or any(call.used[1:]):
        return _two_layers(call, forward, backward, value)
    require(call.layer, {"merge_mode": MERGES})
    layer = Bidirectional(call.name, forward, backward, merge)
    masks = () if value.mask is None else (value.mask,)
    node = Node(layer, value.rows(call.name), *masks)
    width = forward.units + backward.units if merge == "concat" else forward.units
    shape = (value.shape[0], width) if forward.return_sequences else (width,)
    output = placed(node, shape, value.mask if forward.return_sequences else None)
    return [_zeroed(output, call.name), *[output] * (len(call.used) - 1)]


def _two_layers(call: KerasCall, forward: Recurrent, backward: Recurrent, value: KerasValue) -> Outputs:
    steps = value.shape[0]
    ends: list[KerasValue] = []
    states: Outputs = []
    for layer in (forward, backward):
        node: Node = RecurrentNode(layer, value)
        states += _states(call, layer, node, steps)
        if layer.return_sequences and layer.go_backwards:
            node = Node(TakeRows(f"{layer.name}_in_order", tuple(range(steps))[::-1]), node)
        shape = (steps, layer.units) if layer.return_sequences else (layer.units,)
        end = placed(node, shape, value.mask if layer.return_sequences else None)
        ends.append(_zeroed(end, layer.name))
    given = call.layer.return_state
    if call.layer.merge_mode is None:
        return [*ends, *(states if given else ())]
    kind = JOINED[call.layer.merge_mode]
    node = Node(Join(call.name, kind), ends[0].node, ends[1].node)
    width = forward.units + backward.units if kind == "concat" else forward.units
    return [placed(node, (*ends[0].shape[:-1], width), ends[0].mask), *(states if given else ())]


def check_initial_state(layer: Any, arguments: Any, options: dict[str, Any]) -> None:
    """Raise DataError if a call of the model gives the layer a state: more than one tensor."""
    first, *rest = arguments
    states = [*(first[1:] if isinstance(first, (list, tuple)) else ()), *rest]
    if _given([*states, options.get("initial_state")]):
        raise DataError(
            f"{named(layer)} is given an initial state, but a converted model starts every window from "
            "a state of zero. Give the layer these values as features of every row instead "
            "(RepeatVector and Concatenate), and train the model again."
        )


def _sequence(call: KerasCall) -> KerasValue:
    """The rows that the layer reads, after checks of the call."""
    call.require_nothing_else(("initial_state", "mask"))
    value = call.source
    if len(value.shape) != 2:
        raise DataError(f"{named(call.layer)} gets {list(value.shape)}. Expected [steps, features].")
    return value


def _given(state: Any) -> bool:
    if isinstance(state, (list, tuple)):
        return any(_given(item) for item in state)
    return state is not None


def _output(name: str, keras_layer: Any, layer: Recurrent, node: Node, value: KerasValue) -> KerasValue:
    if layer.return_sequences:
        output = placed(node, (value.shape[0], layer.units), value.mask)
    else:
        output = placed(node, (layer.units,))
    if not getattr(keras_layer, "zero_output_for_mask", False) or value.mask is None:
        return output
    steps = tuple(range(value.shape[0]))
    kept = value.mask
    if not layer.return_sequences:
        kept = KerasValue(_row(kept, steps[0 if layer.go_backwards else -1], name), (1, 1), (1,)).vector(
            name
        )
    elif layer.go_backwards:
        kept = Node(TakeRows(f"{name}_mask_in_order", steps[::-1]), kept)
    return replace(output, node=Node(Join(f"{name}_masked", "multiply"), output.node, kept))


def _zeroed(output: KerasValue, name: str) -> KerasValue:
    """Bidirectional's sequence with zeros in the rows that are left out."""
    if output.mask is None:
        return output
    return replace(output, node=Node(Join(f"{name}_masked", "multiply"), output.node, output.mask))


def _states(call: KerasCall, layer: Recurrent, node: Node, steps: int) -> Outputs:
    """The last h, and for an LSTM the last c, which has no value in the network."""
    if layer.return_sequences:
        h = KerasValue(_row(node, steps - 1, layer.name), (1, layer.units), (layer.units,))
    else:
        h = placed(node, (layer.units,))
    if not isinstance(layer, Lstm):
        return [h]
    refusal = DataError(
        f"{named(call.layer)}: its cell state c is used. A converted model gives the state h only; use "
        "that one, and train the model again."
    )
    return [h, refusal]


def _row(node: Node, row: int, name: str) -> Node:
    return Node(TakeRows(f"{name}_row", (row,)), node)
