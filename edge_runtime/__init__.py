"""The device side of edge-rnn: classify fixed windows with a converted `.tflite` model.

    from edge_runtime import Classifier

    prediction = Classifier("mnist-int8.tflite").predict(window)
    print(prediction.label, prediction.probabilities.max())

Needs numpy and one TFLite engine, never TensorFlow. Importing this package imports neither: the
public names are loaded on first use (PEP 562), which keeps `edge-rnn --help` fast on a small device.
"""

from __future__ import annotations

from edge_runtime.host.lazy_names import lazy_attributes

__version__ = "0.1.0"

TYPE_CHECKING = False
"""As in `typing`, which is not imported here: `python -m edge_runtime` runs this file while the working
directory still comes first in sys.path, and a `typing.py` there would be imported instead."""

if TYPE_CHECKING:
    from edge_runtime.errors import (
        DataError,
        EdgeRnnError,
        EngineError,
        InputError,
        MissingExtraError,
        ModelError,
        ParityError,
        StreamError,
        VerificationError,
    )
    from edge_runtime.inference.classifier import Classifier, Prediction
    from edge_runtime.inference.pool import ClassifierPool
    from edge_runtime.inference.streaming import StreamingClassifier
    from edge_runtime.model_file.metadata import Metadata
    from edge_runtime.model_file.parity_report import ParityReport
    from edge_runtime.model_file.probes import Verification

_HOMES = {
    "Classifier": "edge_runtime.inference.classifier",
    "ClassifierPool": "edge_runtime.inference.pool",
    "DataError": "edge_runtime.errors",
    "EdgeRnnError": "edge_runtime.errors",
    "EngineError": "edge_runtime.errors",
    "InputError": "edge_runtime.errors",
    "Metadata": "edge_runtime.model_file.metadata",
    "MissingExtraError": "edge_runtime.errors",
    "ModelError": "edge_runtime.errors",
    "ParityError": "edge_runtime.errors",
    "ParityReport": "edge_runtime.model_file.parity_report",
    "Prediction": "edge_runtime.inference.classifier",
    "StreamError": "edge_runtime.errors",
    "StreamingClassifier": "edge_runtime.inference.streaming",
    "Verification": "edge_runtime.model_file.probes",
    "VerificationError": "edge_runtime.errors",
}

__all__ = [
    "Classifier",
    "ClassifierPool",
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
    "StreamError",
    "StreamingClassifier",
    "Verification",
    "VerificationError",
]

__getattr__ = lazy_attributes(__name__, _HOMES)
