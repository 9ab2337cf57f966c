"""Reads the layout of a value off its positions: a sequence, rows, or one vector for each window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convert.readers.onnx.choose import selected, taken_rows, vector_of
from convert.readers.onnx.parts import closed, with_batch
from convert.readers.onnx.tracing import Positions, ShapedNode, Traced, Unsupported
from convert.source_model.network import Join, Repeat, Unflatten

MIXED_ROWS = (
    "reads different features in different rows, as the heads of nn.MultiheadAttention do. Use "
    "attention with one head"
)


@dataclass(frozen=True, eq=False)
class Sequence:
    """A sequence `[batch, steps, width]`: the output of a tensor, or its reverse."""

    tensor: ShapedNode
    columns: Positions
    """The features that were taken, in their order."""
    reversed: bool = False

    @property
    def steps(self) -> int:
        """The number of rows."""
        assert self.tensor.steps is not None
        return self.tensor.steps

    @property
    def exact(self) -> ShapedNode:
        """A tensor with just these features."""
        return selected(self.tensor, self.columns)


@dataclass(frozen=True, eq=False)
class Rows:
    """Features along the last axis, for a layer that treats every row alike.

    `order` `[rows]`: the number of the row at each place, counted over the sequences (`batch * steps`)
    or, if the tensor is a vector, over the vectors (`batch`).
    """

    tensor: ShapedNode
    columns: Positions
    order: Positions
    lead: tuple[int, ...]

    def positions(self, columns: Positions, width: int) -> Positions:
        """Positions `[*lead, len(columns)]` in an output of `width` features."""
        result: Positions = self.order[:, None] * width + columns
        return result.reshape(*self.lead, len(columns))

    @property
    def in_order(self) -> bool:
        """Whether the rows hold all features in their order."""
        return np.array_equal(self.columns, np.arange(self.tensor.width))

    @property
    def exact(self) -> ShapedNode:
        """A tensor with just these features."""
        return selected(self.tensor, self.columns)


def as_sequence(value: Traced, positions: Positions, *, either_way: bool = False) -> Sequence:
    """`positions` `[batch, steps, n]` as a sequence of rows; raises Unsupported if they are not one.

    `either_way`: whether the reader can read a reversed sequence as it is.
    """
    value = with_batch(value.moved(positions).used(), len(positions))
    if len(value.tensors) > 1:
        return _joined_sequence(value)
    tensor, positions, columns = value.tensor, value.positions, value.columns()
    if tensor.steps is None:
        return _sequence_of_vector(value)
    if not (columns == columns[0, 0]).all():
        raise Unsupported(MIXED_ROWS)
    row = positions // tensor.width
    taken = row[0, :, 0]
    if not np.array_equal(row, np.broadcast_to(_rows_of_batch(tensor, taken), row.shape)):
        raise Unsupported("reads the elements of its input in an order that is not a sequence of rows")
    order = taken.tolist()
    backwards = either_way and len(order) > 1 and order == list(range(tensor.steps))[::-1]
    return Sequence(tensor if backwards else taken_rows(tensor, order), columns[0, 0], backwards)


def _rows_of_batch(tensor: ShapedNode, rows: Positions) -> Positions:
    """These rows of each window, as `[batch, rows, 1]` of all the batch's rows."""
    windows = np.arange(tensor.batch)[:, None, None]
    result: Positions = windows * (tensor.steps or 1) + rows[:, None]
    return result


