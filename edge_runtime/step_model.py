"""A model file whose graph is one time step: a row and the states in, logits and new states out.

Input and output number 0 are the row and the logits; number k > 0 are state k before and after the row.
Both have one scale, so that what comes out goes back in as it is, byte for byte. States start at zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.quantization import dequantize, quantize


class StepModel:
    """The interpreter of a step file, with the states it has after the rows so far."""

    def __init__(self, interpreter: Any) -> None:
        self._interpreter = interpreter
        self._row, *self._before = interpreter.get_input_details()
        self._logits, *self._after = interpreter.get_output_details()
        self.reset()

    def reset(self) -> None:
        """Forget all rows: every state becomes zero."""
        self._states = [_zeros(detail) for detail in self._before]

    def step(self, row: NDArray[np.float32]) -> NDArray[np.float32]:
        """The logits `[classes]` after one more normalized row `[features]`.

        Raises RuntimeError or ValueError when the engine fails.
        """
        interpreter = self._interpreter
        interpreter.set_tensor(self._row["index"], _to_tensor(row[np.newaxis], self._row))
        for detail, state in zip(self._before, self._states):
            interpreter.set_tensor(detail["index"], state)
        interpreter.invoke()
        self._states = [interpreter.get_tensor(detail["index"]) for detail in self._after]
        return _to_float(interpreter.get_tensor(self._logits["index"])[0], self._logits)

    def logits_by_row(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        """The logits `[steps, classes]` after every row of a normalized window `[steps, features]`."""
        self.reset()
        return np.stack([self.step(row) for row in window])


def shapes_of_step(interpreter: Any) -> tuple[list[list[int]], list[list[int]]]:
    """Shapes of the inputs and of the outputs, in order."""
    inputs = [list(map(int, detail["shape"])) for detail in interpreter.get_input_details()]
    outputs = [list(map(int, detail["shape"])) for detail in interpreter.get_output_details()]
    return inputs, outputs


def _zeros(detail: dict[str, Any]) -> NDArray[Any]:
    _, zero_point = detail["quantization"]  # 0 for float tensors
    return np.full(detail["shape"], zero_point, detail["dtype"])


def _to_tensor(values: NDArray[np.float32], detail: dict[str, Any]) -> NDArray[Any]:
    if detail["dtype"] is np.float32:
        return values
    scale, zero_point = detail["quantization"]
    return quantize(values, scale, zero_point, detail["dtype"])


def _to_float(values: NDArray[Any], detail: dict[str, Any]) -> NDArray[np.float32]:
    if detail["dtype"] is np.float32:
        return np.asarray(values, np.float32)
    return dequantize(values, *detail["quantization"])
