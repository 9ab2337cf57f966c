"""The engines that a file is made for, and what each of them loads and computes correctly.

The facts come from target_table.json, which scripts/engine_table.py writes by running the engines.
docs/guides/targets.md shows them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_runtime.engines.engine import NATIVE
from edge_runtime.errors import InputError

TABLE = Path(__file__).with_name("target_table.json")
RIGHT = "right"
"""The finding for a scheme that the engine loads, and computes like the numpy run."""

ANY = "any"


@dataclass(frozen=True)
class Engine:
    """A minor version of an engine, e.g. litert-2.1: ai-edge-litert 2.1.0, 2.1.1, ..., or TFLM."""

    name: str
    distribution: str
    """NATIVE, or one of edge_runtime.engines.engine.ENGINES or MICRO_ENGINES."""
    series: str
    """Major and minor version; of TFLM, which has pre-releases only, the whole version."""
    versions: tuple[str, ...]
    """The versions that the table was made from, the newest last."""
    pythons: tuple[str, str]
    """The oldest and the newest CPython that all versions have wheels for."""
    numpy: str
    """The numpy that it needs, as a requirement for pip."""
    findings: Mapping[str, str]
    """Quantization scheme -> RIGHT, or what the engine does instead."""
    operators: Mapping[str, Mapping[str, str]]
    """Scheme -> "ADD version 2" -> what the engine does, for operators that it computes wrongly."""
    op_versions: Mapping[str, int]
    """Operator, by its name in TFLite's schema -> the highest version that the engine loads."""
    microcontroller: bool = False
    """Whether it runs on microcontrollers and not on Linux devices, so that `any` leaves it out. Such an
    engine ignores the versions of operators and looks at the types of their tensors instead;
    `op_versions` are then the highest of those that it ran."""
    differences: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Of an engine for microcontrollers: scheme -> "MUL version 4" -> how far its integers are from the
    reference kernels'. What is not listed gives the same bits."""

    def covers(self, distribution: str, version: str) -> bool:
        """Whether that version of that distribution is of this series. NATIVE is edge-rnn's own."""
        if distribution == NATIVE:
            return self.distribution == NATIVE
        return distribution == self.distribution and f"{version}.".startswith(f"{self.series}.")


@dataclass(frozen=True)
class Target:
    """The engines that must load the file and agree with the full model."""

    name: str
    engines: tuple[Engine, ...]
    schemes: frozenset[str]
    """Quantization schemes that all of them load and compute correctly."""
    op_versions: Mapping[str, int] = field(default_factory=dict)
    """Operator -> the highest version that all engines load; operators that one lacks are left out."""

    def covers(self, distribution: str, version: str) -> bool:
        """Whether a proof in that engine counts for the target.

        For `any`, every version counts. NATIVE counts for every target, since a device takes it first,
        but not for a microcontroller, which does not have it.
        """
        micro = any(item.microcontroller for item in self.engines)
        return (
            self.name == ANY
            or (distribution == NATIVE and not micro)
            or any(item.covers(distribution, version) for item in self.engines)
        )


def _engine(record: Mapping[str, Any]) -> Engine:
    oldest, newest = record["pythons"]
    return Engine(
        name=record["name"],
        distribution=record["distribution"],
        series=record["series"],
        versions=tuple(record["versions"]),
        pythons=(oldest, newest),
        numpy=record["numpy"],
        findings=record["schemes"],
        operators=record["operators"],
        op_versions=record["op_versions"],
        microcontroller=record.get("microcontroller", False),
        differences=record.get("differences", {}),
    )


def _target(name: str, engines: tuple[Engine, ...]) -> Target:
    right = [
        {scheme for scheme, finding in engine.findings.items() if finding == RIGHT} for engine in engines
    ]
    known = set.intersection(*(set(engine.op_versions) for engine in engines))
    return Target(
        name,
        engines,
        frozenset(set.intersection(*right)),
        {op: min(engine.op_versions[op] for engine in engines) for op in sorted(known)},
    )


def _targets() -> dict[str, Target]:
    engines = tuple(_engine(record) for record in json.loads(TABLE.read_text("utf-8"))["engines"])
    single = {engine.name: _target(engine.name, (engine,)) for engine in engines}
    linux = tuple(engine for engine in engines if not engine.microcontroller)
    return {ANY: _target(ANY, linux), **single}


TARGETS = _targets()
"""Name -> Target: `any`, which is all engines of Linux devices, and each engine of the table."""


def target_named(name: str | Target) -> Target:
    """The target of that name, or `name` itself. Raises InputError that lists the choices."""
    if isinstance(name, Target):
        return name
    try:
        return TARGETS[name]
    except KeyError:
        raise InputError(f"--target: unknown target {name!r}. Choose {', '.join(TARGETS)}.") from None
