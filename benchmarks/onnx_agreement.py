"""PyTorch models with branches, exported to ONNX: every precision against ONNX Runtime.

    python -m benchmarks.onnx_agreement

Needs PyTorch. Each model of tests/support/torch_exports.py is exported with dynamo=False, read, lowered
to each precision on 300 random windows, and run by the numpy engine on 200 others. The table has the
largest difference in per cent of the range of the logits.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from convert.compiler.compile import lower
from convert.readers.onnx.file import read_onnx
from convert.readers.onnx.read_model import network_from_onnx
from convert.targets.target import TARGETS
from edge_runtime.numpy_engine.interpret import run
from edge_runtime.tflite.graph import Graph
from edge_runtime.tflite.quantization import dequantize, quantize
from tests.workstation.test_torch_exports import BRANCHING, model_windows

PRECISIONS = ("float32", "int16x8", "dynamic", "mixed", "int8")
CALIBRATION = 300


def main() -> None:
    """Print the table."""
    print("| model | " + " | ".join(PRECISIONS) + " |")
    print("| --- |" + " --- |" * len(PRECISIONS))
    with tempfile.TemporaryDirectory() as folder:
        names = [f"{name} open" for name in BRANCHING]
        command = [sys.executable, "-m", "tests.support.torch_exports", folder, "script", *names]
        subprocess.run(command, check=True, capture_output=True)
        for name in BRANCHING:
            cells = (f"{error:.3f}" for error in errors(Path(folder, f"{name} open.onnx"), name))
            print(f"| `{name}` | " + " | ".join(cells) + " |", flush=True)


def errors(path: Path, name: str) -> list[float]:
    """For each precision the largest difference in per cent of the logits' range."""
    windows = model_windows(name, CALIBRATION + 200)
    file = read_onnx(path)
    reading = network_from_onnx(file, *windows.shape[1:])
    expected = reading.evaluate(file, windows[CALIBRATION:].astype(np.float32))
    result = []
    for precision in PRECISIONS:
        graph = lower(reading.network, windows[:CALIBRATION], precision=precision, target=TARGETS["any"])
        result.append(float(100 * np.abs(_logits(graph, windows[CALIBRATION:]) - expected).max()))
    return [error / np.ptp(expected) for error in result]


def _logits(graph: Graph, windows: np.ndarray) -> np.ndarray:
    """The graph's logits as real numbers, for windows as real numbers or tokens."""
    given, made = (graph.tensors[name].quantization for name in (graph.inputs[0], graph.outputs[0]))
    if given is not None:
        dtype = graph.tensors[graph.inputs[0]].dtype
        windows = quantize(windows, given.scale[0], given.zero_point, dtype)
    found = run(graph, windows)
    return found if made is None else dequantize(found, made.scale[0], made.zero_point)


if __name__ == "__main__":
    main()
