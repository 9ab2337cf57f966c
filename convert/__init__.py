"""Compiles a trained recurrent classifier to an unrolled, quantized TFLite file and proves it.

    from convert import convert_run

    conversion = convert_run("runs/mnist", "mnist-int8.tflite", precision="int8")
    print(conversion.report)

`convert_model` does the same for a model of another maker (docs/reference/layers.md).

Importing this package loads neither TensorFlow nor numpy: public names are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.host.lazy_names import lazy_attributes

if TYPE_CHECKING:
    from convert.auto_precision import convert_auto
    from convert.compiler.compile import compile_network
    from convert.pipeline import Conversion, convert_each, convert_model, convert_run
    from convert.readers.keras.read_model import network_from_keras
    from convert.source_model.network import Dense, Lstm, Network
    from convert.targets.precision import PRECISIONS
    from convert.targets.target import TARGETS

_HOMES = {
    "Conversion": "convert.pipeline",
    "Dense": "convert.source_model.network",
    "Lstm": "convert.source_model.network",
    "Network": "convert.source_model.network",
    "PRECISIONS": "convert.targets.precision",
    "TARGETS": "convert.targets.target",
    "compile_network": "convert.compiler.compile",
    "convert_auto": "convert.auto_precision",
    "convert_each": "convert.pipeline",
    "convert_model": "convert.pipeline",
    "convert_run": "convert.pipeline",
    "network_from_keras": "convert.readers.keras.read_model",
}

__all__ = [
    "PRECISIONS",
    "TARGETS",
    "Conversion",
    "Dense",
    "Lstm",
    "Network",
    "compile_network",
    "convert_auto",
    "convert_each",
    "convert_model",
    "convert_run",
    "network_from_keras",
]

__getattr__ = lazy_attributes(__name__, _HOMES)
