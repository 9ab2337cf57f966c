"""Recordings that differ, but may look alike: idle, coarse, periodic. Nobody copied a row of them."""

from __future__ import annotations

import numpy as np

ROWS = 1500


def smooth(rng, rows, features, memory=0.9):
    """Noise in which each row is `memory` of the row before."""
    values = np.empty((rows, features))
    state = rng.normal(size=features)
    for row in range(rows):
        state = memory * state + rng.normal(size=features)
        values[row] = state
    return values


def steps_of(values, step):
    """`values`, rounded to whole steps of an analog-to-digital converter."""
    return np.float32(np.round(values / step) * step)


def machine(rng, jitter):
    """One bit that is 0 for about 10 rows and 1 for about 20, again and again."""
    cycles = [
        np.repeat([0, 1], [10 + rng.integers(jitter + 1), 20 + rng.integers(jitter + 1)])
        for _ in range(50)
    ]
    return np.concatenate(cycles)[:, None].astype(np.uint8)


def sine(rng, period, noise):
    """A sine of 10 steps and any phase; `noise` in steps."""
    rows = np.arange(ROWS)[:, None]
    values = 10 * np.sin(rows * 2 * np.pi / period + rng.uniform(0, 6))
    return steps_of(values + rng.normal(0, noise, values.shape), 1)


def bursts(rng):
    """An idle sensor of two bits in which something happens now and then."""
    active = rng.random((ROWS, 1)) < 0.05
    return np.where(active, rng.integers(0, 4, (ROWS, 1)), 0).astype(np.uint8)


DIFFERENT = {
    "noise": lambda rng: rng.normal(size=(ROWS, 3)).astype(np.float32),
    "constant": lambda rng: np.zeros((ROWS, 3), np.float32),
    "two values": lambda rng: rng.integers(0, 2, (ROWS, 1)).astype(np.uint8),
    "smooth, one feature, few steps": lambda rng: steps_of(smooth(rng, ROWS, 1), 4),
    "smooth, one feature, many steps": lambda rng: steps_of(smooth(rng, ROWS, 1), 0.5),
    "smooth, two features, few steps": lambda rng: steps_of(smooth(rng, ROWS, 2), 4),
    "very smooth, three features": lambda rng: steps_of(smooth(rng, ROWS, 3, 0.99), 4),
    "random walk": lambda rng: steps_of(np.cumsum(rng.normal(size=(ROWS, 1)), axis=0), 3),
    "sine of one period with some noise": lambda rng: sine(rng, 47, 0.3),
    "sines of different periods with noise": lambda rng: sine(rng, 47 + rng.normal(), 0.5),
    "machine of one period": lambda rng: machine(rng, 0),
    "machine with cycles of different lengths": lambda rng: machine(rng, 2),
    "idle with bursts": bursts,
    "idle with a glitch": lambda rng: np.where(np.arange(ROWS) == rng.integers(ROWS), 1, 0)[
        :, None
    ].astype(np.uint8),
}
"""Name -> a function of a random generator that gives a recording `[ROWS, features]`."""
