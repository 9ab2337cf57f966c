"""The layers of a Keras model in the order they are applied, nested models included.

Works on what Keras 3 and Keras 2 (tf_keras) both have: a model's `layers` and its config.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edge_runtime.errors import DataError

CHAIN = "Expected a chain of layers, each applied to the output of the one before."

Reference = tuple[str, int, int]
"""One tensor in a functional model's config: its layer, which call of that layer, which output."""


def layers_in_order(model: Any) -> list[Any]:
    """The layers of a Sequential or functional model without its InputLayers.

    Raises DataError for any other model, and for one that is not a chain.
    """
    kind = type(model).__name__
    if kind == "Sequential":
        found = list(model.layers)
    elif kind == "Functional":
        found = _functional(model)
    else:
        raise DataError(f"the model is a {kind}. Expected a Keras Sequential or functional model.")
    chain: list[Any] = []
    for layer in found:
        if type(layer).__name__ in ("Sequential", "Functional"):
            chain += layers_in_order(layer)
        elif type(layer).__name__ != "InputLayer":
            chain.append(layer)
    return chain


def _functional(model: Any) -> list[Any]:
    """Follow the only output back to the only input."""
    config = model.get_config()
    entries = {entry["config"]["name"]: entry for entry in config["layers"]}
    objects = {layer.name: layer for layer in model.layers}
    first = _single(model, "inputs", config["input_layers"])
    name, call, output = _single(model, "outputs", config["output_layers"])
    chain = []
    while (name, call) != first[:2]:
        if output:
            raise DataError(f"layer {name!r}: its output number {output + 1} is used. {CHAIN}")
        kind = entries[name]["class_name"]
        if name not in objects or kind.endswith("OpLambda"):  # the latter in Keras 2
            raise DataError(f"operation {name!r} ({kind}) is not a layer. {_instead(kind)}")
        chain.append(objects[name])
        name, call, output = _source(name, entries[name]["inbound_nodes"][call])
    return chain[::-1]


def _instead(kind: str) -> str:
    """What to do about an operation on tensors."""
    indexing = kind in ("GetItem", "SlicingOpLambda")
    return "To take the last row, set return_sequences=False." if indexing else CHAIN


def _single(model: Any, what: str, references: Any) -> Reference:
    """The only input or output of a model; the config has it alone or in a list."""
    if isinstance(references, dict):
        references = list(references.values())
    if references and isinstance(references[0], str):
        references = [references]
    if len(references) != 1:
        raise DataError(f"model {model.name!r} has {len(references)} {what}. Expected one.")
    name, call, output = references[0]
    return name, call, output


def _source(name: str, node: Any) -> Reference:
    """The tensor that one call of the layer `name` is applied to."""
    found = list(_references(node))
    if len(found) != 1:
        raise DataError(f"layer {name!r} takes {len(found)} inputs. {CHAIN}")
    for setting, value in _arguments(node).items():
        if value is not None and value is not False and setting != "name":
            raise DataError(
                f"layer {name!r} is called with {setting}={value!r}. Leave out this argument."
            )
    return found[0]


def _references(node: Any) -> Iterator[Reference]:
    """Every tensor in one of a config's `inbound_nodes`, in the form of Keras 3 or Keras 2."""
    if isinstance(node, dict):
        if node.get("class_name") == "__keras_tensor__":
            name, call, output = node["config"]["keras_history"]
            yield name, call, output
            return
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, (list, tuple)):
        if len(node) >= 3 and isinstance(node[0], str) and all(isinstance(k, int) for k in node[1:3]):
            yield node[0], node[1], node[2]
            node = node[3:]
        for value in node:
            yield from _references(value)


def _arguments(node: Any) -> dict[str, Any]:
    """The keyword arguments of a call: in Keras 3 under `kwargs`, in Keras 2 after the tensor."""
    if isinstance(node, dict):
        return dict(node.get("kwargs", {}))
    first = node if isinstance(node[0], str) else node[0]
    return dict(first[3]) if len(first) > 3 else {}
