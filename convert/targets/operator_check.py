"""Refuses graphs with an operator that an engine of the target does not load or computes wrongly.

An engine registers every operator for a range of versions and refuses a file that asks for another one
("Didn't find op for builtin opcode 'FULLY_CONNECTED' version '12'"). This check says so before the file
is written.
"""

from __future__ import annotations

from convert.model_file.op_versions import op_version
from convert.targets.target import Engine, Target
from edge_runtime.errors import InputError
from edge_runtime.tflite.graph import Graph


def check_operators(graph: Graph, target: Target, scheme: str) -> None:
    """Raises InputError that names the first such operator, its version and the engine.

    `scheme`: the quantization scheme of `graph`.
    """
    uses = dict.fromkeys(
        (operator.op.value, op_version(graph, operator)) for operator in graph.operators
    )
    for op, version in uses:
        for engine in target.engines:
            trouble = _trouble(engine, scheme, op, version)
            if trouble:
                aside = "" if target.name == engine.name else f", which target {target.name} includes,"
                raise InputError(
                    f"{engine.name}{aside} {trouble}. Choose another --precision or --target."
                )


def differences(graph: Graph, target: Target, scheme: str) -> tuple[str, ...]:
    """A sentence for each operator of the graph whose integers are not those of the reference kernels.

    Only engines for microcontrollers are measured that closely (targets.target.Engine.differences).
    """
    used = {f"{item.op.value} version {op_version(graph, item)}" for item in graph.operators}
    return tuple(
        f"{engine.name} computes {name} in {scheme} differently from the reference kernels, by {units}"
        for engine in target.engines
        for name, units in engine.differences.get(scheme, {}).items()
        if name in used
    )


def _trouble(engine: Engine, scheme: str, op: str, version: int) -> str | None:
    highest = engine.op_versions.get(op, 0)
    if version > highest:
        known = f"no version above {highest}" if highest else "no version of it"
        return f"does not load {op} version {version}, which this file needs ({known})"
    finding = engine.operators.get(scheme, {}).get(f"{op} version {version}")
    return (
        f"does not compute {op} version {version} correctly for {scheme} ({finding})"
        if finding
        else None
    )
