"""The device side of edge-rnn: run a converted `.tflite` model on fixed windows.

    from edge_runtime import Classifier

    prediction = Classifier("mnist-int8.tflite").predict(window)
    print(prediction.label, prediction.probabilities.max())

Needs numpy and an engine, its own or one of TFLite, never TensorFlow. Importing this package imports
none of them: the public names are loaded on first use (PEP 562), which keeps `edge-rnn --help` fast on
a small device.

The names in `__all__` are public: they change only with a note in CHANGELOG.md. Every module and every
other name is private and may change in any release.

To classify: Classifier, ClassifierPool, StreamingClassifier, and the records they return, Prediction,
Metadata, ParityReport and Verification. For forecasts, other regressions and embeddings: Regressor,
RegressorPool, StreamingRegressor and Estimate. For a file of either kind: Predictor. To measure a model:
bench_model and its BenchReport. To find out what is wrong with a device: examine, examine_system and
their Diagnosis. What they raise is an EdgeRnnError.
"""

from __future__ import annotations

from edge_runtime.host.lazy_names import lazy_attributes

__version__ = "0.1.0"

TYPE_CHECKING = False
"""As in `typing`, which is not imported here: `python -m edge_runtime` runs this file while the working
directory still comes first in sys.path, and a `typing.py` there would be imported instead."""

if TYPE_CHECKING:
    from edge_runtime.bench.measure import bench_model
    from edge_runtime.bench.report import BenchReport
    from edge_runtime.doctor.diagnosis import Diagnosis
    from edge_runtime.doctor.examine import examine
    from edge_runtime.doctor.examine_system import examine_system
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
        WorkerError,
    )
    from edge_runtime.inference.classifier import Classifier
    from edge_runtime.inference.pool import ClassifierPool, RegressorPool
    from edge_runtime.inference.prediction import Estimate, Prediction
    from edge_runtime.inference.predictor import Predictor
    from edge_runtime.inference.regressor import Regressor
    from edge_runtime.inference.streaming import StreamingClassifier, StreamingRegressor
    from edge_runtime.inference.verification import Verification
    from edge_runtime.model_file.metadata import Metadata
    from edge_runtime.model_file.parity_report import ParityReport

_HOMES = {
    "BenchReport": "edge_runtime.bench.report",
    "Classifier": "edge_runtime.inference.classifier",
    "ClassifierPool": "edge_runtime.inference.pool",
    "DataError": "edge_runtime.errors",
    "Diagnosis": "edge_runtime.doctor.diagnosis",
    "EdgeRnnError": "edge_runtime.errors",
    "EngineError": "edge_runtime.errors",
    "Estimate": "edge_runtime.inference.prediction",
    "InputError": "edge_runtime.errors",
    "Metadata": "edge_runtime.model_file.metadata",
    "MissingExtraError": "edge_runtime.errors",
    "ModelError": "edge_runtime.errors",
    "ParityError": "edge_runtime.errors",
    "ParityReport": "edge_runtime.model_file.parity_report",
    "Prediction": "edge_runtime.inference.prediction",
    "Predictor": "edge_runtime.inference.predictor",
    "Regressor": "edge_runtime.inference.regressor",
    "RegressorPool": "edge_runtime.inference.pool",
    "StreamError": "edge_runtime.errors",
    "StreamingClassifier": "edge_runtime.inference.streaming",
    "StreamingRegressor": "edge_runtime.inference.streaming",
    "Verification": "edge_runtime.inference.verification",
    "VerificationError": "edge_runtime.errors",
    "WorkerError": "edge_runtime.errors",
    "bench_model": "edge_runtime.bench.measure",
    "examine": "edge_runtime.doctor.examine",
    "examine_system": "edge_runtime.doctor.examine_system",
}

__all__ = [
    "BenchReport",
    "Classifier",
    "ClassifierPool",
    "DataError",
    "Diagnosis",
    "EdgeRnnError",
    "EngineError",
    "Estimate",
    "InputError",
    "Metadata",
    "MissingExtraError",
    "ModelError",
    "ParityError",
    "ParityReport",
    "Prediction",
    "Predictor",
    "Regressor",
    "RegressorPool",
    "StreamError",
    "StreamingClassifier",
    "StreamingRegressor",
    "Verification",
    "VerificationError",
    "WorkerError",
    "bench_model",
    "examine",
    "examine_system",
]

__getattr__ = lazy_attributes(__name__, _HOMES)
