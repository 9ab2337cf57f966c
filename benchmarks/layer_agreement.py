"""How close the layers of branching models stay to Keras, in every precision and engine
(docs/results/layers.md).

    python -m benchmarks.layer_agreement [NAME...]

Builds one small model of tests/support/keras_zoo.py with random weights for each kind of layer, in a
child process with Keras, and computes its logits there. Converts it in every precision, and runs 200
windows that calibration has not seen in every engine of this environment. Prints, as Markdown, the
largest logit error in percent of the range of the logits, and the agreement of the classes. Both are
of random weights and random windows, which is harder than a trained model: its classes lie apart.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.cpu import cpu_name
from convert.compiler.compile import compile_network
from convert.targets.precision import PRECISIONS
from edge_runtime.engines.engine import open_interpreter
from edge_runtime.errors import EdgeRnnError

ENGINES = ("numpy", "native", "ai-edge-litert", "tflite-runtime")
CALIBRATION, HELD_OUT = 200, 200

CASES = {
    "MaxPooling1D": ("keras", "max pooling of steps same"),
    "AveragePooling1D": ("keras", "average pooling of steps same"),
    "SeparableConv1D": ("keras", "separable conv1d same"),
    "DepthwiseConv1D": ("keras", "depthwise conv1d valid"),
    "LSTM relu": ("keras", "lstm relu"),
    "LSTM elu": ("keras", "lstm elu"),
    "GRU relu": ("keras", "gru relu"),
    "LSTM hard_sigmoid, Keras 3": ("keras", "lstm hard gates"),
    "LSTM hard_sigmoid, Keras 2": ("tf_keras", "lstm hard gates"),
    "Masking, LSTM": ("keras", "masking lstm"),
    "Masking, GRU": ("keras", "masking gru"),
    "Masking, Bidirectional": ("keras", "masking bidirectional sequences"),
    "Masking, Concatenate, Keras 3": ("keras", "masking side by side"),
    "Masking, Concatenate, Keras 2": ("tf_keras", "masking side by side"),
    "Masking, Attention": ("keras", "masking attention"),
    "Attention": ("keras", "attention"),
    "Attention by hand": ("keras", "attention by multiply"),
    "AdditiveAttention": ("keras", "attention additive"),
    "Add": ("keras", "joined by add"),
    "Multiply": ("keras", "joined by multiply"),
    "Maximum": ("keras", "joined by maximum"),
    "Concatenate": ("keras", "joined side by side"),
    "operators": ("keras", "operators"),
    "states h": ("keras", "states of both directions"),
    "static input": ("keras", "static input"),
    "TimeDistributed(Conv1D)": ("keras", "parts"),
    "Embedding": ("keras", "embedding"),
    "Embedding(mask_zero)": ("keras", "embedding mask zero"),
}
"""Row of the table -> library and model of the zoo."""


def main() -> None:
    if sys.argv[1:2] == ["--build"]:
        build(sys.argv[2], Path(sys.argv[3]), sys.argv[4:])
        return
    chosen = sys.argv[1:] or list(CASES)
    print(f"CPU: {cpu_name()}; {HELD_OUT} windows.\n")
    print("| layer | precision |", " | ".join(ENGINES), "|")
    print("| --- | --- |", " | ".join("---" for _ in ENGINES), "|")
    models = built(chosen)
    for row in chosen:
        for precision in PRECISIONS:
            cells = " | ".join(agreement(models[row], precision))
            print(f"| {row} | {precision} | {cells} |", flush=True)


def built(rows: list[str]) -> dict[str, Any]:
    """Row -> (network, calibration windows, held-out windows, logits), from children with Keras."""
    models = {}
    with TemporaryDirectory() as folder:
        for library in ("keras", "tf_keras"):
            names = {row: CASES[row][1] for row in rows if CASES[row][0] == library}
            if names:
                file = Path(folder, library)
                command = [sys.executable, "-m", "benchmarks.layer_agreement", "--build", library]
                subprocess.run([*command, str(file), *names.values()], check=True, capture_output=True)
                content = pickle.loads(file.read_bytes())
                models.update({row: content[name] for row, name in names.items()})
    return models


def build(library: str, file: Path, names: list[str]) -> None:
    """In the child: write what `built` returns, by the models' names."""
    from convert.readers.keras.read_model import read_keras
    from tests.support import keras_zoo

    package = __import__(library)
    contents, found = keras_zoo.zoo(package), {}
    for name, (model, _) in keras_zoo.built(package, names).items():
        reading = read_keras(model)
        sets = [
            keras_zoo.windows(contents[name], n, seed) for seed, n in ((2, CALIBRATION), (3, HELD_OUT))
        ]
        found[name] = reading.network, *sets, reading.logits(sets[1])
    file.write_bytes(pickle.dumps(found))


def agreement(model: Any, precision: str) -> list[str]:
    """A cell for each engine: the largest error, and how many classes agree."""
    network, calibration, windows, expected = model
    try:
        flatbuffer = compile_network(network, calibration, precision=precision, target="any")
    except EdgeRnnError:
        try:
            flatbuffer = compile_network(network, calibration, precision=precision, target="litert-2.1")
        except EdgeRnnError as error:
            return [f"not written: {error}"] * len(ENGINES)
    cells = []
    for engine in ENGINES:
        try:
            found = logits(flatbuffer, windows, engine)
        except EdgeRnnError:
            cells.append("does not load it")
            continue
        error = np.abs(found - expected).max() / np.ptp(expected)
        same = np.mean(found.argmax(axis=1) == expected.argmax(axis=1))
        cells.append(f"{100 * error:.2g} %, {100 * same:.1f} %")
    return cells


def logits(flatbuffer: bytes, windows: Any, engine: str) -> Any:
    """The logits of a bare file, with the quantization of its ends applied here."""
    interpreter = open_interpreter(flatbuffer, engine=engine)
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    found = []
    for window in encoded(windows, source):
        interpreter.set_tensor(source["index"], window[np.newaxis])
        interpreter.invoke()
        found.append(interpreter.get_tensor(result["index"])[0])
    scale, zero = result["quantization"]
    values = np.array(found, np.float32)
    return (values - zero) * scale if scale else values


def encoded(windows: Any, source: Any) -> Any:
    """The windows in the input's own numbers."""
    scale, zero = source["quantization"]
    if not scale:
        return windows.astype(source["dtype"])
    limits = np.iinfo(source["dtype"])
    return np.clip(np.rint(windows / scale) + zero, limits.min, limits.max).astype(source["dtype"])


if __name__ == "__main__":
    main()
