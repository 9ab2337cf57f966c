"""A small full model that needs no TensorFlow, an ONNX file, with windows of three persons."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save_model
from onnx.reference import ReferenceEvaluator

STEPS, FEATURES, UNITS, CLASSES = 6, 3, 8, 4
PERSONS = ("ada", "ben", "eva")


def tiny_reference(folder: Path, count: int = 1500) -> tuple[Path, Path]:
    """Writes `folder`/reference.onnx, an LSTM, and data.npz with x, y and group.

    Of many random windows the data has those on which the model is most certain. Some of the classes y
    are others than the model's.
    """
    rng = np.random.default_rng(0)
    model = _lstm(rng)
    save_model(model, str(folder / "reference.onnx"))
    x = rng.normal(0, 1, (3 * count, STEPS, FEATURES)).astype(np.float32)
    (logits,) = ReferenceEvaluator(model).run(None, {"x": x})
    ordered = np.sort(logits, axis=1)
    kept = np.sort(np.argsort(ordered[:, -2] - ordered[:, -1])[:count])
    y = logits[kept].argmax(axis=1)
    y[::50] = (y[::50] + 1) % CLASSES
    group = np.array(PERSONS)[np.arange(count) * len(PERSONS) // count]
    np.savez(folder / "data.npz", x=x[kept], y=y, group=group)
    return folder / "reference.onnx", folder / "data.npz"


def _lstm(rng):
    def constant(name, values, dtype=np.float32):
        return numpy_helper.from_array(np.asarray(values, dtype), name)

    constants = [
        constant("w", rng.normal(0, 0.7, (1, 4 * UNITS, FEATURES))),
        constant("r", rng.normal(0, 0.7, (1, 4 * UNITS, UNITS))),
        constant("axes", [0], np.int64),
        constant("kernel", rng.normal(0, 2, (CLASSES, UNITS))),
        constant("bias", rng.normal(0, 0.5, CLASSES)),
    ]
    nodes = [
        helper.make_node("Transpose", ["x"], ["rows"], perm=[1, 0, 2]),
        helper.make_node("LSTM", ["rows", "w", "r"], ["", "h"], hidden_size=UNITS, name="lstm"),
        helper.make_node("Squeeze", ["h", "axes"], ["last"]),
        helper.make_node("Gemm", ["last", "kernel", "bias"], ["logits"], transB=1, name="head"),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", STEPS, FEATURES])
    out = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])
    graph = helper.make_graph(nodes, "tiny", [x], [out], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
