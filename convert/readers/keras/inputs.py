"""The inputs of a Keras model, and how a window `[steps, features]` is given to them.

Keras's input                          window
(steps, features)                      [steps, features]
(steps,)                               [steps, 1], tokens or numbers
(parts, steps, features)               [parts * steps, features]
(steps, features) and (k,)             [steps, features + k], the last k equal in every row
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.readers.keras.values import KerasValue, Shape
from convert.source_model.nodes import Node
from edge_runtime.errors import DataError

EXPECTED = (
    "Expected [None, steps, features], [None, steps] of tokens, or [None, parts, steps, features] for "
    "TimeDistributed"
)


@dataclass(frozen=True)
class WindowColumns:
    """Which columns of the window each input of the model gets."""

    shapes: tuple[Shape, ...]
    """Of the model's inputs, without the batch."""
    sequence: int
    """The number of the input that is the sequence."""

    @property
    def static(self) -> int:
        """How many numbers the static input has; 0 without one."""
        return sum(shape[0] for k, shape in enumerate(self.shapes) if k != self.sequence)

    @property
    def rows(self) -> Shape:
        """The sequence in the window: `[steps, features]` without the static columns."""
        shape = self.shapes[self.sequence]
        return (shape[0], 1) if len(shape) == 1 else (math.prod(shape[:-1]), shape[-1])

    @property
    def window(self) -> Shape:
        """`[steps, features]` of the whole window."""
        return self.rows[0], self.rows[1] + self.static

    def values(self) -> list[KerasValue]:
        """The values of the model's inputs."""
        return [
            KerasValue(Node(), self.rows, shape)
            if k == self.sequence
            else KerasValue(Node(static=True), shape, shape)
            for k, shape in enumerate(self.shapes)
        ]

    def arrays(self, windows: NDArray[np.float32]) -> Any:
        """What the model is applied to for `windows` `[N, steps, features]`."""
        count, columns = len(windows), self.rows[1]
        found = [
            windows[:, :, :columns].reshape(count, *shape)
            if k == self.sequence
            else windows[:, -1, columns:]
            for k, shape in enumerate(self.shapes)
        ]
        return found[0] if len(found) == 1 else found


def window_columns(model: Any) -> WindowColumns:
    """The inputs of a built model. Raises DataError for inputs that no window can give."""
    if not hasattr(model, "layers"):
        raise DataError(f"expected a Keras model, found {type(model).__name__}")
    tensors = getattr(model, "inputs", None)
    if not tensors:
        raise DataError(
            f"the model {model.name!r} has no fixed input. Expected a Sequential or functional model "
            "with keras.Input((steps, features))."
        )
    shapes = tuple(_shape(tensor) for tensor in tensors)
    if len(shapes) == 1:
        return WindowColumns(shapes, 0)
    static = [k for k, shape in enumerate(shapes) if len(shape) == 1]
    if len(shapes) != 2 or len(static) != 1:
        found = " and ".join(str([None, *shape]) for shape in shapes)
        raise DataError(
            f"model {model.name!r} has {len(shapes)} inputs, {found}. Expected one, or a sequence "
            "[None, steps, features] and one static input [None, k]; put several sequences side by side "
            "in one."
        )
    return WindowColumns(shapes, 1 - static[0])


def _shape(tensor: Any) -> Shape:
    shape = tuple(tensor.shape)
    if not 2 <= len(shape) <= 4:
        raise DataError(f"the model's input shape is {list(shape)}. {EXPECTED}.")
    if None in shape[1:]:
        size = "steps and features" if len(shape) > 2 else "steps"
        raise DataError(
            f"the model's input shape is {list(shape)}. Expected a fixed number of {size}. "
            "Build it with keras.Input((steps, features)) and set its weights."
        )
    return shape[1:]
