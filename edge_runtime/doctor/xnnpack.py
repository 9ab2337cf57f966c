"""What to do about an engine without XNNPACK, the kernels for vector units that make matrices fast."""

from __future__ import annotations

from edge_runtime.doctor.finding import Finding
from edge_runtime.doctor.model_facts import ModelFacts
from edge_runtime.doctor.remedies import Remedies
from edge_runtime.doctor.wheels import Release, newest
from edge_runtime.engines.engine import ENGINES

INT8 = "edge-rnn convert RUN --precision int8 --out MODEL"

INTEGER = ("int8", "int16x8")
"""Precisions that tflite-runtime computes without XNNPACK anyway, so that these files lose nothing."""


def gains(package: str, model: ModelFacts | None) -> bool:
    """Whether XNNPACK would make the model, or models at all, faster in that engine."""
    return package != "tflite-runtime" or model is None or model.precision not in INTEGER


def without_xnnpack(name: str, package: str, remedies: Remedies) -> Finding:
    """The finding for an engine, `name` with its version, that was built without it."""
    commands = [remedies.install(release) for release in _with(remedies)]
    if package == "tflite-runtime":
        commands.append(INT8)
    problem = (
        f"{name} is built without XNNPACK for {remedies.system.architecture}: float32 is slow in it"
    )
    return Finding(problem, tuple(commands))


def _with(remedies: Remedies) -> list[Release]:
    """Of each engine the newest release for the system that has it."""
    system, architecture = remedies.system, remedies.system.architecture
    found = [
        newest(package, system, lambda item: item.runs_on(system) and architecture in item.xnnpack)
        for package in ENGINES
    ]
    return [release for release in found if release]
