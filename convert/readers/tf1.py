"""A TensorFlow 1 checkpoint of BasicLSTMCell and a dense layer -> Network and SourceModel.

The checkpoint is like those of TensorFlow 1's recurrent tutorials. The cell's variables are
`rnn/basic_lstm_cell/kernel` and `bias`, with gates in the order i, j, f, o (j: the candidate). A forget
bias of 1 is added at run time and not stored. The dense layer's variables have no names of their own
(`Variable`, `Variable_1`) and are mixed with the optimizer's. The windows give the number of steps.

Source: tensorflow/python/ops/rnn_cell_impl.py (BasicLSTMCell), TensorFlow 1.15.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.readers.classifier_head import logits_of, split_head
from convert.readers.read_options import ReadOptions
from convert.readers.tensorflow.full_models import basic_lstm_logits, read_checkpoint, tensorflow_version
from convert.readers.user_source import user_source
from convert.source_model.network import Dense, Lstm, Network, Weights
from convert.source_model.source_model import SourceModel
from edge_runtime.errors import DataError
from edge_runtime.runs.run_directory import file_sha256

CELL = "basic_lstm_cell"

FORGET_BIAS = 1.0
"""The default of BasicLSTMCell."""

Variables = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class BasicLstm:
    """The weights in the form of the checkpoint, whose matrices are `[inputs, outputs]`."""

    kernel: Weights
    """`[features + units, 4 * units]`"""
    bias: Weights
    """`[4 * units]`, without the forget bias."""
    dense_kernel: Weights
    """`[units, classes]`"""
    dense_bias: Weights
    """`[classes]`"""

    @property
    def features(self) -> int:
        """The number of values in one row of a window."""
        return len(self.kernel) - len(self.dense_kernel)

    def network(self, steps: int, forget_bias: float) -> Network:
        """The Network for windows of `steps` rows."""
        i, j, f, o = np.split(self.kernel.T, 4)
        bi, bj, bf, bo = np.split(self.bias, 4)
        gates = np.concatenate([i, f, j, o])
        bias = np.concatenate([bi, bf + np.float32(forget_bias), bj, bo])
        kernel, recurrent_kernel = np.split(gates, [self.features], axis=1)
        layers = (
            Lstm(CELL, np.ascontiguousarray(kernel), np.ascontiguousarray(recurrent_kernel), bias),
            Dense("logits", np.ascontiguousarray(self.dense_kernel.T), self.dense_bias),
        )
        return Network(steps, self.features, layers)


def tf1_source(path: str | Path, options: ReadOptions) -> SourceModel:
    """Read a checkpoint: its prefix (`model.ckpt`), one of its files, or the folder it is in.

    Raises DataError when the checkpoint cannot be read, or when its variables do not say which are the
    cell's and the dense layer's, and what `user_source` raises.
    """
    prefix = checkpoint_prefix(path)
    windows = options.windows()
    forget_bias = FORGET_BIAS if options.forget_bias is None else options.forget_bias
    steps, features = windows.window_shape
    weights = basic_lstm(read_checkpoint(prefix), path)
    if features != weights.features:
        raise DataError(
            f"{windows.name}: the windows have {features} features, but the cell in {path} takes "
            f"{weights.features}"
        )
    network = weights.network(steps, forget_bias)
    outputs = len(weights.dense_bias)
    layers, function, task = split_head(list(network.layers), outputs, options.hints(windows))
    run = partial(
        basic_lstm_logits,
        kernel=weights.kernel,
        bias=weights.bias,
        dense_kernel=weights.dense_kernel,
        dense_bias=weights.dense_bias,
        forget_bias=forget_bias,
    )
    return user_source(
        replace(network, layers=tuple(layers)),
        lambda raw: logits_of(run(raw), function),
        windows,
        options,
        task=task,
        origin={"model": prefix.name, "model_sha256": file_sha256(_weights_file(prefix))},
        tools={"tensorflow": tensorflow_version()},
    )


def checkpoint_prefix(path: str | Path) -> Path:
    """TensorFlow's name of the checkpoint, which is the common beginning of its files' names.

    Raises DataError when there is no such checkpoint, or when a folder holds several.
    """
    file = Path(path)
    if file.is_dir():
        found = sorted(file.glob("*.index"))
        if len(found) != 1:
            names = ", ".join(index.stem for index in found) or "none"
            raise DataError(
                f"{path}: expected one checkpoint in the folder, found {names}. Name the checkpoint."
            )
        return found[0].with_suffix("")
    if file.suffix in (".index", ".meta") or file.suffix.startswith(".data-"):
        file = file.with_suffix("")
    if not Path(f"{file}.index").is_file():
        raise DataError(
            f"{path}: no such checkpoint. Expected {file.name}.index and {file.name}.data-*."
        )
    return file


def _weights_file(prefix: Path) -> Path:
    parts = sorted(prefix.parent.glob(f"{prefix.name}.data-*"))
    if len(parts) != 1:
        raise DataError(f"{prefix}: found {len(parts)} files {prefix.name}.data-*. Expected one.")
    return parts[0]


def basic_lstm(variables: Variables, path: str | Path) -> BasicLstm:
    """Find the weights among a checkpoint's variables; those of the dense layer by their shapes.

    Raises DataError that names `path` and lists the variables unless there is exactly one cell, and one
    matrix and bias that fit after it.
    """
    # A slot (Adam's moments, a moving average) is named after the variable it belongs to.
    own = {
        name: value
        for name, value in variables.items()
        if not any(name.startswith(f"{other}/") for other in variables)
    }
    cells = [name for name in own if name.endswith(f"{CELL}/kernel")]
    if len(cells) != 1:
        raise DataError(f"{path}: expected one {CELL}/kernel, found {len(cells)} among {_listed(own)}")
    kernel = own.pop(cells[0])
    bias = own.pop(cells[0].replace("/kernel", "/bias"), None)
    if kernel.ndim != 2 or bias is None or bias.shape != kernel.shape[1:] or kernel.shape[1] % 4:
        raise DataError(
            f"{path}: {cells[0]} has shape {list(kernel.shape)}. Expected [features + units, 4 * units] "
            "and a bias beside it."
        )
    dense_kernel, dense_bias = _dense(own, kernel.shape[1] // 4, path)
    return BasicLstm(kernel, bias, dense_kernel, dense_bias)


def _dense(variables: Variables, units: int, path: str | Path) -> tuple[Weights, Weights]:
    matrices = [name for name, value in variables.items() if value.ndim == 2 and len(value) == units]
    if len(matrices) != 1:
        raise DataError(
            f"{path}: {len(matrices)} matrices fit after the cell ({', '.join(matrices) or 'none'}). "
            f"Expected one of shape [{units}, classes] among {_listed(variables)}."
        )
    kernel = variables[matrices[0]]
    biases = [name for name, value in variables.items() if value.shape == kernel.shape[1:]]
    if len(biases) != 1:
        raise DataError(
            f"{path}: {len(biases)} vectors fit {matrices[0]} ({', '.join(biases) or 'none'}). "
            f"Expected one of shape [{kernel.shape[1]}] among {_listed(variables)}."
        )
    return kernel, variables[biases[0]]


def _listed(variables: Variables) -> str:
    return ", ".join(f"{name} {list(value.shape)}" for name, value in variables.items()) or "nothing"
