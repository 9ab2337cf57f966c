"""Shows where a quantized graph loses accuracy: errors of h and c by step, and of each gate by itself.

Two runs in numpy on the same windows are compared with the float graph:

- the plain run gives the error of each h_t and c_t, including all errors of earlier steps;
- in the second run every gate, h and c is put back to the float graph's values as soon as it has been
  computed. This run shows the error that a gate ADDS by itself: that of the matmul, the tables and the
  rounding since the last tensor that was put back.

The unit of a gate's own error is the root mean square error of rounding to 8 bits in the gate's fixed
scale s (1/256 for sigmoid, 1/128 for tanh), which is s / sqrt(12). Where the function has no fixed
scale, such as relu, s is 1/255 of the gate's range. An error of about 1 is as good as 8 bits get. The
gate with the largest error is blamed if that error is more than OUTLIER times the median over all gates
and steps.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.compiler.float_graph.recurrent_cells import gate_names, state_names
from convert.compiler.float_graph.unroll import recurrent_layers
from convert.source_model.network import (
    HARD_SIGMOID,
    HARD_SIGMOID_02,
    Network,
    Recurrent,
    SimpleRnn,
)
from edge_runtime.numpy_engine.interpret import run
from edge_runtime.tflite.graph import Graph, Tensor

DIVERGED = 0.1
"""A step has diverged when the error of h exceeds this fraction of h's spread over the windows. The
largest spread of all steps counts, as in the first steps h may hardly differ between windows."""

OUTLIER = 4.0
"""A gate is blamed only if its own error is more than this many times the median."""

FUNCTION_UNIT = {"tanh": 1 / 128, "sigmoid": 1 / 256, HARD_SIGMOID: 1 / 255, HARD_SIGMOID_02: 1 / 255}
"""Function of a gate -> scale of its output in 8 bits. Other functions have no fixed scale."""

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class LayerErrors:
    """The errors of one recurrent layer, by step."""

    layer: str
    """The prefix of its tensors' names; empty for the only recurrent layer."""
    errors: dict[str, tuple[float, ...]]
    """State (h, and c of an LSTM) -> root mean square error by step, over windows and units."""
    spread: dict[str, tuple[float, ...]]
    """State -> standard deviation of the float graph's values by step, over windows and units."""
    gates: dict[str, tuple[float, ...]]
    """Gate -> its own error by step, in units of 8-bit rounding."""

    @property
    def first_diverged(self) -> int | None:
        """The first step (from 1) at which the error of h exceeds DIVERGED of its largest spread."""
        limit = DIVERGED * max(self.spread["h"])
        return next((t for t, error in enumerate(self.errors["h"], start=1) if error > limit), None)


@dataclass(frozen=True)
class Explanation:
    """The loss of a quantized graph: printable, and available as JSON."""

    precision: str
    windows: int
    logit_error: float
    """Mean absolute difference from the float graph's logits."""
    layers: tuple[LayerErrors, ...]

    @property
    def blamed(self) -> tuple[str, str, int] | None:
        """Layer, gate and step of the error that stands out; None if no gate's own error does.

        The gate is the one with the largest error. The step is the first at which this gate's error is
        above the limit, as a gate with bad weights is above it at every step.
        """
        found = [
            (value, item.layer, gate, t)
            for item in self.layers
            for gate, values in item.gates.items()
            for t, value in enumerate(values, start=1)
        ]
        limit = OUTLIER * float(np.median([value for value, *_ in found]))
        largest, layer, gate, _ = max(found)
        if largest <= limit:
            return None
        step = min(
            t for value, owner, name, t in found if (owner, name) == (layer, gate) and value > limit
        )
        return layer, gate, step

    @property
    def verdict(self) -> str:
        """The first step that diverges and the gate to blame, in one sentence."""
        first = [(item.first_diverged, item.layer) for item in self.layers if item.first_diverged]
        steps = (
            "; ".join(f"{layer or 'h'} first diverges at step {t}" for t, layer in first)
            or f"no step diverges: h stays within {DIVERGED:.0%} of its spread"
        )
        if self.blamed is None:
            return f"{steps}; no gate stands out"
        layer, gate, t = self.blamed
        return f"{steps}; gate {layer}{gate} adds most by itself, from step {t}"

    def to_json(self) -> dict[str, Any]:
        """A JSON object with every field, `blamed`, `first_diverged` by layer, and `verdict`."""
        blamed = None
        if self.blamed is not None:
            blamed = dict(zip(("layer", "gate", "step"), self.blamed))
        first = {item.layer: item.first_diverged for item in self.layers}
        return {**asdict(self), "blamed": blamed, "first_diverged": first, "verdict": self.verdict}

    def __str__(self) -> str:
        """A table of errors by step for every layer, and the verdict."""
        lines = [
            f"loss of {self.precision} by step, {self.windows} windows; "
            f"mean logit error {self.logit_error:.4f}"
        ]
        for item in self.layers:
            heads = [f"{name} error" for name in item.errors] + list(item.gates)
            lines.append(f"  {item.layer or 'step':<8}" + "".join(f"{head:>10}" for head in heads))
            columns = [*item.errors.values(), *item.gates.values()]
            for t, values in enumerate(zip(*columns), start=1):
                lines.append(f"  {t:<8}" + "".join(f"{value:>10.4f}" for value in values))
        return "\n".join([*lines, f"  {self.verdict}"])


