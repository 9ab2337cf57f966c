"""Single operators that few layers have: native gives the numpy engine's bits, and TFLite agrees."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from convert.model_file.flatbuffer import serialize
from edge_runtime.engines.engine import open_interpreter
from edge_runtime.native.library import load_library
from edge_runtime.native.plan_format import GATHER_PARAMS, PLAN_CALL, PLAN_HEADER, Layout
from edge_runtime.native.planner import make_plan
from edge_runtime.numpy_engine.check_graph import FLOAT, INT32, check_graph
from edge_runtime.numpy_engine.interpret import run_all
from edge_runtime.numpy_engine.read_graph import read_graph
from edge_runtime.tflite.flatbuffer_reader import MalformedError
from edge_runtime.tflite.graph import Graph, Op, Operator, Tensor
from tests.support.commands import ENGINES
from tests.support.native_plans import Checked, plan_of
from tests.support.operator_graphs import TOKENS, operator_graphs, random_inputs, single

GRAPHS = operator_graphs()


def answers(flatbuffer: bytes, inputs: list[np.ndarray], engine: str, kernels: str) -> list[np.ndarray]:
    interpreter = open_interpreter(flatbuffer, engine=engine, kernels=kernels)
    for detail, values in zip(interpreter.get_input_details(), inputs):
        interpreter.set_tensor(detail["index"], values.reshape(detail["shape"]))
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


@pytest.mark.parametrize("name", GRAPHS)
def test_native_gives_the_bits_of_numpy(name):
    graph = GRAPHS[name]
    for strip in (False, True):
        flatbuffer = serialize(graph, strip=strip)
        inputs = random_inputs(graph, np.random.default_rng(1))
        (expected,) = answers(flatbuffer, inputs, "numpy", "default")
        for kernels in load_library().kernels:
            (found,) = answers(flatbuffer, inputs, "native", kernels)
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found.view(np.uint8), expected.view(np.uint8))


@pytest.mark.skipif(not ENGINES, reason="no TFLite engine is installed")
@pytest.mark.parametrize("name", GRAPHS)
def test_tflite_engines_agree(name):
    """With the reference kernels of integers bit for bit; they have no ELU."""
    graph = GRAPHS[name]
    inputs = random_inputs(graph, np.random.default_rng(2))
    flatbuffer = serialize(graph)
    (expected,) = answers(flatbuffer, inputs, "numpy", "default")
    floats = graph.tensors[graph.output].dtype == FLOAT
    for engine in ENGINES:
        kernels = "no-xnnpack" if name == "ELU" else "reference"
        (found,) = answers(flatbuffer, inputs, engine, kernels)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=0, atol=3e-7 if floats else 0)


def test_many_windows_at_once():
    rng = np.random.default_rng(3)
    for name, graph in GRAPHS.items():
        windows = [random_inputs(graph, rng) for _ in range(3)]
        (together,) = run_all(graph, [np.concatenate(column) for column in zip(*windows)])
        alone = [run_all(graph, inputs)[0] for inputs in windows]
        np.testing.assert_array_equal(together, np.concatenate(alone), err_msg=name)


def test_a_token_beyond_the_table_reads_its_first_or_last_row():
    graph = GRAPHS["GATHER [1, 6] int8"]
    tokens = np.array([[-(2**31), -1, 0, TOKENS - 1, TOKENS, 2**31 - 1]], np.int32)
    table = graph.tensors["table"].values
    flatbuffer = serialize(graph)
    for engine in ("numpy", "native"):
        (found,) = answers(flatbuffer, [tokens], engine, "default")
        np.testing.assert_array_equal(found, table[[0, 0, 0, -1, -1, -1]][None])


def test_a_gather_from_what_was_computed_is_refused():
    tensors = [
        Tensor("x", (1, 3)),
        Tensor("y", (1, 3)),
        Tensor("t", (1, 1), INT32),
        Tensor("z", (1, 1, 3)),
    ]
    operators = (Operator(Op.RELU, ("x",), ("y",)), Operator(Op.GATHER, ("y", "t"), ("z",)))
    graph = Graph({item.name: item for item in tensors}, operators, ("x", "t"), ("z",))
    check_graph(graph)
    with pytest.raises(MalformedError, match="GATHER from a constant"):
        make_plan(graph, Layout.ROWS)


GATHER_CHANGES = {
    "no rows": (0, 0, "a shape is empty or not aligned"),
    "rows of no bytes": (1, 0, "a shape is empty or not aligned"),
    "more tokens than there are": (0, 1 << 20, "it reaches outside of its plan or arena"),
    "more rows than the table has": (2, 1 << 20, "it reaches outside of its plan or arena"),
    "more rows than a token counts": (2, 1 << 31, "a shape is empty or not aligned"),
    "rows that are too far apart": (3, 1 << 20, "it reaches outside of its plan or arena"),
    "tokens between int32": (4, 3, "a shape is empty or not aligned"),
    "results that overlap": (5, 1, "a shape is empty or not aligned"),
}


@pytest.mark.parametrize("change", GATHER_CHANGES)
def test_a_changed_gather_is_refused(change):
    field, value, sentence = GATHER_CHANGES[change]
    data = bytearray(plan_of(serialize(GRAPHS["GATHER [1, 6] int16"]), "plain").data.tobytes())
    call = PLAN_HEADER.unpack_from(data)[4]
    params = PLAN_CALL.unpack_from(data, call)[4]
    numbers = list(GATHER_PARAMS.unpack_from(data, params))
    numbers[field] = value
    GATHER_PARAMS.pack_into(data, params, *numbers)
    with Checked("plain", bytes(data)) as checked:
        assert checked.problem() == sentence


def test_a_table_in_the_arena_is_refused():
    data = bytearray(plan_of(serialize(GRAPHS["GATHER [1, 6] int16"]), "plain").data.tobytes())
    call = PLAN_HEADER.unpack_from(data)[4]
    kernel, _, *rest = PLAN_CALL.unpack_from(data, call)
    PLAN_CALL.pack_into(data, call, kernel, 0, *rest)
    with Checked("plain", bytes(data)) as checked:
        assert checked.problem() == "a table is not a constant"


def refused(graph: Graph) -> str:
    with pytest.raises(MalformedError) as found:
        read_graph(serialize(graph))
    return str(found.value)


def test_what_the_operators_cannot_mean_is_refused():
    shape = Tensor("shape", (2,), INT32, np.array([1, 5], np.int32))
    assert "RESHAPE to a shape" in refused(
        single(Op.RESHAPE, [Tensor("x", (1, 6, 1)), shape], Tensor("y", (1, 6)))
    )
    assert "no RESHAPE of these shapes" in refused(
        single(Op.RESHAPE, [Tensor("x", (1, 6, 1)), shape], Tensor("y", (1, 5)))
    )
    graph = GRAPHS["GATHER [1, 6] int8"]
    floats = dataclasses.replace(graph.tensors["x"], dtype=FLOAT)
    assert "no GATHER of these types" in refused(
        dataclasses.replace(graph, tensors={**graph.tensors, "x": floats})
    )
    other = dataclasses.replace(graph.tensors["y"], shape=(1, 6, 4))
    assert "no GATHER of these shapes" in refused(
        dataclasses.replace(graph, tensors={**graph.tensors, "y": other})
    )
