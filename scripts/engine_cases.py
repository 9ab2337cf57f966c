"""The graphs that engine_table.py runs: every scheme and operator that the converter can write.

The schemes are those of targets.precision, so a scheme that is added to that module is in the next
table. Each scheme is lowered for a small random network of every kind. Every operator of these graphs,
as the graph uses it, makes one more graph of its own. The numpy engine says what a graph should give.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

import numpy as np

from convert.compiler.compile import lower
from convert.compiler.float_graph.unroll import unroll
from convert.model_file.flatbuffer import serialize
from convert.model_file.op_versions import op_version
from convert.source_model.network import (
    Activation,
    Affine,
    Bidirectional,
    Conv1d,
    Dense,
    Flatten,
    GlobalPooling,
    Gru,
    Layer,
    LayerNorm,
    Lstm,
    Network,
    SimpleRnn,
)
from convert.targets.precision import PRECISIONS
from convert.targets.target import Target
from edge_runtime.numpy_engine.interpret import run_all
from edge_runtime.tflite.graph import Graph, Operator, Tensor
from tests.support.branching_networks import branching_networks
from tests.support.networks import RandomLayers, random_windows

STEPS, FEATURES, UNITS, CLASSES = 8, 6, 20, 5
CALIBRATION, PROBES = 200, 20
"""Windows."""

FLOAT_ROUNDING = 1e-5
"""How much the order of float32 additions may change, as a fraction of the largest value: 2**-24 for
each of some hundred additions, as the graphs are small."""


@dataclass(frozen=True, eq=False)
class Case:
    """A graph with its inputs, the expected outputs, and the differences from them that are allowed."""

    scheme: str
    what: str
    """The network's kind, or the operator with its version."""
    operators: frozenset[str]
    """All operators of the graph, with their versions."""
    flatbuffer: bytes
    inputs: list[np.ndarray]
    expected: list[np.ndarray]
    """Real values, float. The engine's integers are compared by the values that they stand for."""
    outputs: list[Tensor]
    tolerance: float
    mean_tolerance: float

    @property
    def is_single(self) -> bool:
        """Whether the graph is a single operator."""
        return self.operators == {self.what}

    @property
    def has_half_input(self) -> bool:
        """Whether an input is float16. In a file, only constants are, and native accepts no others."""
        return any(values.dtype == np.float16 for values in self.inputs)

    def difference(self, found: list[np.ndarray]) -> tuple[float, float]:
        """The largest and the mean absolute difference of an engine's outputs from what is expected."""
        pairs = zip(self.outputs, found, self.expected)
        apart = np.concatenate(
            [np.abs(tensor.decode(got).ravel() - want.ravel()) for tensor, got, want in pairs]
        )
        return float(apart.max()), float(apart.mean())

    def is_right(self, found: list[np.ndarray]) -> bool:
        """Whether the engine's outputs are close enough. NaN never is."""
        largest, mean = self.difference(found)
        return largest <= self.tolerance and mean <= self.mean_tolerance


def schemes() -> dict[str, str]:
    """Every quantization scheme that the converter knows -> its precision."""
    return {scheme: name for name, item in PRECISIONS.items() for scheme in item.schemes}


def cases(
    kinds: Collection[str] | None = None, *, by_scales: bool = False
) -> tuple[list[Case], list[str]]:
    """Every case, and a sentence for each network that the converter does not write in a scheme.

    `kinds`: names of `networks`; None for all of them. `by_scales`: see `use_of`.
    """
    asked = {kind: network for kind, network in networks().items() if kinds is None or kind in kinds}
    found: list[Case] = []
    unwritten = []
    for scheme, precision in schemes().items():
        seen: set[object] = set()
        for kind, network in asked.items():
            target = Target("probe", (), frozenset({scheme}))
            windows = random_windows(network, CALIBRATION)
            try:
                graph = lower(network, windows, precision=precision, target=target)
            except (ValueError, NotImplementedError) as error:
                unwritten.append(f"{scheme}, {kind}: {error}")
                continue
            found.append(whole(scheme, kind, graph, network))
            found.extend(single_operators(scheme, graph, network, seen, by_scales))
    return found, unwritten


