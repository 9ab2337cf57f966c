"""A Keras model -> the node of its output, call by call.

Works on what Keras 3 and Keras 2 (tf_keras) both have: a model's calls by their depth, and for each its
layer, its arguments and its outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from convert.readers.keras.attention import read_additive_attention, read_attention
from convert.readers.keras.calls import MASKS, KerasCall, is_model, is_operation
from convert.readers.keras.distributed import on_parts, read_time_distributed
from convert.readers.keras.forms import read_permute, read_repeat, read_reshape
from convert.readers.keras.given_masks import tensors_in, with_given_mask
from convert.readers.keras.joins import KIND_OF_JOIN, read_concatenate, read_dot, read_merge
from convert.readers.keras.layers import LAYER_READERS, NO_EFFECT, ROW_BY_ROW, read_layer
from convert.readers.keras.masks import passed_mask
from convert.readers.keras.operations import read_operation
from convert.readers.keras.recurrent import (
    Outputs,
    check_initial_state,
    read_bidirectional,
    read_recurrent,
)
from convert.readers.keras.refusals import check_readable
from convert.readers.keras.tokens import (
    read_embedding,
    read_global_average,
    read_leaky_relu,
    read_masking,
    read_softmax,
)
from convert.readers.keras.unit_length import read_unit_normalization
from convert.readers.keras.values import KerasValue
from convert.source_model.network import GlobalPooling
from convert.source_model.nodes import Node
from edge_runtime.errors import DataError

CALL_READERS: dict[str, Callable[[KerasCall], Any]] = {
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN", "RNN"), read_recurrent),
    "Bidirectional": read_bidirectional,
    "TimeDistributed": read_time_distributed,
    **dict.fromkeys(KIND_OF_JOIN, read_merge),
    "Concatenate": read_concatenate,
    "Dot": read_dot,
    "Attention": read_attention,
    "AdditiveAttention": read_additive_attention,
    "Flatten": read_reshape,
    "Reshape": read_reshape,
    "RepeatVector": read_repeat,
    "Permute": read_permute,
    "Masking": read_masking,
    "Embedding": read_embedding,
    "GlobalAveragePooling1D": read_global_average,
    "Softmax": read_softmax,
    "LeakyReLU": read_leaky_relu,
    "UnitNormalization": read_unit_normalization,
}
"""Class of a layer -> what reads a call of it. Those of layers.LAYER_READERS are chains of layers."""

READABLE_LAYERS = {*CALL_READERS, *LAYER_READERS}
"""Every class of a layer that can be read."""

ValueOfTensor = dict[int, "KerasValue | DataError"]
"""Id of a tensor of the model -> its value, or why it has none."""


class GraphReader:
    """Reads models call by call, and remembers which layer of Keras made each node."""

    def __init__(self) -> None:
        self._made_by: dict[int, tuple[Node, Any]] = {}

    def read(self, model: Any, inputs: list[KerasValue]) -> Outputs:
        """The outputs of a model that is applied to `inputs`.

        Raises DataError for a model that is neither Sequential nor functional.
        """
        if not is_model(model):
            raise DataError(
                f"the model is a {type(model).__name__}. Expected a Keras Sequential or functional "
                "model."
            )
        functional = getattr(model, "_functional", None) or model
        found: ValueOfTensor = {id(tensor): value for tensor, value in zip(functional.inputs, inputs)}
        nodes = list(_calls_of(functional))
        read = {id(tensor) for node in nodes for tensor in tensors_in([_arguments(node)])}
        read |= {id(tensor) for tensor in functional.outputs}
        for node in nodes:
            tensors = _outputs(node)
            try:
                results = self._call(node, found, tuple(id(tensor) in read for tensor in tensors))
            except DataError as error:  # told only if the model's output depends on it
                results = [error] * len(tensors)
            found.update({id(tensor): result for tensor, result in zip(tensors, results)})
        return [found[id(tensor)] for tensor in functional.outputs]

    def apply(self, layer: Any, value: KerasValue) -> KerasValue:
        """The output of one layer, or of a model, applied to one value."""
        return one_output(layer, self._read_call(KerasCall(layer, (value,), apply=self.apply)))

    def maker(self, node: Node) -> Any:
        """The layer of Keras whose call made a node, or None."""
        return self._made_by.get(id(node), (node, None))[1]

    def _call(self, node: Any, found: ValueOfTensor, used: tuple[bool, ...]) -> Outputs:
        arguments, named = _arguments(node)
        layer = _layer_of(node)
        given = {name: named.pop(name) for name in MASKS if named.get(name) is not None}
        lookup = _lookup(found)
        if CALL_READERS.get(type(layer).__name__) in (read_recurrent, read_bidirectional):
            check_initial_state(layer, arguments, named)
        call = KerasCall(layer, _read(arguments, lookup), _read(named, lookup), used, self.apply)
        if given and not is_operation(layer):
            call = _with_masks(call, given, lambda tensor: found.get(id(tensor)))
        return self._read_call(call)

    def _read_call(self, call: KerasCall) -> Outputs:
        layer = call.layer
        if is_model(layer):
            return self.read(layer, call.sources)
        if is_operation(layer):
            outputs: Outputs = list(read_operation(call))
        else:
            check_readable(layer, READABLE_LAYERS)
            reader = CALL_READERS.get(call.kind, _read_chain)
            outputs = list(reader(call))
        for output in outputs:
            if isinstance(output, KerasValue):
                self._made_by.setdefault(id(output.node), (output.node, layer))
        return outputs


def one_output(layer: Any, outputs: Outputs) -> KerasValue:
    """The only output. Raises DataError for another number of them, and for one that cannot be read."""
    if len(outputs) != 1:
        raise DataError(
            f"model {layer.name!r} has {len(outputs)} outputs. Expected one; build a model with that "
            "output alone, such as keras.Model(model.inputs, model.outputs[0])."
        )
    (output,) = outputs
    if isinstance(output, DataError):
        raise output
    return output


def _read_chain(call: KerasCall) -> list[KerasValue]:
    """A layer with one input that is a chain of layers in the network."""
    call.require_nothing_else(("mask",))
    value = call.source
    if call.kind in NO_EFFECT:
        return [replace(value, mask=passed_mask(call.layer, value))]
    if len(value.shape) == 3 and call.kind in ROW_BY_ROW:
        bare = replace(call, apply=lambda layer, part: _chained(layer, part))
        return [on_parts(bare, call.layer, value)]
    return [_chained(call.layer, value)]


def _chained(layer: Any, value: KerasValue) -> KerasValue:
    layers = read_layer(layer, value.shape)
    if not layers:
        return replace(value, mask=passed_mask(layer, value))
    node = value.vector(layer.name) if len(value.shape) == 1 else value.rows(layer.name)
    for read in layers:
        node = Node(read, node)
    shape = tuple(layer.compute_output_shape((None, *value.shape)))[1:]
    stored = shape[-1:] if isinstance(layers[-1], GlobalPooling) else shape
    return KerasValue(node, stored, shape, passed_mask(layer, value))


def _calls_of(functional: Any) -> Iterator[Any]:
    """The calls of a functional model, each after those that it reads."""
    for depth in sorted(functional._nodes_by_depth, reverse=True):
        for node in functional._nodes_by_depth[depth]:
            if not node.is_input:
                yield node


def _layer_of(node: Any) -> Any:
    return node.operation if hasattr(node, "operation") else node.layer


def _arguments(node: Any) -> tuple[Any, dict[str, Any]]:
    """The arguments of a call by position and by name: in Keras 3, or in Keras 2."""
    if hasattr(node, "arguments"):
        return node.arguments.args, dict(node.arguments.kwargs)
    return node.call_args, dict(node.call_kwargs)


def _outputs(node: Any) -> list[Any]:
    return list(tensors_in(node.outputs))


def _lookup(found: ValueOfTensor) -> Callable[[Any], KerasValue]:
    def value(tensor: Any) -> KerasValue:
        result = found.get(id(tensor))
        if isinstance(result, DataError):
            raise result
        if result is None:
            raise DataError("the model reads a tensor that does not depend on its input.")
        return result

    return value


def _read(argument: Any, lookup: Callable[[Any], KerasValue]) -> Any:
    """An argument with Values in place of the model's tensors."""
    if hasattr(argument, "_keras_history"):
        return lookup(argument)
    if isinstance(argument, (list, tuple)):
        return tuple(_read(item, lookup) for item in argument)
    if isinstance(argument, dict):
        return {name: _read(item, lookup) for name, item in argument.items()}
    return argument


def _with_masks(call: KerasCall, given: dict[str, Any], lookup: Callable[[Any], Any]) -> KerasCall:
    """The call with the masks that it names on its sources."""
    sources = call.sources
    masks = [mask for argument in given.values() for mask in _list(argument)]
    marked = []
    for k, source in enumerate(sources):
        mask = masks[k] if k < len(masks) else None
        result = source if mask is None else with_given_mask(source, mask, lookup)
        if result is None:
            raise DataError(
                f"layer {call.name!r} is called with a mask of its own. Leave out this argument; the "
                "layers Masking and Embedding(mask_zero=True) make masks that can be converted."
            )
        marked.append(result)
    first = tuple(marked) if isinstance(call.arguments[0], tuple) else marked[0]
    return replace(call, arguments=(first, *call.arguments[1:]))


def _list(argument: Any) -> list[Any]:
    return list(argument) if isinstance(argument, (list, tuple)) else [argument]
