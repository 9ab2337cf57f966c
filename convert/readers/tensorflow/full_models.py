"""Loads the full model in TensorFlow and computes its logits, the reference for every converted file."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.readers.tensorflow.before_loading import StoredModel, stored_model
from convert.readers.tensorflow.keras2.files import load_keras2
from convert.readers.tensorflow.keras2.saved_model import load_saved_model
from edge_runtime.errors import DataError, reason
from edge_runtime.host.optional_packages import needs_extra
from edge_runtime.host.quiet import quiet_stderr

BATCH = 1000  # windows per call


def load_full_model(path: str | Path) -> Any:
    """The Keras model in a `.keras` or `.h5` file or a SavedModel folder, also one of Keras 2.

    Raises DataError when the file does not exist or Keras cannot read it.
    """
    stored = stored_model(path)
    keras = _keras()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the style of the model, which is given
            return _loaded(keras, stored)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except Exception as error:  # Keras raises many kinds
        raise DataError(f"{path}: Keras cannot load the model ({reason(error)})") from error


def _loaded(keras: Any, stored: StoredModel) -> Any:
    if stored.is_keras3:
        return keras.models.load_model(stored.path, compile=False)
    if stored.is_folder:
        arrays = read_checkpoint(stored.path / "variables" / "variables")
        return load_saved_model(keras, stored.config, arrays)
    return load_keras2(keras, stored.path, stored.config)


def tensorflow_version() -> str:
    """The module's version, as its distribution has several names (tensorflow, tensorflow-cpu)."""
    return str(_tensorflow().__version__)


def _tensorflow() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with needs_extra("workstation", "tensorflow", "edge-rnn convert"), quiet_stderr():
        import tensorflow
    return tensorflow


def _keras() -> Any:
    """Keras 3, after TensorFlow, so that what either prints when it starts is not seen."""
    _tensorflow()
    import keras

    return keras


def full_logits(model: Any, windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits `[N, classes]` of normalized windows `[N, steps, features]`."""
    return np.asarray(model.predict(windows, batch_size=BATCH, verbose=0), np.float32)


def read_checkpoint(prefix: str | Path) -> dict[str, NDArray[Any]]:
    """Every variable of a TensorFlow checkpoint by name. Raises DataError when it cannot be read."""
    tensorflow = _tensorflow()
    try:
        reader = tensorflow.train.load_checkpoint(str(prefix))
        values = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    except Exception as error:  # TensorFlow's own kinds, RuntimeError, ValueError
        raise DataError(f"{prefix}: TensorFlow cannot read the checkpoint ({reason(error)})") from error
    return {name: _array(value) for name, value in values.items()}


def _array(value: Any) -> NDArray[Any]:
    """A variable; numpy's own type for bytes would lose zeros at the end."""
    return np.asarray(value, object) if isinstance(value, bytes) else np.asarray(value)


def basic_lstm_logits(
    windows: NDArray[np.float32],
    *,
    kernel: NDArray[np.float32],
    bias: NDArray[np.float32],
    dense_kernel: NDArray[np.float32],
    dense_bias: NDArray[np.float32],
    forget_bias: float,
) -> NDArray[np.float32]:
    """Logits `[N, classes]` of TensorFlow 1's BasicLSTMCell over all steps and a dense layer.

    Takes the weights as a checkpoint has them, and computes in TensorFlow what that cell computed
    (rnn_cell_impl.py, TensorFlow 1.15), without any part of the Network.
    """
    tf = _tensorflow()
    units = dense_kernel.shape[0]
    results = []
    for start in range(0, len(windows), BATCH):
        batch = tf.constant(windows[start : start + BATCH])
        c = h = tf.zeros((len(batch), units))
        for x in tf.unstack(batch, axis=1):
            i, j, f, o = tf.split(tf.concat([x, h], 1) @ kernel + bias, 4, axis=1)
            c = c * tf.sigmoid(f + forget_bias) + tf.sigmoid(i) * tf.tanh(j)
            h = tf.tanh(c) * tf.sigmoid(o)
        results.append(np.asarray(h @ dense_kernel + dense_bias))
    return np.concatenate(results)
