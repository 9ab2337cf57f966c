"""Arrays of any shape as rows of values: the loops of an elementwise kernel.

A kernel works on [rows][width] values, each row contiguous or one value repeated. Dimensions that lie
one after the other in all operands become one. Where more than two are left, the kernel is called more
often.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from edge_runtime.native.storage import View
from edge_runtime.tflite.flatbuffer_reader import MalformedError


@dataclass(frozen=True)
class Loop:
    """One call on [rows][width] values, for operands in the order of the views."""

    rows: int
    width: int
    offsets: tuple[int, ...]
    pitches: tuple[int, ...]
    steps: tuple[int, ...]
    """1, or 0 for an operand with one value for the whole row."""


def loops(shape: tuple[int, ...], views: list[View], sizes: list[int]) -> Iterator[Loop]:
    """The calls that cover `shape`. Views may lack leading dimensions or have 1 where `shape` has more.

    `sizes`: bytes of a value of each view.
    """
    lengths, strides, steps = _loops(
        shape, tuple((view.shape, view.strides) for view in views), tuple(sizes)
    )
    width = lengths[-1] if lengths else 1
    rows = lengths[-2] if len(lengths) > 1 else 1
    pitches = strides[-2] if len(lengths) > 1 else (0,) * len(views)
    outer = range(len(lengths) - 2) if len(lengths) > 2 else range(0)
    for index in itertools.product(*(range(lengths[k]) for k in outer)):
        offsets = tuple(
            view.offset + sum(n * strides[k][i] for k, n in zip(outer, index))
            for i, view in enumerate(views)
        )
        yield Loop(rows, width, offsets, pitches, steps)


@lru_cache(maxsize=256)  # the steps of an unrolled graph have the same loops
def _loops(
    shape: tuple[int, ...],
    views: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...],
    sizes: tuple[int, ...],
) -> tuple[list[int], list[tuple[int, ...]], tuple[int, ...]]:
    """Lengths of all loops, strides of each view, and steps; `views`: their shapes and strides."""
    lengths, strides = _merged(shape, [_broadcast(*view, len(shape)) for view in views])
    steps = _steps(strides[-1], sizes) if lengths else (1,) * len(views)
    if steps is None:  # the last dimension is not contiguous: rows of one value
        return [*lengths, 1], [*strides, sizes], (1,) * len(views)
    return lengths, strides, steps


def _broadcast(shape: tuple[int, ...], strides: tuple[int, ...], rank: int) -> tuple[int, ...]:
    own = tuple(0 if n == 1 else stride for n, stride in zip(shape, strides))
    return (0,) * (rank - len(shape)) + own


def _merged(
    shape: tuple[int, ...], each: list[tuple[int, ...]]
) -> tuple[list[int], list[tuple[int, ...]]]:
    """Lengths of the dimensions that are left, and their strides in each view."""
    lengths: list[int] = []
    strides: list[tuple[int, ...]] = []
    for k, length in enumerate(shape):
        if length == 1:
            continue
        here = tuple(view[k] for view in each)
        if lengths and all(before == length * now for before, now in zip(strides[-1], here)):
            lengths[-1], strides[-1] = lengths[-1] * length, here
        else:
            lengths.append(length)
            strides.append(here)
    return lengths, strides


def _steps(strides: tuple[int, ...], sizes: tuple[int, ...]) -> tuple[int, ...] | None:
    """Values from one to the next; None unless they are contiguous or repeated. The last is written."""
    if strides[-1] != sizes[-1] or any(n not in (0, size) for n, size in zip(strides, sizes)):
        return None
    return tuple(min(n, 1) for n in strides)


def rows_of(view: View, size: int) -> tuple[int, int]:
    """A tensor of values of `size` bytes as rows of its last dimension: their number, and the bytes from
    one to the next. Raises MalformedError for one that is not so regular."""
    rows, pitch, regular = 1, 0, view.strides[-1] == size or view.shape[-1] == 1
    for length, stride in zip(reversed(view.shape[:-1]), reversed(view.strides[:-1])):
        if length > 1:
            regular = regular and (rows == 1 or stride == pitch * rows)
            rows, pitch = rows * length, pitch if rows > 1 else stride
    if not regular:
        raise MalformedError("the native engine cannot read a part of a tensor row by row")
    return rows, pitch
