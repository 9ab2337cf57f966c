"""Functions from a raw window to its logits in an open engine; what they call is looked up once.

A window takes some tens of microseconds in all. Around the engine's set_tensor, invoke and get_tensor,
every attribute and check counts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Callable, Protocol

import numpy as np

from edge_runtime.errors import EngineError, InputError, short_reason
from edge_runtime.inference.tensors import InputTensor, LogitsTensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    WindowRunner = Callable[[NDArray[Any], NDArray[np.float32]], None]
    """Computes the logits of a raw window `[steps, features]` into a float32 array `[1, classes]`.

    Raises InputError for a window or logits with NaN or infinity, and EngineError when the engine fails.
    """


class RowModel(Protocol):
    """A step file with the states that it has after the rows so far: StepModel, NativeStepModel."""

    states: Any
    """The states, to keep and to set again."""

    def reset(self) -> None:
        """Forget all rows: every state becomes zero."""

    def step(self, row: NDArray[Any], out: NDArray[np.float32]) -> None:
        """One more raw row `[features]`; the logits after it go into `out`, float32 `[1, classes]`."""

    def logits_by_row(self, window: NDArray[Any]) -> NDArray[np.float32]:
        """The logits `[steps, classes]` after every row of a raw window, which starts at zero states."""


def window_runners(
    interpreter: Any, source: InputTensor, result: dict[str, Any], name: str
) -> tuple[WindowRunner, WindowRunner]:
    """For any window, and for one of uint8; `result`: details of the output, `name`: for messages."""
    read, result_index = LogitsTensor(result).read, result["index"]
    set_tensor, invoke, get_tensor = interpreter.set_tensor, interpreter.invoke, interpreter.get_tensor
    values, source_index = source.values, source.index

    def runner(fill: Callable[[NDArray[Any]], Any]) -> WindowRunner:
        def run(window: NDArray[Any], logits: NDArray[np.float32]) -> None:
            fill(window)
            try:
                set_tensor(source_index, values)
                invoke()
                output = get_tensor(result_index)
            except (RuntimeError, ValueError, MemoryError) as error:
                raise EngineError(f"{name} failed ({short_reason(error)})") from error
            read(output, out=logits)

        return run

    return runner(source.fill), runner(source.fill_bytes or source.fill)


def step_runner(model: RowModel, name: str) -> WindowRunner:
    """For a window of a step file, row by row from zero states, up to the logits after the last row."""

    def run(window: NDArray[Any], logits: NDArray[np.float32]) -> None:
        logits[0] = logits_by_row(model, window, name)[-1]

    return run


def logits_by_row(model: RowModel, window: NDArray[Any], name: str) -> NDArray[np.float32]:
    """StepModel.logits_by_row with the errors of a WindowRunner."""
    with _errors_of_a_run(name):
        return model.logits_by_row(window)


def one_row(
    model: RowModel, row: NDArray[Any], logits: NDArray[np.float32], name: str, *, restart: bool
) -> None:
    """StepModel.step with the errors of a WindowRunner; `restart`: from zero states."""
    with _errors_of_a_run(name):
        states = model.states
        if restart:
            model.reset()
        try:
            model.step(row, logits)
        except InputError:
            model.states = states
            raise


@contextlib.contextmanager
def _errors_of_a_run(name: str) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except (RuntimeError, ValueError, MemoryError) as error:
        raise EngineError(f"{name} failed ({short_reason(error)})") from error


def closed_runner(path: str) -> WindowRunner:
    """Says that the model is closed."""

    def run(window: NDArray[Any], logits: NDArray[np.float32]) -> None:
        raise EngineError(f"{path}: the model is closed")

    return run
