"""The steps of a recurrent layer forward, and their gradient by hand.

The formulas are those of back-propagation through time: Hochreiter and Schmidhuber 1997 and Gers et al.
2000 for the LSTM, Cho et al. 2014 for the GRU with the reset gate after the multiplication.

Tensors are time-major: rows `[steps, N, features]`, h and c `[N, units]`, the gates of a step
`[N, gates * units]`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any


def cell_pass(
    tf: Any, cell: str, rows: Any, weights: tuple[Any, Any, Any], state: tuple[Any, ...]
) -> RecurrentPass:
    """Compute the steps of `rows` with the weights (kernel, recurrent kernel, bias) of Keras.

    `state`: (h, c) before the first step, where it is not 0.
    """
    if cell == "lstm" and rows.dtype == tf.float32:
        return _FusedLstm(tf, rows, weights, state)
    passes: dict[str, type[RecurrentPass]] = {"lstm": _Lstm, "gru": _Gru, "rnn": _Rnn}
    return passes[cell](tf, rows, weights, state)


class RecurrentPass(ABC):
    """The computed steps, with what their gradient needs."""

    outputs: Any
    """h after each step, `[steps, N, units]`."""
    c: Any
    """c after the last step. A cell without c passes it on."""

    def __init__(
        self, tf: Any, rows: Any, weights: tuple[Any, Any, Any], state: tuple[Any, ...]
    ) -> None:
        self._tf, self._rows, self._state = tf, rows, state
        self._kernel, self._recurrent_kernel, self._bias = weights
        self._steps, self._features = rows.shape[0], rows.shape[2]
        self._units, self._windows = self._recurrent_kernel.shape[0], tf.shape(rows)[1]
        self._wide = tf.float32 if rows.dtype.size < 4 else rows.dtype
        self._zero = tf.zeros([self._windows, self._units], self._wide)
        self._h, self._c = state or (self._zero, self._zero)
        self._compute()

    @abstractmethod
    def _compute(self) -> None:
        """Sets `outputs` and `c`."""

    @abstractmethod
    def _back(self, d_steps: list[Any], d_c: Any) -> tuple[list[Any], list[Any], Any, Any]:
        """The gradients of each step's input gates and recurrent gates, and of h and c before them."""

    def gradient(self, d_outputs: Any, d_c: Any) -> tuple[Any, ...]:
        """Gradients of the rows, of the three weights and, where it is given, of the state.

        `d_outputs`: the gradient of `outputs` or of the last one alone. `d_c`: that of `c`.
        """
        tf = self._tf
        if len(d_outputs.shape) == 3:
            d_steps = tf.unstack(d_outputs)
        else:
            d_steps = [None] * (self._steps - 1) + [d_outputs]
        d_input, d_recurrent, d_h, d_c = self._back(d_steps, d_c)
        d_gates = tf.concat(d_input, 0)
        d_weights = self._weight_gradients(d_gates, d_input, d_recurrent)
        d_rows = tf.matmul(d_gates, self._gates_as_computed(self._kernel), transpose_b=True)
        d_rows = tf.reshape(d_rows, [self._steps, self._windows, self._features])
        return d_rows, *d_weights, *((d_h, d_c) if self._state else ())

    def _weight_gradients(
        self, d_gates: Any, d_input: list[Any], d_recurrent: list[Any]
    ) -> tuple[Any, Any, Any]:
        tf, dtype = self._tf, self._rows.dtype
        flat = [self._steps * self._windows, self._features + 1]
        # The bias is the weight of an input that is 1.
        ones = tf.ones([self._steps, self._windows, 1], dtype)
        rows = tf.reshape(tf.concat([self._rows, ones], 2), flat)
        d_kernel = tf.matmul(rows, d_gates, transpose_a=True)
        d_bias = d_kernel[self._features]
        if d_recurrent is not d_input:
            d_gates = tf.concat(d_recurrent, 0)
            d_bias = tf.stack([d_bias, tf.reduce_sum(d_gates, 0)])
        before = tf.reshape(tf.cast(self.outputs, dtype), [-1, self._units])
        before, d_after = before[: -self._windows], d_gates[self._windows :]
        d_recurrent_kernel = tf.matmul(before, d_after, transpose_a=True)
        if self._state:
            h = tf.cast(self._h, dtype)
            d_recurrent_kernel += tf.matmul(h, d_recurrent[0], transpose_a=True)
        gradients = (d_kernel[: self._features], d_recurrent_kernel, d_bias)
        a, b, c = (self._gates_as_computed(gradient) for gradient in gradients)
        return a, b, c

    def _gates_as_computed(self, weights: Any) -> Any:
        """Weights between Keras's order of the gates and that of `_back`, which is its own inverse."""
        return weights

    def _transposed(self) -> Any:
        """The recurrent kernel `[gates * units, units]`, in the order of `_back`."""
        # TensorFlow would merge a bare transposition with the multiplications, which are slower then.
        tf, kernel = self._tf, self._gates_as_computed(self._recurrent_kernel)
        gates = kernel.shape[1] // self._units
        return tf.concat(tf.split(tf.transpose(kernel), gates, axis=0), 0)


