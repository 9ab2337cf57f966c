"""A Keras model that computes a recorded quantized graph with fake quantization.

In training every operator is computed in float32 and its result rounded to what the file's tensor can
hold, with that tensor's scale and zero_point (Jacob et al. 2018, "Quantization and Training of Neural
Networks for Efficient Integer-Arithmetic-Only Inference", section 3). Gradients pass a rounding
unchanged and end where a value saturates (straight-through estimator, Bengio et al. 2013). In evaluation
the numpy engine, which has the integers of TFLite's reference kernels, runs the graph as the converter
will write it. Fake quantization rounds a real result once, where the kernels rescale integers in fixed
point. The two differ in few cases by one unit, but a recurrent network adds such units up over its
steps, so only the engine's evaluation predicts the file's logits.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import DataError
from edge_runtime.numpy_engine.interpret import run as run_graph
from edge_runtime.runs.graph_record import GraphRecord, RecordedOperator, RecordedTensor
from edge_runtime.runs.recorded_graph import graph_of

MATMUL = "FULLY_CONNECTED"


def build_fake_quantized(tensorflow: Any, record: GraphRecord) -> Any:
    """A keras.Model from normalized windows `[N, steps, features]` to logits `[N, classes]`, float32.

    Its trainable weights are the matrices and biases of the record's matmuls, by the names of their
    tensors. Raises DataError for an operator that it does not know.
    """
    known = {*_MOVES, *_FUNCTIONS, MATMUL}
    unknown = sorted({operator.op for operator in record.operators} - known)
    if unknown:
        raise DataError(f"fine-tuning does not know the operator {', '.join(unknown)}")
    trained = trainable_constants(record)

    class FakeQuantized(tensorflow.keras.Model):  # type: ignore[misc]
        """The recorded graph."""

        def __init__(self) -> None:
            super().__init__(name="fake_quantized")
            self.constants = {}
            for name, values in record.constants.items():
                if name in trained:
                    initial = tensorflow.constant_initializer(values)
                    # A slash would be a folder in Keras's own names.
                    label = name.replace("/", "_")
                    self.constants[name] = self.add_weight(
                        name=label, shape=values.shape, initializer=initial
                    )
                else:
                    self.constants[name] = tensorflow.constant(values)

        def call(self, windows: Any, training: bool = False) -> Any:
            run = _fake_quantized if training else _exact
            return run(tensorflow, record, self.constants, windows)

    return FakeQuantized()


def trainable_constants(record: GraphRecord) -> list[str]:
    """Names of the matrices and biases of the matmuls, each once."""
    names = [name for item in record.operators if item.op == MATMUL for name in item.inputs[1:]]
    return list(dict.fromkeys(names))


def _exact(tf: Any, record: GraphRecord, constants: dict[str, Any], windows: Any) -> Any:
    """The logits of the file with these constants."""
    trained = trainable_constants(record)

    def compute(windows: NDArray[np.float32], *values: NDArray[np.float32]) -> NDArray[np.float32]:
        current = {**record.constants, **dict(zip(trained, values))}
        graph = graph_of(replace(record, constants=current))
        integers = graph.tensors[graph.input].encode(windows)
        return graph.tensors[graph.output].decode(run_graph(graph, integers))

    logits = tf.numpy_function(compute, [windows, *(constants[name] for name in trained)], tf.float32)
    logits.set_shape((None, *record.tensors[record.outputs[0]].shape[1:]))
    return logits


def _fake_quantized(tf: Any, record: GraphRecord, constants: dict[str, Any], windows: Any) -> Any:
    values = dict(constants)
    matrices = {item.inputs[1] for item in record.operators if item.op == MATMUL}
    for name in matrices:
        values[name] = _rounded_rows(tf, values[name], record.tensors[name])
    values[record.inputs[0]] = _rounded(tf, windows, record.tensors[record.inputs[0]])
    for item in record.operators:
        inputs = [values[name] for name in item.inputs]
        if item.op in _MOVES:
            values.update(zip(item.outputs, _MOVES[item.op](tf, item, inputs)))
            continue
        (name,) = item.outputs
        function = _matmul if item.op == MATMUL else _FUNCTIONS[item.op]
        values[name] = _rounded(tf, function(tf, item, inputs), record.tensors[name])
    return values[record.outputs[0]]


def _rounded(tf: Any, values: Any, tensor: RecordedTensor) -> Any:
    """The values that an int8 tensor holds; others are passed on."""
    if not tensor.scale:
        return values
    (scale,) = tensor.scale
    low, high = scale * (-128 - tensor.zero_point), scale * (127 - tensor.zero_point)
    return tf.quantization.fake_quant_with_min_max_args(values, min=low, max=high, num_bits=8)


def _rounded_rows(tf: Any, matrix: Any, tensor: RecordedTensor) -> Any:
    """int8 weights, -127..127, with one scale for each row."""
    limits = 127 * np.broadcast_to(np.array(tensor.scale, np.float32), tensor.shape[:1])
    columns = tf.quantization.fake_quant_with_min_max_vars_per_channel(
        tf.transpose(matrix), -limits, limits, num_bits=8, narrow_range=True
    )
    return tf.transpose(columns)


def _matmul(tf: Any, item: RecordedOperator, inputs: list[Any]) -> Any:
    x, weights, bias = inputs
    product = tf.matmul(x, weights, transpose_b=True) + bias
    return tf.nn.relu(product) if item.relu else product


def _function(name: str) -> Callable[[Any, RecordedOperator, list[Any]], Any]:
    """A TensorFlow function of the operator's inputs."""

    def apply(tf: Any, item: RecordedOperator, inputs: list[Any]) -> Any:
        return getattr(tf.math, name)(*inputs)

    return apply


