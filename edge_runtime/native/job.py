"""Raw windows and rows through a plan in one call of C: er_raw and er_job of c/edge_rnn.h."""

from __future__ import annotations

import ctypes
from functools import partial
from typing import TYPE_CHECKING, Any, Callable

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_runtime.native.interpreter import NativeInterpreter

MOST_LANES = 8
LANES_MEMORY = 1 << 18
"""Bytes of arena for the windows that run at a time, unless a single one takes more. It leaves room for
the weights in a second-level cache."""

INPUT_NOT_FINITE, LOGITS_NOT_FINITE, INPUT_IS_NO_TOKEN = 1, 2, 4
"""er_status: what `JobCall` returns instead of 0."""

RAW_TYPES = {"B": 0, "f": 1, "i": 2}
"""numpy's dtype.char -> er_raw_type."""

JobCall = Callable[[], int]


_RAW_NUMBERS = ("features", "rows", "mean_count", "std_count", "tokens", "reserved")


class _Raw(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_uint32) for name in _RAW_NUMBERS),
        *((name, ctypes.c_void_p) for name in ("mean", "std", "table")),
    ]


class _Job(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("kernels", "plan", "raw", "arena", "windows", "logits")),
        ("count", ctypes.c_size_t),
        *((name, ctypes.c_uint32) for name in ("lanes", "type", "by_row")),
    ]


class Jobs:
    """Calls that run raw windows `[rows, features]`, or raw rows `[features]`, of one interpreter."""

    def __init__(
        self,
        interpreter: NativeInterpreter,
        shape: tuple[int, int],
        mean: NDArray[np.float32],
        std: NDArray[np.float32],
        table: NDArray[Any] | None,
        tokens: int = 0,
    ) -> None:
        """`shape`: rows and features of a window; `mean`, `std`: one value each or one for each feature.

        `table`: what each of the 256 bytes becomes in the input's dtype, where features are normalized
        alike. `tokens`: how many there are, where the input is int32.

        Raises ValueError when the model's input is not made of such rows.
        """
        rows, features = shape
        count = int(np.prod(interpreter.get_input_details()[0]["shape"]))
        if count % features or (rows * features) % count:
            raise ValueError(
                f"a window has {rows} rows of {features}, and the model's input {count} values"
            )
        if not {len(mean), len(std)} <= {1, features}:
            raise ValueError(
                f"mean and std have {len(mean)} and {len(std)} values for {features} features"
            )
        self.classes = int(np.prod(interpreter.get_output_details()[0]["shape"]))
        self._interpreter = interpreter
        self._kept = [np.ascontiguousarray(values, np.float32) for values in (mean, std)]
        if table is not None:
            self._kept.append(np.ascontiguousarray(table))
        addresses = [_address(values) for values in self._kept]
        self._raw = _Raw(features, rows, len(mean), len(std), tokens, 0, *addresses)
        self._window_arena, self._row_arena = interpreter.new_arena(1), interpreter.new_arena(1)
        self._many: _Job | None = None

    def window(self, values: NDArray[Any], logits: NDArray[np.float32]) -> JobCall:
        """A call that runs whatever window `[rows, features]` is in `values`, uint8, float32 or
        int32 (tokens), and
        writes its logits `[1, classes]`. Both arrays are contiguous, and the call keeps them."""
        return self._call("er_windows", self._job(self._window_arena, values, logits))

    def row(self, values: NDArray[Any], logits: NDArray[np.float32]) -> JobCall:
        """The same for a row `[features]` of a step model, from the states after the row before. They
        stay what they were where the call does not return 0."""
        return self._call("er_step", self._job(self._row_arena, values, logits))

    def run(self, windows: NDArray[Any], logits: NDArray[np.float32], *, by_row: bool = False) -> int:
        """Runs `windows` `[N, rows, features]`; logits `[N, classes]`, or `[N, rows, classes]` by row.

        uint8, float32 or int32 (tokens), contiguous. Returns 0 or why it stopped.
        """
        job = self._many = self._many or self._job_of_many()
        job.windows, job.logits, job.count = _address(windows), _address(logits), len(windows)
        job.type, job.by_row = RAW_TYPES[windows.dtype.char], by_row
        status: int = self._interpreter.library.functions.er_windows(ctypes.byref(job))
        return status

    def reset(self) -> None:
        """Sets the states that `row` uses to zero."""
        interpreter = self._interpreter
        interpreter.library.functions.er_reset(
            _address(interpreter.plan.data), _address(self._row_arena), 1
        )

    @property
    def states(self) -> NDArray[np.uint8]:
        """The states after the rows so far, and what is around them: bytes to keep and to set again."""
        return self._row_arena.copy()

    @states.setter
    def states(self, kept: NDArray[np.uint8]) -> None:
        self._row_arena[:] = kept

    def _job_of_many(self) -> _Job:
        stride = self._interpreter.plan.lane_stride
        lanes = max(1, min(MOST_LANES, LANES_MEMORY // stride))
        self._lanes_arena = self._interpreter.new_arena(lanes)
        job = self._job(self._lanes_arena, None, None)
        job.lanes = lanes
        return job

    def _job(
        self, arena: NDArray[np.uint8], values: NDArray[Any] | None, logits: NDArray[np.float32] | None
    ) -> _Job:
        job = _Job(
            kernels=self._interpreter.table,
            plan=_address(self._interpreter.plan.data),
            raw=ctypes.addressof(self._raw),
            arena=_address(arena),
            count=1,
            lanes=1,
        )
        if values is not None and logits is not None:
            job.windows, job.logits = _address(values), _address(logits)
            job.type = RAW_TYPES[values.dtype.char]
        # A job has addresses, which keep nothing alive.
        job.kept = (self, arena, values, logits)
        return job

    def _call(self, name: str, job: _Job) -> JobCall:
        return partial(getattr(self._interpreter.library.functions, name), ctypes.byref(job))


def _address(values: NDArray[Any]) -> int:
    address: int = values.__array_interface__["data"][0]
    return address
