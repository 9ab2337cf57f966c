"""A user's own Keras model, a file or an object -> SourceModel."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np

from convert.readers.keras.read_model import KerasReading, read_keras
from convert.readers.keras.saved_loss import loss_in_file, loss_of_model
from convert.readers.read_options import ReadOptions
from convert.readers.tensorflow.before_loading import stored_model
from convert.readers.tensorflow.full_models import load_full_model, tensorflow_version
from convert.readers.user_data import UserData
from convert.readers.user_source import check_labels, check_shape, user_source
from convert.source_model.source_model import SourceModel
from edge_runtime.errors import DataError
from edge_runtime.runs.run_directory import file_sha256


def keras_source(model: Any, options: ReadOptions) -> SourceModel:
    """Read a `.keras` or `.h5` file, a SavedModel folder, or a built Keras model (Keras 3 or tf_keras).

    The data are read first, before TensorFlow is loaded. Raises DataError for a file or a model that
    cannot be converted, and what `user_source` and `task_of` raise.
    """
    windows = options.windows()
    if not isinstance(model, (str, Path)):
        reading = read_keras(model, options.hints(windows, loss_of_model(model)))
        origin = {"model": str(model.name), "model_sha256": _weights_sha256(model)}
        return _source(reading, windows, options, origin, _versions(model))
    _check_before_loading(model, windows, options)
    loaded = load_full_model(model)
    tools = {"tensorflow": tensorflow_version(), **_versions(loaded)}
    origin = {"model": Path(model).name, "model_sha256": _file_sha256(Path(model))}
    try:
        reading = read_keras(loaded, options.hints(windows, loss_in_file(model)))
    except DataError as error:
        raise DataError(f"{model}: {error}") from None
    return _source(reading, windows, options, origin, tools)


def _check_before_loading(model: str | Path, windows: UserData, options: ReadOptions) -> None:
    """What can be told without TensorFlow, so that a user need not wait for it."""
    stored = stored_model(model)
    if stored.window_shape is not None:
        check_shape(windows, stored.window_shape)
    if stored.outputs is not None:
        check_labels(options.labels, windows, stored.outputs)


def _file_sha256(path: Path) -> str:
    """The SHA-256 of a file, or of a SavedModel folder: of its files' names and SHA-256."""
    if path.is_file():
        return file_sha256(path)
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file():
            digest.update(f"{file.relative_to(path)}{file_sha256(file)}".encode())
    return digest.hexdigest()


def _source(
    reading: KerasReading,
    windows: UserData,
    options: ReadOptions,
    origin: dict[str, str],
    tools: dict[str, str],
) -> SourceModel:
    return user_source(
        reading.network,
        reading.logits,
        windows,
        options,
        task=reading.task,
        unit_length=reading.unit_length,
        origin=origin,
        tools=tools,
    )


def _weights_sha256(model: Any) -> str:
    """The SHA-256 of a model without a file, over its weights."""
    digest = hashlib.sha256()
    for array in model.get_weights():
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _versions(model: Any) -> dict[str, str]:
    """The library that the model's class comes from: keras or tf_keras."""
    library = type(model).__module__.split(".")[0]
    return {library: str(getattr(sys.modules[library], "__version__", "unknown"))}