def _sequence_of_vector(value: Traced) -> Sequence:
    """A vector that is repeated in every row, or one that is cut into rows."""
    tensor, columns, steps = value.tensor, value.columns(), value.positions.shape[1]
    windows = np.arange(tensor.batch)[:, None, None]
    if not ((value.positions // tensor.width == windows).all() and (columns == columns[0]).all()):
        raise Unsupported("reads the elements of its input in an order that is not a sequence of rows")
    if (columns[0] == columns[0, 0]).all():
        return Sequence(tensor.then(Repeat("repeat", steps), steps, tensor.width), columns[0, 0])
    width = columns.shape[-1]
    flat = selected(tensor, columns[0].reshape(-1))
    return Sequence(flat.then(Unflatten("unflatten", steps), steps, width), np.arange(width))


def _joined_sequence(value: Traced) -> Sequence:
    """Elements of several tensors: rows put together from tensors, and columns from such rows."""
    owner = value.owners()
    if not (owner == owner[0]).all():
        raise Unsupported("reads the elements of its inputs in an order that is not a sequence of rows")
    groups: dict[tuple[int, ...], list[int]] = {}
    for column, owners in enumerate(owner[0].T.tolist()):
        groups.setdefault(tuple(owners), []).append(column)
    sources, columns, start = [], np.zeros(owner.shape[2], np.int64), 0
    for owners, chosen in groups.items():
        part = value.moved(value.positions[..., chosen])
        sequence = _one_below_another(part, owners)
        columns[chosen] = start + sequence.columns
        start += sequence.tensor.width
        sources.append(sequence.tensor)
    steps = owner.shape[1]
    if all(isinstance(source.layer, Repeat) for source in sources):
        vector = joined("concat", "concat", [source.sources[0] for source in sources], None, start)
        return Sequence(vector.then(Repeat("repeat", steps), steps, start), columns)
    if len(sources) > 1:
        sources = [unrepeated(source) for source in sources]
    return Sequence(joined("concat", "concat", sources, steps, start), columns)


def _one_below_another(value: Traced, owners: tuple[int, ...]) -> Sequence:
    """Rows of which each belongs to one tensor."""
    numbers = list(dict.fromkeys(owners))
    if len(numbers) == 1:
        part = value.of(numbers[0])
        return as_sequence(part, part.positions)
    sources, order = [], []
    for number in numbers:
        part, chosen = value.of(number), np.flatnonzero(np.asarray(owners) == number)
        if len(chosen) == 1:
            row = part.moved(part.positions[:, chosen[0]])
            sources.append(as_vector(row, len(row.positions)).exact)
        else:
            sources.append(as_sequence(part, part.positions[:, chosen]).exact)
        order += chosen.tolist()
    steps, width = len(order), value.positions.shape[2]
    rows = joined("rows", "rows", sources, steps, width)
    return Sequence(taken_rows(rows, np.argsort(order).tolist()), np.arange(width))


def unrepeated(tensor: ShapedNode) -> ShapedNode:
    """The vector that a Repeat repeats, as a Join takes vectors beside sequences; else the tensor."""
    return tensor.sources[0] if isinstance(tensor.layer, Repeat) else tensor


def joined(name: str, kind: str, sources: list[ShapedNode], steps: int | None, width: int) -> ShapedNode:
    """A Join of the sources; a single one stays as it is."""
    first, *others = sources
    if not others and (first.steps, first.width) == (steps, width):
        return first
    return first.then(Join(name, kind), steps, width, *others)


def as_rows(value: Traced, positions: Positions) -> Rows:
    """`positions` `[..., n]` as rows of a sequence or as one vector per window; raises Unsupported."""
    lead, flat = positions.shape[:-1], positions.reshape(-1, positions.shape[-1])
    value = with_batch(value.moved(flat).used())
    value.check_padding()
    if len(value.tensors) == 1 and _is_whole(value, len(lead)):
        columns = value.columns()
        if not (columns == columns[0]).all():
            raise Unsupported(MIXED_ROWS)
        return Rows(value.tensor, columns[0], value.positions[:, 0] // value.tensor.width, lead)
    if value.tensors[0].batch > len(flat):
        value = closed(value)
    batch, window = value.tensors[0].batch, windows_of(value)
    steps = len(flat) // batch
    counts = np.bincount(window[:, 0], minlength=batch)
    if not ((window == window[:, :1]).all() and (counts == steps).all() and steps):
        raise Unsupported("reads neither whole rows nor the same elements of every window")
    order = np.argsort(window[:, 0], kind="stable")
    arranged = value.positions[order].reshape(batch, steps, -1)
    place = np.argsort(order)
    if steps == 1:
        tensor, columns = _vectors(value, arranged[:, 0])
        return Rows(tensor, columns, place, lead)
    sequence = as_sequence(value, arranged)
    return Rows(sequence.tensor, sequence.columns, place, lead)


def _is_whole(value: Traced, lead: int) -> bool:
    """Whether the positions `[rows, n]` are those of every row of the tensor, in any order."""
    tensor, flat = value.tensor, value.positions
    row = flat // tensor.width
    return (
        tensor.steps is not None
        and len(flat) == tensor.batch * tensor.steps
        and (tensor.steps > 1 or lead > 1)
        and bool((row == row[:, :1]).all())
        and np.array_equal(np.sort(row[:, 0]), np.arange(len(flat)))
    )


def windows_of(value: Traced) -> Positions:
    """The window that each element belongs to."""
    owner, result = value.owners(), np.zeros_like(value.positions)
    for number, tensor in enumerate(value.tensors):
        part = value.of(number).positions // tensor.size
        result = np.where(owner == number, part, result)
    return result


def as_vector(value: Traced, batch: int) -> Rows:
    """The elements of every window, in any shape, as one vector per window; raises Unsupported."""
    value = with_batch(value.moved(value.positions.reshape(-1)).used(), batch)
    order = np.argsort(windows_of(value), kind="stable")
    if value.positions.size % batch:
        raise Unsupported("takes different numbers of elements from the windows of a batch")
    tensor, columns = _vectors(value, value.positions[order].reshape(batch, -1))
    return Rows(tensor, columns, np.arange(batch), (batch,))


def _vectors(value: Traced, flat: Positions) -> tuple[ShapedNode, Positions]:
    """`flat` `[batch, n]` as one vector, and the column of each element in it.

    Each row has to hold the same elements of its window.
    """
    value = value.moved(flat).used()
    owner = value.owners()
    sources, columns, start = [], np.zeros(flat.shape[1], np.int64), 0
    if not (owner == owner[0]).all():
        raise Unsupported("reads neither whole rows nor the same elements of every window")
    for number in dict.fromkeys(owner[0].tolist()):
        chosen = owner[0] == number
        part = value.of(number)
        size, positions = part.tensor.size, part.positions[:, chosen]
        windows = np.arange(len(flat))[:, None]
        if not ((positions // size == windows).all() and (positions % size == positions[0]).all()):
            raise Unsupported("reads neither whole rows nor the same elements of every window")
        tensor, found = vector_of(part.tensor, positions[0])
        columns[chosen] = start + found
        start += tensor.width
        sources.append(tensor)
    return joined("concat", "concat", sources, None, start), columns


def as_single(value: Traced, batch: int | None = None) -> Traced:
    """The value as elements of one tensor. Several tensors are joined along the axis that allows it."""
    value = value.used()
    if len(value.tensors) == 1:
        return value
    value = with_batch(value)
    for axis in reversed(range(value.positions.ndim)):
        try:
            rows = as_rows(value, np.moveaxis(value.positions, axis, -1))
        except Unsupported:
            continue
        positions = rows.positions(rows.columns, rows.tensor.width)
        return Traced((rows.tensor,), np.moveaxis(positions, -1, axis))
    vector = as_vector(value, min(tensor.batch for tensor in value.tensors))
    raise Unsupported(f"joins {vector.tensor.width} elements of several layers in no common order")
