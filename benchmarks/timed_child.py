"""One engine with one model in a process of its own, timed on request; interleaved.py starts it.

    python -m benchmarks.timed_child '{"engine": "onnxruntime", "model": "m.onnx", "windows": "w.npy",
        "logits": "l.npy", "core": 1, "any_way": false}'

Saves the logits of all windows and prints in a line of JSON which way the model is run. Then answers
requests like those of edge_runtime.bench.child:

    {"ask": "time", "runs": 100}      the nanoseconds of that many runs
    {"ask": "resident_bytes"}         the memory of this process, Python included

A run takes a window that already has the input's type and ends with the logits as an array. There is one
thread.

any_way: try TFLite models with and without XNNPACK and keep the faster way. Without any_way they run as
edge_runtime runs them. ONNX Runtime and PyTorch always run in their fastest way. The engine native runs
with the kernels that its name has after a comma, as in "native, avx2". Without a comma it takes the
CPU's best, and with any_way it offers each kind that the CPU has.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import numpy as np

from edge_runtime.bench.child import Opened, serve
from edge_runtime.bench.memory import resident_bytes
from edge_runtime.engines.engine import SHARED_WEIGHTS, open_interpreter
from edge_runtime.errors import EdgeRnnError, EngineError, reason
from edge_runtime.inference.classifier import Classifier
from edge_runtime.tflite.quantization import dequantize, quantize

WARM_UP = 20
"""Runs before every measurement, because another process has used the core and its caches."""
SHARED = "ai-edge-litert, shared weights"
NATIVE = "native"
"""The engine of edge_runtime.native."""
OURS = "edge-rnn, "
"""A prefix of an engine's name: time Classifier.predict of a raw window instead of the engine alone."""
TRIALS = 3
TRIAL_RUNS = 200


@dataclass(frozen=True)
class Way:
    """A way to run a model."""

    name: str
    prepare: Callable[[np.ndarray], Any]
    """A normalized window `[1, steps, features]` as the input; not timed."""
    run: Callable[[Any], np.ndarray]
    """The input to the output's array; timed."""
    logits: Callable[[np.ndarray], np.ndarray] = np.asarray
    """The output's array to float logits; not timed."""


def opened(config: dict[str, Any]) -> Opened:
    """Run the model once on each window. The answers are nanoseconds and bytes."""
    if config["core"] is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {config["core"]})
    engine, windows = config["engine"], np.load(config["windows"])[:, np.newaxis]
    try:
        ways = opener(engine)(engine, Path(config["model"]), windows[0], config["any_way"])
        way = chosen(ways, windows)
    except (ImportError, RuntimeError) as error:
        raise EngineError(reason(error)) from error
    inputs = [way.prepare(window) for window in windows]
    np.save(config["logits"], np.concatenate([way.logits(way.run(item).copy()) for item in inputs]))
    return {"way": way.name, "logits": config["logits"]}, {
        "time": lambda runs: nanoseconds(way, inputs, runs),
        "resident_bytes": resident_bytes,
    }


def chosen(ways: list[Way], windows: np.ndarray) -> Way:
    """The way with the smallest median."""
    if len(ways) == 1:
        return ways[0]

    def median(way: Way) -> float:
        inputs = [way.prepare(window) for window in windows]
        return min(statistics.median(nanoseconds(way, inputs, TRIAL_RUNS)) for _ in range(TRIALS))

    return min(ways, key=median)


def nanoseconds(way: Way, inputs: list[Any], runs: int) -> list[int]:
    """The durations of `runs` runs."""
    clock, run, times = time.perf_counter_ns, way.run, []
    for k in range(WARM_UP):
        run(inputs[k % len(inputs)])
    for k in range(runs):
        item = inputs[k % len(inputs)]
        start = clock()
        run(item)
        times.append(clock() - start)
    return times


def shared_ways(engine: str, model: Path, example: np.ndarray, any_way: bool) -> list[Way]:
    """With each matrix packed once (edge_runtime.engines.shared_weights)."""
    return [tflite_way("ai-edge-litert", model, SHARED_WEIGHTS)]


