"""The model's answer for one window: a class, or numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Prediction:
    """The model's answer for one window.

    Example:
        import numpy as np
        from edge_runtime import Classifier

        with Classifier("model.tflite") as classifier:
            prediction = classifier.predict(np.load("window.npy"))
        for label, probability in zip(prediction.labels, prediction.probabilities):
            print(f"{label}: {100 * probability:.1f} %")
    """

    index: int
    """Position of the predicted class among `labels`."""
    logits: NDArray[np.float32]
    """The network's output before softmax, float32 `[classes]`."""
    labels: tuple[str, ...]
    """The names of all classes."""

    @property
    def label(self) -> str:
        """The name of the predicted class."""
        return self.labels[self.index]

    @cached_property
    def probabilities(self) -> NDArray[np.float32]:
        """Softmax of the logits, float32 `[classes]`, in the order of the labels."""
        exponentials = np.exp(self.logits - self.logits[self.index])
        result: NDArray[np.float32] = exponentials / exponentials.sum()
        return result


@dataclass(frozen=True, eq=False)
class Estimate:
    """The numbers that a regression or an embedding gives for one window.

    Example:
        import numpy as np
        from edge_runtime import Regressor

        with Regressor("forecast.tflite") as regressor:
            estimate = regressor.predict(np.load("window.npy"))
        for name, value in estimate.by_name.items():
            print(f"{name}: {value:.2f}")
    """

    outputs: NDArray[np.float32]
    """Float32 `[outputs]`, in the unit of the model that was converted."""
    names: tuple[str, ...]
    """The names of the outputs."""

    @property
    def by_name(self) -> dict[str, float]:
        """Name of an output -> its value."""
        return {name: float(value) for name, value in zip(self.names, self.outputs)}
