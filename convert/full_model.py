"""The full Keras model: loading it, and its logits, against which the converted file is measured."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import DataError
from edge_runtime.extras import needs_extra, quiet_stderr

BATCH = 1000  # windows per call


def load_full_model(path: str | Path) -> Any:
    """The Keras model in the `.keras` file. Raises DataError when Keras cannot read it."""
    keras = _tensorflow().keras
    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras raises many kinds
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(f"{path}: Keras cannot load the model: {reason}") from error


def tensorflow_version() -> str:
    """Of the module, as its distribution goes by several names (tensorflow, tensorflow-cpu)."""
    return str(_tensorflow().__version__)


def _tensorflow() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with needs_extra("workstation", "tensorflow", "edge-rnn convert"), quiet_stderr():
        import tensorflow
    return tensorflow


def full_logits(model: Any, windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits `[N, classes]` of normalized windows `[N, steps, features]`."""
    return np.asarray(model.predict(windows, batch_size=BATCH, verbose=0), np.float32)
