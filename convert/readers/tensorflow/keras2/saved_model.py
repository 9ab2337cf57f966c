"""Keras models in SavedModel folders, which model.save(folder) of TensorFlow 2 wrote up to 2.15.

The config is JSON in keras_metadata.pb (TensorFlow 2.5 and later) or in saved_model.pb (before). The
weights are a checkpoint, whose object graph says which layer has which variable. Only the few fields
of the protocol buffers that are needed are read:

    saved_metadata.proto            nodes 1; node_id 2, metadata 5
    saved_model.proto               meta_graphs 2; object_graph_def 7; nodes 1; user_object 4; metadata 3
    trackable_object_graph.proto    nodes 1; children 1 (node_id 1, local_name 2),
                                    attributes 2 (checkpoint_key 3)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from convert.readers.tensorflow.keras2.build import build
from convert.readers.tensorflow.keras2.weights import Array, assign_tree
from edge_runtime.errors import DataError

GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
"""The entry of a checkpoint that says which object has which variable."""

VALUE = "VARIABLE_VALUE"

WITHOUT_LAYERS = (
    "is a SavedModel that does not say of which Keras layers it is made. Convert a .keras or .h5 file. "
    'If Keras 2 wrote the folder, tf_keras.models.load_model(folder).save("m.h5") makes one.'
)


def saved_model_config(folder: Path) -> dict[str, Any]:
    """The config of the model in a SavedModel folder, with class_name and config.

    Raises DataError for a folder without the config of a Keras model.
    """
    try:
        config = _metadata(folder)
    except (OSError, ValueError, TypeError, LookupError, RecursionError) as error:
        raise DataError(f"cannot be read as a SavedModel ({error})") from None
    if not config or not isinstance(config.get("config"), dict) or "layers" not in config["config"]:
        raise DataError(WITHOUT_LAYERS)
    shape = config.get("build_input_shape")
    entry = {"class_name": config["class_name"], "config": config["config"]}
    return dict(_lists({**entry, "build_config": {"input_shape": shape}}))


def load_saved_model(keras: Any, config: dict[str, Any], arrays: Mapping[str, Array]) -> Any:
    """The model of `config` with the variables `arrays` of the folder's checkpoint, by name.

    Raises DataError that names the layer at fault.
    """
    built = build(keras, config)
    assign_tree(built, _Object(_objects(arrays), 0, arrays))
    return built.model


def _metadata(folder: Path) -> dict[str, Any]:
    """The JSON of the root object, or nothing."""
    file = folder / "keras_metadata.pb"
    if file.is_file():
        for node in _all(file.read_bytes(), 1):
            if not _all(node, 2):  # node_id 0, which is not written
                return dict(json.loads(_all(node, 5)[0]))
        return {}
    for graph in _all((folder / "saved_model.pb").read_bytes(), 2):
        for objects in _all(graph, 7):
            for user_object in _all(_all(objects, 1)[0], 4):
                text = b"".join(_all(user_object, 3))
                return dict(json.loads(text)) if text.startswith(b"{") else {}
    return {}


def _lists(value: Any) -> Any:
    """The config with lists in the place of the wrappers for tuples and shapes."""
    if isinstance(value, dict):
        if value.get("class_name") in ("__tuple__", "TensorShape") and "items" in value:
            return _lists(value["items"])
        return {key: _lists(item) for key, item in value.items()}
    return [_lists(item) for item in value] if isinstance(value, list) else value


def _objects(arrays: Mapping[str, Array]) -> list[tuple[dict[str, int], str]]:
    """(children by name, name of the variable in the checkpoint) of every object."""
    result = []
    for node in _all(bytes(arrays[GRAPH].item()), 1):
        children = {
            _all(child, 2)[0].decode(): int((_all(child, 1) or [0])[0]) for child in _all(node, 1)
        }
        keys = [_all(attribute, 3)[0].decode() for attribute in _all(node, 2)]
        result.append((children, next((key for key in keys if key.endswith(VALUE)), "")))
    return result


class _Object:
    """A layer in a checkpoint's object graph."""

    def __init__(
        self, objects: list[tuple[dict[str, int], str]], number: int, arrays: Mapping[str, Array]
    ) -> None:
        self._objects, self._arrays = objects, arrays
        self._children = objects[number][0]

    def own(self, names: Sequence[str]) -> list[Array]:
        """The variables that are attributes of these names."""
        keys = [self._objects[self._child(name)][1] for name in names if self._child(name) >= 0]
        return [self._arrays[key] for key in keys]

    def _child(self, name: str) -> int:
        other = "depthwise_kernel" if name == "kernel" else name  # of DepthwiseConv1D
        return self._children.get(name, self._children.get(other, -1))

    def inner(self, attribute: str) -> _Object | None:
        number = self._children.get(attribute)
        return None if number is None else _Object(self._objects, number, self._arrays)

    def layers(self, kinds: Sequence[str]) -> list[_Object]:
        found = [self.inner(f"layer_with_weights-{number}") for number in range(len(kinds) + 1)]
        return [layer for layer in found if layer is not None]


def _all(message: bytes, number: int) -> list[Any]:
    """The values of a field: bytes of a message or a string, or a whole number."""
    return [value for field, value in _fields(message) if field == number]


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """(number, value) of every field (protobuf.dev/programming-guides/encoding)."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield tag >> 3, value
            continue
        if kind == 2:
            size, at = _varint(message, at)
            yield tag >> 3, message[at : at + size]
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"a field of the unknown kind {kind}")
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """A number, 7 bits in each byte and the lowest first, and where the next field starts."""
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value, at
    raise ValueError("a number of more than 64 bits")
