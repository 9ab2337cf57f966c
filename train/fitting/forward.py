"""The training's own forward pass over the variables of a Keras model made by train.fitting.model.

Keras's layers compute a window step by step and let the gradient be traced step by step. Here each
recurrent layer is one function with a gradient of its own (train.fitting.recurrent). The Keras model
remains what is saved, and gives the same logits.
"""

from __future__ import annotations

from typing import Any

from train.fitting.recurrent import recurrent_layer

_CELLS = {"LSTM": "lstm", "GRU": "gru", "SimpleRNN": "rnn"}


def forward(
    tf: Any,
    model: Any,
    windows: Any,
    *,
    dtype: Any = None,
    kept: Any = None,
) -> Any:
    """Logits `[N, classes]` float32 of normalized windows `[N, steps, features]` float32.

    - `dtype`: in which matrices are multiplied; None: float32.
    - `kept`: a function of (number of the dropout layer, its rate, a tensor) that gives the tensor with
      some values dropped; None: nothing is dropped, as in evaluation.
    """
    dtype = dtype or tf.float32
    x, dropouts = tf.cast(windows, dtype), 0
    for layer in model.layers:
        kind = type(layer).__name__
        if kind == "Bidirectional":
            halves = [
                _recurrent(tf, half, x, backwards=half.go_backwards)
                for half in (layer.forward_layer, layer.backward_layer)
            ]
            x = tf.concat(halves, axis=-1)
        elif kind in _CELLS:
            x = _recurrent(tf, layer, x, backwards=layer.go_backwards)
        elif kind == "Dropout":
            x = x if kept is None else kept(dropouts, layer.rate, x)
            dropouts += 1
        else:
            x = tf.matmul(x, tf.cast(layer.kernel.value, dtype)) + tf.cast(layer.bias.value, dtype)
    return tf.cast(x, tf.float32)


def _recurrent(tf: Any, layer: Any, x: Any, *, backwards: bool) -> Any:
    cell = layer.cell
    weights = [
        tf.cast(tf.convert_to_tensor(weight.value), x.dtype)
        for weight in (cell.kernel, cell.recurrent_kernel, cell.bias)
    ]
    return recurrent_layer(
        tf,
        _CELLS[type(layer).__name__],
        x,
        *weights,
        sequences=layer.return_sequences,
        backwards=backwards,
    )
