"""A model file whose graph is one time step: a row and the states in, logits and new states out.

Input and output number 0 are the row and the logits; number k > 0 are state k before and after the row.
Both have one scale, so that the state that comes out goes back in unchanged, byte for byte. States start
at zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.inference.tensors import InputTensor, LogitsTensor
from edge_runtime.model_file.normalization import Normalization

NO_NORMALIZATION = Normalization((0.0,), (1.0,))
"""For rows that are normalized already."""


class StepModel:
    """The interpreter of a step file, with the states it has after the rows so far."""

    def __init__(self, interpreter: Any, normalization: Normalization = NO_NORMALIZATION) -> None:
        self._interpreter = interpreter
        self._row, *self._before = interpreter.get_input_details()
        self._logits, *self._after = interpreter.get_output_details()
        self._source = InputTensor(self._row, normalization)
        self._result = LogitsTensor(self._logits)
        self.reset()

    def reset(self) -> None:
        """Forget all rows: every state becomes zero."""
        self.states = [_zeros(detail) for detail in self._before]

    def step(self, row: NDArray[Any], out: NDArray[np.float32]) -> None:
        """One more raw row `[features]`; the logits after it go into `out`, float32 `[1, classes]`.

        Raises InputError for a row that is not finite throughout, after which the states are what they
        were, and RuntimeError or ValueError when the engine fails.
        """
        interpreter = self._interpreter
        self._source.fill(row)
        interpreter.set_tensor(self._row["index"], self._source.values)
        for detail, state in zip(self._before, self.states):
            interpreter.set_tensor(detail["index"], state)
        interpreter.invoke()
        self._result.read(interpreter.get_tensor(self._logits["index"]), out=out)
        self.states = [interpreter.get_tensor(detail["index"]) for detail in self._after]

    def logits_by_row(self, window: NDArray[Any]) -> NDArray[np.float32]:
        """The logits `[steps, classes]` after every row of a raw window `[steps, features]`.

        It starts at zero states; those of `step` are left as they are. Raises what `step` raises.
        """
        logits, kept = np.empty((len(window), int(self._logits["shape"][-1])), np.float32), self.states
        self.reset()
        try:
            for t, row in enumerate(window):
                self.step(row, logits[t : t + 1])
        finally:
            self.states = kept
        return logits


def shapes_of_step(interpreter: Any) -> tuple[list[list[int]], list[list[int]]]:
    """Shapes of the inputs and of the outputs, in order."""
    inputs = [list(map(int, detail["shape"])) for detail in interpreter.get_input_details()]
    outputs = [list(map(int, detail["shape"])) for detail in interpreter.get_output_details()]
    return inputs, outputs


def _zeros(detail: dict[str, Any]) -> NDArray[Any]:
    _, zero_point = detail["quantization"]  # 0 for float tensors
    return np.full(detail["shape"], zero_point, detail["dtype"])
