"""A recurrent layer of Keras as a function of its inputs and weights, with a gradient of its own.

The weights, their gate orders and the meaning are Keras's: LSTM with the gates i, f, c, o; GRU with
z, r, h, `reset_after=True` and a bias of two rows; SimpleRNN with tanh.

What makes it faster than Keras's layers (docs/results/training.md):

- The steps are unrolled, and one multiplication projects the inputs of all steps. For the LSTM one
  operation of TensorFlow computes all steps (train.fitting.recurrent_passes).
- The backward pass multiplies step by step only where it has to. The gradient of the weights is one
  multiplication over all steps at the end.
- The windows are cut into parts that are computed at the same time, each by one core. A multiplication
  of this size is too small to be shared by two.
"""

from __future__ import annotations

import contextlib
from typing import Any

from edge_runtime.host.processor import usable_cores
from train.fitting.recurrent_passes import cell_pass

PART = 64
"""The largest number of windows in a part. It depends on no property of the machine, because the sums
of a gradient are rounded part by part."""

SMALLEST_PART = 16

UNROLLED = 128
"""The largest number of steps that are unrolled."""

SEGMENT = 32
"""Longer windows are read in a loop over segments of so many steps, each of them unrolled, as a graph of
all their steps would take long to build."""


def share_cores(tf: Any) -> None:
    """Let TensorFlow compute two parts at a time, each with its share of the cores.

    To be called before TensorFlow computes anything; without effect after that. The results are equal.
    """
    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(max(1, usable_cores() // 2))


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
    - `inputs`: `[N, steps, features]`, with known steps and features. With a dtype of 16 bits the
      matrices are multiplied in it, and the gates and the state are computed in float32.
    - `kernel`, `recurrent_kernel`, `bias`: the layer's weights as Keras has them. They are cast to the
      dtype of `inputs`.
    - `backwards`: read the windows from the last step to the first. The outputs of `sequences` are in
      the order of the window nevertheless, so the last one that is computed comes first.
    """
    weights = [tf.cast(weight, inputs.dtype) for weight in (kernel, recurrent_kernel, bias)]
    outputs = []
    for part in _parts(tf, inputs):
        rows = tf.transpose(part, [1, 0, 2])
        found = _read(tf, cell, tf.reverse(rows, [0]) if backwards else rows, weights, sequences)
        if sequences:
            found = tf.transpose(tf.reverse(found, [0]) if backwards else found, [1, 0, 2])
        outputs.append(tf.cast(found, inputs.dtype))
    return outputs[0] if len(outputs) == 1 else tf.concat(outputs, axis=0)


def _parts(tf: Any, inputs: Any) -> list[Any]:
    """The inputs of the parts: one on a GPU, and where the number of windows is not known."""
    windows = inputs.shape[0]
    if windows is None or windows < 2 * SMALLEST_PART or tf.config.list_physical_devices("GPU"):
        return [inputs]
    count = max(2, -(-windows // PART))
    least, more = divmod(windows, count)
    parts: list[Any] = tf.split(inputs, [least + (number < more) for number in range(count)])
    return parts


def _read(tf: Any, cell: str, rows: Any, weights: list[Any], sequences: bool) -> Any:
    """The last h `[N, units]`, or all of them `[steps, N, units]`, for rows `[steps, N, features]`."""
    steps, units = rows.shape[0], weights[1].shape[0]
    first = steps if steps <= UNROLLED else steps % SEGMENT
    state, before = None, []
    if first:
        found, *state = _segment(tf, cell, rows[:first], weights, None, sequences)
        if first == steps:
            return found
        before = [found]
    else:
        wide = tf.float32 if rows.dtype.size < 4 else rows.dtype
        state = [tf.zeros([tf.shape(rows)[1], units], wide)] * 2
    count = steps // SEGMENT
    segments = tf.reshape(rows[first:], [count, SEGMENT, tf.shape(rows)[1], rows.shape[2]])
    outputs = tf.TensorArray(state[0].dtype, count if sequences else 0)

    def read_one(number: Any, h: Any, c: Any, outputs: Any) -> tuple[Any, ...]:
        found, h, c = _segment(tf, cell, segments[number], weights, [h, c], sequences)
        return number + 1, h, c, outputs.write(number, found) if sequences else outputs

    _, h, _, outputs = tf.while_loop(
        lambda number, *_: number < count,
        read_one,
        (0, *state, outputs),
        maximum_iterations=count,
    )
    if not sequences:
        return h
    rest = tf.reshape(outputs.stack(), [count * SEGMENT, tf.shape(rows)[1], units])
    return tf.concat([*before, rest], axis=0)


def _segment(
    tf: Any, cell: str, rows: Any, weights: list[Any], state: list[Any] | None, sequences: bool
) -> tuple[Any, Any, Any]:
    """The last h or all of them, and h and c after these steps; `state`: h and c before them, or 0."""

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def compute(rows: Any, kernel: Any, recurrent_kernel: Any, bias: Any, *state: Any) -> Any:
        forward = cell_pass(tf, cell, rows, (kernel, recurrent_kernel, bias), state)

        def gradient(d_outputs: Any, d_c: Any) -> tuple[Any, ...]:
            return forward.gradient(d_outputs, d_c)

        return (forward.outputs if sequences else forward.outputs[-1], forward.c), gradient

    found, c = compute(rows, *weights, *(state or ()))
    return found, found[-1] if sequences else found, c
