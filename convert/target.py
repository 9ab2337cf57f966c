"""The engines a file is made for, and what the converter must do differently for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edge_runtime.errors import InputError


@dataclass(frozen=True)
class Target:
    """Which engines must load the file and agree with the full model."""

    name: str
    engines: tuple[str, ...]
    """Distribution names, as in edge_runtime.engine.ENGINES."""
    schemes: frozenset[str]
    """Quantization schemes that all of them load and get right. dynamic-per-channel: FULLY_CONNECTED
    with float activations and one scale per row of int8 weights is op version 12, which tflite-runtime
    2.14 does not have."""
    op_versions: Mapping[str, int] = field(default_factory=dict)
    """Operator, by its name in TFLite's schema -> the highest version that all of them load."""


_COMMON = frozenset({"float32", "float16", "dynamic-per-tensor", "int8"})


TARGETS = {
    target.name: target
    for target in (
        Target("any", ("ai-edge-litert", "tflite-runtime"), _COMMON),
        Target("tflite-runtime-2.14", ("tflite-runtime",), _COMMON),
        Target("litert-2.1", ("ai-edge-litert",), _COMMON | {"dynamic-per-channel"}),
    )
}
"""Name -> Target."""


def target_named(name: str) -> Target:
    """Look a target up. Raises InputError that lists the choices."""
    try:
        return TARGETS[name]
    except KeyError:
        raise InputError(f"unknown target {name!r}: choose {', '.join(TARGETS)}") from None
