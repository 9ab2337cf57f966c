"""A value of a foreign model's graph, traced back, element by element, to outputs of Network layers.

A model's graph is full of nodes that only move elements: transposes, reshapes, slices and squeezes
around every layer, and every exporter writes them differently. The reader does not try to recognize
them. It applies them to an array of positions instead, and reads their effect off the result. If the
positions are those of the last row, the layer gives its last output. If they are all positions row after
row, they are a Flatten. Batches are traced too, so a model that mixes elements of different windows is
noticed.

The elements of one value may come from several layers. PyTorch puts the last states of all layers side
by side before it takes one of them. Only a layer that needs elements of several others joins them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

from convert.source_model.nodes import Node

Array = NDArray[Any]
Positions = NDArray[np.int64]

PADDING = -1
"""The position of an element that is not a layer's output but the constant zero."""


class Unsupported(ValueError):  # noqa: N818 - a refusal; the caller names the node and raises the error
    """A node that Network layers cannot express. The message is the end of a sentence about the node."""


class ShapedNode(Node):
    """A node of the network that knows its shape `[batch, steps, width]`, or `[batch, width]`.

    A recurrent layer gives sequences until a row is selected.
    """

    sources: tuple[ShapedNode, ...]

    def __init__(
        self,
        layer: Any,
        *sources: ShapedNode,
        batch: int,
        steps: int | None,
        width: int,
        static: bool = False,
    ) -> None:
        """`layer` None: an input of the model. `steps` None: a vector."""
        super().__init__(layer, *sources, static=static)
        self.batch, self.steps, self.width = batch, steps, width
        self.readers: dict[Hashable, ShapedNode] = {}
        """The tensors that have been computed from this one as their first source."""
        self.row: tuple[ShapedNode, int] | None = None
        """The sequence and the number of its row that this vector was taken as, if it was."""

    @property
    def size(self) -> int:
        """The number of elements of one window."""
        return self.width * (self.steps or 1)

    def then(
        self,
        layer: Any,
        steps: int | None,
        width: int,
        *others: ShapedNode,
        batch: int | None = None,
    ) -> ShapedNode:
        """The output of a layer that reads this tensor, and `others` after it.

        The same layer of the same sources is one tensor, however often it is asked for.
        """
        key = (_key(layer), *map(id, others))
        if key not in self.readers:
            self.readers[key] = ShapedNode(
                layer, self, *others, batch=batch or self.batch, steps=steps, width=width
            )
        return self.readers[key]

    def found(self, layer: Any) -> ShapedNode | None:
        """What `then` gave for a layer with this tensor as its only source; None if it was not asked."""
        return self.readers.get((_key(layer),))


def _key(value: Any) -> Hashable:
    """What a layer computes, without its name."""
    if isinstance(value, np.ndarray):
        return value.shape, hashlib.sha256(value.tobytes()).digest()
    if is_dataclass(value):
        parts = (_key(getattr(value, field.name)) for field in fields(value) if field.name != "name")
        return (type(value), *parts)
    return tuple(map(_key, value)) if isinstance(value, tuple) else value


@dataclass(frozen=True, eq=False)
class Traced:
    """An array whose elements are elements of tensors.

    A position counts the elements of all tensors, one tensor after another, each in C order.
    """

    tensors: tuple[ShapedNode, ...]
    positions: Positions

    @property
    def tensor(self) -> ShapedNode:
        """The only tensor."""
        (tensor,) = self.tensors
        return tensor

    def moved(self, positions: Positions) -> Traced:
        """The same elements at other positions."""
        return Traced(self.tensors, positions)

    def owners(self) -> Positions:
        """The number of the tensor that each element belongs to. Raises Unsupported for padding."""
        self.check_padding()
        found: Positions = np.searchsorted(_ends(self.tensors), self.positions, "right")
        return found

    def of(self, number: int) -> Traced:
        """The same for one tensor, with positions relative to it; those of others have no meaning."""
        tensor = self.tensors[number]
        return Traced((tensor,), self.positions - _starts(self.tensors)[number])

    def used(self) -> Traced:
        """The value without the tensors that none of its elements belongs to."""
        if len(self.tensors) == 1:
            return self
        real = self.positions[self.positions != PADDING]
        numbers = np.unique(np.searchsorted(_ends(self.tensors), real, "right"))
        tensors = tuple(self.tensors[number] for number in numbers)
        return Traced(tensors, _rebased(self, tensors))

    def columns(self) -> Positions:
        """The feature of the only tensor that each element is. Raises Unsupported for padding."""
        self.check_padding()
        return self.positions % self.tensor.width

    def check_padding(self) -> None:
        """Raises Unsupported for padding."""
        if (self.positions == PADDING).any():
            raise Unsupported("reads padding. Only a convolution may be padded.")


Value = Union[Traced, Array, None]
"""The value of a name in the model: elements of layers, a constant, or None if it is not known."""


def _ends(tensors: Iterable[ShapedNode]) -> Positions:
    return np.cumsum([tensor.batch * tensor.size for tensor in tensors], dtype=np.int64)


def _starts(tensors: tuple[ShapedNode, ...]) -> Positions:
    return np.concatenate([[0], _ends(tensors)[:-1]]).astype(np.int64)


def _rebased(value: Traced, tensors: tuple[ShapedNode, ...]) -> Positions:
    """The positions of the same elements, counted over `tensors`."""
    starts = dict(zip(tensors, _starts(tensors)))
    moves = [
        starts.get(tensor, 0) - start for tensor, start in zip(value.tensors, _starts(value.tensors))
    ]
    owner = np.searchsorted(_ends(value.tensors), value.positions, "right")
    result: Positions = np.where(
        value.positions == PADDING, PADDING, value.positions + np.asarray(moves)[owner]
    )
    return result


def side_by_side(values: list[Traced], axis: int) -> Traced:
    """The values, one after another along an axis."""
    tensors = tuple(dict.fromkeys(tensor for value in values for tensor in value.tensors))
    return Traced(tensors, np.concatenate([_rebased(value, tensors) for value in values], axis))


def as_traced(value: Value) -> Traced:
    """The value of an input that has to depend on the window; raises Unsupported."""
    if not isinstance(value, Traced):
        raise Unsupported("has no input that depends on the window")
    return value


def as_constant(value: Value, name: str) -> Array:
    """The value of the input `name`, which must not depend on the window; raises Unsupported."""
    if not isinstance(value, np.ndarray):
        raise Unsupported(f"has an input {name} that depends on the window. Expected a constant.")
    return value


def natural(batch: int, *shape: int) -> Positions:
    """The positions `[batch, *shape]` of a whole output."""
    return np.arange(batch * int(np.prod(shape)), dtype=np.int64).reshape(batch, *shape)
