"""Several interpreters of one model, for batches on several cores.

An engine computes without Python's global lock, so threads are enough: each has a classifier of its own.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.classifier import Classifier, Prediction
from edge_runtime.errors import InputError
from edge_runtime.metadata import Metadata


class ClassifierPool(AbstractContextManager["ClassifierPool"]):
    """`jobs` classifiers that share out the windows of a batch.

        with ClassifierPool("mnist-int8.tflite", 4) as pool:
            print([prediction.label for prediction in pool.predict(windows)])

    Takes what Classifier takes, and raises what it raises, and InputError for `jobs` below 1. Like a
    Classifier, one instance may be used by many threads, one after the other.
    """

    def __init__(self, path: str | Path, jobs: int, **options: Any) -> None:
        if not isinstance(jobs, int) or jobs < 1:
            raise InputError(f"--jobs is {jobs}: expected at least 1")
        self._classifiers = [Classifier(path, **options)]
        options["verify"] = False  # what the first one has verified, the others need not
        self._classifiers += [Classifier(path, **options) for _ in range(jobs - 1)]
        self._threads = ThreadPoolExecutor(jobs)

    @property
    def spec(self) -> Metadata:
        """Everything that the model file says of itself."""
        return self._classifiers[0].spec

    def predict(self, windows: NDArray[Any]) -> list[Prediction]:
        """A prediction for each of raw windows `[N, steps, features]`, in their order.

        Raises what Classifier.predict raises, and InputError for a single window.
        """
        if np.ndim(windows) != 3:
            raise InputError(
                f"windows of shape {list(np.shape(windows))}: expected "
                f"[N, {self.spec.steps}, {self.spec.features}]"
            )
        parts = [part for part in np.array_split(windows, len(self._classifiers)) if len(part)]
        found = self._threads.map(lambda one, part: one.predict(part), self._classifiers, parts)
        return [prediction for part in found for prediction in part]

    def close(self) -> None:
        """Free every interpreter."""
        self._threads.shutdown()
        for classifier in self._classifiers:
            classifier.close()

    def __exit__(self, *error: object) -> None:
        self.close()
