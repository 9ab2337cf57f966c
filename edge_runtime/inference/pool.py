"""Several interpreters of one model, for batches on several cores.

An engine computes without Python's global lock, so threads are enough: each has a classifier of its own.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import EngineError, InputError
from edge_runtime.inference.classifier import Classifier, Prediction
from edge_runtime.model_file.metadata import Metadata


class ClassifierPool(AbstractContextManager["ClassifierPool"]):
    """`jobs` classifiers that share out the windows of a batch.

        with ClassifierPool("mnist-int8.tflite", 4) as pool:
            print([prediction.label for prediction in pool.predict(windows)])

    Takes what Classifier takes, and raises what it raises, and InputError for `jobs` below 1. Any number
    of threads may use one instance.
    """

    def __init__(self, path: str | Path, jobs: int, **options: Any) -> None:
        if not isinstance(jobs, int) or jobs < 1:
            raise InputError(f"--jobs is {jobs}: expected at least 1")
        self._classifiers = [Classifier(path, **options)]
        self._labels = self.spec.labels
        options["verify"] = False  # what the first one has verified, the others need not
        self._classifiers += [Classifier(path, **options) for _ in range(jobs - 1)]
        self._threads, self._lock, self._closed = ThreadPoolExecutor(jobs), Lock(), False

    @property
    def spec(self) -> Metadata:
        """Everything that the model file says of itself."""
        return self._classifiers[0].spec

    def predict(self, windows: NDArray[Any]) -> list[Prediction]:
        """A prediction for each of raw windows `[N, steps, features]`, in their order.

        Takes and raises what Classifier.predict does; of a single window `[steps, features]` it gives a
        list of one.
        """
        batch = self._classifiers[0].checked(windows)
        parts = np.array_split(batch, len(self._classifiers))
        with self._lock:
            if self._closed:
                raise EngineError(f"{self._classifiers[0].path}: the classifier is closed")
            found = [
                self._threads.submit(one.logits, part)
                for one, part in zip(self._classifiers, parts)
                if len(part)
            ]
        logits = [row for part in found for row in part.result()]
        return [Prediction(int(row.argmax()), row, self._labels) for row in logits]

    def close(self) -> None:
        """Free every interpreter, when it has predicted what it was given. Closing twice is fine."""
        with self._lock:
            self._closed = True
        self._threads.shutdown()
        for classifier in self._classifiers:
            classifier.close()

    def __exit__(self, *error: object) -> None:
        self.close()