def whole(scheme: str, kind: str, graph: Graph, network: Network) -> Case:
    """The network's graph. An engine may differ from the numpy run by what quantization itself costs.

    The last bit of a kernel differs between implementations. Such differences add up over the steps, as
    the rounding of quantization does. An engine that computes the scheme wrongly is off by as much as
    the logits are spread.
    """
    windows = random_windows(network, PROBES, seed=2)
    inputs = [graph.tensors[graph.input].encode(windows)]
    expected = [graph.tensors[graph.output].decode(run_all(graph, inputs)[0])]
    (exact,) = run_all(unroll(network), [windows])
    rounding = FLOAT_ROUNDING * float(np.abs(exact).max())
    stays_float = scheme in ("float32", "float16")
    cost = 0.0 if stays_float else float(np.abs(expected[0] - exact).mean())
    spread = float(exact.max() - exact.min())
    largest = rounding if stays_float else spread / 4
    return Case(
        scheme=scheme,
        what=kind,
        operators=frozenset(name_of(graph, operator) for operator in graph.operators),
        flatbuffer=serialize(graph),
        inputs=inputs,
        expected=expected,
        outputs=[graph.tensors[graph.output]],
        tolerance=largest,
        mean_tolerance=max(cost, rounding),
    )


def name_of(graph: Graph, operator: Operator) -> str:
    """E.g. "ADD version 2"."""
    return f"{operator.op.value} version {op_version(graph, operator)}"


def single_operators(
    scheme: str, graph: Graph, network: Network, seen: set[object], by_scales: bool = False
) -> Iterator[Case]:
    """A case for each use of an operator that is not in `seen`."""
    windows = graph.tensors[graph.input].encode(random_windows(network, PROBES, seed=2))
    values = {tensor.name: tensor.values for tensor in graph.constants()}
    run_all(graph, [windows], lambda tensor, result: values.update({tensor.name: result}))
    varying = {graph.input}
    for operator in graph.operators:
        if varying & set(operator.inputs):
            varying.update(operator.outputs)
        use = use_of(graph, operator, by_scales)
        if use not in seen:
            seen.add(use)
            yield single(scheme, graph, operator, values, varying)


def use_of(graph: Graph, operator: Operator, by_scales: bool = False) -> object:
    """What distinguishes one use of an operator from another, for an engine.

    That is its version, types and kind of scales. `by_scales`: also the scales themselves, on which it
    may depend whether two kernels round alike.
    """
    tensors = [graph.tensors[name] for name in (*operator.inputs, *operator.outputs[:1])]
    kinds = tuple(
        (t.dtype.name, t.data is None, bool(t.quantization and t.quantization.per_channel))
        for t in tensors
    )
    scales = tuple(t.quantization for t in tensors) if by_scales else ()
    return operator.op, op_version(graph, operator), kinds, scales


def single(
    scheme: str, graph: Graph, operator: Operator, values: dict[str, np.ndarray], varying: set[str]
) -> Case:
    """A graph of that operator alone, with the values that it has in `graph`.

    An input that does not depend on the window is a constant. If that is true of every input (float16's
    DEQUANTIZE), the first one is an input all the same, because a graph needs one.
    """
    tensors = {name: graph.tensors[name] for name in (*operator.inputs, *operator.outputs)}
    names = tuple(dict.fromkeys(name for name in operator.inputs if name in varying))
    calls = values if names else {name: values[name][np.newaxis] for name in tensors}
    names = names or operator.inputs[:1]
    for name in operator.inputs:
        tensors[name] = replace(tensors[name], data=None if name in names else values[name])
    outputs = [tensors[name] for name in operator.outputs]
    expected = [tensor.decode(calls[tensor.name]) for tensor in outputs]
    limit = max(map(unit, outputs, expected)) + hybrid_rounding(tensors, operator, values)
    name = name_of(graph, operator)
    return Case(
        scheme=scheme,
        what=name,
        operators=frozenset([name]),
        flatbuffer=serialize(Graph(tensors, (operator,), names, operator.outputs)),
        inputs=[calls[name] for name in names],
        expected=expected,
        outputs=outputs,
        tolerance=limit,
        mean_tolerance=limit,
    )


