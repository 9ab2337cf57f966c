"""The network as plain numpy weights. Every reader produces it; nothing in it is framework-specific.

Layers are applied in order, first to a sequence `[steps, features]`, then to a vector `[n]`. Every
matrix is `[outputs, inputs]`. Dropout and other layers without effect at inference have no counterpart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Union

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float32]

ACTIVATIONS = ("linear", "relu", "sigmoid", "softmax", "tanh")
"""Functions that Dense, Conv1d and Activation may apply, by Keras's names."""

MERGES = ("concat", "sum", "mul", "ave")
"""Ways in which Bidirectional joins its two outputs, by Keras's names."""


@dataclass(frozen=True, eq=False)
class Lstm:
    """An LSTM layer (Hochreiter and Schmidhuber 1997, with forget gates: Gers et al. 2000).

    For the gates a in i (input), f (forget), g (candidate), o (output), stacked in that order:

        a   = kernel @ x_t + recurrent_kernel @ h_{t-1} + bias
        c_t = sigmoid(f) * c_{t-1} + sigmoid(i) * tanh(g)
        h_t = sigmoid(o) * tanh(c_t)
    """

    name: str
    kernel: Weights
    """`[4 * units, features]`"""
    recurrent_kernel: Weights
    """`[4 * units, units]`"""
    bias: Weights
    """`[4 * units]`; it includes a forget bias that the source adds at run time."""
    return_sequences: bool = False
    """Whether the layer gives every h `[steps, units]` instead of the last one `[units]`."""
    go_backwards: bool = False
    """Whether it reads the last row first. Its h are in the order of reading, as in Keras."""

    @property
    def units(self) -> int:
        """Width of h and c."""
        return self.recurrent_kernel.shape[1]


@dataclass(frozen=True, eq=False)
class Gru:
    """A GRU layer (Cho et al. 2014). Gates stacked in the order z (update), r (reset), n (candidate).

    z, r = sigmoid(kernel @ x_t + recurrent_kernel @ h_{t-1} + bias + recurrent_bias)
    n    = tanh(kernel_n @ x_t + bias_n + r * (recurrent_kernel_n @ h_{t-1} + recurrent_bias_n))
           when reset_after (cuDNN, PyTorch, Keras's default; ONNX: linear_before_reset), else
           tanh(kernel_n @ x_t + bias_n + recurrent_kernel_n @ (r * h_{t-1}) + recurrent_bias_n)
    h_t  = z * h_{t-1} + (1 - z) * n
    """

    name: str
    kernel: Weights
    """`[3 * units, features]`"""
    recurrent_kernel: Weights
    """`[3 * units, units]`"""
    bias: Weights
    """`[3 * units]`"""
    recurrent_bias: Weights
    """`[3 * units]`, zeros where the source has a single bias."""
    reset_after: bool = True
    return_sequences: bool = False
    go_backwards: bool = False

    @property
    def units(self) -> int:
        """Width of h."""
        return self.recurrent_kernel.shape[1]


@dataclass(frozen=True, eq=False)
class SimpleRnn:
    """h_t = activation(kernel @ x_t + recurrent_kernel @ h_{t-1} + bias) (Elman 1990)."""

    name: str
    kernel: Weights
    """`[units, features]`"""
    recurrent_kernel: Weights
    """`[units, units]`"""
    bias: Weights
    """`[units]`"""
    activation: str = "tanh"
    """tanh or relu."""
    return_sequences: bool = False
    go_backwards: bool = False

    @property
    def units(self) -> int:
        """Width of h."""
        return self.recurrent_kernel.shape[1]


Recurrent = Union[Lstm, Gru, SimpleRnn]

RECURRENT_LAYERS = (Lstm, Gru, SimpleRnn)
"""The classes of Recurrent, for isinstance."""


@dataclass(frozen=True, eq=False)
class Bidirectional:
    """Two recurrent layers over the same rows; the second reads from the last row to the first.

    With sequences, the second one's h are brought into the order of the rows before they are merged.
    """

    name: str
    forward: Recurrent
    backward: Recurrent
    """Has go_backwards set; both have the same return_sequences."""
    merge: str = "concat"
    """One of MERGES."""

    @property
    def last_outputs(self) -> Bidirectional:
        """The layer with the last output of each direction instead of sequences."""
        forward = replace(self.forward, return_sequences=False)
        return replace(self, forward=forward, backward=replace(self.backward, return_sequences=False))


@dataclass(frozen=True, eq=False)
class Dense:
    """y = activation(kernel @ x + bias), for a vector or for every row of a sequence."""

    name: str
    kernel: Weights
    """`[outputs, inputs]`"""
    bias: Weights
    """`[outputs]`"""
    activation: str = "linear"
    """One of ACTIVATIONS."""


@dataclass(frozen=True, eq=False)
class Conv1d:
    """A convolution along the steps: row t of the result is `activation(sum_k kernel[:, k] @ x + bias)`
    with x row `t * stride + k * dilation` of the input after padding with rows of zeros."""

    name: str
    kernel: Weights
    """`[filters, width, inputs]`"""
    bias: Weights
    """`[filters]`"""
    stride: int = 1
    dilation: int = 1
    padding: tuple[int, int] = (0, 0)
    """Rows of zeros before and after."""
    activation: str = "linear"


@dataclass(frozen=True, eq=False)
class Activation:
    """An activation function, element by element; softmax along the last axis."""

    name: str
    function: str
    """One of ACTIVATIONS."""


@dataclass(frozen=True, eq=False)
class Affine:
    """y = scale * x + offset per feature, for batch normalization at inference or a rescaling."""

    name: str
    scale: Weights
    """`[features]`"""
    offset: Weights
    """`[features]`"""


@dataclass(frozen=True, eq=False)
class LayerNorm:
    """y = (x - mean) / sqrt(variance + epsilon) * gamma + beta along the features (Ba et al. 2016)."""

    name: str
    gamma: Weights
    """`[features]`"""
    beta: Weights
    """`[features]`"""
    epsilon: float


@dataclass(frozen=True, eq=False)
class Flatten:
    """A sequence `[steps, features]` as one vector, row after row."""

    name: str


@dataclass(frozen=True, eq=False)
class GlobalPooling:
    """One vector for a sequence, with the average or the maximum of every feature along the steps."""

    name: str
    kind: str
    """average or max."""


@dataclass(frozen=True, eq=False)
class TakeRows:
    """Some rows of a sequence, or all of them in another order, as a sequence.

    The last output of a recurrent layer does not need it, as the layer's return_sequences can be False.
    It is needed for PyTorch's `output[:, -1]` of a bidirectional layer, for example, which has the
    backward layer's output after one row.
    """

    name: str
    rows: tuple[int, ...]
    """The numbers of the rows, from 0."""


Layer = Union[
    Lstm,
    Gru,
    SimpleRnn,
    Bidirectional,
    Dense,
    Conv1d,
    Activation,
    Affine,
    LayerNorm,
    Flatten,
    GlobalPooling,
    TakeRows,
]


@dataclass(frozen=True, eq=False)
class Network:
    """Layers applied in order to one window `[steps, features]`; the last gives the logits."""

    steps: int
    features: int
    layers: tuple[Layer, ...]
