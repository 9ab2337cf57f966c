"""A user's own Keras model, as a file or an object -> Source."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np

from convert.readers.keras.read_model import read_keras
from convert.readers.tensorflow.full_models import load_full_model, tensorflow_version
from convert.readers.user_data import DataSource
from convert.readers.user_source import user_source
from convert.source_model.source_model import Source
from edge_runtime.errors import DataError
from edge_runtime.runs.run_directory import file_sha256


def keras_source(model: Any, data: DataSource, **options: Any) -> Source:
    """Read a `.keras` or `.h5` file, or a built Keras model (of Keras 3 or tf_keras).

    `data` and `options` as in `user_source`. Raises DataError for a file or a model that cannot be
    converted, and what `user_source` raises.
    """
    if not isinstance(model, (str, Path)):
        reading = read_keras(model)
        origin = {"model": str(model.name), "model_sha256": _weights_sha256(model)}
        return user_source(
            reading.network, reading.logits, data, origin=origin, tools=_versions(model), **options
        )
    loaded = load_full_model(model)
    tools = {"tensorflow": tensorflow_version(), **_versions(loaded)}
    origin = {"model": Path(model).name, "model_sha256": file_sha256(Path(model))}
    try:
        reading = read_keras(loaded)
    except DataError as error:
        raise DataError(f"{model}: {error}") from None
    return user_source(reading.network, reading.logits, data, origin=origin, tools=tools, **options)


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
