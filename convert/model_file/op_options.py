"""The options table of each operator, by the names of the schema's classes and fields.

Source: tensorflow/lite/schema/schema.fbs. Fields that have the schema's default are left out.
"""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from edge_runtime.tflite.graph import Graph, Op, Operator

RELU = 1  # schema.fbs: ActivationFunctionType

Fields = dict[str, Any]


def _sum_options(graph: Graph, operator: Operator) -> Fields:
    """int16 sums may have any scale, while the schema's default is a kernel for powers of two."""
    int16 = graph.tensors[operator.outputs[0]].dtype == np.int16
    return {"PotScaleInt16": False} if int16 else {}


def _fully_connected_options(graph: Graph, operator: Operator) -> Fields:
    source, weights = (graph.tensors[name] for name in operator.inputs[:2])
    hybrid = source.dtype == np.float32 and weights.dtype == np.int8
    options = {"AsymmetricQuantizeInputs": 1} if hybrid else {}
    if len(source.shape) > 2:
        options["KeepNumDims"] = 1
    return {**options, "FusedActivationFunction": RELU} if operator.relu else options


def _reducer_options(graph: Graph, operator: Operator) -> Fields:
    source, result = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
    return {"KeepDims": 1} if len(source.shape) == len(result.shape) else {}


OPTIONS: dict[Op, tuple[str, Callable[[Graph, Operator], Fields]]] = {
    Op.ADD: ("AddOptions", _sum_options),
    Op.CONCATENATION: ("ConcatenationOptions", lambda graph, operator: {"Axis": operator.axis}),
    Op.DEQUANTIZE: ("DequantizeOptions", lambda graph, operator: {}),
    Op.FULLY_CONNECTED: ("FullyConnectedOptions", _fully_connected_options),
    Op.GATHER: ("GatherOptions", lambda graph, operator: {}),
    Op.MEAN: ("ReducerOptions", _reducer_options),
    Op.MINIMUM: ("MaximumMinimumOptions", lambda graph, operator: {}),
    Op.MUL: ("MulOptions", lambda graph, operator: {}),
    Op.PACK: (
        "PackOptions",
        lambda graph, operator: {"ValuesCount": len(operator.inputs), "Axis": operator.axis},
    ),
    Op.QUANTIZE: ("QuantizeOptions", lambda graph, operator: {}),
    Op.REDUCE_MAX: ("ReducerOptions", _reducer_options),
    Op.RESHAPE: ("ReshapeOptions", lambda graph, operator: {}),
    Op.SOFTMAX: ("SoftmaxOptions", lambda graph, operator: {"Beta": 1.0}),
    Op.SPLIT: ("SplitOptions", lambda graph, operator: {"NumSplits": len(operator.outputs)}),
    Op.SQUARED_DIFFERENCE: ("SquaredDifferenceOptions", lambda graph, operator: {}),
    Op.SUB: ("SubOptions", _sum_options),
    Op.UNPACK: (
        "UnpackOptions",
        lambda graph, operator: {"Num": len(operator.outputs), "Axis": operator.axis},
    ),
}
"""Operator -> name of its options table, and a function that gives the fields to write. ELU, LOGISTIC,
RELU, RSQRT and TANH have no table. GATHER has axis 0; the shape for RESHAPE is its second input."""