def _unchanged(tf: Any, item: RecordedOperator, inputs: list[Any]) -> Any:
    return inputs[0]


_FUNCTIONS: dict[str, Callable[[Any, RecordedOperator, list[Any]], Any]] = {
    "ADD": _function("add"),
    "DEQUANTIZE": _unchanged,
    "LOGISTIC": _function("sigmoid"),
    "MUL": _function("multiply"),
    "QUANTIZE": _unchanged,
    "SUB": _function("subtract"),
    "TANH": _function("tanh"),
}
"""Operators whose result is rounded; QUANTIZE and DEQUANTIZE are nothing but their rounding."""


def _joined(name: str) -> Callable[[Any, RecordedOperator, list[Any]], list[Any]]:
    def apply(tf: Any, item: RecordedOperator, inputs: list[Any]) -> list[Any]:
        # A constant (the first h) has one row for all windows.
        count = tf.reduce_max([tf.shape(value)[0] for value in inputs])
        whole = [tf.repeat(value, count, 0) if value.shape[0] == 1 else value for value in inputs]
        return [getattr(tf, name)(whole, axis=item.axis)]

    return apply


def _split(tf: Any, item: RecordedOperator, inputs: list[Any]) -> list[Any]:
    result: list[Any] = tf.split(inputs[1], len(item.outputs), axis=item.axis)
    return result


def _unpack(tf: Any, item: RecordedOperator, inputs: list[Any]) -> list[Any]:
    result: list[Any] = tf.unstack(inputs[0], axis=item.axis)
    return result


def _reduce_max(tf: Any, item: RecordedOperator, inputs: list[Any]) -> list[Any]:
    return [tf.reduce_max(inputs[0], axis=item.axis)]


_MOVES: dict[str, Callable[[Any, RecordedOperator, list[Any]], list[Any]]] = {
    "CONCATENATION": _joined("concat"),
    "PACK": _joined("stack"),
    "REDUCE_MAX": _reduce_max,
    "SPLIT": _split,
    "UNPACK": _unpack,
}
"""Operators that only move or choose data, in whatever scale it has."""
