"""The engines a file is made for, and what the converter must do differently for each."""

from __future__ import annotations

from dataclasses import dataclass

from edge_runtime.errors import InputError


@dataclass(frozen=True)
class Target:
    """Which engines must load the file and agree with the full model."""

    name: str
    engines: tuple[str, ...]
    """Distribution names, as in edge_runtime.engine.ENGINES."""
    per_channel_dynamic: bool
    """Whether all of them load FULLY_CONNECTED with float activations and one scale per row of int8
    weights: op version 12, which tflite-runtime 2.14 does not have."""


TARGETS = {
    target.name: target
    for target in (
        Target("any", ("ai-edge-litert", "tflite-runtime"), per_channel_dynamic=False),
        Target("tflite-runtime-2.14", ("tflite-runtime",), per_channel_dynamic=False),
        Target("litert-2.1", ("ai-edge-litert",), per_channel_dynamic=True),
    )
}
"""Name -> Target."""


def target_named(name: str) -> Target:
    """Look a target up. Raises InputError that lists the choices."""
    try:
        return TARGETS[name]
    except KeyError:
        raise InputError(f"unknown target {name!r}: choose {', '.join(TARGETS)}") from None
