"""Several interpreters of one model, for batches on several cores.

An engine computes without Python's global lock, so threads are enough: each has a predictor of its own.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Lock
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import EngineError, InputError
from edge_runtime.inference.classifier import Classifier
from edge_runtime.inference.prediction import Estimate, Prediction
from edge_runtime.inference.predictor import AnswerT, Predictor, SelfT
from edge_runtime.inference.regressor import Regressor
from edge_runtime.model_file.metadata import Metadata


class PredictorPool(AbstractContextManager["PredictorPool[AnswerT]"], Generic[AnswerT]):
    """Several predictors, of any task, that share out the windows of a batch: see ClassifierPool."""

    _kind: type[Predictor[AnswerT]] = Predictor

    def __init__(
        self,
        path: str | Path,
        jobs: int,
        *,
        threads: int = 1,
        engine: str = "auto",
        verify: bool = False,
        shared_weights: bool = False,
        trust: bool = False,
    ) -> None:
        if not isinstance(jobs, int) or jobs < 1:
            raise InputError(f"--jobs: expected at least 1, found {jobs}.")

        def opened(verify: bool) -> Predictor[AnswerT]:
            return self._kind(
                path,
                threads=threads,
                engine=engine,
                verify=verify,
                shared_weights=shared_weights,
                trust=trust,
            )

        # The others need not be verified: they run the same file in the same engine.
        self._predictors = [opened(verify), *(opened(False) for _ in range(jobs - 1))]
        self._threads, self._lock, self._closed = ThreadPoolExecutor(jobs), Lock(), False

    @property
    def spec(self) -> Metadata:
        """The metadata of the model file."""
        return self._predictors[0].spec

    def predict(self, windows: NDArray[Any]) -> list[AnswerT]:
        """An answer for each of raw windows `[N, steps, features]`, in their order.

        Takes and raises what Predictor.predict does. For a single window `[steps, features]` the result
        is a list of one.
        """
        batch = self._predictors[0].checked(windows)
        parts = np.array_split(batch, len(self._predictors))
        with self._lock:
            if self._closed:
                raise EngineError(f"{self._predictors[0].path}: the model is closed")
            found = [
                self._threads.submit(one.outputs, part)
                for one, part in zip(self._predictors, parts)
                if len(part)
            ]
        answer = self._predictors[0].answer
        return [answer(row) for part in found for row in part.result()]

    def close(self) -> None:
        """Free every interpreter once it has finished its windows. Closing twice is fine."""
        with self._lock:
            self._closed = True
        self._threads.shutdown()
        for predictor in self._predictors:
            predictor.close()

    def __enter__(self: SelfT) -> SelfT:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class ClassifierPool(PredictorPool[Prediction]):
    """Several classifiers that share out the windows of a batch.

    Any number of threads may use one instance.

    Example:
        import numpy as np
        from edge_runtime import ClassifierPool

        windows = np.load("windows.npy")  # [N, steps, features], in the unit of the training data
        with ClassifierPool("model.tflite", 2) as pool:
            print([prediction.label for prediction in pool.predict(windows)])

    Args:
        path: A file written by `edge-rnn convert`.
        jobs: Number of classifiers, at least 1: about the number of cores divided by `threads`.
        threads: Number of threads of each engine, 1 to 1024.
        engine: As for Classifier.
        verify: Run the probes that the file carries, once, before the first prediction.
        shared_weights: As for Classifier.
        trust: As for Classifier.

    Raises:
        InputError: `jobs` is below 1.
        ModelError: As Classifier.
        EngineError: As Classifier.
        VerificationError: As Classifier.
    """

    _kind = Classifier


class RegressorPool(PredictorPool[Estimate]):
    """Several regressors that share out the windows of a batch.

    Any number of threads may use one instance.

    Example:
        import numpy as np
        from edge_runtime import RegressorPool

        windows = np.load("windows.npy")  # [N, steps, features], in the unit of the training data
        with RegressorPool("forecast.tflite", 2) as pool:
            print([estimate.by_name for estimate in pool.predict(windows)])

    Args:
        path: A file written by `edge-rnn convert` whose task is regression or embedding.
        jobs: As for ClassifierPool, and so are the other arguments.

    Raises:
        InputError: `jobs` is below 1.
        ModelError: As Regressor.
        EngineError: As Classifier.
        VerificationError: As Classifier.
    """

    _kind = Regressor
