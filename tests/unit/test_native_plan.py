"""Plans of the native engine: small arenas, data that stays where it is, numbers as in the C header."""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edge_runtime.native.plan_format as plan_format
from convert.compiler.compile import lower
from convert.source_model.network import Network
from convert.targets.target import Target
from edge_runtime.engines.engine import NATIVE_KERNELS, native_kernels
from edge_runtime.native.interpreter import LAYOUTS, NativeInterpreter
from edge_runtime.native.loops import loops
from edge_runtime.native.packing import packed_blocks
from edge_runtime.native.plan_format import PLAN_CALL, PLAN_HEADER, Kernel, Layout
from edge_runtime.native.planner import Plan, make_plan
from edge_runtime.native.storage import View, contiguous
from edge_runtime.numpy_engine.interpreter import NumpyInterpreter
from edge_runtime.tflite.flatbuffer_reader import MalformedError
from edge_runtime.tflite.graph import Graph, Op, Operator, Tensor
from scripts.engine_cases import Case, cases
from tests.support.networks import RandomLayers, random_windows

HEADER_FILE = Path(plan_format.__file__).parent / "c" / "edge_rnn.h"


def mnist_sized(units: int = 128) -> Network:
    make = RandomLayers()
    return Network(28, 28, (make.lstm(28, units), make.dense(units, 10, name="logits")))


def lowered(precision: str, graph: str = "unrolled") -> Graph:
    network = mnist_sized()
    target = Target("any", (), frozenset({precision}))
    return lower(network, random_windows(network, 50), precision=precision, target=target, graph=graph)


def called(plan: Plan) -> list[Kernel]:
    header = PLAN_HEADER.unpack_from(plan.data)
    return [
        Kernel(PLAN_CALL.unpack_from(plan.data, header[4] + k * PLAN_CALL.size)[0])
        for k in range(header[5])
    ]


def test_kernels_have_the_numbers_of_the_header() -> None:
    text = HEADER_FILE.read_text()
    names = re.findall(r"ER_(\w+)", text[text.index("enum er_number") : text.index("ER_KERNEL_COUNT")])
    assert [kernel.name for kernel in Kernel] == names


def test_sizes_are_those_of_the_header() -> None:
    text = HEADER_FILE.read_text()
    for name, structure in {
        "er_plan": plan_format.PLAN_HEADER,
        "er_call": plan_format.PLAN_CALL,
        "er_end": plan_format.PLAN_END,
        "er_map": plan_format.MAP_PARAMS,
        "er_reduction": plan_format.REDUCTION_PARAMS,
        "er_gather_params": plan_format.GATHER_PARAMS,
        "er_matmul": plan_format.MATMUL_PARAMS,
    }.items():
        body = re.findall(
            r"typedef struct \{([^}]*)\} (\w+);", re.sub(r"/\*.*?\*/", "", text, flags=re.S)
        )
        fields = next(fields for fields, found in body if found == name)
        count = sum(
            int(array or 1)
            for array in re.findall(r"\w+(?:\[(\d+)\])?\s*[,;]", fields.replace("float", ""))
        )
        assert structure.size == 4 * count, name


def test_every_kernel_set_has_a_layout() -> None:
    assert set(LAYOUTS) == set(NATIVE_KERNELS)


def test_an_unrolled_lstm_moves_only_the_rows_of_the_window() -> None:
    graph = lowered("int8")
    plan = make_plan(graph, Layout.ROWS)
    kernels = called(plan)
    # 28 rows, and the zero state before the first one.
    assert kernels.count(Kernel.COPY) == 29
    assert len(kernels) < len(graph.operators)
    assert plan.lane_stride <= 2048 + plan_format.SLACK


def test_one_copy_of_each_matrix() -> None:
    graph = lowered("int8")
    weights = sum(graph.tensors[name].values.nbytes for name in graph.matrices())
    plan = make_plan(graph, Layout.BLOCKS)
    assert weights < len(plan.data) < 2 * weights


def test_a_step_file_takes_little_memory() -> None:
    plan = make_plan(lowered("int8", "step"), Layout.ROWS, alignment=8)
    assert plan.lane_stride <= 2048


