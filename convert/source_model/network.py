"""The network as plain numpy weights. Every reader produces it; nothing in it is framework-specific.

A layer reads a sequence `[steps, features]` or a vector `[n]`, and gives one. A chain of layers needs no
wiring; convert.source_model.nodes describes branches. Every matrix is `[outputs, inputs]`. Dropout and
other layers without effect at inference have no counterpart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Union

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float32]
Scales = Union[NDArray[np.float32], NDArray[np.float64]]

HARD_SIGMOID = "hard_sigmoid"
"""relu6(x + 3) / 6: Keras 3, PyTorch."""

HARD_SIGMOID_02 = "hard_sigmoid_0.2"
"""clip(0.2 x + 0.5, 0, 1): Keras 1 and 2, TensorFlow 1, ONNX's default."""

GATE_FUNCTIONS = ("sigmoid", HARD_SIGMOID, HARD_SIGMOID_02)
"""Functions of the gates of Lstm and Gru."""

STATE_FUNCTIONS = ("tanh", "relu", "elu", "linear", *GATE_FUNCTIONS)
"""Functions of the candidate and of c in Lstm and Gru, and of SimpleRnn."""

ACTIVATIONS = ("linear", "relu", "sigmoid", "softmax", "tanh", "elu", HARD_SIGMOID, HARD_SIGMOID_02)
"""Functions that Dense, Conv1d and Activation may apply, by Keras's names; elu with alpha = 1."""

MERGES = ("concat", "sum", "mul", "ave")
"""Ways in which Bidirectional joins its two outputs, by Keras's names."""


@dataclass(frozen=True, eq=False)
class Lstm:
    """An LSTM layer (Hochreiter and Schmidhuber 1997, with forget gates: Gers et al. 2000).

    For the gates a in i (input), f (forget), g (candidate), o (output), stacked in that order:

        a   = kernel @ x_t + recurrent_kernel @ h_{t-1} + bias
        c_t = sigmoid(f) * c_{t-1} + sigmoid(i) * tanh(g)
        h_t = sigmoid(o) * tanh(c_t)

    `activation` stands in the place of both tanh, and `recurrent_activation` in that of sigmoid.

    A second source, if there is one, is a Mask: where it is 0, h and c stay as they are.
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
    activation: str = "tanh"
    """One of STATE_FUNCTIONS."""
    recurrent_activation: str = "sigmoid"
    """One of GATE_FUNCTIONS."""

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

    `activation` and `recurrent_activation` stand in the places of tanh and sigmoid. A second source is
    a Mask, as for Lstm.
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
    activation: str = "tanh"
    """One of STATE_FUNCTIONS."""
    recurrent_activation: str = "sigmoid"
    """One of GATE_FUNCTIONS."""

    @property
    def units(self) -> int:
        """Width of h."""
        return self.recurrent_kernel.shape[1]


@dataclass(frozen=True, eq=False)
class SimpleRnn:
    """h_t = activation(kernel @ x_t + recurrent_kernel @ h_{t-1} + bias) (Elman 1990).

    A second source is a Mask, as for Lstm.
    """

    name: str
    kernel: Weights
    """`[units, features]`"""
    recurrent_kernel: Weights
    """`[units, units]`"""
    bias: Weights
    """`[units]`"""
    activation: str = "tanh"
    """One of STATE_FUNCTIONS."""
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
    A second source is a Mask, which holds for both.
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
    scale: Scales
    """`[features]`, float32 or, where the source's values give more, float64."""
    offset: Scales
    """`[features]`, likewise."""


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
class Unflatten:
    """A vector as a sequence of `steps` rows, row after row; the inverse of Flatten."""

    name: str
    steps: int


@dataclass(frozen=True, eq=False)
class Repeat:
    """A vector as a sequence of `steps` equal rows."""

    name: str
    steps: int


@dataclass(frozen=True, eq=False)
class GlobalPooling:
    """One vector for a sequence: the average, maximum or sum of every feature along the steps.

    A second source, if there is one, is a Mask: the average then is that of the rows where it is 1.
    """

    name: str
    kind: str
    """average, max or sum."""


