"""The network as plain numpy weights: what every source is read into, nothing framework-specific."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float32]


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
    """`[4 * units]`; a forget bias that the source adds at run time is already in it."""

    @property
    def units(self) -> int:
        """Width of h and c."""
        return self.recurrent_kernel.shape[1]


@dataclass(frozen=True, eq=False)
class Dense:
    """y = kernel @ x + bias, without activation; kernel `[outputs, inputs]`, bias `[outputs]`."""

    name: str
    kernel: Weights
    bias: Weights


Layer = Union[Lstm, Dense]


@dataclass(frozen=True, eq=False)
class Network:
    """Layers applied in order to one window `[steps, features]`; the last gives the logits."""

    steps: int
    features: int
    layers: tuple[Layer, ...]
