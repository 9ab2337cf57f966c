"""Operations on Keras's tensors that are no layers: a + b, x[:, -1], keras.ops.sum and the like.

In Keras 3 each is an object of a class of its own, in Keras 2 a TFOpLambda or a SlicingOpLambda.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from convert.readers.keras.calls import KerasCall
from convert.readers.keras.forms import indexed, permuted
from convert.readers.keras.joins import affine_value, concatenated, joined_values
from convert.readers.keras.values import KerasValue, placed
from convert.source_model.network import (
    HARD_SIGMOID,
    Activation,
    Dense,
    GlobalPooling,
    TakeRows,
    WeightedSum,
)
from convert.source_model.nodes import Node
from edge_runtime.errors import DataError

Settings = dict[str, Any]

OF_TENSORFLOW = {
    "__operators__.add": "Add",
    "__operators__.sub": "Subtract",
    "__operators__.mul": "Multiply",
    "__operators__.truediv": "Divide",
    "__operators__.neg": "Negative",
    "__operators__.getitem": "GetItem",
    "math.add": "Add",
    "math.subtract": "Subtract",
    "math.multiply": "Multiply",
    "math.divide": "Divide",
    "math.truediv": "Divide",
    "math.negative": "Negative",
    "math.maximum": "Maximum",
    "math.reduce_sum": "Sum",
    "math.reduce_mean": "Mean",
    "math.reduce_max": "Max",
    "math.tanh": "Tanh",
    "math.sigmoid": "Sigmoid",
    "nn.tanh": "Tanh",
    "nn.sigmoid": "Sigmoid",
    "nn.relu": "Relu",
    "nn.elu": "Elu",
    "nn.softmax": "Softmax",
    "concat": "Concatenate",
    "reshape": "Reshape",
    "expand_dims": "ExpandDims",
    "squeeze": "Squeeze",
    "compat.v1.squeeze": "Squeeze",
    "transpose": "Transpose",
    "reverse": "Flip",
}
"""Name of a function of TensorFlow -> class of Keras 3's operation."""

FUNCTION_OF_OPERATION = {
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "Relu": "relu",
    "Elu": "elu",
    "HardSigmoid": HARD_SIGMOID,
}

ARITHMETIC = {
    "Add": "add",
    "Subtract": "subtract",
    "Multiply": "multiply",
    "Maximum": "maximum",
}

POOLING = {"Sum": "sum", "Mean": "average", "Max": "max"}


def operation_kind(layer: Any) -> str:
    """The class of an operation by Keras 3's name; for others TensorFlow's own name."""
    symbol = getattr(layer, "symbol", None)
    if type(layer).__name__ == "SlicingOpLambda":
        return "GetItem"
    return OF_TENSORFLOW.get(symbol, str(symbol)) if symbol else type(layer).__name__


def read_operation(call: KerasCall) -> list[KerasValue]:
    """The value of an operation. Raises DataError that says which operations can be read."""
    kind = operation_kind(call.layer)
    if kind not in OPERATION_READERS:
        raise DataError(
            f"operation {call.name!r} ({kind}) is not supported. Expected layers of Keras, or "
            f"{', '.join(OPERATION_READERS)} of keras.ops."
        )
    return [OPERATION_READERS[kind](call)]


def _setting(call: KerasCall, name: str, position: int, default: Any = None) -> Any:
    """A setting: Keras 3 has it on the operation, Keras 2 among the arguments."""
    if hasattr(call.layer, name):
        return getattr(call.layer, name)
    if len(call.arguments) > position:
        return call.arguments[position]
    given = {"newshape": "shape", "axes": "perm"}.get(name, name)
    return call.named.get(given, default)


def _operands(call: KerasCall) -> list[Any]:
    """Both sides of a binary operation; Keras 2 may have the second one by name."""
    return [*call.arguments, *(v for k, v in call.named.items() if k != "name")][:2]


