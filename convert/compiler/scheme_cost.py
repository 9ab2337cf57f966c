"""What a target's quantization scheme costs in accuracy, where the target lacks the best scheme."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convert.compiler.compile import lower
from convert.compiler.float_graph.unroll import unroll
from convert.source_model.network import Network
from convert.targets.precision import precision_named, scheme_for
from convert.targets.target import RIGHT, TARGETS, Engine, Target
from edge_runtime.numpy_engine.interpret import run
from edge_runtime.tflite.graph import Graph

COST_WINDOWS = 500
"""The largest number of calibration windows on which the cost is measured."""

_SCALES = {"channel": "one scale per row", "tensor": "one scale per matrix"}


def scheme_cost(
    network: Network, windows: NDArray[np.float32], *, precision: str, target: Target
) -> str | None:
    """A sentence on why `target` lacks the best quantization scheme, with the logit error of both.

    `windows`: normalized calibration windows `[N, steps, features]`. The network is lowered to both
    schemes and run on at most COST_WINDOWS of them. None where the target gets the most accurate scheme
    of `precision` that any engine has. Raises what `compile.lower` raises.
    """
    taken = scheme_for(precision, target)
    known = frozenset().union(*(other.schemes for other in TARGETS.values()))
    best = next(name for name in precision_named(precision).schemes if name in known or name == taken)
    if best == taken:
        return None
    some = windows[:COST_WINDOWS]
    exact = run(unroll(network), some)
    cost, least = (
        _logit_error(lower(network, windows, precision=precision, target=_only(scheme)), some, exact)
        for scheme in (taken, best)
    )
    lacking = [engine for engine in target.engines if engine.findings.get(best) != RIGHT]
    return (
        f"{precision}: {_in_words(taken)}, as {_why(lacking[0], best)}; mean logit error {cost:.4f} "
        f"instead of {least:.4f} on {len(some)} calibration windows"
    )


def _only(scheme: str) -> Target:
    return Target(f"any engine with {scheme}", (), frozenset([scheme]))


def _in_words(scheme: str) -> str:
    return _SCALES.get(scheme.rsplit("-per-", 1)[-1], scheme)


def _why(engine: Engine, scheme: str) -> str:
    """E.g. "tflite-runtime-2.14 does not load one scale per row (FULLY_CONNECTED version 12)"."""
    refused = [
        operator
        for operator, finding in engine.operators.get(scheme, {}).items()
        if finding.startswith("refused")
    ]
    if refused:
        return f"{engine.name} does not load {_in_words(scheme)} ({', '.join(refused)})"
    finding = engine.findings.get(scheme, "never tried")
    return f"{engine.name} does not get {_in_words(scheme)} right ({finding})"


def _logit_error(graph: Graph, windows: NDArray[np.float32], exact: NDArray[np.float32]) -> float:
    stored = run(graph, graph.tensors[graph.input].encode(windows))
    logits = graph.tensors[graph.output].decode(stored)
    return float(np.abs(logits - exact).mean())
