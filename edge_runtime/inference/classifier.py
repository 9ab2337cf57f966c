"""The classifier: raw windows in, labels, probabilities and logits out."""

from __future__ import annotations

from edge_runtime.inference.prediction import Prediction
from edge_runtime.inference.predictor import Predictor
from edge_runtime.model_file.metadata import CLASSIFICATION


class Classifier(Predictor[Prediction]):
    """A converted classifier, loaded into an engine.

    Any number of threads may use one instance: a lock lets them in one after the other. To compute at
    the same time, use a ClassifierPool. An instance cannot be pickled.

    Example:
        import numpy as np
        from edge_runtime import Classifier

        window = np.load("window.npy")  # [steps, features], in the unit of the training data
        with Classifier("model.tflite") as classifier:
            prediction = classifier.predict(window)
        print(prediction.label, prediction.probabilities.max())

    Args:
        path: A file written by `edge-rnn convert`.
        threads: Number of threads of the engine, 1 to 1024. Native and numpy have one.
        engine: "native" (edge-rnn's own), "ai-edge-litert", "tflite-runtime", "numpy" (slow), or "auto",
            which is native where its library is installed and runs the model, and otherwise the fastest
            TFLite engine that is installed.
        verify: Run the probes that the file carries before the first prediction.
        shared_weights: Keep one packed copy of each matrix instead of one for every step, which is
            faster and takes less memory. For every precision but int16x8, on ai-edge-litert 2.1.6 or
            newer.
        trust: Load the model even if it is not the one whose SHA-256 the file records. An engine may
            crash on a damaged one.
        kernels: The implementation of the operators, for comparisons: "default"; of a TFLite engine
            also "no-xnnpack" or "reference"; of native also "plain", "avx2", "avx512-vnni", "neon" or
            "neon-dotprod", if the processor has these instructions. The numpy engine has one only.

    Raises:
        ModelError: The file cannot be used, or gives numbers and no classes (Regressor opens it).
        EngineError: The engine is not installed or refuses the model, or an option does not fit it.
        VerificationError: With `verify`, the model computes something else than it should.
    """

    _tasks = (CLASSIFICATION,)

    logits = Predictor.outputs
    """The logits of raw windows, float32 `[N, classes]`: another name for `outputs`."""

    logits_by_row = Predictor.outputs_by_row
    """The logits after every row: another name for `outputs_by_row`."""
