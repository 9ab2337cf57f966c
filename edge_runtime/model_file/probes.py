"""Probes: a few windows in the model file, with the full model's logits, to run on the device.

An engine may load a file and compute something else than the engines of its proof did, because of its
version, the CPU, or tools that changed the model. The probes find out in the device's own engine,
through the code that classifies.

Content of probes.bin (docs/reference/format.md): the raw windows `[count, steps, features]` in their own
dtype unless they are synthetic, then the full model's logits in float32, `[count, classes]` or, in a
step file, `[count, rows, classes]`; little-endian, C order, nothing else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import ModelError
from edge_runtime.model_file.metadata import CLASSIFICATION, PROBES_NAME, STEP
from edge_runtime.model_file.probe_record import ProbeRecord, Synthetic
from edge_runtime.model_file.read_file import ModelFile

MOST_SYNTHETIC = 1 << 24
"""Limit on the values of synthetic windows: four windows of the largest size, made in seconds."""


@dataclass(frozen=True, eq=False)
class Probes:
    """The probes of a file."""

    record: ProbeRecord
    windows: NDArray[Any]
    """Raw, `[count, steps, features]`, uint8, float32 or int32."""
    logits: NDArray[np.float32]
    """The full model's logits `[count, classes]`; in a step file `[count, rows, classes]`, after each of
    the record's rows."""

    @property
    def final(self) -> NDArray[np.float32]:
        """The logits after the last row, `[count, classes]`."""
        return self.logits[:, -1] if self.record.rows else self.logits

    def to_bytes(self) -> bytes:
        """The content of probes.bin."""
        windows = b"" if self.record.synthetic else _little_endian(self.windows)
        return windows + _little_endian(self.logits)


def read_probes(file: ModelFile, path: str) -> Probes | None:
    """The probes of a model file, or None when it carries none. Raises ModelError for damaged ones."""
    metadata = file.metadata
    record = metadata.probes
    if record is None:
        return None
    windows_shape = (record.count, metadata.steps, metadata.features)
    _check_rows(record, file, path)
    _check_spreads(record, file, path)
    logits_shape = (record.count, *([len(record.rows)] if record.rows else []), len(metadata.labels))
    dtype = np.dtype(record.dtype).newbyteorder("<")
    stored = 0 if record.synthetic else math.prod(windows_shape) * dtype.itemsize
    expected = stored + 4 * math.prod(logits_shape)
    content = file.probes or b""
    if len(content) != expected:
        raise ModelError(
            f"{path}: damaged. {PROBES_NAME} has {len(content)} bytes, expected {expected}. Copy or "
            "convert the file again."
        )
    if record.synthetic and math.prod(windows_shape) > MOST_SYNTHETIC:
        raise ModelError(f"{path}: damaged. Its probes would be windows of {list(windows_shape)}.")
    if record.synthetic:
        windows = synthetic_windows(record.synthetic, windows_shape, record.dtype)
    else:
        windows = np.frombuffer(content[:stored], dtype).reshape(windows_shape).astype(record.dtype)
    logits = np.frombuffer(content[stored:], "<f4").reshape(logits_shape).astype(np.float32)
    return Probes(record, windows, logits)


def _check_spreads(record: ProbeRecord, file: ModelFile, path: str) -> None:
    expected = 0 if file.metadata.task == CLASSIFICATION else len(file.metadata.labels)
    if len(record.spreads) != expected:
        raise ModelError(
            f"{path}: damaged. Its probes have {len(record.spreads)} spreads, expected {expected}."
        )


def _check_rows(record: ProbeRecord, file: ModelFile, path: str) -> None:
    steps, step_file = file.metadata.steps, file.metadata.graph == STEP
    rows = record.rows
    ascending = all(0 < one < other for one, other in zip(rows, rows[1:]))
    if rows and not (step_file and ascending and rows[-1] == steps):
        raise ModelError(
            f"{path}: damaged. Its probes name rows that a window of {steps} does not have."
        )


def synthetic_windows(recipe: Synthetic, shape: tuple[int, int, int], dtype: str) -> NDArray[Any]:
    """Windows of uniform noise, the same with every version of numpy and on every machine.

    x_0 = seed; x_(n+1) = (1664525 * x_n + 1013904223) mod 2^32 (the generator of Numerical Recipes);
    value n = low + (high - low) * floor(x_n / 256) / 2^24, in float64, rounded to `dtype` at the end
    (to the nearest whole number, ties to even).
    """
    state, values = recipe.seed % 2**32, np.empty(math.prod(shape))
    for n in range(len(values)):
        state = (1664525 * state + 1013904223) % 2**32
        values[n] = state >> 8
    values = recipe.low + (recipe.high - recipe.low) * (values / 2**24)
    if dtype != "float32":
        values = np.rint(values)
    if dtype == "uint8":
        values = np.clip(values, 0, 255)
    return values.reshape(shape).astype(dtype)


def _little_endian(array: NDArray[Any]) -> bytes:
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