def _arithmetic(call: KerasCall) -> KerasValue:
    kind = operation_kind(call.layer)
    a, b = _operands(call)
    if isinstance(a, KerasValue) and isinstance(b, KerasValue) and kind in ARITHMETIC:
        if len(a.shape) != len(b.shape):
            raise DataError(
                f"operation {call.name!r} ({kind}) joins {list(a.shape)} and {list(b.shape)}. Expected "
                "the same number of axes, or the layer of Keras in place of the operator."
            )
        return joined_values(call, ARITHMETIC[kind], [a, b])
    if isinstance(a, KerasValue) and not isinstance(b, KerasValue):
        found = _with_constant(kind, np.asarray(b, np.float64), swapped=False)
        value = a
    elif isinstance(b, KerasValue) and not isinstance(a, KerasValue):
        found, value = _with_constant(kind, np.asarray(a, np.float64), swapped=True), b
    else:
        found = None
    if found is None:
        raise DataError(
            f"operation {call.name!r} ({kind}) is not supported for these values. Expected "
            f"{', '.join(ARITHMETIC)} of two tensors, or + - * / with a number."
        )
    return affine_value(call, value, *found)


def _with_constant(kind: str, constant: Any, swapped: bool) -> tuple[Any, Any] | None:
    """Scale and offset of `x kind constant`, or of `constant kind x` if swapped."""
    if kind == "Add":
        return 1, constant
    if kind == "Subtract":
        return (-1, constant) if swapped else (1, -constant)
    if kind == "Multiply":
        return constant, 0
    if kind in ("Divide", "TrueDivide") and not swapped:
        return 1 / constant, 0
    return None


def _negative(call: KerasCall) -> KerasValue:
    return affine_value(call, call.source, -1, 0)


def _getitem(call: KerasCall) -> KerasValue:
    key = call.arguments[1] if len(call.arguments) > 1 else call.named.get("slice_spec")
    return indexed(call, call.arguments[0], key)


def _concatenate(call: KerasCall) -> KerasValue:
    return concatenated(call, call.sources, int(_setting(call, "axis", 1)))


def _function(call: KerasCall) -> KerasValue:
    function = FUNCTION_OF_OPERATION[operation_kind(call.layer)]
    if function == "elu" and float(getattr(call.layer, "alpha", 1.0)) != 1:
        raise DataError(f"operation {call.name!r} (Elu) has alpha={call.layer.alpha}. Expected 1.")
    return applied(call, call.source, function)


def applied(call: KerasCall, value: KerasValue, function: str) -> KerasValue:
    """A function, element by element, or softmax along the last axis."""
    layer = Activation(call.name, function)
    if len(value.shape) == 1:
        return placed(Node(layer, value.vector(call.name)), value.shape)
    node = Node(layer, value.rows(call.name))
    return KerasValue(node, (int(np.prod(value.shape[:-1])), value.shape[-1]), value.shape)


def _softmax(call: KerasCall) -> KerasValue:
    return softmax_value(call, call.source, _setting(call, "axis", 1, -1))


def softmax_value(call: KerasCall, value: KerasValue, axis: Any) -> KerasValue:
    """Softmax along an axis of Keras's: the features, or the steps of a single column."""
    number = int(axis[0] if isinstance(axis, (list, tuple)) else axis)
    along = number % (len(value.shape) + 1)
    if along == len(value.shape):
        return applied(call, value, "softmax")
    if value.shape[along:] == (1,) * (len(value.shape) - along) and along == 1:
        flat = value.reshaped((value.shape[0],), call.name)
        result = applied(call, flat, "softmax")
        return result.reshaped(value.shape, call.name)
    raise DataError(
        f"layer {call.name!r} applies softmax along axis {number} of {list(value.shape)}. Expected the "
        "features (-1), or the steps of a single column (attention weights)."
    )


