"""What the exported code must compute for the probes, by edge-rnn's own engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_runtime.inference.tensors import InputTensor
from edge_runtime.model_file.metadata import STEP, Metadata
from edge_runtime.model_file.probe_record import Synthetic
from edge_runtime.model_file.probes import MOST_SYNTHETIC, read_probes, synthetic_windows
from edge_runtime.model_file.read_file import ModelFile

WITHOUT_PROBES = 4
"""Windows that are made for a file that carries no probes."""


@dataclass(frozen=True, eq=False)
class ExpectedLogits:
    """Raw windows and the output tensor for each."""

    windows: NDArray[Any]
    """`[count, steps, features]`, uint8, float32 or int32."""
    logits: NDArray[Any]
    """`[count, classes]` in the dtype of the output tensor."""


def expected_logits(file: ModelFile, path: str, interpreter: Any) -> ExpectedLogits:
    """Run the file's probes, or windows of noise if it carries none, in an open engine."""
    probes = read_probes(file, path)
    windows = _noise(file.metadata) if probes is None else probes.windows
    logits = [outputs_of_window(interpreter, window, file.metadata) for window in windows]
    return ExpectedLogits(windows, np.stack(logits))


def outputs_of_window(interpreter: Any, window: NDArray[Any], metadata: Metadata) -> NDArray[Any]:
    """The first output `[classes]`, as the engine has it, for a raw window.

    In a step file, it is that after the last row.
    """
    row, *before = interpreter.get_input_details()
    logits, *after = interpreter.get_output_details()
    source = InputTensor(row, metadata.normalization)
    for detail in before:
        zero_point = detail["quantization"][1]
        interpreter.set_tensor(detail["index"], np.full(detail["shape"], zero_point, detail["dtype"]))
    for part in window if metadata.graph == STEP else [window]:
        source.fill(part)
        interpreter.set_tensor(row["index"], source.values)
        interpreter.invoke()
        states = [interpreter.get_tensor(detail["index"]) for detail in after]
        result: NDArray[Any] = interpreter.get_tensor(logits["index"])[0]
        for detail, state in zip(before, states):
            interpreter.set_tensor(detail["index"], state)
    return result


def _noise(metadata: Metadata) -> NDArray[Any]:
    normal = metadata.normalization
    middle, spread = normal.mean[0], 2 * abs(normal.std[0])
    low, high = (0.0, normal.tokens - 1.0) if normal.tokens else (middle - spread, middle + spread)
    count = max(1, min(WITHOUT_PROBES, MOST_SYNTHETIC // (metadata.steps * metadata.features)))
    shape = (count, metadata.steps, metadata.features)
    return synthetic_windows(Synthetic(1, low, high), shape, normal.dtype)
