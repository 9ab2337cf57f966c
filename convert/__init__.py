"""Compiles a trained recurrent classifier to an unrolled, quantized TFLite file and proves it.

    from convert import convert_run

    conversion = convert_run("runs/mnist", "mnist-int8.tflite", precision="int8")
    print(conversion.report)

The names below are the public interface: the functions that convert, their results, the compiler alone
with the network that it takes, and `inspect_model`. Everything else in the package is private and may
change in any release. Errors are those of `edge_runtime.errors`.

Importing this package loads neither TensorFlow nor numpy. A public name is loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.host.lazy_names import lazy_attributes

if TYPE_CHECKING:
    from convert.api import convert_auto, convert_each, convert_model, convert_run
    from convert.auto_precision import Candidate, Choice
    from convert.c_export.export import CExport, export_c
    from convert.compiler.compile import compile_network
    from convert.inspection.inspect_model import inspect_model
    from convert.inspection.report import Inspection
    from convert.pipeline import Conversion
    from convert.readers.keras.read_model import network_from_keras
    from convert.source_model.network import (
        Activation,
        Affine,
        Attention,
        Bidirectional,
        Conv1d,
        Dense,
        Embedding,
        Flatten,
        GlobalPooling,
        Gru,
        Join,
        LayerNorm,
        Lstm,
        Mask,
        Network,
        Pooling,
        Repeat,
        SimpleRnn,
        TakeRows,
        TimeDistributed,
        Unflatten,
        WeightedSum,
    )
    from convert.source_model.nodes import Node, network_of
    from convert.targets.precision import PRECISIONS
    from convert.targets.target import TARGETS

_NETWORK = "convert.source_model.network"

_HOMES = {
    "Activation": _NETWORK,
    "Affine": _NETWORK,
    "Attention": _NETWORK,
    "Bidirectional": _NETWORK,
    "CExport": "convert.c_export.export",
    "Candidate": "convert.auto_precision",
    "Choice": "convert.auto_precision",
    "Conv1d": _NETWORK,
    "Conversion": "convert.pipeline",
    "Dense": _NETWORK,
    "Embedding": _NETWORK,
    "Flatten": _NETWORK,
    "GlobalPooling": _NETWORK,
    "Gru": _NETWORK,
    "Inspection": "convert.inspection.report",
    "Join": _NETWORK,
    "LayerNorm": _NETWORK,
    "Lstm": _NETWORK,
    "Mask": _NETWORK,
    "Network": _NETWORK,
    "Node": "convert.source_model.nodes",
    "PRECISIONS": "convert.targets.precision",
    "Pooling": _NETWORK,
    "Repeat": _NETWORK,
    "SimpleRnn": _NETWORK,
    "TARGETS": "convert.targets.target",
    "TakeRows": _NETWORK,
    "TimeDistributed": _NETWORK,
    "Unflatten": _NETWORK,
    "WeightedSum": _NETWORK,
    "compile_network": "convert.compiler.compile",
    "convert_auto": "convert.api",
    "convert_each": "convert.api",
    "convert_model": "convert.api",
    "convert_run": "convert.api",
    "export_c": "convert.c_export.export",
    "inspect_model": "convert.inspection.inspect_model",
    "network_from_keras": "convert.readers.keras.read_model",
    "network_of": "convert.source_model.nodes",
}

__all__ = [
    "PRECISIONS",
    "TARGETS",
    "Activation",
    "Affine",
    "Attention",
    "Bidirectional",
    "CExport",
    "Candidate",
    "Choice",
    "Conv1d",
    "Conversion",
    "Dense",
    "Embedding",
    "Flatten",
    "GlobalPooling",
    "Gru",
    "Inspection",
    "Join",
    "LayerNorm",
    "Lstm",
    "Mask",
    "Network",
    "Node",
    "Pooling",
    "Repeat",
    "SimpleRnn",
    "TakeRows",
    "TimeDistributed",
    "Unflatten",
    "WeightedSum",
    "compile_network",
    "convert_auto",
    "convert_each",
    "convert_model",
    "convert_run",
    "export_c",
    "inspect_model",
    "network_from_keras",
    "network_of",
]

__getattr__ = lazy_attributes(__name__, _HOMES)