class _FusedLstm(RecurrentPass):
    """The LSTM by TensorFlow's own operations for a whole window forward, and for a step backward.

    BlockLSTMGradV2, for a whole window, is half as fast as this. The gradient of a step has its gates in
    the order i, c, f, o.
    """

    def _compute(self) -> None:
        tf = self._tf
        i, c, f, o, g, tanh_c, h = tf.raw_ops.BlockLSTMV2(
            seq_len_max=tf.constant(self._steps, tf.int64),
            x=self._rows,
            cs_prev=self._c,
            h_prev=self._h,
            w=tf.concat([self._kernel, self._recurrent_kernel], 0),
            b=self._bias,
            cell_clip=0.0,
            **self._no_peepholes(),
        )
        self._saved = {"i": i, "cs": c, "f": f, "o": o, "ci": g, "co": tanh_c}
        self.outputs, self.c = h, c[-1]

    def _no_peepholes(self) -> dict[str, Any]:
        zero = self._tf.zeros([self._units])
        return {"wci": zero, "wcf": zero, "wco": zero, "use_peephole": False}

    def _back(self, d_steps: list[Any], d_c: Any) -> tuple[list[Any], list[Any], Any, Any]:
        tf = self._tf
        saved = {name: tf.unstack(values) for name, values in self._saved.items()}
        c_before = [self._c, *saved["cs"][:-1]]
        unused = {
            "x": self._rows[0],
            "h_prev": self._h,
            "w": tf.concat([self._kernel, self._recurrent_kernel], 0),
            "b": self._bias,
            **self._no_peepholes(),
        }
        transposed, d_h = self._transposed(), self._zero
        d_gates: list[Any] = []
        for step in reversed(range(self._steps)):
            d_h = _sum(d_steps[step], d_h)
            d_c, d, *_ = tf.raw_ops.LSTMBlockCellGrad(
                cs_prev=c_before[step],
                cs_grad=d_c,
                h_grad=d_h,
                **{name: values[step] for name, values in saved.items()},
                **unused,
            )
            d_gates.insert(0, d)
            d_h = tf.matmul(d, transposed)
        return d_gates, d_gates, d_h, d_c

    def _gates_as_computed(self, weights: Any) -> Any:
        i, f, g, o = self._tf.split(weights, 4, axis=-1)
        return self._tf.concat([i, g, f, o], -1)


class _StepByStep(RecurrentPass):
    """A cell whose steps are written out here; 16-bit numbers are widened between multiplications."""

    @abstractmethod
    def _step(self, x: Any, h: Any, c: Any) -> tuple[Any, Any, tuple[Any, ...]]:
        """h and c after a step of projected input `x`, and what `_step_back` needs."""

    @abstractmethod
    def _step_back(self, saved: tuple[Any, ...], d_h: Any, d_c: Any) -> tuple[Any, Any, Any, Any]:
        """Gradients of the input gates, the recurrent gates, of h apart from these, and of c."""

    def _compute(self) -> None:
        tf = self._tf
        bias = self._bias if len(self._bias.shape) == 1 else self._bias[0]
        rows = tf.reshape(self._rows, [-1, self._features])
        projected = tf.split(tf.matmul(rows, self._kernel) + bias, self._steps)
        h, c, outputs = self._h, self._c, []
        self._saved: list[tuple[Any, ...]] = []
        for x in projected:
            h, c, saved = self._step(tf.cast(x, self._wide), h, c)
            outputs.append(h)
            self._saved.append(saved)
        self.outputs, self.c = tf.stack(outputs), c

    def _recurrent_gates(self, h: Any) -> Any:
        tf = self._tf
        return tf.cast(tf.matmul(tf.cast(h, self._rows.dtype), self._recurrent_kernel), self._wide)

    def _back(self, d_steps: list[Any], d_c: Any) -> tuple[list[Any], list[Any], Any, Any]:
        tf, dtype = self._tf, self._rows.dtype
        transposed, d_h = self._transposed(), self._zero
        found: list[tuple[Any, Any]] = []
        for d_step, saved in zip(reversed(d_steps), reversed(self._saved)):
            d_h = _sum(d_step, d_h)
            d_input, d_recurrent, d_h, d_c = self._step_back(saved, d_h, d_c)
            one = d_recurrent is d_input
            d_input = tf.cast(d_input, dtype)
            d_recurrent = d_input if one else tf.cast(d_recurrent, dtype)
            found.insert(0, (d_input, d_recurrent))
            d_h = _sum(d_h, tf.cast(tf.matmul(d_recurrent, transposed), self._wide))
        d_inputs = [pair[0] for pair in found]
        d_recurrents = d_inputs if one else [pair[1] for pair in found]
        return d_inputs, d_recurrents, d_h, d_c


