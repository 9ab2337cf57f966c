"""A value of a foreign model's graph, traced back, element by element, to the output of Network layers.

A model's graph is full of nodes that only move elements: transposes, reshapes, slices and squeezes
around every layer, and every exporter writes them differently. The reader does not try to recognize
them. It applies them to an array of positions instead, and reads their effect off the result. If the
positions are those of the last row, the layer gives its last output. If they are all positions row after
row, they are a Flatten. Batches are traced too, so a model that mixes elements of different windows is
noticed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Union

import numpy as np
from numpy.typing import NDArray

from convert.source_model.network import (
    RECURRENT_LAYERS,
    Activation,
    Affine,
    Bidirectional,
    Dense,
    Flatten,
    Layer,
    LayerNorm,
    TakeRows,
)

Array = NDArray[Any]
Positions = NDArray[np.int64]

PADDING = -1
"""The position of an element that is not a layer's output but the constant zero."""


class Unsupported(ValueError):  # noqa: N818 - a refusal; the caller names the node and raises the error
    """A node that Network layers cannot express. The message is the end of a sentence about the node."""


@dataclass(frozen=True, eq=False)
class Traced:
    """An array whose element k is element `positions[k]` of the output of `layers`.

    That output is `[batch, steps, width]`, or `[batch, width]` if `steps` is None. A position counts its
    elements in C order. A recurrent layer at the end returns sequences until something is selected.
    """

    layers: tuple[Layer, ...]
    batch: int
    steps: int | None
    width: int
    positions: Positions

    @property
    def size(self) -> int:
        """The number of elements of one window."""
        return self.width * (self.steps or 1)

    def then(self, layer: Layer, steps: int | None, width: int, positions: Positions) -> Traced:
        """The value with one more layer."""
        return Traced((*self.layers, layer), self.batch, steps, width, positions)

    def moved(self, positions: Positions) -> Traced:
        """The same elements at other positions."""
        return replace(self, positions=positions)

    def columns(self) -> Positions:
        """The feature that each element belongs to. Raises Unsupported for padding."""
        if (self.positions == PADDING).any():
            raise Unsupported("reads padding. Only a convolution may be padded.")
        return self.positions % self.width


Value = Union[Traced, Array, None]
"""The value of a name in the model: elements of layers, a constant, or None if it is not known."""


@dataclass(frozen=True, eq=False)
class Sequence:
    """A sequence `[batch, steps, width]`: the output of `layers`, or its reverse.

    `columns`: the features that were taken, in their order.
    """

    layers: tuple[Layer, ...]
    steps: int
    width: int
    columns: Positions
    reversed: bool


@dataclass(frozen=True, eq=False)
class Rows:
    """Features along the last axis, for a layer that treats every row alike.

    `order` `[rows]`: the number of the row at each place, counted over the sequences (`batch * steps`)
    or, if `steps` is None, over the vectors (`batch`).
    """

    layers: tuple[Layer, ...]
    steps: int | None
    width: int
    columns: Positions
    order: Positions
    lead: tuple[int, ...]

    def positions(self, columns: Positions, width: int) -> Positions:
        """Positions `[*lead, len(columns)]` in an output of `width` features."""
        result: Positions = self.order[:, None] * width + columns
        return result.reshape(*self.lead, len(columns))


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


def as_sequence(value: Traced, positions: Positions, *, either_way: bool = False) -> Sequence:
    """`positions` `[batch, steps, n]` as a sequence of rows; raises Unsupported if they are not one.

    `either_way`: whether the reader can read a reversed sequence as it is.
    """
    if value.steps is None:
        raise Unsupported("reads one vector as a sequence")
    columns = replace(value, positions=positions).columns()
    if not (columns == columns[0, 0]).all():
        raise Unsupported("reads different features in different rows")
    row = positions // value.width
    taken = row[0, :, 0]
    if not np.array_equal(row, np.broadcast_to(_rows_of_batch(value, taken), row.shape)):
        raise Unsupported("reads the elements of its input in an order that is not a sequence of rows")
    order = taken.tolist()
    every = list(range(value.steps))
    backwards = either_way and order != every and order == every[::-1]
    layers = value.layers if backwards or order == every else (*value.layers, take_rows(order))
    return Sequence(layers, len(order), value.width, columns[0, 0], backwards)


def _rows_of_batch(value: Traced, rows: Positions) -> Positions:
    """These rows of each window, as `[batch, rows, 1]` of all the batch's rows."""
    windows = np.arange(value.batch)[:, None, None]
    result: Positions = windows * (value.steps or 1) + rows[:, None]
    return result


def take_rows(rows: list[int]) -> TakeRows:
    """The layer for some rows, named after them."""
    return TakeRows(f"rows_{rows[0]}_to_{rows[-1]}" if len(rows) > 1 else f"row_{rows[0]}", tuple(rows))


