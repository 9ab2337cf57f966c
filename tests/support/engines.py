"""Runs a bare FlatBuffer in an engine of this process, without the classifier."""

from __future__ import annotations

import numpy as np

from edge_runtime.engines.engine import open_interpreter


def invoke(flatbuffer: bytes, inputs: np.ndarray, engine: str, kernels: str = "default") -> np.ndarray:
    """Outputs for `inputs` `[N, ...]` in the input tensor's own dtype, one at a time."""
    interpreter = open_interpreter(flatbuffer, engine=engine, kernels=kernels)
    source = interpreter.get_input_details()[0]["index"]
    result = interpreter.get_output_details()[0]["index"]
    outputs = []
    for value in inputs:
        interpreter.set_tensor(source, value[np.newaxis])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(result)[0])
    return np.array(outputs)
