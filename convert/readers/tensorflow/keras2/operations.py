"""Operations on tensors that stand among the layers of a Keras 2 model -> the same in Keras 3.

TensorFlow 2.4 to 2.15 record `x[:, -1]`, `a + b` or `tf.reduce_sum(x, 1)` as layers of the classes
SlicingOpLambda and TFOpLambda (tf_keras/src/layers/core/tf_op_layer.py).
"""

from __future__ import annotations

from typing import Any, Callable

from edge_runtime.errors import DataError

OPERATIONS = ("SlicingOpLambda", "TFOpLambda", "TensorFlowOpLayer")
"""Names of the classes."""

REDUCTIONS = {"math.reduce_sum": "sum", "math.reduce_mean": "mean", "math.reduce_max": "max"}
BINARY = {
    "__operators__.add": "add",
    "math.add": "add",
    "math.subtract": "subtract",
    "math.multiply": "multiply",
    "math.divide": "divide",
    "math.truediv": "divide",
}
UNARY = {
    "math.tanh": "tanh",
    "nn.tanh": "tanh",
    "math.sigmoid": "sigmoid",
    "nn.sigmoid": "sigmoid",
    "nn.relu": "relu",
}
"""Function of TensorFlow -> function of keras.ops."""


def operation(keras: Any, entry: dict[str, Any]) -> Callable[..., Any]:
    """A function of tensors that computes what the entry does. Raises DataError for any other one."""
    config, ops = entry["config"], keras.ops
    name, function = config["name"], config.get("function")
    known: dict[str, Callable[..., Any]] = {
        "__operators__.getitem": _getitem,
        "concat": lambda values, axis=-1, **_: ops.concatenate(values, axis),
        "expand_dims": lambda x, axis=-1, **_: ops.expand_dims(x, axis),
        "squeeze": lambda x, axis=None, **_: ops.squeeze(x, axis),
        "reshape": lambda x, shape, **_: ops.reshape(x, shape),
        "transpose": lambda x, perm=None, **_: ops.transpose(x, perm),
        "nn.softmax": lambda x, axis=-1, **_: ops.softmax(x, axis),
    }
    for source, target in REDUCTIONS.items():
        known[source] = _reduction(getattr(ops, target))
    for source, target in BINARY.items():
        known[source] = _binary(getattr(ops, target))
    for source, target in UNARY.items():
        known[source] = _unary(getattr(ops, target))
    if function not in known:
        kind = entry["class_name"]
        what = f"{kind} {function}" if function else kind
        raise DataError(
            f"operation {name!r} ({what}) is not a layer. Build the model with layers of Keras."
        )
    return known[function]


def _getitem(x: Any, slice_spec: Any) -> Any:
    def part(item: Any) -> Any:
        if isinstance(item, dict):
            return slice(item.get("start"), item.get("stop"), item.get("step"))
        return item

    return x[tuple(part(item) for item in slice_spec)]


def _reduction(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, axis=None, keepdims=False, **_: function(x, axis=axis, keepdims=keepdims)


def _binary(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, y, **_: function(x, y)


def _unary(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, **_: function(x)
