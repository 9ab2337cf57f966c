"""Translates a Keras 2 model's config to Keras 3.

Keras 3 refuses settings that it no longer has, gives its own defaults to missing ones, and counts the
calls of nested models differently. Sources: the constructors of both, tf_keras/src/engine/functional.py,
keras/src/legacy/saving.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edge_runtime.errors import DataError

MODELS = ("Sequential", "Functional", "Model")
CELLS = ("LSTMCell", "GRUCell", "SimpleRNNCell", "StackedRNNCells")


def modern(config: Any) -> Any:
    """The Keras 3 config of a Keras 2 model, with that of the layers inside it.

    Raises DataError that names the layer whose setting has no counterpart.
    """
    if isinstance(config, list):
        return [modern(item) for item in config]
    if not isinstance(config, dict):
        return config
    result = {key: modern(value) for key, value in config.items()}
    kind = result.get("class_name")
    if not isinstance(kind, str) or "config" not in result:
        return result
    result["config"] = _modern_layer(kind, result["config"])
    if kind in CELLS:
        return {**result, "module": "keras.layers", "registered_name": None}
    if kind in ("Functional", "Model") and "module" in result:
        return {**result, "module": "keras.src.models.functional", "registered_name": "Functional"}
    return result


def _modern_layer(kind: str, config: Any) -> Any:
    if kind == "Sequential" and isinstance(config, list):  # up to Keras 2.2
        return {"name": "sequential", "layers": config}
    if not isinstance(config, dict):
        return config
    if "input_layers" in config:
        return _renumbered_calls(config)
    if kind == "SpatialDropout1D":  # takes little else in Keras 3
        return {key: config[key] for key in ("name", "rate") if key in config}
    if kind in ("GRU", "GRUCell"):
        config.setdefault("reset_after", False)  # the default before TensorFlow 2
    return _settings(kind, config)


def _settings(kind: str, config: dict[str, Any]) -> dict[str, Any]:
    name, axis = config.get("name", kind), config.get("axis")
    if config.pop("time_major", False):
        raise DataError(f"layer {name!r} ({kind}) has time_major=True. Expected False.")
    if isinstance(axis, list):
        if len(axis) != 1:  # Keras 3 would fall back to the last one
            raise DataError(f"layer {name!r} ({kind}) has axis={axis}. Expected -1, the features.")
        config["axis"] = axis[0]
    return config


def _renumbered_calls(config: dict[str, Any]) -> dict[str, Any]:
    """A functional model's config with the calls of the models inside it counted from 0.

    Keras 2 counts the call that made such a model as its first one (tf_keras, functional.py,
    _should_skip_first_node).
    """
    inner = {entry["config"]["name"] for entry in config["layers"] if entry["class_name"] in MODELS}
    used = set(
        _calls([config["output_layers"], *(entry["inbound_nodes"] for entry in config["layers"])])
    )
    late = {name for name in inner if (name, 0) not in used}

    def renumbered(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: renumbered(item) for key, item in value.items()}
        if not isinstance(value, list):
            return value
        if _is_reference(value) and value[0] in late:
            return [value[0], value[1] - 1, *renumbered(value[2:])]
        return [renumbered(item) for item in value]

    layers = [
        {**entry, "inbound_nodes": renumbered(entry["inbound_nodes"])} for entry in config["layers"]
    ]
    return {**config, "layers": layers, "output_layers": renumbered(config["output_layers"])}


def _calls(value: Any) -> Iterator[tuple[str, int]]:
    """(layer, call) of every tensor in the references."""
    if isinstance(value, list):
        if _is_reference(value):
            yield value[0], value[1]
        for item in value:
            yield from _calls(item)


def _is_reference(value: list[Any]) -> bool:
    return len(value) >= 3 and isinstance(value[0], str) and isinstance(value[1], int)
