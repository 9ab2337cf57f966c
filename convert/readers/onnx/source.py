"""A user's ONNX model -> SourceModel."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convert.readers.onnx.file import read_onnx, tool_versions
from convert.readers.onnx.read_model import network_from_onnx
from convert.readers.read_options import ReadOptions
from convert.readers.user_source import user_source
from convert.source_model.source_model import SourceModel
from edge_runtime.errors import DataError, reason
from edge_runtime.runs.run_directory import file_sha256


def onnx_source(path: str | Path, options: ReadOptions) -> SourceModel:
    """Read an ONNX model. Steps that it leaves open are those of `options.data`.

    The full model's logits are ONNX Runtime's, or the onnx library's own where that is not installed.
    Raises DataError, naming the node, for a model that cannot be converted,
    MissingExtraError without onnx, and what `user_source` raises.
    """
    windows = options.windows()
    file = read_onnx(path)
    hints = options.hints(windows)
    reading = network_from_onnx(file, *windows.window_shape, output=options.onnx_output, hints=hints)

    def logits(raw: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            return reading.evaluate(file, raw)
        except Exception as error:  # the engines raise many kinds
            raise DataError(f"{path}: the model cannot be evaluated ({reason(error)})") from None

    source = user_source(
        reading.network,
        logits,
        windows,
        options,
        task=reading.task,
        origin={"model": Path(path).name, "model_sha256": file_sha256(Path(path))},
        tools=tool_versions(),
    )
    return replace(source, notes=(*source.notes, *reading.inputs.notes))
