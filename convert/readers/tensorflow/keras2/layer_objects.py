"""One layer of a Keras 2 config -> a layer object of Keras 3.

Sources: the constructors of both, and get_config of Keras 2.2.4, 2.3.1 and TensorFlow 1.15 to 2.15.
"""

from __future__ import annotations

from typing import Any, Callable

from convert.readers.tensorflow.keras2.hard_sigmoid import hard_sigmoid_of
from convert.readers.tensorflow.keras2.masks import with_masks_of_keras2
from edge_runtime.errors import DataError

MODELS = ("Sequential", "Functional", "Model")
"""Names of the classes of models; Functional was Model up to TensorFlow 2.2."""

RENAMED = {
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "UnifiedLSTM": "LSTM",
    "UnifiedGRU": "GRU",
    "CuDNNLSTM": "LSTM",
    "CuDNNGRU": "GRU",
}
"""Class in Keras 2 -> the class that computes the same in Keras 3."""

CUDNN: dict[str, dict[str, Any]] = {
    "CuDNNLSTM": {"activation": "tanh", "recurrent_activation": "sigmoid"},
    "CuDNNGRU": {"activation": "tanh", "recurrent_activation": "sigmoid", "reset_after": True},
}
"""What these classes compute without saying so in their config."""

WITHOUT_EFFECT = (
    "adjustment",
    "batch_input_shape",
    "fused",
    "implementation",
    "input_dtype",
    "input_length",
    "interpolation",
    "num_constants",
    "shared_object_id",
    "virtual_batch_size",
)
"""Settings that Keras 3 lacks, and that do not change what a layer computes."""

ONLY = {
    "causal": (False,),
    "ragged": (False,),
    "renorm": (False,),
    "renorm_clipping": (None,),
    "sparse": (False,),
    "time_major": (False,),
}
"""Settings that Keras 3 lacks -> the values with which a layer computes what it computes there."""

FUNCTIONS = ("activation", "recurrent_activation")

Make = Callable[[dict[str, Any]], Any]
"""An entry of a config (class_name, config) -> a layer or a model."""


def layer_object(keras: Any, entry: dict[str, Any], make: Make) -> Any:
    """The Keras 3 layer, not yet built, that computes what the Keras 2 layer of `entry` does.

    `keras`: the package. `make`: makes the layers inside a wrapper. Raises DataError that names the
    layer for a class or a setting without a counterpart.
    """
    kind, config = str(entry["class_name"]), dict(entry["config"])
    described = f"layer {config.get('name', kind)!r} ({kind})"
    check_layer(keras, entry)
    layer_class = getattr(keras.layers, RENAMED.get(kind, kind))
    config = {**config, **CUDNN.get(kind, {})}
    if kind in ("GRU", "GRUCell"):
        config.setdefault("reset_after", False)  # files of Keras 2.1 do not say so
    settings = _settings(config, described)
    for setting in FUNCTIONS:
        if setting in settings:
            settings[setting] = _function(keras, settings[setting], setting, described, make)
    for setting in ("layer", "backward_layer", "cell"):
        if setting in settings:
            settings[setting] = _inner(settings[setting], make)
    if kind == "StackedRNNCells":
        settings["cells"] = [_inner(cell, make) for cell in settings["cells"]]
    return with_masks_of_keras2(keras, layer_class(**_for_class(kind, settings)))


def check_layer(keras: Any, entry: dict[str, Any]) -> None:
    """Raise DataError for a Lambda, whose code is not run, and for a class that Keras 3 lacks."""
    kind, config = str(entry["class_name"]), entry["config"]
    described = f"layer {config.get('name', kind)!r} ({kind})"
    if kind == "Lambda":
        raise DataError(
            f"{described} is not supported, because its Python code does not show what it computes. "
            "Write it with layers of Keras or keras.ops: x[:, -1], a + b, keras.ops.sum(x, axis=1)."
        )
    # Up to TensorFlow 2.12 files do not name the module.
    library = str(entry.get("module") or "keras").split(".")[0]
    if library not in ("keras", "tf_keras", "tensorflow"):
        raise DataError(f"{described} is a class of your own. Use the layers of Keras.")
    if not hasattr(keras.layers, RENAMED.get(kind, kind)):
        raise DataError(f"{described} is not a layer of Keras 3. Use the layers of Keras.")


def _settings(config: dict[str, Any], described: str) -> dict[str, Any]:
    """The settings that Keras 3 has. Those that matter only in training are left out."""
    settings: dict[str, Any] = {}
    for setting, stored in config.items():
        value = plain(stored)
        training = setting.endswith(("_initializer", "_regularizer", "_constraint"))
        if training or setting in WITHOUT_EFFECT or setting.startswith("experimental_"):
            continue
        if setting in ONLY:
            if value not in ONLY[setting] and value is not None:
                raise DataError(f"{described} has {setting}={value!r}. Expected {ONLY[setting][0]!r}.")
            continue
        settings[setting] = value
    if "name" in settings:
        settings["name"] = str(settings["name"]).replace("/", "_")
    if "dtype" in settings:
        settings["dtype"] = dtype_of(settings["dtype"])
    if isinstance(settings.get("axis"), list):
        settings["axis"] = _only_axis(settings["axis"], described)
    return settings


def _only_axis(axis: list[int], described: str) -> int:
    if len(axis) != 1:  # Keras 3 would take the last one
        raise DataError(f"{described} has axis={axis}. Expected -1, the features.")
    return axis[0]


def plain(value: Any) -> Any:
    """A stored value without the wrappers that releases put around arrays and tuples."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("type") == "ndarray" and "value" in value:  # Keras 2.2
        return value["value"]
    if value.get("class_name") == "__tuple__":
        return tuple(plain(item) for item in value["items"])
    if value.get("class_name") == "__numpy__":
        return value["config"]["value"]
    return value


def dtype_of(value: Any) -> str | None:
    """The name of a dtype or a policy; None where the default is meant."""
    if isinstance(value, dict):
        value = value.get("config", {}).get("name")
    if value is None or str(value).strip("_") == "infer":
        return None
    return str(value)


def _function(keras: Any, value: Any, setting: str, described: str, make: Make) -> Any:
    if isinstance(value, dict) and isinstance(value.get("config"), dict):
        return make(value)  # a layer such as LeakyReLU
    name = value["config"] if isinstance(value, dict) else value
    if name == "hard_sigmoid":
        return hard_sigmoid_of(keras)
    if name is None or (isinstance(name, str) and hasattr(keras.activations, name)):
        return name
    raise DataError(f"{described} has {setting}={name!r}, which is no function of Keras.")


def _inner(entry: Any, make: Make) -> Any:
    if isinstance(entry, list):  # the cells of an RNN
        return [make(item) for item in entry]
    return None if entry is None else make(entry)


def _for_class(kind: str, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings as the constructor of a class in Keras 3 takes them."""
    if kind in ("SpatialDropout1D", "StackedRNNCells"):
        taken = ("name", "rate", "dtype", "cells")
        return {key: value for key, value in settings.items() if key in taken}
    if kind == "LeakyReLU" and "alpha" in settings:
        return {
            **{k: v for k, v in settings.items() if k != "alpha"},
            "negative_slope": settings["alpha"],
        }
    if kind in ("SeparableConv1D", "DepthwiseConv1D") and settings.get("groups") == 1:
        return {key: value for key, value in settings.items() if key != "groups"}
    if kind == "Bidirectional" and settings.get("backward_layer", 0) is None:
        return {key: value for key, value in settings.items() if key != "backward_layer"}
    return settings
