"""The forward pass of one recurrent layer. The gradient is traced; a faster one replaces this."""

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
    """The last h `[N, units]`, or with `sequences` all of them `[N, steps, units]`.

    `inputs`: `[N, steps, features]`. The weights are those of Keras's layers.
    """
    units = recurrent_kernel.shape[0]
    rows = tf.unstack(inputs, axis=1)
    h = c = tf.zeros([tf.shape(inputs)[0], units], inputs.dtype)
    found = []
    for row in reversed(rows) if backwards else rows:
        if cell == "lstm":
            z = tf.matmul(row, kernel) + bias + tf.matmul(h, recurrent_kernel)
            i, f, g, o = tf.split(z, 4, axis=1)
            c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
            h = tf.sigmoid(o) * tf.tanh(c)
        elif cell == "gru":
            x = tf.split(tf.matmul(row, kernel) + bias[0], 3, axis=1)
            y = tf.split(tf.matmul(h, recurrent_kernel) + bias[1], 3, axis=1)
            z, r = tf.sigmoid(x[0] + y[0]), tf.sigmoid(x[1] + y[1])
            h = z * h + (1 - z) * tf.tanh(x[2] + r * y[2])
        else:
            h = tf.tanh(tf.matmul(row, kernel) + bias + tf.matmul(h, recurrent_kernel))
        found.append(h)
    return tf.stack(found[::-1] if backwards else found, axis=1) if sequences else h
