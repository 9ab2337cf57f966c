"""The config of a Keras 2 model -> a model of Keras 3, without its weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from convert.readers.tensorflow.keras2.hard_sigmoid import OF_KERAS_2, hard_sigmoid_of
from convert.readers.tensorflow.keras2.layer_objects import (
    MODELS,
    dtype_of,
    layer_object,
)
from convert.readers.tensorflow.keras2.operations import OPERATIONS, operation
from edge_runtime.errors import DataError

CONSTANT_OPERAND = "_CONSTANT_VALUE"
"""In the place of a layer's name: the third element is a number (tf_keras/src/engine/node.py)."""

LayerCall = tuple[str, int]
"""A layer's name and which call of it."""


@dataclass(frozen=True)
class Part:
    """A layer of a model, as the file names it."""

    name: str
    kind: str
    """The name of its class in Keras 2."""
    layer: Any


@dataclass
class Built:
    """A model of Keras 3, and which of its layers each layer in the file became."""

    keras: Any
    model: Any = None
    parts: dict[int, list[Part]] = field(default_factory=dict)
    """id of a model, also of one inside the model -> its layers in the order of the file."""

    def make(self, entry: dict[str, Any]) -> Any:
        """The layer or model of an entry. Raises what `layer_object` raises."""
        kind = entry["class_name"]
        if kind == "Sequential":
            return self._sequential(entry)
        if kind in MODELS:
            return self._functional(entry)
        return layer_object(self.keras, entry, self.make)

    def _sequential(self, entry: dict[str, Any]) -> Any:
        config = entry["config"]
        if isinstance(config, list):  # up to Keras 2.2.2
            config = {"name": "sequential", "layers": config}
        entries = config["layers"]
        layers = [] if entries[:1] and entries[0]["class_name"] == "InputLayer" else self._first(entry)
        parts = []
        for item in entries:
            if item["class_name"] == "InputLayer":
                layers.append(self._input(item["config"]))
                continue
            layer = self.make(item)
            layers.append(layer)
            parts.append(Part(_name(item), item["class_name"], layer))
        model = self.keras.Sequential(layers, name=_legal(config.get("name")))
        self.parts[id(model)] = parts
        return model

    def _first(self, entry: dict[str, Any]) -> list[Any]:
        """The input of a Sequential model that has no InputLayer in its config."""
        config = entry["config"]
        entries = config if isinstance(config, list) else config["layers"]
        first = entries[0]["config"] if entries else {}
        shape = first.get("batch_input_shape") if isinstance(first, dict) else None
        dtype = first.get("dtype") if shape else None
        if shape is None and isinstance(config, dict):
            shape = config.get("build_input_shape")
        shape = shape or entry.get("build_config", {}).get("input_shape")
        if not shape:
            return []
        return [self.keras.Input(batch_shape=tuple(shape), dtype=dtype_of(dtype))]

    def _input(self, config: dict[str, Any]) -> Any:
        for setting in ("sparse", "ragged"):
            if config.get(setting):
                raise DataError(
                    f"input {config['name']!r} has {setting}=True. Expected windows of numbers."
                )
        shape = config["batch_input_shape"] if "batch_input_shape" in config else config["batch_shape"]
        return self.keras.Input(
            batch_shape=tuple(shape), dtype=dtype_of(config.get("dtype")), name=_legal(config["name"])
        )

    def _functional(self, entry: dict[str, Any]) -> Any:
        config = entry["config"]
        graph = _Graph(self, config)
        model = self.keras.Model(
            graph.tensors(config["input_layers"]),
            graph.tensors(config["output_layers"]),
            name=_legal(config.get("name")),
        )
        self.parts[id(model)] = graph.parts
        return model