def tflite_ways(engine: str, model: Path, example: np.ndarray, any_way: bool) -> list[Way]:
    """With XNNPACK, if the engine takes it by itself, and without."""
    ways = []
    for kernels in ("default", "no-xnnpack") if any_way else ("default",):
        try:
            ways.append(tflite_way(engine, model, kernels))
        except EdgeRnnError:
            if kernels == "default":
                raise
    return ways


def tflite_way(engine: str, model: Path, kernels: str) -> Way:
    return interpreter_way(kernels, open_interpreter(model.read_bytes(), engine=engine, kernels=kernels))


def native_kernels() -> tuple[str, ...]:
    """The kinds of kernels of the engine native that this CPU has, the fastest first; () without it."""
    try:
        library = importlib.import_module("edge_runtime.native.library").load_library()
    except (ImportError, EngineError):
        return ()
    return tuple(library.kernels)


def native_engines() -> tuple[str, ...]:
    """`native` and its kinds of kernels, as names of engines."""
    kernels = native_kernels()
    return (NATIVE, *(f"{NATIVE}, {name}" for name in kernels[1:])) if kernels else ()


def native_ways(engine: str, model: Path, example: np.ndarray, any_way: bool) -> list[Way]:
    interpreter = importlib.import_module("edge_runtime.native.interpreter").NativeInterpreter
    kinds = [engine.partition(", ")[2] or "default"]
    if any_way:
        kinds = list(native_kernels())
    data = model.read_bytes()
    return [interpreter_way(kind, interpreter(data, kernels=kind)) for kind in kinds]


