"""A made-up accelerometer on a wrist: the other examples use it in place of a real sensor.

It is not an example of edge-rnn. Every recording is three axes in g, 25 rows a second, of one activity.
The same seed gives the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE = 25.0  # rows a second
STEPS = 32  # rows in a window, 1.28 seconds


@dataclass(frozen=True)
class Movement:
    """What an activity looks like: a swing, its first harmonic, and noise."""

    frequency: float  # hertz
    swing: float  # g
    harmonic: float  # its part of the swing
    noise: float  # standard deviation, g


ACTIVITIES = {
    "still": Movement(frequency=0.3, swing=0.01, harmonic=0.0, noise=0.02),
    "walking": Movement(frequency=1.8, swing=0.35, harmonic=0.5, noise=0.06),
    "running": Movement(frequency=2.7, swing=1.1, harmonic=0.3, noise=0.15),
    "cycling": Movement(frequency=1.2, swing=0.15, harmonic=0.1, noise=0.08),
}
LABELS = tuple(ACTIVITIES)


def record(activity: str, rows: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return `[rows, 3]`, the acceleration in g of one stretch of `activity`.

    Each stretch has its own pace, strength, phase and tilt of the sensor, drawn from `rng`.
    """
    movement = ACTIVITIES[activity]
    pace = movement.frequency * rng.uniform(0.85, 1.15)
    strength = movement.swing * rng.uniform(0.7, 1.3)
    angle = 2 * np.pi * (pace * np.arange(rows) / RATE + rng.uniform())
    swing = strength * (np.sin(angle) + movement.harmonic * np.sin(2 * angle + 0.6))
    across = strength * np.cos(angle)
    up = rng.normal([0.0, 0.0, 1.0], 0.15)
    gravity = up / np.linalg.norm(up)
    axes = np.stack([0.6 * swing, 0.3 * across, swing], axis=1)
    return (gravity + axes + rng.normal(0, movement.noise, (rows, 3))).astype(np.float32)


def windows(count: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return `count` windows `[count, STEPS, 3]` and their classes `[count]`, indices into LABELS.

    Every window is a recording of its own, so windows that train and windows that test share no rows.
    """
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, len(LABELS), count)
    return np.stack([record(LABELS[index], STEPS, rng) for index in classes]), classes
