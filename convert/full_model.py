"""The full Keras model: loading it, and its logits, against which the converted file is measured."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.keras2 import readable_by_keras3
from edge_runtime.errors import DataError
from edge_runtime.extras import needs_extra, quiet_stderr

BATCH = 1000  # windows per call
LONGEST_REASON = 300  # characters


def load_full_model(path: str | Path) -> Any:
    """The Keras model in a `.keras` or `.h5` file, also one of Keras 2.

    Raises DataError when the file is not there or Keras cannot read it.
    """
    if not Path(path).is_file():
        raise DataError(f"{path}: no such file")
    keras = _tensorflow().keras
    try:
        with readable_by_keras3(Path(path)) as file:
            return keras.models.load_model(file, compile=False)
    except DataError:
        raise
    except Exception as error:  # Keras raises many kinds
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        if len(reason) > LONGEST_REASON:
            reason = f"{reason[:LONGEST_REASON]}..."  # Keras appends whole configurations
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
