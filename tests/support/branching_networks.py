"""Small random networks with branches, masks, attention, pooling, tokens and a static input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from convert.source_model.network import (
    Activation,
    Affine,
    Attention,
    Bidirectional,
    Conv1d,
    Embedding,
    Flatten,
    GlobalPooling,
    Join,
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

STEPS, FEATURES, UNITS, CLASSES, TOKENS, STATIC = 8, 6, 12, 5, 30, 2


def branching_networks() -> dict[str, Network]:
    """One network for each operator and broadcast that a chain of older layers does not have."""
    make = _Maker()
    return {
        "LSTM, hard sigmoid and relu": make.of(
            make.cell("lstm", activation="relu", recurrent_activation="hard_sigmoid")
        ),
        "GRU, hard sigmoid and elu": make.of(
            make.cell("gru", activation="elu", recurrent_activation="hard_sigmoid_0.2")
        ),
        "LSTM, linear": make.of(make.cell("lstm", activation="linear")),
        "masked LSTM": make.masked(make.cell("lstm")),
        "masked, both ways, averaged": make.masked_both_ways(),
        "attention": make.attention(),
        "masked attention of one row": make.attention_of_one_row(),
        "weighted sum": make.weighted_sum(),
        "residual": make.residual(),
        "maximum and average": make.maximum_and_average(),
        "static input": make.static_input(),
        "pooling": make.pooling(),
        "parts": make.parts(),
        "tokens": make.tokens(),
    }


class _Maker:
    def __init__(self) -> None:
        self.layers = RandomLayers(3)
        self.window = Node()

    def cell(self, kind: str, features: int = FEATURES, **settings):
        return getattr(self.layers, kind)(features, UNITS, **settings)

    def of(self, *layers, width: int = UNITS) -> Network:
        """A chain, with logits behind it."""
        return Network(STEPS, FEATURES, (*layers, self.dense(width)))

    def dense(self, width: int):
        return self.layers.dense(width, CLASSES, name="logits")

    def end(self, node: Node, width: int = UNITS, **shape: int) -> Network:
        sizes = {"steps": STEPS, "features": FEATURES, **shape}
        return network_of(Node(self.dense(width), node), **sizes)

    def mask(self, value: float = 0.0) -> Node:
        return Node(Mask("mask", np.full(FEATURES, value, np.float32)), self.window)

    def rows(self, kind: str = "lstm", *sources: Node) -> Node:
        return Node(self.cell(kind, return_sequences=True), *(sources or [self.window]))

    def masked(self, cell) -> Network:
        return self.end(Node(cell, self.window, self.mask()))

    def masked_both_ways(self) -> Network:
        there = self.cell("gru", return_sequences=True)
        back = replace(self.cell("simple", return_sequences=True), go_backwards=True)
        mask = self.mask(-3.0)
        both = Node(Bidirectional("both", there, back), self.window, mask)
        return self.end(Node(GlobalPooling("average", "average"), both, mask), 2 * UNITS)

    def attention(self) -> Network:
        rows = self.rows()
        found = Node(Attention("attention", 0.3), rows, rows)
        return self.end(Node(GlobalPooling("largest", "max"), found))

    def attention_of_one_row(self) -> Network:
        mask = self.mask()
        rows = self.rows("gru", self.window, mask)
        last = Node(Flatten("query"), Node(TakeRows("last", (STEPS - 1,)), rows))
        keys = Node(self.layers.dense(UNITS, UNITS, "tanh", "keys"), rows)
        return self.end(Node(Attention("attention"), last, rows, keys, mask))

    def weighted_sum(self) -> Network:
        rows = self.rows()
        scores = Node(self.layers.dense(UNITS, 1, "tanh", "scores"), rows)
        weights = Node(Activation("weights", "softmax"), Node(Flatten("flat"), scores))
        product = Node(Join("product", "multiply"), rows, Node(Unflatten("rows", STEPS), weights))
        summed = Node(GlobalPooling("summed", "sum"), product)
        both = Node(Join("both", "concat"), summed, Node(WeightedSum("weighted"), weights, rows))
        return self.end(both, 2 * UNITS)

    def residual(self) -> Network:
        rows = self.rows()
        branch = Node(self.layers.dense(UNITS, UNITS, "elu", "branch"), rows)
        added = Node(Join("added", "add"), rows, branch)
        less = Node(Join("less", "subtract"), added, Node(Affine("scale", *self.affine()), rows))
        second = Node(replace(self.cell("lstm", UNITS), name="second"), less)
        return self.end(second)

    def affine(self):
        return 1 + self.layers.weights(UNITS) / 4, self.layers.weights(UNITS)

    def maximum_and_average(self) -> Network:
        left, right = self.rows("gru"), self.rows("simple")
        largest = Node(Join("largest", "maximum"), left, right)
        average = Node(Join("average", "average"), left, right)
        stacked = Node(Join("stacked", "rows"), largest, average)
        return self.end(Node(replace(self.cell("gru", UNITS), name="second"), stacked))

    def static_input(self) -> Network:
        static = Node(self.layers.dense(STATIC, 4, "relu", "beside"), Node(static=True))
        both = Node(Join("both", "concat"), Node(self.cell("lstm"), self.window), static)
        return self.end(both, UNITS + 4, features=FEATURES + STATIC, static=STATIC)

    def pooling(self) -> Network:
        w = self.layers.weights
        conv = Conv1d("conv", w(FEATURES, 3, FEATURES), w(FEATURES), padding=(1, 1), activation="relu")
        largest, average = Pooling("largest", "max", 2, 2), Pooling("average", "average", 3, 1, (1, 1))
        again = Repeat("again", 3)
        return self.of(
            conv, largest, average, self.cell("lstm"), again, replace(self.cell("gru", UNITS), name="g")
        )

    def parts(self) -> Network:
        w = self.layers.weights
        inner = (
            Conv1d("conv", w(FEATURES, 2, FEATURES), w(FEATURES), activation="hard_sigmoid"),
            Affine("norm", 1 + w(FEATURES) / 4, w(FEATURES)),
            Pooling("pool", "max", 2, 1),
            Flatten("flat"),
        )
        return self.of(TimeDistributed("parts", 2, inner), self.cell("lstm", 2 * FEATURES))

    def tokens(self) -> Network:
        table = Node(Embedding("table", self.layers.weights(TOKENS, FEATURES)), self.window)
        mask = Node(Mask("mask", np.zeros(1, np.float32)), self.window)
        return self.end(Node(self.cell("lstm"), table, mask), features=1)
