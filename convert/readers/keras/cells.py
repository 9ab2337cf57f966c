"""Keras's recurrent layers -> Lstm, Gru, SimpleRnn.

The layer's cell decides, as Keras 3 and Keras 2 name its weights alike, also inside RNN. Keras has the
gates in the Network's order, and every matrix transposed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from convert.readers.keras.functions import function_of
from convert.readers.keras.layer_config import float32, named, require, zeros_without
from convert.source_model.network import (
    GATE_FUNCTIONS,
    STATE_FUNCTIONS,
    Gru,
    Lstm,
    Recurrent,
    SimpleRnn,
    Weights,
)
from edge_runtime.errors import DataError


def recurrent(layer: Any) -> Recurrent:
    """An LSTM, GRU, SimpleRNN or RNN layer. Raises DataError naming the layer and the setting."""
    cell = getattr(layer, "cell", None)
    kind = type(cell).__name__
    if kind not in _CELLS:
        raise DataError(f"{named(layer)} has the cell {kind}. Expected {', '.join(_CELLS)}.")
    if layer.stateful:
        raise DataError(
            f"{named(layer)} has stateful=True, but a converted model starts every window from a state "
            "of zero. Build the model with stateful=False and set its weights; --graph step then makes "
            "a file that carries the state from row to row."
        )
    require(layer, {"time_major": (False,)})
    read: Recurrent = _CELLS[kind](layer, cell)
    return read


def _matrices(layer: Any, cell: Any) -> tuple[str, Weights, Weights]:
    kernel, recurrent_kernel = float32(cell.kernel), float32(cell.recurrent_kernel)
    return layer.name, np.ascontiguousarray(kernel.T), np.ascontiguousarray(recurrent_kernel.T)


def _lstm(layer: Any, cell: Any) -> Lstm:
    bias = zeros_without(cell, "use_bias", "bias", 4 * cell.units)
    return Lstm(
        *_matrices(layer, cell),
        bias,
        return_sequences=bool(layer.return_sequences),
        go_backwards=bool(layer.go_backwards),
        activation=function_of(cell, "activation", STATE_FUNCTIONS, layer),
        recurrent_activation=function_of(cell, "recurrent_activation", GATE_FUNCTIONS, layer),
    )


def _gru(layer: Any, cell: Any) -> Gru:
    bias = zeros_without(cell, "use_bias", "bias", 3 * cell.units)
    # With reset_after Keras has two rows, one for the input and one for the state.
    both = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])
    return Gru(
        *_matrices(layer, cell),
        np.ascontiguousarray(both[0]),
        np.ascontiguousarray(both[1]),
        bool(cell.reset_after),
        return_sequences=bool(layer.return_sequences),
        go_backwards=bool(layer.go_backwards),
        activation=function_of(cell, "activation", STATE_FUNCTIONS, layer),
        recurrent_activation=function_of(cell, "recurrent_activation", GATE_FUNCTIONS, layer),
    )


def _simple(layer: Any, cell: Any) -> SimpleRnn:
    bias = zeros_without(cell, "use_bias", "bias", cell.units)
    return SimpleRnn(
        *_matrices(layer, cell),
        bias,
        function_of(cell, "activation", STATE_FUNCTIONS, layer),
        return_sequences=bool(layer.return_sequences),
        go_backwards=bool(layer.go_backwards),
    )


_CELLS: dict[str, Any] = {"LSTMCell": _lstm, "GRUCell": _gru, "SimpleRNNCell": _simple}