def explain(
    network: Network, graph: Graph, reference: Graph, windows: Float32, *, precision: str
) -> Explanation:
    """Compare the quantized `graph` with the float graph `reference` on `windows`.

    The tensors of the two graphs have the same names: `reference` is compile.float_graph(network).
    `windows`: normalized, float32 `[N, steps, features]`.
    """
    exact: dict[str, Float32] = {}
    given = reference.tensors[reference.input].encode(windows)
    expected = run(reference, given, lambda tensor, values: exact.update({tensor.name: values}))
    inputs = graph.tensors[graph.input].encode(windows)
    plain, put_back = _Observer(network, exact), _Observer(network, exact, put_back=True)
    logits = graph.tensors[graph.output].decode(run(graph, inputs, plain))
    run(graph, inputs, put_back)
    return Explanation(
        precision,
        len(windows),
        float(np.abs(logits - expected).mean()),
        tuple(
            _layer_errors(prefix, layer, plain, put_back) for prefix, layer in recurrent_layers(network)
        ),
    )


class _Observer:
    """Measures the error of every gate and state of a run; may put the float graph's values back."""

    def __init__(self, network: Network, exact: dict[str, Float32], *, put_back: bool = False) -> None:
        self.steps = range(1, network.steps + 1)
        self.exact = exact
        self.put_back = put_back
        self.errors: dict[str, float] = {}
        """Tensor -> root mean square error; without the tensors of steps that nothing reads."""
        self._observed = {
            f"{prefix}{name}{t}"
            for prefix, layer in recurrent_layers(network)
            for name in (*state_names(layer), *gate_names(layer))
            for t in self.steps
        }

    def __call__(self, tensor: Tensor, values: NDArray[Any]) -> NDArray[Any] | None:
        """Measure the error of a tensor; returns the values that replace those of the run, if any."""
        if tensor.name not in self._observed:
            return None
        exact = self.exact[tensor.name]
        self.errors[tensor.name] = float(np.sqrt(np.mean((tensor.decode(values) - exact) ** 2)))
        return tensor.encode(exact) if self.put_back else None

    def errors_by_step(self, tensor: str) -> tuple[float, ...]:
        """The error at every step; 0 where the graph has no such tensor."""
        return tuple(self.errors.get(f"{tensor}{t}", 0.0) for t in self.steps)

    def spread_by_step(self, tensor: str) -> tuple[float, ...]:
        """The float graph's standard deviation at every step; 0 where it has no such tensor."""
        values = [self.exact.get(f"{tensor}{t}") for t in self.steps]
        return tuple(0.0 if value is None else float(value.std()) for value in values)

    def unit(self, tensor: str) -> float:
        """1/255 of the range of the float graph's values at all steps; 1 where that is 0."""
        values = [self.exact[f"{tensor}{t}"] for t in self.steps if f"{tensor}{t}" in self.exact]
        if not values:
            return 1.0
        return float(max(v.max() for v in values) - min(v.min() for v in values)) / 255 or 1.0


def _layer_errors(prefix: str, layer: Recurrent, plain: _Observer, put_back: _Observer) -> LayerErrors:
    """The errors of the layer whose tensors' names start with `prefix`."""
    states = state_names(layer)
    return LayerErrors(
        layer=prefix.rstrip("/"),
        errors={name: plain.errors_by_step(f"{prefix}{name}") for name in states},
        spread={name: plain.spread_by_step(f"{prefix}{name}") for name in states},
        gates={
            gate: _in_units(
                put_back.errors_by_step(f"{prefix}{gate}"),
                FUNCTION_UNIT.get(_function(layer, gate)) or put_back.unit(f"{prefix}{gate}"),
            )
            for gate in gate_names(layer)
        },
    )


def _function(layer: Recurrent, gate: str) -> str:
    """The function that gives the gate its values."""
    if isinstance(layer, SimpleRnn) or gate in ("g", "n"):
        return layer.activation
    return layer.recurrent_activation


def _in_units(errors: tuple[float, ...], scale: float) -> tuple[float, ...]:
    """Errors in units of the root mean square error of rounding, scale / sqrt(12)."""
    return tuple(float(error * np.sqrt(12) / scale) for error in errors)
