"""Model files of Keras 2 (tf.keras up to TensorFlow 2.15, tf_keras), rewritten for Keras 3's loader.

Keras 3 reads their weights, but not every config (convert.readers.tensorflow.keras2_config).
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

from convert.readers.tensorflow.keras2_config import modern
from edge_runtime.errors import DataError

CONFIG = "config.json"


@contextmanager
def readable_by_keras3(path: Path) -> Iterator[Path]:
    """A file of the same model that Keras 3 reads: `path` itself, or a temporary rewritten copy.

    `path` is a .keras archive or an HDF5 file of a whole model. Raises DataError for a
    file that is neither, and for a setting that has no counterpart in Keras 3.
    """
    with TemporaryDirectory() as folder:
        rewrite = _rewritten_archive if zipfile.is_zipfile(path) else _rewritten_hdf5
        yield rewrite(path, Path(folder)) or path


def _rewritten_archive(path: Path, folder: Path) -> Path | None:
    """The copy's path, or None for a file of Keras 3, which needs no copy."""
    try:
        with zipfile.ZipFile(path) as archive:
            content = {name: archive.read(name) for name in archive.namelist()}
        if not _is_keras2(json.loads(content["metadata.json"])["keras_version"]):
            return None
        config = json.loads(content[CONFIG])
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not a .keras file, or damaged ({error})") from None
    content[CONFIG] = _modern_json(config, path).encode()
    copy = folder / "model.keras"
    with zipfile.ZipFile(copy, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return copy


def _rewritten_hdf5(path: Path, folder: Path) -> Path | None:
    """The copy's path, or None for a file of Keras 3, which needs no copy."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            config, version = file.attrs.get("model_config"), file.attrs.get("keras_version", "1")
    except OSError as error:
        raise DataError(f"{path}: neither a .keras archive nor an HDF5 file ({error})") from None
    if config is None:
        raise DataError(
            f"{path}: the file holds no model, perhaps weights only. Expected what model.save writes."
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
