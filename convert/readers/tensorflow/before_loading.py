"""What the config in a model file tells before TensorFlow is loaded, which takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert.readers.tensorflow.keras2.files import stored_config
from convert.readers.tensorflow.keras2.layer_objects import MODELS
from convert.readers.tensorflow.keras2.saved_model import saved_model_config
from edge_runtime.errors import DataError

LIBRARIES = ("keras", "tf_keras", "tensorflow")
"""Packages that have layers of Keras."""

AFTER_OUTPUT = ("Activation", "Softmax", "Dropout")
"""Layers that may follow the last Dense layer, and do not change the number of outputs."""


@dataclass(frozen=True)
class StoredModel:
    """A model file or a SavedModel folder, whose config has been read."""

    path: Path
    version: str
    """The version of Keras that wrote it; "" where it is not known, which means Keras 2."""
    config: dict[str, Any]
    """The whole model's entry: class_name, config."""

    @property
    def is_folder(self) -> bool:
        """Whether it is a SavedModel folder, which only Keras 2 writes."""
        return self.path.is_dir()

    @property
    def is_keras3(self) -> bool:
        """Whether Keras 3 or a later one wrote it."""
        major = self.version.split(".")[0]
        return major.isdigit() and int(major) >= 3

    @property
    def outputs(self) -> int | None:
        """The number of outputs, where the last layer is a Dense layer with several; else None."""
        entry: dict[str, Any] | None = self.config
        while entry is not None and entry.get("class_name") in MODELS:
            entry = _last(entry.get("config"))
        if entry is None or entry.get("class_name") != "Dense":
            return None
        units = _settings(entry).get("units")
        return units if isinstance(units, int) and units > 1 else None

    @property
    def window_shape(self) -> tuple[int, int] | None:
        """(steps, features) of the only input, where it has this form and both are fixed; else None."""
        config = self._only_input()
        shape = config.get("batch_shape", config.get("batch_input_shape"))
        if not isinstance(shape, list) or len(shape) != 3:
            return None
        steps, features = shape[1:]
        return (steps, features) if isinstance(steps, int) and isinstance(features, int) else None

    def _only_input(self) -> dict[str, Any]:
        """The config of the model's only InputLayer, or an empty one."""
        layers = _dictionaries(_settings(self.config).get("layers"))
        inputs = [_settings(entry) for entry in layers if entry.get("class_name") == "InputLayer"]
        return inputs[0] if len(inputs) == 1 else {}


def stored_model(path: str | Path) -> StoredModel:
    """Read the config of a `.keras` or `.h5` file or a SavedModel folder, without TensorFlow.

    Raises DataError for a path that is none of these, and for a Lambda or a class of one's own.
    """
    place = Path(path)
    folder = is_saved_model(place)
    if not folder and not place.is_file():
        raise DataError(f"{path}: no such file")
    try:
        version, config = ("2", saved_model_config(place)) if folder else stored_config(place)
        if version.startswith("1."):
            raise DataError(f"was saved by Keras {version}. Load it in Keras 2 and save it again.")
        if not isinstance(config, dict):
            raise DataError("holds no model of Keras. Expected what model.save writes.")
        for entry in _entries(config):
            _check_class(entry)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    return StoredModel(place, version, config)


def is_saved_model(path: str | Path) -> bool:
    """Whether `path` is the folder of a SavedModel."""
    return Path(path, "saved_model.pb").is_file()


def _check_class(entry: dict[str, Any]) -> None:
    described = f"layer {_settings(entry).get('name', '')!r} ({entry['class_name']})"
    if entry["class_name"] == "Lambda":
        raise DataError(
            f"{described} is not supported, because its Python code does not show what it computes. "
            "Write it with layers of Keras or keras.ops: x[:, -1], a + b, keras.ops.sum(x, axis=1)."
        )
    # Up to TensorFlow 2.12 files do not have the module; a class of one's own has none to name.
    own = "module" in entry and str(entry["module"]).split(".")[0] not in LIBRARIES
    if own and entry["class_name"] not in MODELS:
        raise DataError(f"{described} is a class of your own. Use the layers of Keras.")


def _entries(value: Any) -> Iterator[dict[str, Any]]:
    """The entries of all layers in a model's entry, in order, those inside wrappers and models too."""
    config = value.get("config") if isinstance(value, dict) else None
    layers = config.get("layers") if isinstance(config, dict) else config
    inner = config.get("layer") if isinstance(config, dict) else None
    for entry in [*(layers if isinstance(layers, list) else []), inner]:
        if isinstance(entry, dict) and isinstance(entry.get("config"), (dict, list)):
            if isinstance(entry["config"], dict) and "class_name" in entry:
                yield entry
            yield from _entries(entry)


def _last(config: Any) -> dict[str, Any] | None:
    """The entry of a model's last layer, if that can be told, before activations."""
    layers = _dictionaries(config.get("layers") if isinstance(config, dict) else config)
    if isinstance(config, dict) and "output_layers" in config:
        found = config["output_layers"]
        while isinstance(found, list) and len(found) == 1:
            found = found[0]
        if not (isinstance(found, list) and found and isinstance(found[0], str)):
            return None
        layers = [entry for entry in layers if entry.get("name") == found[0]]
    remaining = [entry for entry in layers if entry.get("class_name") not in AFTER_OUTPUT]
    return remaining[-1] if remaining else None


def _settings(entry: dict[str, Any]) -> dict[str, Any]:
    """The settings of an entry, whatever a file may hold in their place."""
    config = entry.get("config")
    return config if isinstance(config, dict) else {}


def _dictionaries(values: Any) -> list[dict[str, Any]]:
    """The dictionaries in what should be a list of them."""
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []
