"""Small random networks and windows, for tests that need no training."""

from __future__ import annotations

import numpy as np

from convert.source_model.network import (
    Activation,
    Affine,
    Bidirectional,
    Conv1d,
    Dense,
    Embedding,
    Flatten,
    GlobalPooling,
    Gru,
    Layer,
    LayerNorm,
    Lstm,
    Mask,
    Network,
    SimpleRnn,
)


class RandomLayers:
    """Makes layers with normally distributed weights, one seed for all of them."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)

    def weights(self, *shape: int) -> np.ndarray:
        return self.rng.normal(0, 0.5, shape).astype(np.float32)

    def lstm(self, features: int, units: int, name="lstm", **settings) -> Lstm:
        w = self.weights
        kernels = w(4 * units, features), w(4 * units, units), w(4 * units)
        return Lstm(name, *kernels, **settings)

    def gru(self, features: int, units: int, name="gru", **settings) -> Gru:
        w = self.weights
        kernels = w(3 * units, features), w(3 * units, units), w(3 * units), w(3 * units)
        return Gru(name, *kernels, **settings)

    def simple(self, features: int, units: int, name="rnn", **settings) -> SimpleRnn:
        kernels = self.weights(units, features), self.weights(units, units), self.weights(units)
        return SimpleRnn(name, *kernels, **settings)

    def dense(self, inputs: int, outputs: int, activation="linear", name="dense") -> Dense:
        return Dense(name, self.weights(outputs, inputs), self.weights(outputs), activation)


def random_network(steps=5, features=3, units=8, classes=4, seed=0) -> Network:
    make = RandomLayers(seed)
    return Network(steps, features, (make.lstm(features, units), make.dense(units, classes)))


def layer_combinations() -> dict[str, Network]:
    """Every kind of layer, and common combinations, for windows of 7 steps of 5 features."""
    m, w = RandomLayers(), RandomLayers(1).weights
    sequence, backward = {"return_sequences": True}, {"go_backwards": True}
    combinations: dict[str, tuple[Layer, ...]] = {
        "gru": (m.gru(5, 8), m.dense(8, 3)),
        "gru reset before": (m.gru(5, 8, reset_after=False), m.dense(8, 3)),
        "simple tanh": (m.simple(5, 8), m.dense(8, 3)),
        "simple relu": (m.simple(5, 8, activation="relu"), m.dense(8, 3)),
        "backwards": (m.lstm(5, 8, **backward), m.dense(8, 3)),
        "stacked": (
            m.lstm(5, 8, "first", **sequence),
            m.lstm(8, 6, "second"),
            m.dense(6, 7, "relu", "hidden"),
            m.dense(7, 3),
        ),
        "bidirectional": (
            Bidirectional("both", m.lstm(5, 8), m.lstm(5, 8, **backward)),
            m.dense(16, 3),
        ),
        "bidirectional sequence, average": (
            Bidirectional("both", m.gru(5, 8, **sequence), m.gru(5, 8, **sequence, **backward), "ave"),
            GlobalPooling("pool", "average"),
            m.dense(8, 3),
        ),
        "convolution, norms, largest": (
            Conv1d("conv", w(6, 3, 5), w(6), padding=(1, 1), activation="relu"),
            LayerNorm("norm", w(6), w(6), 1e-3),
            m.lstm(6, 8, **sequence),
            Affine("batch_norm", w(8), w(8)),
            GlobalPooling("pool", "max"),
            m.dense(8, 9, "tanh", "hidden"),
            m.dense(9, 3),
        ),
        "strided convolution": (
            Affine("scaling", w(5), w(5)),
            Conv1d("conv", w(6, 2, 5), w(6), stride=2, dilation=2),
            Activation("act", "relu"),
            m.gru(6, 8),
            m.dense(8, 3),
        ),
        "flattened": (
            m.lstm(5, 8, **sequence),
            m.dense(8, 4, "sigmoid", "per_row"),
            Flatten("flat"),
            m.dense(28, 3),
        ),
        "softmax inside": (m.lstm(5, 8), m.dense(8, 4, "softmax", "shares"), m.dense(4, 3)),
    }
    return {name: Network(7, 5, layers) for name, layers in combinations.items()}


def random_windows(network: Network, count=64, seed=1) -> np.ndarray:
    """Windows, or int32 tokens for a network with an Embedding.

    Where the network has a Mask, it leaves out the end of every third window, and rows in the middle of
    every third one.
    """
    rng = np.random.default_rng(seed)
    tables = [layer.table for layer in network.layers if isinstance(layer, Embedding)]
    shape = (count, network.steps, network.features)
    windows: np.ndarray
    if tables:
        windows = rng.integers(0, len(tables[0]), shape, np.int32)
    else:
        windows = rng.normal(0, 1, shape).astype(np.float32)
    for mask in (layer for layer in network.layers if isinstance(layer, Mask)):
        windows[::3, -2:, : len(mask.value)] = mask.value
        windows[1::3, 1:3, : len(mask.value)] = mask.value
    return windows


def lstm_logits(network: Network, windows: np.ndarray) -> np.ndarray:
    """The network by its textbook definition, in float64."""
    lstm, dense = network.layers
    h = c = np.zeros((len(windows), lstm.units))
    for t in range(network.steps):
        gates = (
            windows[:, t].astype(np.float64) @ lstm.kernel.T + h @ lstm.recurrent_kernel.T + lstm.bias
        )
        i, f, g, o = np.split(gates, 4, axis=1)
        c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
        h = _sigmoid(o) * np.tanh(c)
    return h @ dense.kernel.T + dense.bias


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))
