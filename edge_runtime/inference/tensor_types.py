"""Which inputs and outputs of a model can be filled and read: for a model that nobody has proven."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edge_runtime.errors import EngineError, ModelError, reason

QUANTIZED = (np.int8, np.int16)


def check_ends(interpreter: Any, count: int, path: str) -> None:
    """Raises ModelError unless the model has `count` inputs and `count` outputs, of float32 or of
    integers with a scale; EngineError when the engine itself cannot say."""
    try:
        ends = {"input": interpreter.get_input_details(), "output": interpreter.get_output_details()}
    except (RuntimeError, ValueError) as error:  # of tensors that are not there, or without a name
        raise EngineError(f"{path}: the engine cannot read the model: {reason(error)}") from error
    for name, details in ends.items():
        if len(details) != count:
            raise ModelError(
                f"{path}: metadata and model disagree: expected {count} {name}s, found {len(details)}"
            )
        for detail in details:
            if not _usable(detail):
                raise ModelError(
                    f"{path}: an {name} of the model is {np.dtype(detail['dtype'])}, quantized by "
                    f"{detail['quantization']}: expected float32, or int8 or int16 with a scale"
                )


def _usable(detail: dict[str, Any]) -> bool:
    if detail["dtype"] is np.float32:
        return True
    scale, zero_point = detail["quantization"]
    if detail["dtype"] not in QUANTIZED or not 0 < scale < math.inf:
        return False
    limits = np.iinfo(detail["dtype"])
    return bool(limits.min <= zero_point <= limits.max)
