"""A recurrent layer of Keras as a function of its inputs and weights, for the training step.

The weights, their gate orders and the meaning are Keras's: LSTM with the gates i, f, c, o; GRU with
z, r, h, `reset_after=True` and a bias of two rows; SimpleRNN with tanh. Keras runs a loop that costs
more than the multiplications. Here the input projection of all steps is one multiplication, and the
steps are unrolled.
"""

from __future__ import annotations

from typing import Any


def recurrent_layer(
    tf: Any,
    cell: str,
    inputs: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any,
    *,
    sequences: bool,
    backwards: bool,
) -> Any:
    """The layer's outputs `[N, units]`, or with `sequences` `[N, steps, units]`, in `inputs`' dtype.

    - `tf`: the module tensorflow.
    - `cell`: `lstm`, `gru` or `rnn`.
    - `inputs`: `[N, steps, features]`, with known steps and features.
    - `kernel`, `recurrent_kernel`, `bias`: the layer's weights as Keras has them. They are cast to the
      dtype of `inputs`.
    - `backwards`: read the windows from the last step to the first. The outputs of `sequences` are in
      the order of the window nevertheless, so the last one that is computed comes first.
    """
    units, steps = recurrent_kernel.shape[0], inputs.shape[1]
    kernel, recurrent_kernel, bias = (tf.cast(w, inputs.dtype) for w in (kernel, recurrent_kernel, bias))
    input_bias = bias[0] if cell == "gru" else bias
    projected = tf.unstack(tf.tensordot(inputs, kernel, 1) + input_bias, axis=1)
    state: tuple[Any, ...] = (tf.zeros([tf.shape(inputs)[0], units], inputs.dtype),) * 2
    outputs = []
    for t in reversed(range(steps)) if backwards else range(steps):
        state = _STEPS[cell](tf, projected[t], state, recurrent_kernel, bias)
        outputs.append(state[0])
    if not sequences:
        return outputs[-1]
    return tf.stack(outputs[::-1] if backwards else outputs, axis=1)


def _lstm(tf: Any, x: Any, state: tuple[Any, ...], kernel: Any, bias: Any) -> tuple[Any, ...]:
    h, c = state
    i, f, g, o = tf.split(x + tf.matmul(h, kernel), 4, axis=1)
    c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
    return tf.sigmoid(o) * tf.tanh(c), c


def _gru(tf: Any, x: Any, state: tuple[Any, ...], kernel: Any, bias: Any) -> tuple[Any, ...]:
    h = state[0]
    xz, xr, xh = tf.split(x, 3, axis=1)
    hz, hr, hh = tf.split(tf.matmul(h, kernel) + bias[1], 3, axis=1)
    z = tf.sigmoid(xz + hz)
    candidate = tf.tanh(xh + tf.sigmoid(xr + hr) * hh)
    return z * h + (1 - z) * candidate, h


def _rnn(tf: Any, x: Any, state: tuple[Any, ...], kernel: Any, bias: Any) -> tuple[Any, ...]:
    h = tf.tanh(x + tf.matmul(state[0], kernel))
    return h, h


_STEPS: dict[str, Any] = {"lstm": _lstm, "gru": _gru, "rnn": _rnn}
