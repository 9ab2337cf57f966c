"""The hyperparameters of a training run, and the presets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from edge_runtime.errors import InputError


@dataclass(frozen=True)
class Hyperparameters:
    """The hyperparameters of a training run, by default for MNIST. Raises InputError out of range."""

    units: int = 128
    """The number of units of the LSTM."""
    iterations: int = 8000
    """The number of optimizer steps."""
    batch_size: int = 128
    """The number of windows for each step."""
    learning_rate: float = 0.004
    """Adam's first learning rate. It decays to 0 along half a cosine (Loshchilov and Hutter 2017)."""
    shift: int | None = None
    """Each batch is moved at random by up to this many steps and features, and filled with 0. None: 2
    for image data sets, 0 for all others."""
    validation_fraction: float = 1 / 12
    """The fraction of the training split that is held back for validation (MNIST: 5,000 of 60,000)."""
    seed: int = 0
    """Seeds the validation split, the initial weights, the order of the batches and their shifts."""

    def __post_init__(self) -> None:
        check_optimization(self.iterations, self.batch_size, self.learning_rate, self.seed)
        if self.units < 1:
            raise InputError(f"--units: expected at least 1, found {self.units}.")
        if self.shift is not None and self.shift < 0:
            raise InputError(f"--shift: expected at least 0, found {self.shift}.")
        if not 0 < self.validation_fraction < 1:
            raise InputError(
                f"--validation-fraction: expected between 0 and 1, found {self.validation_fraction}."
            )


def check_optimization(iterations: int, batch_size: int, learning_rate: float, seed: int) -> None:
    """Raises InputError that names the option whose value is out of range."""
    for option, value in (("--iterations", iterations), ("--batch-size", batch_size)):
        if value < 1:
            raise InputError(f"{option}: expected at least 1, found {value}.")
    if not 0 < learning_rate < float("inf"):
        raise InputError(f"--learning-rate: expected a number above 0, found {learning_rate}.")
    if not 0 <= seed < 2**32:
        raise InputError(f"--seed: expected 0 to {2**32 - 1}, found {seed}.")


PRESETS = {
    "default": Hyperparameters(),
    # The notebook's budget, 1000 steps of 100 windows as they are. The notebook prints a rate of 0.5,
    # which does not train: Adam stays at chance with it (9.6 % on MNIST, measured).
    "seed": Hyperparameters(iterations=1000, batch_size=100, learning_rate=0.008, shift=0),
    # Seconds instead of minutes, for the 700 training windows of `digits`.
    "demo": Hyperparameters(iterations=1500, batch_size=64),
}
"""Name -> Hyperparameters."""


def preset(
    name: str,
    *,
    units: int | None = None,
    iterations: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    shift: int | None = None,
    validation_fraction: float | None = None,
    seed: int | None = None,
) -> Hyperparameters:
    """The preset `name` of `PRESETS`, with some fields of `Hyperparameters` changed; None keeps a field.

        from train import preset

        hyperparameters = preset("demo", units=64)

    Raises InputError for an unknown preset, with a list of them, and for a value out of range.
    """
    if name not in PRESETS:
        raise InputError(f"--preset: unknown preset {name!r}. Choose {', '.join(PRESETS)}.")
    changes: dict[str, Any] = {
        "units": units,
        "iterations": iterations,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "shift": shift,
        "validation_fraction": validation_fraction,
        "seed": seed,
    }
    return replace(PRESETS[name], **{key: value for key, value in changes.items() if value is not None})
