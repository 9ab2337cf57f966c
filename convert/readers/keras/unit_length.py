"""UnitNormalization at the end of a model: an embedding of length 1.

The network ends before it, and edge_runtime.Regressor scales the vector. In an integer file the vector
then has a scale of its own, and in every file the length is 1 as far as float32 can say.
"""

from __future__ import annotations

from convert.readers.keras.calls import KerasCall
from convert.readers.keras.layer_config import named
from convert.readers.keras.values import KerasValue, placed
from convert.source_model.network import Activation
from convert.source_model.nodes import Node
from edge_runtime.errors import DataError

UNIT_LENGTH = "unit_length"
"""The function of an Activation that stands for the layer until the end of the model is known."""


def read_unit_normalization(call: KerasCall) -> list[KerasValue]:
    """A UnitNormalization of a vector."""
    call.require_nothing_else()
    value, axis = call.source, call.layer.axis
    axes = list(axis) if isinstance(axis, (list, tuple)) else [axis]
    if len(value.shape) != 1 or axes not in ([-1], [1]):
        raise DataError(f"{named(call.layer)} scales rows or other axes. Expected one vector.")
    node = Node(Activation(call.name, UNIT_LENGTH), value.vector(call.name))
    return [placed(node, value.shape)]


def without_unit_length(output: Node) -> tuple[Node, bool]:
    """The node before a UnitNormalization at the end, and whether there is one.

    Raises DataError for one at another place.
    """
    found = _is_unit_length(output.layer)
    node = output.sources[0] if found else output
    pending, seen = [node], {id(node)}
    while pending:
        other = pending.pop()
        for layer in (other.layer, *getattr(other.layer, "layers", ())):
            if _is_unit_length(layer):
                raise DataError(
                    f"layer {layer.name!r} (UnitNormalization) is not the last layer. Expected it only "
                    "at the end of the model."
                )
        new = [source for source in other.sources if id(source) not in seen]
        seen |= {id(source) for source in new}
        pending += new
    return node, found


def _is_unit_length(layer: object) -> bool:
    return isinstance(layer, Activation) and layer.function == UNIT_LENGTH
