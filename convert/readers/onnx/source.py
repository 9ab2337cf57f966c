"""A user's ONNX model -> Source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.readers.onnx.file import read_onnx, tool_versions
from convert.readers.onnx.read_model import network_from_onnx
from convert.readers.user_data import DataSource, read_user_data
from convert.readers.user_source import user_source
from convert.source_model.source_model import Source
from edge_runtime.errors import DataError, reason
from edge_runtime.runs.run_directory import file_sha256


def onnx_source(
    path: str | Path, data: DataSource, *, onnx_output: str | None = None, **options: Any
) -> Source:
    """Read an ONNX model. A number of steps that it leaves open is that of `data`.

    `onnx_output` names the output with the logits where the model has several. The full model's logits
    are ONNX Runtime's, or those of the onnx library where ONNX Runtime is not installed. `data` and
    `options` are those of `user_source`. Raises DataError that names the node of a model that cannot be
    converted, MissingExtraError without onnx, and what `user_source` raises.
    """
    windows = read_user_data(data)
    file = read_onnx(path)
    reading = network_from_onnx(file, *windows.window_shape, output=onnx_output)

    def logits(raw: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            return reading.evaluate(file, raw)
        except Exception as error:  # the engines raise many kinds
            raise DataError(f"{path}: the model cannot be evaluated ({reason(error)})") from None

    return user_source(
        reading.network,
        logits,
        windows,
        origin={"model": Path(path).name, "model_sha256": file_sha256(Path(path))},
        tools=tool_versions(),
        **options,
    )