def interpreter_way(name: str, interpreter: Any) -> Way:
    """With the calls that every Interpreter has (edge_runtime.engines.engine)."""
    source, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    input_index, output_index = source["index"], result["index"]

    def prepare(window: np.ndarray) -> np.ndarray:
        if source["dtype"] == np.float32:
            return window
        return quantize(window, *source["quantization"], source["dtype"])

    def run(window: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(input_index, window)
        interpreter.invoke()
        return interpreter.get_tensor(output_index)

    def logits(output: np.ndarray) -> np.ndarray:
        if result["dtype"] == np.float32:
            return output
        return dequantize(output, *result["quantization"])

    return Way(name, prepare, run, logits)


def our_ways(engine: str, model: Path, example: np.ndarray, any_way: bool) -> list[Way]:
    """Classifier.predict, of a window in the unit of the training data."""
    name = engine[len(OURS) :]
    classifier = Classifier(model, engine=name.partition(", ")[0], shared_weights=name == SHARED)
    training = classifier.spec.normalization

    def prepare(window: np.ndarray) -> np.ndarray:
        raw = window[0] * np.float32(training.std) + np.float32(training.mean)
        return np.rint(raw).astype(np.uint8) if training.dtype == "uint8" else raw

    def run(raw: np.ndarray) -> np.ndarray:
        return classifier.predict(raw).logits[np.newaxis]

    return [Way("predict", prepare, run)]


def tensorflow_ways(engine: str, model: Path, example: np.ndarray, any_way: bool) -> list[Way]:
    """The Keras model called eagerly, and as a tf.function."""
    import tensorflow as tf

    network = tf.keras.models.load_model(model, compile=False)
    compiled = tf.function(network)
    return [
        Way("eager", tf.constant, lambda window: network(window).numpy()),
        Way("tf.function", tf.constant, lambda window: compiled(window).numpy()),
    ]


def onnx_ways(engine: str, model: Path, example: np.ndarray, any_way: bool) -> list[Way]:
    """InferenceSession.run, and bound input and output without new arrays."""
    import onnxruntime as ort

    settings = ort.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = ort.InferenceSession(str(model), settings, providers=["CPUExecutionProvider"])
    source, result = session.get_inputs()[0], session.get_outputs()[0]

    def run(window: np.ndarray) -> np.ndarray:
        return session.run(None, {source.name: window})[0]

    held = ort.OrtValue.ortvalue_from_numpy(np.zeros(source.shape, np.float32))
    answer = np.zeros(result.shape, np.float32)
    binding = session.io_binding()
    binding.bind_ortvalue_input(source.name, held)
    binding.bind_output(
        result.name, "cpu", 0, np.float32, result.shape, answer.__array_interface__["data"][0]
    )

    def run_bound(window: np.ndarray) -> np.ndarray:
        held.update_inplace(window)
        session.run_with_iobinding(binding)
        return answer

    return [Way("session.run", np.asarray, run), Way("io binding", np.asarray, run_bound)]


def torch_ways(engine: str, model: Path, example: np.ndarray, any_way: bool) -> list[Way]:
    """Eager, and traced and frozen."""
    import torch

    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    torch.set_grad_enabled(False)
    network = torch_network(torch, model, quantized=engine == "torch-dynamic-int8")
    ways = [torch_way(torch, "eager", network)]
    try:
        traced = torch.jit.freeze(torch.jit.trace(network, torch.from_numpy(example)))
        ways.append(torch_way(torch, "traced", traced))
    except (AttributeError, RuntimeError):
        pass  # a PyTorch without TorchScript, or one that cannot trace this model
    return ways


def torch_network(torch: Any, model: Path, *, quantized: bool) -> Any:
    """nn.LSTM and nn.Linear on the last output, with the weights of a state dict."""
    state = torch.load(model, weights_only=True)
    units = state["lstm.weight_hh_l0"].shape[1]
    classes, features = len(state["dense.bias"]), state["lstm.weight_ih_l0"].shape[1]

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = torch.nn.LSTM(features, units, batch_first=True)
            self.dense = torch.nn.Linear(units, classes)

        def forward(self, window: Any) -> Any:
            return self.dense(self.lstm(window)[0][:, -1])

    network = Network()
    network.load_state_dict(state)
    network.eval()
    if not quantized:
        return network
    quantization = getattr(getattr(torch, "ao", None), "quantization", None)
    if not hasattr(quantization, "quantize_dynamic"):
        raise ImportError("this PyTorch has no quantize_dynamic")
    kinds = {torch.nn.LSTM, torch.nn.Linear}
    return quantization.quantize_dynamic(network, kinds, dtype=torch.qint8)


def torch_way(torch: Any, name: str, network: Any) -> Way:
    def run(window: Any) -> np.ndarray:
        with torch.inference_mode():
            return network(window).numpy()

    return Way(name, torch.from_numpy, run)


Opener = Callable[[str, Path, np.ndarray, bool], list[Way]]

OPENERS: dict[str, Opener] = {
    "ai-edge-litert": tflite_ways,
    SHARED: shared_ways,
    "tflite-runtime": tflite_ways,
    "onnxruntime": onnx_ways,
    "tensorflow": tensorflow_ways,
    "torch": torch_ways,
    "torch-dynamic-int8": torch_ways,
}


def opener(engine: str) -> Opener:
    """What opens a model in that engine. Engines of OURS and NATIVE are named by their start."""
    if engine.startswith(OURS):
        return our_ways
    return native_ways if engine.partition(", ")[0] == NATIVE else OPENERS[engine]


PACKAGES = {
    "ai-edge-litert": "ai_edge_litert",
    SHARED: "ai_edge_litert.compiled_model",
    "tflite-runtime": "tflite_runtime",
    "onnxruntime": "onnxruntime",
    "torch": "torch",
    "torch-dynamic-int8": "torch",
}
"""Engine -> the package or module that it needs."""


def installed(engine: str) -> bool:
    """Whether the engine's package is here, or for native its library and the kernels of that name."""
    if engine.partition(", ")[0] == NATIVE:
        return engine in native_engines()
    try:
        return importlib.util.find_spec(PACKAGES[engine]) is not None
    except ModuleNotFoundError:
        return False


if __name__ == "__main__":
    sys.exit(serve(opened))
