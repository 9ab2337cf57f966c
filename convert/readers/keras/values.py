"""What a tensor of a Keras model is in the network, with the shape that Keras gives it.

Reshape, Flatten and the like move no number, so a KerasValue only notes the new shape. A layer is made
where another one needs the value in a form that it does not have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from convert.source_model.network import Dense, Flatten, Layer, Repeat, TimeDistributed, Unflatten
from convert.source_model.nodes import Node

Shape = tuple[int, ...]
"""A shape without the batch."""


@dataclass(frozen=True, eq=False)
class KerasValue:
    """One tensor: the node that gives its numbers, and their shapes."""

    node: Node
    stored: Shape
    """What the node gives: `[n]` or `[steps, features]`."""
    shape: Shape
    """The tensor's shape in Keras: the same numbers, row after row."""
    mask: Node | None = None
    """`[steps, 1]`, 1 for the rows that count; the mask that Keras has attached to the tensor."""
    copies: int = 1
    """The node's vector stands for so many equal rows (RepeatVector)."""
    columns: int = 1
    """Each of the node's numbers stands for so many equal columns (a RepeatVector, transposed)."""
    pending: tuple[Layer, ...] | None = None
    """Layers that are still to be applied to each of the parts `shape[0]` that the node's rows form."""
    weighted: tuple[KerasValue, KerasValue] | None = None
    """Weights `[steps]` and rows, where this is their product."""

    def reshaped(self, shape: Shape, name: str) -> KerasValue:
        """The same numbers in another shape; Keras drops the mask. `name`: who asks for it."""
        plain = self.settled(name)
        return replace(plain, shape=shape, mask=None, weighted=None)

    def vector(self, name: str) -> Node:
        """A node that gives all numbers as one vector."""
        plain = self.settled(name)
        if len(plain.stored) == 1:
            return plain.node
        return Node(Flatten(f"{name}_vector"), plain.node)

    def rows(self, name: str) -> Node:
        """A node that gives the numbers as the rows of the last axis."""
        plain = self.settled(name)
        expected = (math.prod(self.shape[:-1]), self.shape[-1])
        if plain.stored == expected:
            return plain.node
        return Node(Unflatten(f"{name}_rows", expected[0]), plain.vector(name))

    def settled(self, name: str) -> KerasValue:
        """The same value, with everything done that was put off."""
        if self.copies > 1:
            node = Node(Repeat(f"{name}_copies", self.copies), self.node)
            return replace(self, node=node, stored=self.shape, copies=1)
        if self.columns > 1:
            ones = np.ones((self.columns, 1), np.float32)
            copier = Dense(f"{name}_columns", ones, np.zeros(self.columns, np.float32))
            source = self.node if len(self.shape) == 1 else self.narrow(name)
            return replace(self, node=Node(copier, source), stored=self.shape, columns=1)
        if self.pending is not None:
            count, size = self.shape[0], math.prod(self.shape[1:])
            chain = (*self.pending, Flatten(f"{name}_part"))
            node = Node(TimeDistributed(name, count, chain), self.node)
            return replace(self, node=node, stored=(count, size), pending=None)
        return self

    def narrow(self, name: str) -> Node:
        """A node that gives one column, which stands for the equal columns of this value."""
        if len(self.stored) == 2:
            return self.node
        return Node(Unflatten(f"{name}_rows", self.stored[0]), self.node)


def values_in(argument: object) -> list[KerasValue]:
    """Every value in an argument of a call, in order."""
    if isinstance(argument, KerasValue):
        return [argument]
    if isinstance(argument, Sequence) and not isinstance(argument, str):
        return [value for item in argument for value in values_in(item)]
    return []


def placed(node: Node, shape: Shape, mask: Node | None = None) -> KerasValue:
    """The value of a node that gives just what Keras has."""
    return KerasValue(node, shape, shape, mask)