class _Graph:
    """The calls of a functional model's layers, made in an order in which their inputs are known."""

    def __init__(self, built: Built, config: dict[str, Any]) -> None:
        self.built = built
        self.parts: list[Part] = []
        self.known: dict[LayerCall, Any] = {}
        self.names = {_name(entry) for entry in config["layers"]}
        # Keras 2 counts the call that made a model as its first one (tf_keras, functional.py,
        # _should_skip_first_node), and no call that nothing reads.
        self.first: dict[str, int] = {}
        for name, call in self._calls(
            [config["output_layers"], *(entry["inbound_nodes"] for entry in config["layers"])]
        ):
            self.first[name] = min(call, self.first.get(name, call))
        pending: list[tuple[LayerCall, Any, Any]] = []
        for entry in config["layers"]:
            pending += self._prepared(entry)
        while pending:
            later = [task for task in pending if not self._call(*task)]
            if len(later) == len(pending):
                raise DataError(f"layer {later[0][0][0]!r} reads a layer that the file does not have.")
            pending = later

    def _prepared(self, entry: dict[str, Any]) -> Iterator[tuple[LayerCall, Any, Any]]:
        """(call, layer, node) of every call of the entry's layer."""
        name, kind = _name(entry), entry["class_name"]
        first = self.first.get(name, 0)
        if kind == "InputLayer":
            self.known[name, first] = [self.built._input(entry["config"])]
            return
        if kind in OPERATIONS:
            layer = operation(self.built.keras, entry)
        else:
            layer = self.built.make(entry)
            self.parts.append(Part(name, kind, layer))
        for number, node in enumerate(entry["inbound_nodes"]):
            yield (name, first + number), layer, node

    def _call(self, call: LayerCall, layer: Any, node: Any) -> bool:
        """Make one call; False if an input is not yet known."""
        if any(source not in self.known for source in self._calls(node)):
            return False
        inputs, settings = self._arguments(node)
        if isinstance(inputs, list) and hasattr(layer, "return_sequences"):  # a recurrent layer
            inputs, settings["initial_state"] = inputs[0], inputs[1:]
        result = layer(inputs, **settings)
        self.known[call] = list(result) if isinstance(result, (list, tuple)) else [result]
        return True

    def _arguments(self, node: Any) -> tuple[Any, dict[str, Any]]:
        """What a layer is called with: its input or a list of inputs, and the other arguments."""
        if self._is_reference(node) or node[:1] == [CONSTANT_OPERAND]:
            node = [node]
        settings: dict[str, Any] = {}
        for reference in node:
            settings.update(reference[3] if len(reference) > 3 else {})
        tensors = [self.tensors(reference) for reference in node]
        settings = {key: self.tensors(value) for key, value in settings.items() if value is not None}
        if settings.get("training") is False:
            del settings["training"]
        return tensors[0] if len(tensors) == 1 else tensors, settings

    def tensors(self, value: Any) -> Any:
        """The tensors in the place of the references in `value`, and numbers in that of constants."""
        if isinstance(value, list) and value[:1] == [CONSTANT_OPERAND]:
            return value[2]
        if self._is_reference(value):
            return self.known[value[0], value[1]][value[2]]
        if isinstance(value, dict):
            return {key: self.tensors(item) for key, item in value.items()}
        if isinstance(value, list):
            found = [self.tensors(item) for item in value]
            return found[0] if len(found) == 1 and self._is_reference(value[0]) else found
        return value

    def _calls(self, value: Any) -> Iterator[LayerCall]:
        """Every call in the references of `value`."""
        if isinstance(value, dict):
            for item in value.values():
                yield from self._calls(item)
        elif isinstance(value, list):
            if self._is_reference(value):
                yield value[0], value[1]
            for item in value:
                yield from self._calls(item)

    def _is_reference(self, value: Any) -> bool:
        """Whether `value` is [layer, call, output, ...]."""
        return (
            isinstance(value, list)
            and len(value) >= 3
            and isinstance(value[0], str)
            and value[0] in self.names
            and all(isinstance(number, int) for number in value[1:3])
        )


def build(keras: Any, entry: dict[str, Any]) -> Built:
    """The model of `entry`, the whole config of a file.

    Raises DataError that names the layer at fault.
    """
    if entry.get("class_name") not in MODELS:
        raise DataError(
            f"the model is a {entry.get('class_name')}. Expected a Keras Sequential or functional model."
        )
    _reserve_names(keras, set(_names(entry)))
    built = Built(keras)
    # Bidirectional makes its layers from configs, which hold the function's name only.
    with keras.saving.custom_object_scope({OF_KERAS_2: hard_sigmoid_of(keras)}):
        built.model = built.make(entry)
    return built


MOST_NAMES = 1000
"""The highest number at the end of a name that is reserved."""


def _reserve_names(keras: Any, names: set[str]) -> None:
    """Let Keras not give these names to the operations that it adds, as for masks.

    It counts the names that it made up, but not those of layers in a file, and refuses a name twice.
    """
    highest: dict[str, int] = {}
    for name in names:
        stem, _, digits = name.rpartition("_")
        if not digits.isdigit():
            stem, digits = name, "0"
        if hasattr(keras.ops, stem):
            highest[stem] = max(highest.get(stem, 0), min(int(digits), MOST_NAMES))
    for stem, number in highest.items():
        counted = type(stem, (keras.layers.Layer,), {})
        while _number(counted().name, stem) < number:
            pass


def _number(name: str, stem: str) -> int:
    return int(name[len(stem) + 1 :] or 0)


def _names(value: Any) -> Iterator[str]:
    """The names of all layers in a config."""
    if isinstance(value, dict):
        if isinstance(value.get("name"), str):
            yield value["name"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _names(item)


def _name(entry: dict[str, Any]) -> str:
    """The name of a layer in the file; a nested Sequential of Keras 2.2 has it in its entry only."""
    config = entry["config"]
    return str(entry.get("name") or (config.get("name") if isinstance(config, dict) else None))


def _legal(name: Any) -> str | None:
    return None if name is None else str(name).replace("/", "_")
