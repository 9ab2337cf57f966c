"""What a training run may choose, and the presets."""

from __future__ import annotations

from dataclasses import dataclass, fields

from edge_runtime.errors import InputError


@dataclass(frozen=True)
class Hyperparameters:
    """Settings of a training run; the defaults are those for MNIST."""

    units: int = 128
    """Width of the LSTM."""
    iterations: int = 8000
    """Optimizer steps."""
    batch_size: int = 128
    """Windows per step."""
    learning_rate: float = 0.004
    """Adam's first rate; it decays to 0 along a half cosine (Loshchilov and Hutter 2017)."""
    shift: int | None = None
    """Each batch is moved by up to this many steps and features, filled with 0: for images. None: 2
    for image data sets, 0 for all others."""
    validation_fraction: float = 1 / 12
    """Part of the training split that is held back for validation (MNIST: 5,000 of 60,000)."""
    seed: int = 0
    """Of the validation split, the initial weights, the order of the batches and their shifts."""

    def __post_init__(self) -> None:
        for name in ("units", "iterations", "batch_size"):
            if getattr(self, name) < 1:
                raise InputError(f"--{_option(name)} is {getattr(self, name)}: expected at least 1")
        if not 0 < self.learning_rate < float("inf"):
            raise InputError(f"--learning-rate is {self.learning_rate}: expected a number above 0")
        if self.shift is not None and self.shift < 0:
            raise InputError(f"--shift is {self.shift}: expected at least 0")
        if not 0 < self.validation_fraction < 1:
            raise InputError(
                f"--validation-fraction is {self.validation_fraction}: expected between 0 and 1"
            )
        if not 0 <= self.seed < 2**32:
            raise InputError(f"--seed is {self.seed}: expected 0 to {2**32 - 1}")


PRESETS = {
    "default": Hyperparameters(),
    # The notebook's budget, 1000 steps of 100 windows as they are. The notebook prints a rate of 0.5,
    # which does not train: Adam stays at chance with it (9.6 % on MNIST, measured).
    "seed": Hyperparameters(iterations=1000, batch_size=100, learning_rate=0.008, shift=0),
    # Seconds instead of minutes, for the 700 training windows of `digits`.
    "demo": Hyperparameters(iterations=1500, batch_size=64),
}
"""Name -> Hyperparameters."""


def preset(name: str, **changes: int | float | None) -> Hyperparameters:
    """The preset `name` with the given fields changed; None keeps a field.

    Raises InputError that lists the presets, or for a value out of range.
    """
    if name not in PRESETS:
        raise InputError(f"unknown preset {name!r}: choose {', '.join(PRESETS)}")
    values = {item.name: getattr(PRESETS[name], item.name) for item in fields(Hyperparameters)}
    values.update({key: value for key, value in changes.items() if value is not None})
    return Hyperparameters(**values)


def _option(name: str) -> str:
    return name.replace("_", "-")
