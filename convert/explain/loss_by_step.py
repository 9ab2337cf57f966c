"""Where a quantized graph loses: the error of h and c by time step, and of every gate by itself.

Two runs in numpy on the same windows are compared with the float graph:

- the plain run gives the error of each h_t and c_t, with all that has piled up before;
- in the second one every gate, h and c is put back to the float graph's values as soon as it has been
  computed. What it shows is the error that a gate ADDS by itself: the matmul, the tables and the
  rounding between two such points, at that step.

A gate's own error is given in units of what rounding to 8 bits in its fixed scale explains, 1 / sqrt(12)
of a unit (1/256 for sigmoid, 1/128 for tanh). Around 1 is as good as 8 bits get; a gate is blamed for
the largest value, if that stands out from the median of all gates and steps by more than OUTLIER.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.compiler.float_graph.recurrent_cells import gate_names, state_names
from convert.compiler.float_graph.unroll import recurrent_layers
from convert.source_model.network import Network
from edge_runtime.numpy_engine.interpret import run
from edge_runtime.tflite.graph import Graph, Tensor
from edge_runtime.tflite.quantization import dequantize, quantize

DIVERGED = 0.1
"""A step has diverged when the error of h exceeds this fraction of h's spread over the windows, that of
the step where it is largest: in the first steps h may hardly differ between windows."""

OUTLIER = 4.0
"""How far above the median a gate's own error must be to be blamed."""

TABLE_UNIT = {"g": 1 / 128, "n": 1 / 128}
"""Scale of the table a gate comes from, where it is not LOGISTIC's 1/256."""

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class LayerErrors:
    """One recurrent layer, by step."""

    layer: str
    """What its tensors' names start with; empty for the only one."""
    errors: dict[str, tuple[float, ...]]
    """h, and c of an LSTM: root mean square error by step, over windows and units."""
    spread: dict[str, tuple[float, ...]]
    """Standard deviation of the float values, alike."""
    gates: dict[str, tuple[float, ...]]
    """Each gate's own error by step, in units of 8-bit rounding."""

    @property
    def first_diverged(self) -> int | None:
        """The first step, from 1, whose h is off by more than DIVERGED of h's largest spread."""
        limit = DIVERGED * max(self.spread["h"])
        return next((t for t, error in enumerate(self.errors["h"], start=1) if error > limit), None)


@dataclass(frozen=True)
class Explanation:
    """The loss of a quantized graph, printable, JSON."""

    precision: str
    windows: int
    logit_error: float
    """Mean absolute difference from the float graph's logits."""
    layers: tuple[LayerErrors, ...]

    @property
    def blamed(self) -> tuple[str, str, int] | None:
        """Layer, gate and step with the largest error of its own; None where none stands out.

        When a gate is too large at every step, the step is the first one above the outlier's limit.
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
        """The first step that diverges and the gate to blame, in a sentence."""
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
        """A JSON object with everything above."""
        blamed = None
        if self.blamed is not None:
            blamed = dict(zip(("layer", "gate", "step"), self.blamed))
        first = {item.layer: item.first_diverged for item in self.layers}
        return {**asdict(self), "blamed": blamed, "first_diverged": first, "verdict": self.verdict}

    def __str__(self) -> str:
        """A table by step for every layer, and the verdict."""
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
    """Compare the quantized `graph` with the float `reference` of the same names, on `windows`.

    `windows`: normalized, float32 `[N, steps, features]`. `reference` is compile.float_graph(network).
    """
    exact: dict[str, Float32] = {}
    expected = run(reference, windows, lambda tensor, values: exact.update({tensor.name: values}))
    layers = [(prefix, layer) for prefix, layer in recurrent_layers(network)]
    states = {
        f"{prefix}{name}{t}"
        for prefix, layer in layers
        for name in (*state_names(layer), *gate_names(layer))
        for t in range(1, network.steps + 1)
    }
    total, own = {}, {}

    def keep(tensor: Tensor, values: NDArray[Any]) -> None:
        if tensor.name in states:
            total[tensor.name] = _error(tensor, values, exact)

    def put_back(tensor: Tensor, values: NDArray[Any]) -> NDArray[Any] | None:
        if tensor.name not in states:
            return None
        own[tensor.name] = _error(tensor, values, exact)
        return _stored(tensor, exact[tensor.name])

    inputs = _stored(graph.tensors[graph.input], windows)
    logits = _real(graph.tensors[graph.output], run(graph, inputs, keep))
    run(graph, inputs, put_back)
    steps = range(1, network.steps + 1)

    def by_step(prefix: str, name: str, values: dict[str, float]) -> tuple[float, ...]:
        return tuple(values.get(f"{prefix}{name}{t}", 0.0) for t in steps)

    spread = {name: float(exact[name].std()) for name in states if name in exact}
    return Explanation(
        precision,
        len(windows),
        float(np.abs(logits - expected).mean()),
        tuple(
            LayerErrors(
                prefix.rstrip("/"),
                {name: by_step(prefix, name, total) for name in state_names(layer)},
                {name: by_step(prefix, name, spread) for name in state_names(layer)},
                {
                    gate: tuple(
                        value * np.sqrt(12) / TABLE_UNIT.get(gate, 1 / 256)
                        for value in by_step(prefix, gate, own)
                    )
                    for gate in gate_names(layer)
                },
            )
            for prefix, layer in layers
        ),
    )


def _error(tensor: Tensor, values: NDArray[Any], exact: dict[str, Float32]) -> float:
    return float(np.sqrt(np.mean((_real(tensor, values) - exact[tensor.name]) ** 2)))


def _real(tensor: Tensor, values: NDArray[Any]) -> Float32:
    if tensor.quantization is None:
        return np.asarray(values, np.float32)
    return dequantize(values, tensor.affine.scale[0], tensor.affine.zero_point)


def _stored(tensor: Tensor, values: Float32) -> NDArray[Any]:
    """Real values as the tensor holds them."""
    if tensor.quantization is None:
        return values
    return quantize(values, tensor.affine.scale[0], tensor.affine.zero_point, tensor.dtype)
