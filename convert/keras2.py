"""Model files of Keras 2 (tf.keras up to TensorFlow 2.15, tf_keras) in the words of Keras 3.

Keras 3 reads their weights, but refuses settings that it no longer has, and takes a missing one for its
own default. Sources: the constructors of both, and keras/src/legacy/saving in Keras 3.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edge_runtime.errors import DataError

CONFIG = "config.json"
MODELS = ("Sequential", "Functional", "Model")


@contextmanager
def readable_by_keras3(path: Path) -> Iterator[Path]:
    """A file of the same model that Keras 3 reads: `path` itself, or a temporary rewritten copy.

    `path` is a .keras archive or an HDF5 file of a whole model. Raises DataError for what is neither,
    and for a setting that Keras 3 has no counterpart of.
    """
    with TemporaryDirectory() as folder:
        rewrite = _rewritten_archive if zipfile.is_zipfile(path) else _rewritten_hdf5
        yield rewrite(path, Path(folder)) or path


def _rewritten_archive(path: Path, folder: Path) -> Path | None:
    """None: of Keras 3, nothing to do."""
    try:
        with zipfile.ZipFile(path) as archive:
            content = {name: archive.read(name) for name in archive.namelist()}
        if not _is_keras2(json.loads(content["metadata.json"])["keras_version"]):
            return None
        config = json.loads(content[CONFIG])
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not a .keras file, or damaged: {error}") from None
    content[CONFIG] = _modern_json(config, path).encode()
    copy = folder / "model.keras"
    with zipfile.ZipFile(copy, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return copy


def _rewritten_hdf5(path: Path, folder: Path) -> Path | None:
    """None: of Keras 3, nothing to do."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            config, version = file.attrs.get("model_config"), file.attrs.get("keras_version", "1")
    except OSError as error:
        raise DataError(f"{path}: neither a .keras archive nor an HDF5 file: {error}") from None
    if config is None:
        raise DataError(
            f"{path}: no model in the file (weights only?): expected a whole model, as model.save writes it"
        )
    if not _is_keras2(_text(version)):
        return None
    copy = folder / "model.h5"
    shutil.copyfile(path, copy)
    with h5py.File(copy, "r+") as file:
        file.attrs["model_config"] = _modern_json(json.loads(_text(config)), path)
    return copy


def _is_keras2(version: str) -> bool:
    return version.split(".")[0] in ("1", "2")


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _modern_json(config: Any, path: Path) -> str:
    try:
        return json.dumps(modern(config))
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def modern(config: Any) -> Any:
    """A model's config of Keras 2, the layers inside included, as Keras 3 understands it.

    Raises DataError naming the layer whose setting has no counterpart.
    """
    if isinstance(config, list):
        return [modern(item) for item in config]
    if not isinstance(config, dict):
        return config
    result = {key: modern(value) for key, value in config.items()}
    if isinstance(result.get("class_name"), str) and "config" in result:
        result["config"] = _modern_layer(result["class_name"], result["config"])
        if result["class_name"] in ("Functional", "Model") and "module" in result:
            result["module"], result["registered_name"] = "keras.src.models.functional", "Functional"
    return result


def _modern_layer(kind: str, config: Any) -> Any:
    if kind == "Sequential" and isinstance(config, list):  # up to Keras 2.2
        return {"name": "sequential", "layers": config}
    if not isinstance(config, dict):
        return config
    if "input_layers" in config:
        return _renumbered_calls(config)
    name = config.get("name", kind)
    if config.pop("time_major", False):
        raise DataError(f"layer {name!r} ({kind}) has time_major=True: expected False")
    if kind == "SpatialDropout1D":
        config = {key: config[key] for key in ("name", "rate") if key in config}
    if kind == "GRU":
        config.setdefault("reset_after", False)  # the default before TensorFlow 2
    axis = config.get("axis")
    if isinstance(axis, list):
        if len(axis) != 1:
            raise DataError(f"layer {name!r} ({kind}) has axis={axis}: expected -1, the features")
        config["axis"] = axis[0]
    return config


def _renumbered_calls(config: dict[str, Any]) -> dict[str, Any]:
    """A functional model's config with the calls of the models inside it counted from 0.

    Keras 2 counts the call that made such a model as its first one (tf_keras, functional.py,
    _should_skip_first_node).
    """
    inner = {entry["config"]["name"] for entry in config["layers"] if entry["class_name"] in MODELS}
    used = set(_calls([config["output_layers"], *(entry["inbound_nodes"] for entry in config["layers"])]))
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
    """(layer, call) of every tensor that is referred to."""
    if isinstance(value, list):
        if _is_reference(value):
            yield value[0], value[1]
        for item in value:
            yield from _calls(item)


def _is_reference(value: list[Any]) -> bool:
    return len(value) >= 3 and isinstance(value[0], str) and isinstance(value[1], int)
