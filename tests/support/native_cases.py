"""Models for native_child: every network and operator of scripts/engine_cases, and step files."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from convert.compiler.compile import lower
from convert.model_file.flatbuffer import serialize
from convert.targets.target import Target
from edge_runtime.native.planner import Plan
from edge_runtime.numpy_engine.interpreter import NumpyInterpreter
from edge_runtime.tflite.flatbuffer_reader import MalformedError
from scripts.engine_cases import FEATURES, STEPS, cases, networks, schemes
from tests.support.native_child import MOST_LANES, Arrays, Case
from tests.support.native_plans import plan_of
from tests.support.networks import random_network, random_windows

STEPPING = ("LSTM", "LSTM, stacked", "GRU", "GRU, reset before", "SimpleRNN, tanh", "dense, softmax")
"""Networks that are also written as a graph of one step."""


def write_cases(path: Path) -> None:
    """A pickle of a list of Case."""
    path.write_bytes(pickle.dumps([*_unrolled(), *_steps()]))


def _unrolled() -> Iterator[Case]:
    found, _ = cases()
    named = networks()
    for case in found:
        count = min(len(values) for values in case.inputs)  # 1 where nothing depends on the window
        calls = [[values[k % count] for values in case.inputs] for k in range(MOST_LANES)]
        try:
            engine = NumpyInterpreter(case.flatbuffer)
        except MalformedError:
            continue  # a graph that is no model, such as float16's DEQUANTIZE of a matrix alone
        network = named.get(case.what)
        shape = (network.steps, network.features) if network else (0, 1)
        expected = [run(engine, inputs) for inputs in calls]
        yield Case(f"{case.scheme}, {case.what}", case.flatbuffer, calls, expected, *shape)


def _steps() -> Iterator[Case]:
    for scheme, precision in schemes().items():
        target = Target("probe", (), frozenset({scheme}))
        for name in STEPPING:
            network = networks()[name]
            windows = random_windows(network)
            graph = lower(network, windows, precision=precision, target=target, graph="step")
            rows = graph.tensors[graph.input].encode(random_windows(network, 1, seed=2)[0])
            engine = NumpyInterpreter(flatbuffer := serialize(graph))
            calls, expected = [], []
            states = [
                np.full(detail["shape"], detail["quantization"][1], detail["dtype"])
                for detail in engine.get_input_details()[1:]
            ]
            for k in range(MOST_LANES):
                calls.append([rows[k : k + 1], *states])
                expected.append(run(engine, calls[-1]))
                states = expected[-1][1:]
            yield Case(f"{scheme}, {name}, a step", flatbuffer, calls, expected, STEPS, FEATURES)


def run(engine, inputs: Arrays) -> Arrays:
    """The values of all outputs."""
    for detail, values in zip(engine.get_input_details(), inputs):
        engine.set_tensor(detail["index"], np.ascontiguousarray(values).reshape(detail["shape"]))
    engine.invoke()
    return [engine.get_tensor(detail["index"]) for detail in engine.get_output_details()]


def random_plan(kernels: str = "plain") -> Plan:
    """A plan whose first call is a float32 matmul."""
    network = random_network()
    graph = lower(network, random_windows(network), precision="float32")
    return plan_of(serialize(graph), kernels)
