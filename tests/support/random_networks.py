"""Random networks with branches, of every kind of layer."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from convert.source_model.network import (
    ACTIVATIONS,
    GATE_FUNCTIONS,
    JOINS,
    MERGES,
    STATE_FUNCTIONS,
    Activation,
    Affine,
    Attention,
    Bidirectional,
    Conv1d,
    Embedding,
    Flatten,
    GlobalPooling,
    Join,
    LayerNorm,
    Mask,
    Network,
    Pooling,
    Repeat,
    TakeRows,
    TimeDistributed,
    Unflatten,
    WeightedSum,
)
from convert.source_model.nodes import Node, network_of
from tests.support.networks import RandomLayers

BOUNDED = ("tanh", "sigmoid", "hard_sigmoid", "hard_sigmoid_0.2")
"""Functions with which the state of a random recurrent layer cannot explode."""


@dataclass
class Value:
    """A node with the shape of its result."""

    node: Node
    width: int
    steps: int | None
    """None: a vector."""


class RandomNetwork:
    """Grows a network layer by layer; every choice comes from one seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.make = RandomLayers(seed)
        self.count = 0
        self.tokens = self.rng.random() < 0.15
        self.static = 0 if self.tokens or self.rng.random() < 0.7 else int(self.rng.integers(1, 4))
        self.steps = int(self.rng.integers(2, 9))
        self.features = 1 if self.tokens else int(self.rng.integers(1, 8))
        self.window = Node()
        self.mask: Node | None = None

    def network(self) -> Network:
        value = self.first()
        for _ in range(int(self.rng.integers(1, 6))):
            value = self.grown(value)
        value = self.vector(value)
        if self.static:
            beside = Value(Node(static=True), self.static, None)
            value = self.join(value, self.dense(beside), "concat")
        last = Node(self.make.dense(value.width, 4, name="logits"), value.node)
        features = self.features + self.static
        return network_of(last, steps=self.steps, features=features, static=self.static)

    def first(self) -> Value:
        value = Value(self.window, self.features, self.steps)
        if self.rng.random() < 0.3:
            missing = np.zeros(self.features, np.float32)
            self.mask = Node(Mask("mask", missing), self.window)
        if self.tokens:
            table = Embedding("table", self.make.weights(20, 5))
            return Value(Node(table, self.window), 5, self.steps)
        return value

    def grown(self, value: Value) -> Value:
        if value.steps is None:
            return self.chosen([self.dense, self.activation, self.norm, self.unflatten, self.repeat])(
                value
            )
        choices = [self.recurrent] * 3 + [self.dense, self.activation, self.norm, self.affine]
        choices += [self.both_ways, self.conv, self.pooling, self.parts, self.some_rows]
        choices += [self.branches, self.attention, self.weighted_sum]
        return self.chosen(choices)(value)

    def chosen(self, items):
        return items[int(self.rng.integers(len(items)))]

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}{self.count}"

    def after(self, value: Value, layer, width: int, steps: int | None, *more: Node) -> Value:
        return Value(Node(layer, value.node, *more), width, steps)

    def masks(self, value: Value) -> list[Node]:
        """The mask, where it has a row for each row of `value`, sometimes."""
        fits = self.mask is not None and value.steps == self.steps
        return [self.mask] if fits and self.mask is not None else []

    def cell(self, width: int, *, sequences: bool, backwards: bool = False):
        units, kind = int(self.rng.integers(1, 9)), self.chosen(["lstm", "gru", "simple"])
        settings = {"return_sequences": sequences, "go_backwards": backwards}
        functions = STATE_FUNCTIONS if self.rng.random() < 0.3 else BOUNDED
        settings["activation"] = self.chosen(functions)
        if kind != "simple":
            settings["recurrent_activation"] = self.chosen(GATE_FUNCTIONS)
        if kind == "gru":
            settings["reset_after"] = bool(self.rng.random() < 0.5)
        layer = getattr(self.make, kind)(width, units, self.name(kind), **settings)
        # Functions without an end would double the state in every step.
        return replace(layer, recurrent_kernel=layer.recurrent_kernel / 4), units

    def recurrent(self, value: Value) -> Value:
        sequences = bool(self.rng.random() < 0.6)
        layer, units = self.cell(
            value.width, sequences=sequences, backwards=bool(self.rng.random() < 0.2)
        )
        return self.after(value, layer, units, value.steps if sequences else None, *self.masks(value))

    def both_ways(self, value: Value) -> Value:
        sequences, merge = bool(self.rng.random() < 0.6), self.chosen(MERGES)
        there, units = self.cell(value.width, sequences=sequences)
        back = replace(there, name=self.name("back"), go_backwards=True, bias=there.bias / 2)
        width = 2 * units if merge == "concat" else units
        layer = Bidirectional(self.name("both"), there, back, merge)
        return self.after(value, layer, width, value.steps if sequences else None, *self.masks(value))

    def dense(self, value: Value) -> Value:
        width = int(self.rng.integers(1, 9))
        layer = self.make.dense(value.width, width, self.chosen(ACTIVATIONS), self.name("dense"))
        return self.after(value, layer, width, value.steps)

    def activation(self, value: Value) -> Value:
        layer = Activation(self.name("function"), self.chosen(ACTIVATIONS))
        return self.after(value, layer, value.width, value.steps)

    def norm(self, value: Value) -> Value:
        w = self.make.weights
        layer = LayerNorm(self.name("norm"), 1 + w(value.width) / 4, w(value.width), 1e-2)
        return self.after(value, layer, value.width, value.steps)

    def affine(self, value: Value) -> Value:
        w = self.make.weights
        layer = Affine(self.name("affine"), 1 + w(value.width) / 4, w(value.width))
        return self.after(value, layer, value.width, value.steps)

    def conv(self, value: Value) -> Value:
        layer = self.conv_layer(value.width, value.steps or 1)
        padded = (value.steps or 1) + sum(layer.padding)
        steps = (padded - (layer.kernel.shape[1] - 1) * layer.dilation - 1) // layer.stride + 1
        return self.after(value, layer, len(layer.kernel), steps)

    def conv_layer(self, width: int, steps: int) -> Conv1d:
        taps, filters = int(self.rng.integers(1, min(3, steps) + 1)), int(self.rng.integers(1, 7))
        w = self.make.weights
        return Conv1d(
            self.name("conv"),
            w(filters, taps, width),
            w(filters),
            stride=int(self.rng.integers(1, 3)),
            padding=(taps - 1, 0) if self.rng.random() < 0.5 else (0, 0),
            activation=self.chosen(ACTIVATIONS),
        )

    def pooling(self, value: Value) -> Value:
        steps, kind = value.steps or 1, self.chosen(["average", "max"])
        if self.rng.random() < 0.4:
            kind = self.chosen(["average", "max", "sum"])
            more = self.masks(value) if kind == "average" else []
            return self.after(value, GlobalPooling(self.name("pool"), kind), value.width, None, *more)
        size = int(self.rng.integers(1, min(3, steps) + 1))
        layer = Pooling(self.name("pool"), kind, size, int(self.rng.integers(1, 3)), (size - 1, 0))
        return self.after(value, layer, value.width, (steps + size - 1 - size) // layer.stride + 1)

    def parts(self, value: Value) -> Value:
        steps = value.steps or 1
        count = self.chosen([k for k in range(1, steps + 1) if steps % k == 0])
        conv = self.conv_layer(value.width, steps // count)
        layers = (conv, self.norm_of(len(conv.kernel)), GlobalPooling("pool", "max"))
        layer = TimeDistributed(self.name("parts"), count, layers)
        return self.after(value, layer, len(conv.kernel), count)

    def norm_of(self, width: int) -> Affine:
        return Affine("inner", 1 + self.make.weights(width) / 4, self.make.weights(width))

    def some_rows(self, value: Value) -> Value:
        rows = tuple(int(row) for row in self.rng.integers(0, value.steps or 1, 3))
        return self.after(value, TakeRows(self.name("rows"), rows), value.width, 3)

    def branches(self, value: Value) -> Value:
        other = self.dense(value)
        kind = self.chosen(JOINS)
        if kind not in ("concat",) and other.width != value.width:
            square = self.make.dense(other.width, value.width, "tanh", self.name("square"))
            other = self.after(other, square, value.width, value.steps)
        return self.join(value, other, kind)

    def join(self, a: Value, b: Value, kind: str) -> Value:
        layer = Join(self.name("join"), kind)
        width = a.width + b.width if kind == "concat" else a.width
        steps = None if a.steps is None or b.steps is None else a.steps
        if kind == "rows":
            steps = (a.steps or 1) + (b.steps or 1)
        return self.after(a, layer, width, steps, b.node)

    def attention(self, value: Value) -> Value:
        keys = self.make.dense(value.width, value.width, "tanh", self.name("keys"))
        key = Node(keys, value.node)
        query: Node = value.node
        steps = value.steps
        if self.rng.random() < 0.5:
            query = Node(GlobalPooling(self.name("query"), "average"), value.node)
            steps = None
        layer = Attention(self.name("attention"), 0.5)
        return Value(Node(layer, query, value.node, key, *self.masks(value)), value.width, steps)

    def weighted_sum(self, value: Value) -> Value:
        scores = Node(self.make.dense(value.width, 1, "tanh", self.name("scores")), value.node)
        flat = Node(Flatten(self.name("flat")), scores)
        weights = Node(Activation(self.name("weights"), "softmax"), flat)
        if self.rng.random() < 0.5:
            layer = WeightedSum(self.name("weighted"))
            return Value(Node(layer, weights, value.node), value.width, None)
        column = Node(Unflatten(self.name("column"), value.steps or 1), weights)
        product = Node(Join(self.name("product"), "multiply"), column, value.node)
        layer = GlobalPooling(self.name("summed"), "sum")
        return Value(Node(layer, product), value.width, None)

    def unflatten(self, value: Value) -> Value:
        steps = self.chosen([k for k in range(1, value.width + 1) if value.width % k == 0])
        return self.after(value, Unflatten(self.name("unflat"), steps), value.width // steps, steps)

    def repeat(self, value: Value) -> Value:
        return self.after(value, Repeat(self.name("repeat"), 3), value.width, 3)

    def vector(self, value: Value) -> Value:
        if value.steps is None:
            return value
        return self.after(value, Flatten(self.name("flat")), value.width * value.steps, None)


def random_branching_network(seed: int) -> Network:
    """A network with a vector of four outputs; the same for the same seed."""
    return RandomNetwork(seed).network()
