"""Runs models in each set of kernels that the CPU has. It runs with the device's Python.

    python native_child.py FOLDER

FOLDER has NAME.tflite and NAME.npy, the model's input. Prints {NAME: {kernels: output in hexadecimal}}.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from edge_runtime.native.interpreter import NativeInterpreter
from edge_runtime.native.library import load_library


def output(flatbuffer: bytes, window: np.ndarray, kernels: str) -> str:
    """The bytes of the first output."""
    interpreter = NativeInterpreter(flatbuffer, kernels)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], window)
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return np.ascontiguousarray(found).tobytes().hex()


def outputs(folder: Path) -> dict[str, dict[str, str]]:
    """Model -> set of kernels -> output."""
    return {
        path.stem: {
            kernels: output(path.read_bytes(), np.load(path.with_suffix(".npy")), kernels)
            for kernels in load_library().kernels
        }
        for path in sorted(folder.glob("*.tflite"))
    }


if __name__ == "__main__":
    print(json.dumps(outputs(Path(sys.argv[1]))))
