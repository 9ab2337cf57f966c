"""Writes the trained network for other engines: the peers of latency.py.

    python -m benchmarks.peers KIND RUN FILE

KIND is one of MAKERS. Every peer is made in a process of its own, as the stock converter can crash. RUN
is a run directory whose model is one LSTM and one Dense layer, as `edge-rnn train` makes it.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any, Callable

import numpy as np

from convert.readers.keras.read_model import network_from_keras
from convert.readers.tensorflow.full_models import load_full_model
from convert.source_model.network import Dense, Lstm, Network
from edge_runtime.runs.run_directory import Run

CALIBRATION = 500
"""The number of training windows on which the stock converter calibrates, as in our converter."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=list(MAKERS))
    parser.add_argument("run")
    parser.add_argument("file")
    options = parser.parse_args()
    MAKERS[options.kind](Run.open(options.run), Path(options.file))


def fused(run: Run, out: Path) -> None:
    """The stock converter's fused LSTM operator, weights int8 (dynamic range)."""
    converter = stock_converter(run, unroll=False)
    out.write_bytes(converter.convert())


def unrolled_int8(run: Run, out: Path) -> None:
    """Keras's own unrolling, int8 everywhere, by the stock converter."""
    import tensorflow as tf

    samples = run.calibration_windows().stratified_sample(CALIBRATION, seed=0)
    windows = run.record.normalization.apply(samples.x)
    converter = stock_converter(run, unroll=True)
    converter.representative_dataset = lambda: ([window[np.newaxis]] for window in windows)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    out.write_bytes(converter.convert())


def stock_converter(run: Run, *, unroll: bool) -> Any:
    """TensorFlow's converter for the run's model, rebuilt for a batch of one window."""
    import tensorflow as tf

    keras, trained = tf.keras, load_full_model(run.model)
    lstm, dense = (layer for layer in trained.layers if layer.weights)
    model = keras.Sequential(
        [
            keras.Input(batch_shape=(1, *trained.input_shape[1:])),
            keras.layers.LSTM(lstm.units, unroll=unroll),
            keras.layers.Dense(dense.units),
        ]
    )
    model.set_weights(trained.get_weights())
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return converter


def onnx_float32(run: Run, out: Path, batch: int | str = 1) -> None:
    """ONNX's LSTM and Gemm. `batch`: the number of windows in a run, or the name of an open size."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    network, lstm, dense = layers(run)
    tensors = {
        "W": onnx_gates(lstm.kernel),
        "R": onnx_gates(lstm.recurrent_kernel),
        "B": np.concatenate([onnx_gates(lstm.bias), np.zeros((1, 4 * lstm.units), np.float32)], axis=1),
        "dense_kernel": dense.kernel,
        "dense_bias": dense.bias,
        "axis": np.array([0], np.int64),
    }
    nodes = [
        helper.make_node("Transpose", ["window"], ["rows"], perm=[1, 0, 2]),
        helper.make_node("LSTM", ["rows", "W", "R", "B"], ["", "last", ""], hidden_size=lstm.units),
        helper.make_node("Squeeze", ["last", "axis"], ["h"]),
        helper.make_node("Gemm", ["h", "dense_kernel", "dense_bias"], ["logits"], transB=1),
    ]
    shapes = {"window": [batch, network.steps, network.features], "logits": [batch, len(dense.bias)]}
    ends = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    }
    constants = [numpy_helper.from_array(array, name) for name, array in tensors.items()]
    graph = helper.make_graph(nodes, "lstm", [ends["window"]], [ends["logits"]], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(out))


def onnx_gates(stacked: np.ndarray) -> np.ndarray:
    """Our gates i, f, g, o in ONNX's order i, o, f, c, with its axis of directions in front."""
    i, f, g, o = np.split(stacked, 4)
    return np.concatenate([i, o, f, g])[np.newaxis]


def onnx_dynamic_int8(run: Run, out: Path, batch: int | str = 1) -> None:
    """ONNX Runtime's quantize_dynamic of the same graph."""
    from onnxruntime.quantization import quantize_dynamic

    exact = out.with_name(f"{out.stem}-float32.onnx")
    onnx_float32(run, exact, batch)
    quantize_dynamic(str(exact), str(out))


def torch_state(run: Run, out: Path) -> None:
    """A state dict for torch_model; PyTorch's gates are in our order."""
    import torch

    _, lstm, dense = layers(run)
    arrays = {
        "lstm.weight_ih_l0": lstm.kernel,
        "lstm.weight_hh_l0": lstm.recurrent_kernel,
        "lstm.bias_ih_l0": lstm.bias,
        "lstm.bias_hh_l0": np.zeros_like(lstm.bias),
        "dense.weight": dense.kernel,
        "dense.bias": dense.bias,
    }
    torch.save({name: torch.from_numpy(array.copy()) for name, array in arrays.items()}, str(out))


def layers(run: Run) -> tuple[Network, Lstm, Dense]:
    """The run's network and its two layers."""
    network = network_from_keras(load_full_model(run.model))
    lstm, dense = network.layers
    assert isinstance(lstm, Lstm)
    assert isinstance(dense, Dense)
    return network, lstm, dense


MAKERS: dict[str, Callable[[Run, Path], None]] = {
    "fused": fused,
    "unrolled-int8": unrolled_int8,
    "onnx-float32": onnx_float32,
    "onnx-dynamic-int8": onnx_dynamic_int8,
    "onnx-float32-batch": partial(onnx_float32, batch="windows"),
    "onnx-dynamic-int8-batch": partial(onnx_dynamic_int8, batch="windows"),
    "torch": torch_state,
}


if __name__ == "__main__":
    main()
