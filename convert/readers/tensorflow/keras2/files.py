"""Files of Keras 2: what they say about the model, and where its weights are.

.h5       an HDF5 file with the config as an attribute, and the weights in groups by layer
.keras    up to TensorFlow 2.12 the same; then a zip archive with config.json and model.weights.h5
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from convert.readers.tensorflow.keras2.build import build
from convert.readers.tensorflow.keras2.weights import Array, Named, assign_lists, assign_tree
from edge_runtime.errors import DataError
from edge_runtime.host.optional_packages import needs_extra

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"

LAYERS = ("layers", "_layer_checkpoint_dependencies")
"""Names of the group with a model's layers; the second one up to TensorFlow 2.13."""


def stored_config(path: Path) -> tuple[str, dict[str, Any]]:
    """(version of Keras, config) of the model in a file. The version is "" where the file has none.

    Raises DataError for a file that is neither a .keras archive nor HDF5, and for weights only.
    """
    read = _archive_config if zipfile.is_zipfile(path) else _hdf5_config
    try:
        version, config = read(path)
    except (OSError, ValueError, TypeError, LookupError, RuntimeError, zipfile.BadZipFile) as error:
        kind = "a .keras archive" if zipfile.is_zipfile(path) else "an HDF5 file"
        raise DataError(f"cannot be read as {kind} ({error})") from None
    return version, config


def _archive_config(path: Path) -> tuple[str, dict[str, Any]]:
    with zipfile.ZipFile(path) as archive:
        version = json.loads(archive.read(METADATA)).get("keras_version", "")
        return str(version), json.loads(archive.read(CONFIG))


def _hdf5_config(path: Path) -> tuple[str, dict[str, Any]]:
    with needs_extra("workstation", "h5py", "edge-rnn convert"):
        import h5py

    with h5py.File(path, "r") as file:
        config, version = file.attrs.get("model_config"), file.attrs.get("keras_version", "")
        if config is None:
            raise DataError(
                "holds weights only, or no model of Keras. Build the model in code, load_weights into "
                "it, and save it whole with model.save."
            )
    return _text(version), json.loads(_text(config))


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def load_keras2(keras: Any, path: Path, config: dict[str, Any]) -> Any:
    """The Keras 3 model that computes what the Keras 2 model in the file does.

    `config`: what `stored_config` gave. Raises DataError that names the layer at fault.
    """
    import h5py

    built = build(keras, config)
    if not zipfile.is_zipfile(path):
        with h5py.File(path, "r") as file:
            assign_lists(built, _hdf5_weights(file))
        return built.model
    with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read(WEIGHTS)), "r") as file:
        assign_tree(built, _Group(_nested(file)))
    return built.model


def _hdf5_weights(file: Any) -> dict[str, list[Named]]:
    """Layer -> its weights in the order of the file."""
    root = file.get("model_weights", file)
    lists = {}
    for layer in _names(root, "layer_names"):
        group = root[layer]
        lists[layer] = [
            (name.split("/")[-1].split(":")[0], np.asarray(group[name]))
            for name in _names(group, "weight_names")
        ]
    return lists


def _names(group: Any, attribute: str) -> list[str]:
    """A list of names; one too long for an attribute is split in several, with numbers."""
    if attribute in group.attrs:
        return [_text(name) for name in group.attrs[attribute]]
    names: list[str] = []
    number = 0
    while f"{attribute}{number}" in group.attrs:
        names += [_text(name) for name in group.attrs[f"{attribute}{number}"]]
        number += 1
    return names


def _nested(file: Any) -> dict[str, Any]:
    """Groups and arrays as dictionaries in dictionaries.

    On Windows some releases write `layers\\lstm` as the name of one group.
    """
    root: dict[str, Any] = {}

    def add(path: str, item: Any) -> None:
        if hasattr(item, "shape"):
            *groups, name = re.split(r"[\\/]", path)
            group = root
            for part in groups:
                group = group.setdefault(part, {})
            group[name] = np.asarray(item)

    file.visititems(add)
    return root


class _Group:
    """A layer in an archive: a group of model.weights.h5. Groups without arrays are missing."""

    def __init__(self, group: dict[str, Any]) -> None:
        self._group = group

    def own(self, names: Sequence[str]) -> list[Array]:
        """The arrays in `vars`, which has them by number."""
        stored = self._group.get("vars", {})
        return [stored[str(number)] for number in range(len(stored))]

    def inner(self, attribute: str) -> _Group | None:
        return _Group(self._group[attribute]) if attribute in self._group else None

    def layers(self, kinds: Sequence[str]) -> list[_Group]:
        """By class and number: lstm, lstm_1, ... Releases skip numbers, and keep the order."""
        container: dict[str, Any] = next(
            (self._group[name] for name in LAYERS if name in self._group), {}
        )
        free: dict[str, list[str]] = {}
        for kind in set(kinds):
            stem = _snake(kind)
            found = [name for name in container if re.fullmatch(rf"{stem}(_\d+)?", name)]
            free[kind] = sorted(found, key=lambda name: int(name[len(stem) + 1 :] or 0))
        if any(len(free[kind]) != kinds.count(kind) for kind in free):
            return []
        return [_Group(container[free[kind].pop(0)]) for kind in kinds]


def _snake(kind: str) -> str:
    """A class's name as Keras writes it in paths (to_snake_case)."""
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", kind))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()
