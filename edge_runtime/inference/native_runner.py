"""Raw windows and rows in the native engine: one call of C normalizes, runs and reads the logits.

The numbers are those that InputTensor and LogitsTensor give around any other engine, bit for bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

import numpy as np

from edge_runtime.errors import InputError
from edge_runtime.inference.tensors import LOGITS_TOO_LARGE, byte_table
from edge_runtime.model_file.normalization import TOO_LARGE, Normalization
from edge_runtime.native.job import INPUT_NOT_FINITE, JobCall, Jobs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.native.interpreter import NativeInterpreter

    Float32 = NDArray[np.float32]
    NativeRun = Callable[[NDArray[Any], Float32], None]
    """A WindowRunner of edge_runtime.inference.runner, which imports this module."""


class NativeRunner:
    """The native interpreter of a model file."""

    def __init__(
        self, interpreter: NativeInterpreter, shape: tuple[int, int], normalization: Normalization
    ) -> None:
        """`shape`: steps and features of a window."""
        detail = interpreter.get_input_details()[0]
        affine = None if detail["dtype"] is np.float32 else detail["quantization"]
        table = byte_table(normalization, detail["dtype"], affine)
        mean, std = (
            np.asarray(values, np.float32) for values in (normalization.mean, normalization.std)
        )
        self.jobs, self.shape = Jobs(interpreter, shape, mean, std, table), shape

    def window_runner(self, dtype: np.dtype[Any]) -> NativeRun:
        """For windows of any dtype that `dtype`, uint8 or float32, can hold."""
        values = np.zeros(self.shape, dtype)
        result = np.zeros((1, self.jobs.classes), np.float32)
        call = self.jobs.window(values, result)
        copy = np.copyto

        def run(window: NDArray[Any], logits: Float32) -> None:
            copy(values, window, "unsafe")
            status = call()
            if status:
                raise _error(status)
            copy(logits, result)

        return run

    def run_batch(self, batch: NDArray[Any], out: Float32, *, by_row: bool = False) -> None:
        """The logits of raw windows `[N, steps, features]` into `out` `[N, classes]`, or
        `[N, steps, classes]` by row. Raises InputError where windows or logits are not finite."""
        windows = batch if batch.dtype == np.uint8 else _as_float32(batch)
        whole = out if out.flags.c_contiguous else np.empty_like(out, order="C")
        status = self.jobs.run(np.ascontiguousarray(windows), whole, by_row=by_row) if len(batch) else 0
        if status:
            raise _error(status)
        if whole is not out:
            out[...] = whole


class NativeStepModel:
    """What StepModel is for other engines: a step file's states after the rows so far."""

    def __init__(self, runner: NativeRunner) -> None:
        self._runner = runner
        self._calls = {char: self._call(char) for char in "Bf"}
        self.reset()

    def _call(self, char: str) -> tuple[NDArray[Any], Float32, JobCall]:
        values = np.zeros(self._runner.shape[1], char)
        logits = np.zeros((1, self._runner.jobs.classes), np.float32)
        return values, logits, self._runner.jobs.row(values, logits)

    @property
    def states(self) -> Any:
        """The states after the rows so far, to keep and to set again."""
        return self._runner.jobs.states

    @states.setter
    def states(self, kept: Any) -> None:
        self._runner.jobs.states = kept

    def reset(self) -> None:
        """Forget all rows: every state becomes zero."""
        self._runner.jobs.reset()

    def step(self, row: NDArray[Any], out: Float32) -> None:
        """As StepModel.step."""
        values, logits, call = self._calls["B" if row.dtype == np.uint8 else "f"]
        with np.errstate(over="ignore"):
            np.copyto(values, row, "unsafe")
        status = call()
        if status:
            raise _error(status)
        out[...] = logits

    def logits_by_row(self, window: NDArray[Any]) -> Float32:
        """As StepModel.logits_by_row."""
        logits = np.empty((1, *self._runner.shape[:1], self._runner.jobs.classes), np.float32)
        self._runner.run_batch(window[np.newaxis], logits, by_row=True)
        found: Float32 = logits[0]
        return found


def _as_float32(batch: NDArray[Any]) -> Float32:
    with np.errstate(over="ignore"):  # too large a number becomes infinite, and is refused
        return np.asarray(batch, np.float32)


def _error(status: int) -> InputError:
    return InputError(TOO_LARGE if status == INPUT_NOT_FINITE else LOGITS_TOO_LARGE)
