"""Findings about a model in an engine that otherwise works: refused operators, missing XNNPACK."""

from __future__ import annotations

import shlex

from edge_runtime.doctor.diagnosis import Finding
from edge_runtime.doctor.model_facts import ModelFacts
from edge_runtime.doctor.operators import Series, series_of
from edge_runtime.doctor.packages.installation import available_engines
from edge_runtime.doctor.packages.remedies import Remedies
from edge_runtime.doctor.packages.wheels import Release, newest
from edge_runtime.engines.engine import ENGINES

CONVERT_TO_INT8 = "edge-rnn convert RUN --precision int8 --out MODEL"

INTEGER = ("int8", "int16x8")
"""Precisions that tflite-runtime computes without XNNPACK in any build."""


def loads(release: Release, model: ModelFacts) -> bool:
    """Whether no operator of the model is known to be refused by that engine."""
    series = series_of(release.package, release.version)
    return series is None or not series.refused(model.operators)


def refusal(package: str, version: str, model: ModelFacts, remedies: Remedies) -> Finding | None:
    """The finding for a model with operators that the engine does not load.

    None when the engine loads all of them, or is not in the table."""
    series = series_of(package, version)
    refused = series.refused(model.operators) if series else ()
    if series is None or not refused:
        return None
    problem = f"{model.path}: {package} {version} refuses {', '.join(refused)}"
    others = [
        item
        for item in available_engines(remedies.system)
        if item.package != package and series_of(item.package, item.version) and loads(item, model)
    ]
    commands = (*(remedies.install(item) for item in others), convert_command(model, series))
    return Finding(problem, commands)


def convert_command(model: ModelFacts, series: Series) -> str:
    """The command that converts again for an engine, in the file's precision if the engine has it."""
    precision = model.precision if model.precision in series.precisions else "auto"
    out = shlex.quote(model.path)
    return f"edge-rnn convert RUN --precision {precision} --target {series.name} --out {out}"


def gains(package: str, model: ModelFacts | None) -> bool:
    """Whether XNNPACK would make the model, or models at all, faster in that engine."""
    return package != "tflite-runtime" or model is None or model.precision not in INTEGER


def without_xnnpack(name: str, package: str, remedies: Remedies) -> Finding:
    """The finding for an engine that was built without XNNPACK; `name` includes its version."""
    commands = [remedies.install(release) for release in _with(remedies)]
    if package == "tflite-runtime":
        commands.append(CONVERT_TO_INT8)
    problem = (
        f"{name} is built without XNNPACK for {remedies.system.architecture}: float32 is slow in it"
    )
    return Finding(problem, tuple(commands))


def _with(remedies: Remedies) -> list[Release]:
    """For each engine the newest release with XNNPACK for the system."""
    system, architecture = remedies.system, remedies.system.architecture
    found = [
        newest(package, system, lambda item: item.runs_on(system) and architecture in item.xnnpack)
        for package in ENGINES
    ]
    return [release for release in found if release]
