"""Elman layers that an exporter has written out step by step, found again.

PyTorch's exporter of 2.x (dynamo=True) has no RNN node for nn.RNN. It writes
h_t = tanh(input_t + recurrent_kernel @ h_{t-1} + recurrent_bias) once for every step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convert.readers.onnx.tracing import ShapedNode
from convert.source_model.network import Activation, Affine, Dense, Join, SimpleRnn, Weights


@dataclass(frozen=True, eq=False)
class WrittenOut:
    """A state h of a recurrence, and the steps up to it."""

    states: tuple[ShapedNode, ...]
    """h of every step, in the order of reading."""
    inputs: ShapedNode
    """The sequence that is added, of which each step has read a row."""
    rows: tuple[int, ...]
    recurrent_kernel: Weights
    recurrent_bias: Weights
    function: str

    @property
    def whole(self) -> bool:
        """Whether every row has been read, from the first to the last or from the last to the first."""
        every = tuple(range(self.inputs.steps or 0))
        return self.rows in (every, every[::-1])

    def layer(self, *, return_sequences: bool) -> tuple[ShapedNode, SimpleRnn] | None:
        """The layer, and the sequence that it reads; None if the inputs are not a dense layer's."""
        dense, offset = _without_offset(self.inputs)
        if not isinstance(dense.layer, Dense):
            return None
        bias = dense.layer.bias + offset + self.recurrent_bias
        layer = SimpleRnn(
            dense.layer.name,
            dense.layer.kernel,
            self.recurrent_kernel,
            bias.astype(np.float32),
            self.function,
            return_sequences,
            self.rows[0] > self.rows[-1],
        )
        return dense.sources[0], layer


def steps_written_out(tensor: ShapedNode, known: dict[ShapedNode, WrittenOut]) -> WrittenOut | None:
    """The recurrence that a vector is a state of, given those of the states before it."""
    layer = tensor.layer
    if not isinstance(layer, Activation) or layer.function not in ("tanh", "relu"):
        return None
    joined = tensor.sources[0]
    if not isinstance(joined.layer, Join) or joined.layer.kind != "add" or len(joined.sources) != 2:
        return None
    for state, given in (joined.sources, joined.sources[::-1]):
        dense, offset = _without_offset(state)
        if given.row is None or not isinstance(dense.layer, Dense):
            continue
        bias = (dense.layer.bias + offset).astype(np.float32)
        before, inputs, row = dense.sources[0], *given.row
        earlier = known.get(before) or _first(before, inputs, dense.layer.kernel, bias)
        if (
            earlier is not None
            and earlier.inputs is inputs
            and earlier.function == layer.function
            and np.array_equal(earlier.recurrent_kernel, dense.layer.kernel)
            and np.array_equal(earlier.recurrent_bias, bias)
        ):
            return WrittenOut(
                (*earlier.states, tensor),
                inputs,
                (*earlier.rows, row),
                earlier.recurrent_kernel,
                earlier.recurrent_bias,
                earlier.function,
            )
    return None


def _first(state: ShapedNode, inputs: ShapedNode, kernel: Weights, bias: Weights) -> WrittenOut | None:
    """The first step, which starts from zeros: the state is the function of a row and the bias."""
    layer = state.layer
    if not isinstance(layer, Activation) or len(kernel) != state.width:
        return None
    tensor, offset = state.sources[0], np.zeros(state.width)
    while tensor.row is None or tensor.row[0] is not inputs:
        if not isinstance(tensor.layer, Affine) or (tensor.layer.scale != 1).any():
            return None
        offset += tensor.layer.offset
        tensor = tensor.sources[0]
    if not np.allclose(offset, bias, rtol=1e-6, atol=1e-7):
        return None
    return WrittenOut((state,), inputs, (tensor.row[1],), kernel, bias, layer.function)


def _without_offset(tensor: ShapedNode) -> tuple[ShapedNode, Weights]:
    """The tensor before the Affines that only add, and what they add."""
    offset = np.zeros(tensor.width, np.float32)
    while isinstance(tensor.layer, Affine) and (tensor.layer.scale == 1).all():
        offset = offset + tensor.layer.offset
        tensor = tensor.sources[0]
    return tensor, offset
