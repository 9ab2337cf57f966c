"""Learning-rate schedules by name, over the whole length of a training."""

from __future__ import annotations

from typing import Any

LAST_RATE = 0.01
"""`exponential` ends at this part of the first rate."""

STEPS_AT = (0.5, 0.75)
"""`step` divides the rate by 10 after these parts of the training (He et al. 2015 did so twice)."""


def learning_rate(keras: Any, schedule: str, first: float, iterations: int) -> Any:
    """A Keras schedule of the learning rate over `iterations`.

    cosine: to 0 along half a cosine (Loshchilov and Hutter 2017); linear: to 0 along a line;
    exponential: to LAST_RATE of `first`; step: a tenth after each part of STEPS_AT; constant: `first`.
    """
    schedules = keras.optimizers.schedules
    if schedule == "cosine":
        return schedules.CosineDecay(first, iterations)
    if schedule == "linear":
        return schedules.PolynomialDecay(first, iterations, end_learning_rate=0.0)
    if schedule == "exponential":
        return schedules.ExponentialDecay(first, iterations, LAST_RATE)
    if schedule == "step":
        rates = [first / 10**number for number in range(len(STEPS_AT) + 1)]
        return schedules.PiecewiseConstantDecay([round(part * iterations) for part in STEPS_AT], rates)
    return first