@dataclass(frozen=True, eq=False)
class Pooling:
    """The average or maximum of every feature over `size` rows, every `stride` rows.

    Rows of padding count neither for the maximum nor for the average (TensorFlow's "SAME").
    """

    name: str
    kind: str
    """average or max."""
    size: int
    stride: int
    padding: tuple[int, int] = (0, 0)
    """Rows of padding before and after; each less than `size`."""


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


@dataclass(frozen=True, eq=False)
class Mask:
    """Tells the rows that count: 1 where any feature of the row differs from `value`, otherwise 0.

    Reads a sequence `[steps, features]`, and gives a sequence `[steps, 1]` (Keras's Masking).
    """

    name: str
    value: Weights
    """`[features]`"""


@dataclass(frozen=True, eq=False)
class Embedding:
    """Row t of the result is the row of the table that token t names. Reads tokens `[steps, 1]`."""

    name: str
    table: Weights
    """`[tokens, units]`"""


@dataclass(frozen=True, eq=False)
class Join:
    """Two or more sources as one, element by element or side by side.

    All are sequences of the same number of rows, or all are vectors; a vector beside sequences stands
    for as many equal rows. For add and multiply a source of width 1 stands for as many equal columns.
    """

    name: str
    kind: str
    """One of JOINS."""


JOINS = ("add", "subtract", "multiply", "average", "maximum", "concat", "rows")
"""Ways in which Join makes one value of several. concat puts features side by side; rows puts the rows
of sequences (or vectors, each a row) one after another."""


@dataclass(frozen=True, eq=False)
class Attention:
    """softmax(scale * query @ key^T) @ value (Luong et al. 2015; Vaswani et al. 2017, one head).

    Sources: query, a sequence or a vector; value, a sequence; key, a sequence (without it, value is the
    key); and a Mask of the values, which is the fourth source. A vector as query gives a vector.
    """

    name: str
    scale: float = 1.0


@dataclass(frozen=True, eq=False)
class WeightedSum:
    """The sum over the steps of weight t times row t. Sources: a vector `[steps]`, and a sequence."""

    name: str


@dataclass(frozen=True, eq=False)
class TimeDistributed:
    """Cuts a sequence into `count` equal parts, and applies a chain of layers to each of them.

    The chain gives a vector for each part; these are the rows of the result. (Keras's TimeDistributed
    around Conv1D, pooling and Flatten, for windows `[parts, steps, features]`.)
    """

    name: str
    count: int
    layers: tuple[Layer, ...]


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
    Unflatten,
    Repeat,
    Pooling,
    Mask,
    Embedding,
    Join,
    Attention,
    WeightedSum,
    TimeDistributed,
]

WINDOW, STATIC = -1, -2
"""Numbers of a layer's sources that are no layers: the window's rows, and the static input."""


@dataclass(frozen=True, eq=False)
class Network:
    """Layers that turn one window `[steps, features]` into the logits, which the last layer gives."""

    steps: int
    features: int
    """Columns of the window, those of the static input included."""
    layers: tuple[Layer, ...]
    """In an order in which each stands after the layers that it reads."""
    wiring: tuple[tuple[int, ...], ...] | None = None
    """For each layer the numbers of the layers that it reads, or WINDOW, or STATIC. None: each reads the
    one before it, and the first reads the window."""
    static: int = 0
    """How many of the last columns are the static input: a vector beside the sequence, which is the same
    in every row. WINDOW means the columns before them."""

    @property
    def sources(self) -> tuple[tuple[int, ...], ...]:
        """`wiring`, also for a chain."""
        if self.wiring is not None:
            return self.wiring
        return tuple((number - 1,) for number in range(len(self.layers)))

    @property
    def tokens(self) -> int:
        """How many tokens there are if an Embedding reads the window; otherwise 0."""
        tables = [
            layer.table
            for layer, sources in zip(self.layers, self.sources)
            if isinstance(layer, Embedding) and WINDOW in sources
        ]
        return min((len(table) for table in tables), default=0)
