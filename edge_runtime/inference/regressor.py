"""The regressor: raw windows in, numbers out."""

from __future__ import annotations

from edge_runtime.inference.prediction import Estimate
from edge_runtime.inference.predictor import Predictor
from edge_runtime.model_file.metadata import EMBEDDING, REGRESSION


class Regressor(Predictor[Estimate]):
    """A converted regression (such as a forecast) or embedding, loaded into an engine.

    Every output is in the unit of the model that was converted. An embedding that its model scales to
    length 1 has length 1.

    Any number of threads may use one instance, as with Classifier. For several cores, use a
    RegressorPool.

    Example:
        import numpy as np
        from edge_runtime import Regressor

        windows = np.load("windows.npy")  # [N, steps, features], in the unit of the training data
        with Regressor("forecast.tflite") as regressor:
            outputs = regressor.outputs(windows)  # float32 [N, outputs]
        print(regressor.labels, outputs.mean(axis=0))

    Args:
        path: A file written by `edge-rnn convert` whose task is regression or embedding.
        threads: As for Classifier, and so are the other arguments.

    Raises:
        ModelError: The file cannot be used, or is a classifier (Classifier opens it).
        EngineError: As Classifier.
        VerificationError: As Classifier.
    """

    _tasks = (REGRESSION, EMBEDDING)