def as_rows(value: Traced, positions: Positions) -> Rows:
    """`positions` `[..., n]` as rows of a sequence or as one vector per window; raises Unsupported."""
    lead, flat = positions.shape[:-1], positions.reshape(-1, positions.shape[-1])
    row = flat // value.width
    columns = replace(value, positions=flat).columns()
    whole = (
        value.steps is not None
        and len(flat) == value.batch * value.steps
        and (value.steps > 1 or len(lead) > 1)
        and (row == row[:, :1]).all()
        and np.array_equal(np.sort(row[:, 0]), np.arange(len(flat)))
    )
    if not whole:
        return _as_vectors(value, flat, lead)
    if not (columns == columns[0]).all():
        raise Unsupported("reads different features in different rows")
    return Rows(value.layers, value.steps, value.width, columns[0], row[:, 0], lead)


def as_vector(value: Traced, positions: Positions) -> Rows:
    """The elements of every window, in any shape, as one vector per window; raises Unsupported."""
    order = np.argsort(positions.reshape(-1) // value.size, kind="stable")
    batch = value.batch
    if positions.size % batch:
        raise Unsupported("takes different numbers of elements from the windows of a batch")
    flat = positions.reshape(-1)[order].reshape(batch, -1)
    return _as_vectors(value, flat, (batch,))


def _as_vectors(value: Traced, flat: Positions, lead: tuple[int, ...]) -> Rows:
    """`flat` `[batch, n]` as vectors. Each row has to hold the same elements of one window."""
    gather = flat % value.size
    windows = flat // value.size
    if not (
        len(flat) == value.batch
        and (windows == windows[:, :1]).all()
        and np.array_equal(np.sort(windows[:, 0]), np.arange(len(flat)))
        and (gather == gather[0]).all()
    ):
        raise Unsupported("reads neither whole rows nor the same elements of every window")
    replace(value, positions=flat).columns()
    layers, width, columns = _vector(value, gather[0])
    return Rows(layers, None, width, columns, windows[:, 0], lead)


def _vector(value: Traced, gather: Positions) -> tuple[tuple[Layer, ...], int, Positions]:
    """Layers that give one vector, its width, and the columns of the elements `gather` in it."""
    if value.steps is None:
        return value.layers, value.width, gather
    row, column = gather // value.width, gather % value.width
    chosen = _ends(value.layers, value.width, value.steps, row, column)
    if chosen is not None:
        return chosen, value.width, column
    taken = list(dict.fromkeys(row.tolist()))
    place = np.zeros(value.steps, np.int64)
    place[taken] = np.arange(len(taken))
    whole = taken == list(range(value.steps))
    layers = value.layers if whole else (*value.layers, take_rows(taken))
    width = len(taken) * value.width
    return (*layers, Flatten("flatten")), width, place[row] * value.width + column


def _ends(
    layers: tuple[Layer, ...], width: int, steps: int, row: Positions, column: Positions
) -> tuple[Layer, ...] | None:
    """The layers with a recurrent layer that gives only its last output.

    None unless the elements (`row`, `column`) of the sequence are that output. Layers after the
    recurrent one that treat every row alike stay as they are, and read one row instead of the sequence.
    """
    if not layers:
        return None
    *front, last = layers
    if isinstance(last, RECURRENT_LAYERS):
        return (*front, replace(last, return_sequences=False)) if (row == steps - 1).all() else None
    if isinstance(last, Bidirectional):
        return _both_ends(tuple(front), last, steps, row, column)
    if isinstance(last, (Dense, LayerNorm)) or _is_softmax(last):
        if not (row == row[0]).all():
            return None  # it mixes the features of a row
        width = last.kernel.shape[1] if isinstance(last, Dense) else width
        row, column = np.full(width, row[0]), np.arange(width)
    elif not isinstance(last, (Activation, Affine)):
        return None
    chosen = _ends(tuple(front), width, steps, row, column)
    return None if chosen is None else (*chosen, last)


def _is_softmax(layer: Layer) -> bool:
    return isinstance(layer, Activation) and "softmax" in layer.function


def _both_ends(
    front: tuple[Layer, ...], layer: Bidirectional, steps: int, row: Positions, column: Positions
) -> tuple[Layer, ...] | None:
    """The forward layer's output after the last row, the backward layer's after the first."""
    if layer.merge != "concat":
        return None
    end = np.where(column < layer.forward.units, steps - 1, 0)
    return (*front, layer.last_outputs) if np.array_equal(row, end) else None


def absorb(kernel: NDArray[Any], columns: Positions, width: int) -> NDArray[np.float32]:
    """A kernel `[..., n]` for features `columns` `[n]` as one for all `width` features."""
    full = np.zeros((*kernel.shape[:-1], width), np.float32)
    np.add.at(np.moveaxis(full, -1, 0), columns, np.moveaxis(kernel, -1, 0).astype(np.float32))
    return full


def in_order(rows: Rows) -> bool:
    """Whether the rows hold all features in their order."""
    return np.array_equal(rows.columns, np.arange(rows.width))