@pytest.fixture(scope="module")
def expected() -> list[tuple[Case, list[np.ndarray]]]:
    """Every case that the numpy engine runs, with its outputs."""
    found = []
    for case in cases()[0]:
        # A constant alone has no batch, and is refused.
        with contextlib.suppress(MalformedError):
            found.append((case, outputs(NumpyInterpreter(case.flatbuffer), case)))
    return found


@pytest.mark.parametrize("kernels", native_kernels())
def test_every_network_and_operator_has_the_bits_of_the_numpy_engine(
    kernels: str, expected: list[tuple[Case, list[np.ndarray]]]
) -> None:
    for case, wanted in expected:
        for one, other in zip(outputs(NativeInterpreter(case.flatbuffer, kernels), case), wanted):
            # Only sums of float32 products depend on the order, which vectors change.
            limit = 1e-5 * np.abs(other).max() if case.scheme in ("float32", "float16") else 0
            assert np.abs(one.astype(float) - other).max() <= limit, (case.scheme, case.what)


def outputs(interpreter: NativeInterpreter | NumpyInterpreter, case: Case) -> list[np.ndarray]:
    found = []
    for n in range(min(2, len(case.inputs[0]))):
        for detail, values in zip(interpreter.get_input_details(), case.inputs):
            interpreter.set_tensor(detail["index"], values[n].reshape(detail["shape"]))
        interpreter.invoke()
        found += [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]
    return found


def test_blocks_hold_every_weight_once() -> None:
    weights = np.arange(1, 1 + 150 * 9, dtype=np.int32).reshape(150, 9)
    packed = packed_blocks(weights, 4)
    assert len(packed) == 160 * 12
    assert sorted(packed[packed > 0]) == list(range(1, 1 + 150 * 9))
    # First group: 8 blocks. Block 1 of step 2 has inputs 8 to 11 of outputs 16 to 31.
    place = (2 * 8 + 1) * 16 * 4
    assert packed[place : place + 8].tolist() == [weights[16, 8], 0, 0, 0, weights[17, 8], 0, 0, 0]


def test_dimensions_that_follow_each_other_are_one_row() -> None:
    whole = contiguous(0, (1, 5, 6), 4)
    (loop,) = loops((1, 5, 6), [whole, whole], [4, 4])
    assert (loop.rows, loop.width, loop.steps) == (1, 30, (1, 1))


def test_a_part_of_each_row_is_a_row_of_its_own() -> None:
    whole = contiguous(0, (1, 5, 6), 4)
    (loop,) = loops((1, 5, 2), [whole.part(2, 3, 2), contiguous(1, (1, 5, 2), 4)], [4, 4])
    assert (loop.rows, loop.width, loop.offsets, loop.pitches) == (5, 2, (12, 0), (24, 8))


def test_one_value_stands_for_a_row() -> None:
    views = [contiguous(0, (1, 5, 6), 4), contiguous(1, (1, 5, 1), 4), contiguous(2, (1, 5, 6), 4)]
    (loop,) = loops((1, 5, 6), views, [4, 4, 4])
    assert (loop.rows, loop.width, loop.steps, loop.pitches) == (5, 6, (1, 0, 1), (24, 4, 24))


def test_more_than_two_dimensions_take_more_calls() -> None:
    whole = View(0, 0, (3, 4, 5), (200, 40, 4))
    found = list(loops((3, 4, 5), [whole, contiguous(1, (3, 4, 5), 4)], [4, 4]))
    assert [loop.offsets for loop in found] == [(0, 0), (200, 80), (400, 160)]
    assert {(loop.rows, loop.width) for loop in found} == {(4, 5)}


def test_an_operator_without_kernel_is_refused_by_name() -> None:
    x, y = Tensor("0", (1, 4)), Tensor("1", (1, 4))
    graph = Graph({"0": x, "1": y}, (Operator(Op.RSQRT, ("0",), ("1",)),), ("0",), ("1",))
    make_plan(graph, Layout.ROWS)
    half = replace(y, dtype=np.dtype(np.float16))
    with pytest.raises(MalformedError, match="no RSQRT from float32 to float16"):
        make_plan(replace(graph, tensors={"0": x, "1": half}), Layout.ROWS)