def _pooled(call: KerasCall) -> KerasValue:
    kind = operation_kind(call.layer)
    value = call.source
    axis = _setting(call, "axis", 1)
    keep = bool(_setting(call, "keepdims", 2, False))
    found = list(axis) if isinstance(axis, (list, tuple)) else [axis]
    along = [number % (len(value.shape) + 1) for number in found if number is not None]
    name = call.name
    if len(value.shape) != 2 or along not in ([1], [2]):
        raise DataError(
            f"operation {name!r} ({kind}) reduces {list(value.shape)} along axis {axis}. Expected axis "
            "1, the steps of a sequence, or 2, its features."
        )
    steps, width = value.shape
    if along == [1]:
        if kind == "Sum" and value.weighted is not None:
            weights, rows = value.weighted
            node = Node(WeightedSum(name), weights.vector(name), rows.rows(name))
        else:
            node = Node(GlobalPooling(name, POOLING[kind]), value.rows(name))
        return KerasValue(node, (width,), (1, width) if keep else (width,))
    if kind == "Max":
        raise DataError(f"operation {name!r} (Max) reduces the features. Expected axis 1, the steps.")
    factor = 1.0 if kind == "Sum" else 1 / width
    layer = Dense(name, np.full((1, width), factor, np.float32), np.zeros(1, np.float32))
    return KerasValue(Node(layer, value.rows(name)), (steps, 1), (steps, 1) if keep else (steps,))


def _reshaped(call: KerasCall) -> KerasValue:
    value = call.source
    target = [int(size) for size in list(_setting(call, "newshape", 1))[1:]]
    count = int(np.prod(value.shape))
    if -1 in target:
        target[target.index(-1)] = count // int(np.prod([size for size in target if size != -1]))
    if int(np.prod(target)) != count:
        raise DataError(
            f"operation {call.name!r} (Reshape) makes {target} of {list(value.shape)}. Expected it to "
            "leave the windows apart."
        )
    return value.reshaped(tuple(target), call.name)


def _expanded(call: KerasCall) -> KerasValue:
    value = call.source
    axis = int(_setting(call, "axis", 1)) % (len(value.shape) + 2)
    shape = list(value.shape)
    shape.insert(axis - 1, 1)
    return value.reshaped(tuple(shape), call.name)


def _squeezed(call: KerasCall) -> KerasValue:
    value = call.source
    axis = _setting(call, "axis", 1)
    if axis is None:
        return value.reshaped(tuple(size for size in value.shape if size != 1), call.name)
    axes = list(axis) if isinstance(axis, (list, tuple)) else [axis]
    along = [int(number) % (len(value.shape) + 1) - 1 for number in axes]
    kept = tuple(size for k, size in enumerate(value.shape) if k not in along)
    return value.reshaped(kept, call.name)


def _transposed(call: KerasCall) -> KerasValue:
    axes = tuple(_setting(call, "axes", 1) or ())
    return permuted(call, call.source, axes[1:])


def _flipped(call: KerasCall) -> KerasValue:
    value = call.source
    axis = _setting(call, "axis", 1)
    if axis not in (1, [1], (1,)) or len(value.shape) != 2:
        raise DataError(f"operation {call.name!r} (Flip) has axis={axis}. Expected 1, the steps.")
    rows = tuple(range(value.shape[0]))[::-1]
    return placed(Node(TakeRows(call.name, rows), value.rows(call.name)), value.shape)


OPERATION_READERS: dict[str, Callable[[KerasCall], KerasValue]] = {
    **dict.fromkeys(("Add", "Subtract", "Multiply", "Divide", "TrueDivide", "Maximum"), _arithmetic),
    "Negative": _negative,
    **dict.fromkeys(POOLING, _pooled),
    "GetItem": _getitem,
    "Concatenate": _concatenate,
    "Reshape": _reshaped,
    "ExpandDims": _expanded,
    "Squeeze": _squeezed,
    "Transpose": _transposed,
    "Flip": _flipped,
    "Softmax": _softmax,
    **dict.fromkeys(FUNCTION_OF_OPERATION, _function),
}
"""Class of Keras 3's operation -> what reads it."""
