"""Raw windows and rows in the native engine: one call of C normalizes, runs and reads the logits.

The numbers are those that InputTensor and LogitsTensor give around any other engine, bit for bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

import numpy as np

from edge_runtime.errors import InputError
from edge_runtime.inference.tensors import LOGITS_TOO_LARGE, QUANTIZED, byte_table
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
        affine = detail["quantization"] if detail["dtype"] in QUANTIZED else None
        table = byte_table(normalization, detail["dtype"], affine)
        mean, std = (
            np.asarray(values, np.float32) for values in (normalization.mean, normalization.std)
        )
        self.jobs, self.shape = Jobs(interpreter, shape, mean, std, table, normalization.tokens), shape
        self.tokens = normalization.apply if normalization.tokens else None
        """For a model of tokens: any numbers as int32 tokens, or an InputError."""

    def window_runner(self, dtype: np.dtype[Any]) -> NativeRun:
        """For windows of any dtype that `dtype`, uint8 or float32, can hold; of tokens, any windows."""
        values = np.zeros(self.shape, np.int32 if self.tokens else dtype)
        result = np.zeros((1, self.jobs.classes), np.float32)
        call = self.jobs.window(values, result)
        copy, tokens = np.copyto, self.tokens

        def run_tokens(window: NDArray[Any], logits: Float32) -> None:
            assert tokens is not None
            run(tokens(window), logits)

        def run(window: NDArray[Any], logits: Float32) -> None:
            copy(values, window, "unsafe")
            status = call()
            if status:
                raise _error(status)
            copy(logits, result)

        return run_tokens if tokens else run

    def run_batch(self, batch: NDArray[Any], out: Float32, *, by_row: bool = False) -> None:
        """The logits of raw windows `[N, steps, features]` into `out` `[N, classes]`, or
        `[N, steps, classes]` by row. Raises InputError where windows or logits are not finite."""
        windows = self._batch(batch)
        whole = out if out.flags.c_contiguous else np.empty_like(out, order="C")
        status = self.jobs.run(np.ascontiguousarray(windows), whole, by_row=by_row) if len(batch) else 0
        if status:
            raise _error(status)
        if whole is not out:
            out[...] = whole

    def _batch(self, batch: NDArray[Any]) -> NDArray[Any]:
        if self.tokens:
            return self.tokens(batch)
        return batch if batch.dtype == np.uint8 else _as_float32(batch)


class NativeStepModel:
    """What StepModel is for other engines: a step file's states after the rows so far."""

    def __init__(self, runner: NativeRunner) -> None:
        self._runner = runner
        self._calls = {char: self._call(char) for char in ("i" if runner.tokens else "Bf")}
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
        if self._runner.tokens:
            row = self._runner.tokens(row)
        values, logits, call = self._calls.get(row.dtype.char) or self._calls["f"]
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
