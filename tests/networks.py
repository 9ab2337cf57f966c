"""Small random networks and windows, for tests that need no training."""

from __future__ import annotations

import numpy as np

from convert.network import Dense, Lstm, Network


def random_network(steps=5, features=3, units=8, classes=4, seed=0) -> Network:
    rng = np.random.default_rng(seed)

    def weights(*shape):
        return rng.normal(0, 0.5, shape).astype(np.float32)

    return Network(
        steps,
        features,
        (
            Lstm("lstm", weights(4 * units, features), weights(4 * units, units), weights(4 * units)),
            Dense("dense", weights(classes, units), weights(classes)),
        ),
    )


def random_windows(network: Network, count=64, seed=1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1, (count, network.steps, network.features)).astype(np.float32)


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
