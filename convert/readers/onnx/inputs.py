"""The inputs of a model: its window, a static input and initial states. How windows lie in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from convert.readers.onnx.file import Array, GraphInput, OnnxFile
from convert.readers.onnx.moves import MOVING_NODES, SHAPE_NODES, UNCHANGED_NODES
from convert.readers.onnx.recurrent import INPUTS_OF_RECURRENT, RECURRENT_NODES
from convert.readers.onnx.tracing import Positions, ShapedNode, Traced, Value, natural
from edge_runtime.errors import DataError

_STATES = {"initial_h", "initial_c"}


@dataclass(frozen=True, eq=False)
class Inputs:
    """What each input of a model is."""

    window: GraphInput
    static: GraphInput | None
    """`[batch, k]`: a vector beside the window."""
    states: tuple[GraphInput, ...]
    """Initial states, which are zero in every window."""

    @property
    def static_width(self) -> int:
        """The number of columns of the windows that are the static input."""
        width = self.static.shape[1] if self.static else 0
        return width or 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader has decided, for the person who converts."""
        if not self.states:
            return ()
        names = ", ".join(item.name for item in self.states)
        return (f"Initial states that are inputs of the model ({names}) are zero for every window.",)


def inputs_of(file: OnnxFile) -> Inputs:
    """Tell the inputs apart. Raises DataError for those that no converted model can have."""
    states: list[GraphInput] = []
    others: list[GraphInput] = []
    for item in file.inputs:
        readers = _readers(file, item.name)
        for node, place in readers:
            if place == "sequence_lens":
                raise DataError(
                    f"{file.path}: node {node} reads the input {item.name} as its sequence_lens. A "
                    "converted model reads every window up to its last row. Export the model without "
                    "packed sequences."
                )
        is_state = bool(readers) and {place for _, place in readers} <= _STATES
        (states if is_state else others).append(item)
    long = [item for item in others if len(item.shape) > 2] or [
        item for item in others if item.dtype.kind in "iu"
    ]
    window, *beside = others if len(others) == 1 else [*long, *(i for i in others if i not in long)]
    names = ", ".join(item.name for item in file.inputs) or "none"
    if len(beside) > 1 or (beside and (len(long) != 1 or not _is_static(beside[0]))):
        raise DataError(
            f"{file.path}: the model has the inputs {names}. Expected the window, at most one vector "
            "[batch, k] beside it, and initial states."
        )
    return Inputs(window, beside[0] if beside else None, tuple(states))


def _is_static(item: GraphInput) -> bool:
    return len(item.shape) == 2 and bool(item.shape[1]) and item.dtype.kind == "f"


def _readers(file: OnnxFile, name: str) -> list[tuple[str, str]]:
    """The node and the name of its input for everything that reads a value, moved or not."""
    names, found = {name}, []
    moving = MOVING_NODES | UNCHANGED_NODES | {"Concat"}
    for node in file.nodes:
        places = [k for k, given in enumerate(node.inputs) if given in names]
        if not places or node.op in SHAPE_NODES:
            continue
        if node.op in moving:
            names.update(node.outputs)
        else:
            inputs = INPUTS_OF_RECURRENT if node.op in RECURRENT_NODES else ()
            found += [(f"{node.name} ({node.op})", inputs[k] if k < len(inputs) else "") for k in places]
    return found


@dataclass(frozen=True)
class Arrangement:
    """How windows lie in the model's input."""

    axes: tuple[str, ...]
    """The meaning of each axis; one of _AXES."""
    batch: int
    """The number of windows in one input."""
    any_batch: bool
    """Whether the model leaves this number open, so that `batch` is a choice."""
    parts: int = 1
    """The number of parts that a window has along an axis of its own."""

    def of(self, batch: int) -> Arrangement:
        """The same with another batch."""
        return replace(self, batch=batch)

    def positions(self, steps: int, features: int) -> Positions:
        """In the shape of the model's input: the element of `[batch, steps, features]` at each place."""
        order = [axis for axis in self.axes if axis != "1"]
        whole = natural(self.batch, steps, features)
        if "all" in order:
            return whole.reshape(self.batch, -1)
        if "batch" not in order:
            return whole.reshape(steps, features)
        names = ["batch", "steps", "features"]
        if "parts" in order:
            whole = whole.reshape(self.batch, self.parts, -1, features)
            names.insert(1, "parts")
        arranged: Positions = whole.transpose([names.index(axis) for axis in order])
        return np.expand_dims(arranged, tuple(k for k, axis in enumerate(self.axes) if axis == "1"))


def arrangements(item: GraphInput, steps: int, features: int) -> Iterator[Arrangement]:
    """Every order of axes that fits the input."""
    shape = item.shape
    for axes in _AXES.get(len(shape), ()):
        found = next((size for size, axis in zip(shape, axes) if axis == "batch"), 1)
        batch = found or 1
        if axes[0] == "steps" and shape[0] is None and batch > 1:
            continue  # an open first axis is the batch, and the axis after it the model's own steps
        known = {"batch": batch, "steps": steps, "features": features, "1": 1}
        known["all"] = steps * features
        if "parts" in axes:
            parts = shape[axes.index("parts")] or 0
            if parts < 2 or steps % parts:
                continue
            known.update(parts=parts, steps=steps // parts)
        sizes = [known[axis] for axis in axes]
        if all(size in (None, own) for size, own in zip(shape, sizes)):
            yield Arrangement(axes, batch, found is None, known.get("parts", 1))


_AXES: dict[int, tuple[tuple[str, ...], ...]] = {
    2: (("batch", "all"), ("steps", "features")),
    3: (
        ("batch", "steps", "features"),
        ("steps", "batch", "features"),
        ("batch", "features", "steps"),
    ),
    4: (
        ("batch", "1", "steps", "features"),
        ("batch", "steps", "features", "1"),
        ("batch", "parts", "steps", "features"),
        ("batch", "parts", "features", "steps"),
    ),
    5: (("batch", "parts", "1", "steps", "features"), ("batch", "parts", "features", "1", "steps")),
}


def start_values(
    inputs: Inputs, arrangement: Arrangement, steps: int, features: int
) -> dict[str, Value]:
    """The value of every input; `features` are those of the window."""
    batch = arrangement.batch
    window = ShapedNode(None, batch=batch, steps=steps, width=features)
    values: dict[str, Value] = {
        inputs.window.name: Traced((window,), arrangement.positions(steps, features)),
        **zero_states(inputs, batch),
    }
    if inputs.static is not None:
        width = inputs.static_width
        static = ShapedNode(None, batch=batch, steps=None, width=width, static=True)
        values[inputs.static.name] = Traced((static,), natural(batch, width))
    return values


def zero_states(inputs: Inputs, batch: int) -> dict[str, Array]:
    """Zeros for the initial states."""
    return {
        item.name: np.zeros([batch if size is None else size for size in item.shape], item.dtype)
        for item in inputs.states
    }


def feeds(
    inputs: Inputs, places: Positions, batch: int, windows: NDArray[np.float32]
) -> dict[str, Array]:
    """The model's inputs for windows `[batch, steps, features]`. The last columns are the static input.

    `places`: see Arrangement.positions.
    """
    wide = windows.shape[2] - inputs.static_width
    rows = np.ascontiguousarray(windows[:, :, :wide]).reshape(-1)
    fed = {inputs.window.name: rows[places].astype(inputs.window.dtype), **zero_states(inputs, batch)}
    if inputs.static is not None:
        fed[inputs.static.name] = windows[:, -1, wide:].astype(inputs.static.dtype)
    return fed
