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
    from convert.auto import convert_auto
    from convert.compile import compile_network
    from convert.from_keras import network_from_keras
    from convert.network import Dense, Lstm, Network
    from convert.pipeline import Conversion, convert_each, convert_model, convert_run
    from convert.precision import PRECISIONS
    from convert.target import TARGETS

_HOMES = {
    "Conversion": "convert.pipeline",
    "Dense": "convert.network",
    "Lstm": "convert.network",
    "Network": "convert.network",
    "PRECISIONS": "convert.precision",
    "TARGETS": "convert.target",
    "compile_network": "convert.compile",
    "convert_auto": "convert.auto",
    "convert_each": "convert.pipeline",
    "convert_model": "convert.pipeline",
    "convert_run": "convert.pipeline",
    "network_from_keras": "convert.from_keras",
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
