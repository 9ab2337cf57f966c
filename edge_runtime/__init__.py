"""The device side of edge-rnn: classify fixed windows with a converted `.tflite` model.

    from edge_runtime import Classifier

    prediction = Classifier("mnist-int8.tflite").predict(window)
    print(prediction.label, prediction.probabilities.max())

Needs numpy and one TFLite engine, never TensorFlow. Importing this package imports neither: the
public names are loaded on first use (PEP 562), which keeps `edge-rnn --help` fast on a small device.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from edge_runtime.classifier import Classifier, Prediction
    from edge_runtime.errors import (
        DataError,
        EdgeRnnError,
        EngineError,
        InputError,
        MissingExtraError,
        ModelError,
        ParityError,
    )
    from edge_runtime.metadata import Metadata
    from edge_runtime.parity_report import ParityReport

_HOMES = {
    "Classifier": "edge_runtime.classifier",
    "DataError": "edge_runtime.errors",
    "EdgeRnnError": "edge_runtime.errors",
    "EngineError": "edge_runtime.errors",
    "InputError": "edge_runtime.errors",
    "Metadata": "edge_runtime.metadata",
    "MissingExtraError": "edge_runtime.errors",
    "ModelError": "edge_runtime.errors",
    "ParityError": "edge_runtime.errors",
    "ParityReport": "edge_runtime.parity_report",
    "Prediction": "edge_runtime.classifier",
}

__all__ = [
    "Classifier",
    "DataError",
    "EdgeRnnError",
    "EngineError",
    "InputError",
    "Metadata",
    "MissingExtraError",
    "ModelError",
    "ParityError",
    "ParityReport",
    "Prediction",
]


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module 'edge_runtime' has no attribute {name!r}") from None
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