class _Lstm(_StepByStep):
    def _step(self, x: Any, h: Any, c: Any) -> tuple[Any, Any, tuple[Any, ...]]:
        tf = self._tf
        i, f, g, o = tf.split(x + self._recurrent_gates(h), 4, axis=1)
        i, f, g, o = tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)
        after = f * c + i * g
        tanh_c = tf.tanh(after)
        return o * tanh_c, after, (i, f, g, o, c, tanh_c)

    def _step_back(self, saved: tuple[Any, ...], d_h: Any, d_c: Any) -> tuple[Any, Any, Any, Any]:
        tf = self._tf
        i, f, g, o, c, tanh_c = saved
        d_c = d_c + _tanh_gradient(tf, tanh_c, d_h * o)
        d_gates = [
            _sigmoid_gradient(tf, i, d_c * g),
            _sigmoid_gradient(tf, f, d_c * c),
            _tanh_gradient(tf, g, d_c * i),
            _sigmoid_gradient(tf, o, d_h * tanh_c),
        ]
        d = tf.concat(d_gates, 1)
        return d, d, None, d_c * f


class _Gru(_StepByStep):
    def _step(self, x: Any, h: Any, c: Any) -> tuple[Any, Any, tuple[Any, ...]]:
        tf = self._tf
        bias = tf.cast(self._bias[1], self._wide)
        xz, xr, xh = tf.split(x, 3, axis=1)
        hz, hr, hh = tf.split(self._recurrent_gates(h) + bias, 3, axis=1)
        z, r = tf.sigmoid(xz + hz), tf.sigmoid(xr + hr)
        candidate = tf.tanh(xh + r * hh)
        after = candidate + z * (h - candidate)
        return after, c, (z, r, candidate, hh, h)

    def _step_back(self, saved: tuple[Any, ...], d_h: Any, d_c: Any) -> tuple[Any, Any, Any, Any]:
        tf = self._tf
        z, r, candidate, hh, h = saved
        d_kept = d_h * z
        d_candidate = _tanh_gradient(tf, candidate, d_h - d_kept)
        d_z = _sigmoid_gradient(tf, z, d_h * (h - candidate))
        d_r = _sigmoid_gradient(tf, r, d_candidate * hh)
        d_input = tf.concat([d_z, d_r, d_candidate], 1)
        return d_input, tf.concat([d_z, d_r, d_candidate * r], 1), d_kept, d_c


class _Rnn(_StepByStep):
    def _step(self, x: Any, h: Any, c: Any) -> tuple[Any, Any, tuple[Any, ...]]:
        h = self._tf.tanh(x + self._recurrent_gates(h))
        return h, c, (h,)

    def _step_back(self, saved: tuple[Any, ...], d_h: Any, d_c: Any) -> tuple[Any, Any, Any, Any]:
        d = _tanh_gradient(self._tf, saved[0], d_h)
        return d, d, None, d_c


def _sum(first: Any, second: Any) -> Any:
    """The sum, where None is 0."""
    return second if first is None else first + second


def _sigmoid_gradient(tf: Any, y: Any, d: Any) -> Any:
    return tf.raw_ops.SigmoidGrad(y=y, dy=d)


def _tanh_gradient(tf: Any, y: Any, d: Any) -> Any:
    return tf.raw_ops.TanhGrad(y=y, dy=d)