def unit(tensor: Tensor, values: np.ndarray) -> float:
    """The allowed difference of one operator's output: one integer, as kernels round differently."""
    largest = float(np.abs(values).max())
    if tensor.quantization is None:
        return FLOAT_ROUNDING * max(largest, 1.0)
    return 1.001 * tensor.quantization.scale[0] + FLOAT_ROUNDING * largest


def hybrid_rounding(
    tensors: dict[str, Tensor], operator: Operator, values: dict[str, np.ndarray]
) -> float:
    """The allowed difference for integer weights with float activations, which engines round to 8 bits.

    Some engines round over the range from the row's lowest to its highest value, others from minus to
    plus the largest magnitude. Each is at most half a step away from the float value. So two engines
    differ by at most the sum of both half steps, times the sum of a row's weights.
    """
    if len(operator.inputs) < 2:
        return 0.0
    x, weights = (tensors[name] for name in operator.inputs[:2])
    if x.dtype != np.float32 or weights.quantization is None or weights.data is None:
        return 0.0
    scales = np.array(weights.quantization.scale).reshape(-1, 1)
    row = np.abs(values[weights.name].astype(np.float64) * scales).sum(axis=1).max()
    lines = values[x.name]
    spread = np.maximum(lines.max(axis=-1), 0) - np.minimum(lines.min(axis=-1), 0)
    half_steps = spread / (2 * 255) + np.abs(lines).max(axis=-1) / (2 * 127)
    return float(row * half_steps.max())


def networks() -> dict[str, Network]:
    """A small random network of every kind of layer. source_model.network describes the layers."""
    make = RandomLayers()
    weights = make.weights

    def lstm(features: int = FEATURES, **options: bool) -> Lstm:
        return make.lstm(features, UNITS, **options)

    def gru(**options: bool) -> Gru:
        return make.gru(FEATURES, UNITS, **options)

    def simple(activation: str) -> SimpleRnn:
        layer = make.simple(FEATURES, UNITS, activation=activation)
        return replace(layer, recurrent_kernel=layer.recurrent_kernel / 4)

    def both_ways(merge: str, sequences: bool = False) -> Bidirectional:
        there = lstm(return_sequences=sequences)
        back = replace(lstm(return_sequences=sequences), name="back", go_backwards=True)
        return Bidirectional("both", there, back, merge)

    def dense(inputs: int = UNITS, outputs: int = UNITS, activation: str = "linear") -> Dense:
        return make.dense(inputs, outputs, activation, f"dense_{activation}")

    def network(*layers: Layer, inputs: int = UNITS) -> Network:
        return Network(STEPS, FEATURES, (*layers, make.dense(inputs, CLASSES, name="logits")))

    def normal(width: int = UNITS) -> LayerNorm:
        return LayerNorm("norm", 1 + weights(width) / 4, weights(width), 1e-3)

    return {
        "LSTM": network(lstm()),
        "LSTM, stacked": network(lstm(return_sequences=True), replace(lstm(UNITS), name="second")),
        "GRU": network(gru()),
        "GRU, reset before": network(gru(reset_after=False)),
        "SimpleRNN, tanh": network(simple("tanh")),
        "SimpleRNN, relu": network(simple("relu")),
        "bidirectional, concat": network(both_ways("concat"), inputs=2 * UNITS),
        **{f"bidirectional, {merge}": network(both_ways(merge)) for merge in ("sum", "mul", "ave")},
        **{
            f"dense, {name}": network(lstm(), dense(activation=name))
            for name in ("relu", "sigmoid", "tanh", "softmax")
        },
        "softmax at the end": Network(
            STEPS, FEATURES, (lstm(), dense(outputs=CLASSES), Activation("softmax", "softmax"))
        ),
        "convolution in front": network(
            Conv1d("conv", weights(FEATURES, 3, FEATURES), weights(FEATURES), padding=(1, 1)), lstm()
        ),
        "batch normalization": network(
            Affine("affine", 1 + weights(FEATURES) / 4, weights(FEATURES)), lstm()
        ),
        "layer normalization": network(lstm(), normal()),
        "flatten": network(lstm(return_sequences=True), Flatten("flat"), inputs=STEPS * UNITS),
        **{
            f"global {kind} pooling": network(lstm(return_sequences=True), GlobalPooling("pool", kind))
            for kind in ("average", "max")
        },
        **branching_networks(),
    }
