"""TensorFlow Lite for Microcontrollers (TFLM) on this computer, through its package tflite-micro.

The package has pre-releases only, for x86-64 Linux. It runs the C++ code that a microcontroller runs, so
the converter proves files for the target `tflm` in it. Nobody would choose it for speed.

TFLM has one block of memory, the arena, for all tensors and its own records. The caller says how large
it is. TFLM names the cause of a failure on standard error alone.
"""

from __future__ import annotations

import os
import re
import threading
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import EngineError, short_reason
from edge_runtime.host.quiet import caught_stderr

MICRO_ARENA = 1 << 26
"""Bytes of the arena. More than any file of ours needs; memory that is not touched is not taken."""

ARENA_STEP = 16
"""TFLM aligns the arena's start to 16 bytes, and `smallest_arena` is exact to as many."""

LEAST_ARENA = 512
"""Too small for every model."""

_ONE_AT_A_TIME = threading.Lock()
"""Standard error belongs to the whole process."""

_FAILED = re.compile(r"^Node \w+ \(number \d+\) failed to \w+")


class MicroInterpreter:
    """A model in TFLM, with the methods of tflite.Interpreter that edge_runtime calls.

    Raises EngineError where tflite-micro is not installed, and RuntimeError with TFLM's words for a
    model that it refuses. Inputs and outputs are numbered from 0 on, separately.
    """

    def __init__(self, flatbuffer: bytes, arena: int = MICRO_ARENA) -> None:
        runtime = _runtime()
        self._interpreter = _explained(
            runtime.Interpreter.from_bytes,
            flatbuffer,
            arena_size=arena,
            # The other kind of interpreter for Python gives no two tensors the same memory.
            intrepreter_config=runtime.InterpreterConfig.kAllocationRecording,
        )
        self._inputs = _details(self._interpreter.get_input_details)
        self._outputs = _details(self._interpreter.get_output_details)

    def get_input_details(self) -> list[dict[str, Any]]:
        """As tflite.Interpreter's; the names of tensors are their numbers."""
        return self._inputs

    def get_output_details(self) -> list[dict[str, Any]]:
        """As tflite.Interpreter's; the names of tensors are their numbers."""
        return self._outputs

    def set_tensor(self, index: int, value: NDArray[Any]) -> None:
        """Fill the input with that index."""
        self._interpreter.set_input(np.ascontiguousarray(value), index)

    def invoke(self) -> None:
        """Run the model. Raises RuntimeError with TFLM's words when it fails."""
        _explained(self._interpreter.invoke)

    def get_tensor(self, index: int) -> NDArray[Any]:
        """A copy of the output with that index."""
        values: NDArray[Any] = np.array(self._interpreter.get_output(index))
        return values


def _explained(function: Any, *values: Any, **options: Any) -> Any:
    """Call a function of TFLM. What it prints on standard error becomes the message of its failure."""
    with _ONE_AT_A_TIME, caught_stderr() as said:
        try:
            return function(*values, **options)
        except RuntimeError as error:
            failure = error
    raise RuntimeError(_in_one_line(said) or short_reason(failure)) from failure


def smallest_arena(flatbuffer: bytes) -> int:
    """The bytes of the smallest arena in which TFLM opens the model, exact to ARENA_STEP bytes.

    Found by trying, because TFLM's own count leaves out what it needs only while it opens a model.
    On a processor of 32 bits the need is smaller, as pointers are. Raises what MicroInterpreter raises.
    """
    MicroInterpreter(flatbuffer)  # a model that it refuses is no question of the arena
    too_small, enough = LEAST_ARENA, 2 * LEAST_ARENA
    while not _opens(flatbuffer, enough):
        too_small, enough = enough, 2 * enough
    while enough - too_small > ARENA_STEP:
        middle = (enough + too_small) // (2 * ARENA_STEP) * ARENA_STEP
        if _opens(flatbuffer, middle):
            enough = middle
        else:
            too_small = middle
    return enough


def _opens(flatbuffer: bytes, arena: int) -> bool:
    """Whether TFLM opens the model in that arena, found out in a process of its own.

    TFLM mostly says that an arena is too small, but with some sizes it ends the process by SIGSEGV.
    """
    child = os.fork()
    if not child:
        code = 1
        try:
            _no_core_file()
            MicroInterpreter(flatbuffer, arena)
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


def _no_core_file() -> None:
    import resource  # not on Windows, where there is no tflite-micro either

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _runtime() -> Any:
    try:
        return import_module("tflite_micro").runtime
    except ImportError as error:
        raise EngineError(
            f"the engine tflite-micro cannot be imported ({short_reason(error)}). Run pip install --pre "
            "tflite-micro (CPython 3.10 to 3.13 on x86-64 Linux)."
        ) from None


def _details(ask: Any) -> list[dict[str, Any]]:
    """What `ask` says about tensor 0, 1, ... until there is no other."""
    found: list[dict[str, Any]] = []
    while True:
        try:
            fact = _explained(ask, len(found))
        except IndexError:
            return found
        found.append(_detail(len(found), fact))


def _detail(index: int, fact: dict[str, Any]) -> dict[str, Any]:
    affine = fact["quantization_parameters"]
    scales, zero_points = affine["scales"], affine["zero_points"]
    return {
        "name": str(index),
        "index": index,
        "shape": np.array(fact["shape"], np.int32),
        "dtype": np.dtype(fact["dtype"]).type,
        "quantization": (float(scales[0]), int(zero_points[0])) if len(scales) else (0.0, 0),
    }


def _in_one_line(said: list[str]) -> str:
    """The operator that failed, and then why, e.g. "Node MUL (number 3) failed to prepare, as ..."."""
    lines = [line.strip().rstrip(".") for line in said if line.strip()]
    failed = next((found.group() for found in map(_FAILED.match, lines) if found), None)
    causes = [line for line in lines if not _FAILED.match(line)]
    if failed is None:
        return "; ".join(causes)
    return f"{failed}, as {'; '.join(causes)}" if causes else failed
