"""The native engine touches nothing outside of its memory, and refuses what takes too much of it."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest

from edge_runtime.native.library import library_path, load_library
from edge_runtime.native.plan_format import MATMUL_PARAMS, PLAN_HEADER, Layout
from edge_runtime.native.planner import Plan, make_plan
from edge_runtime.native.program import MOST_CALLS
from edge_runtime.tflite.flatbuffer_reader import MalformedError
from edge_runtime.tflite.graph import Graph, Op, Operator, Quantization, Tensor
from tests.support.native_plans import Checked

INT8 = np.dtype("i1")
SCALED = {"dtype": INT8, "quantization": Quantization((0.1,))}


def test_running_allocates_nothing():
    """The library calls memcpy and memset, and what every shared library has."""
    command = ["nm", "-D", "--undefined-only", str(library_path())]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    found = {(line.split()[0], line.split()[1].partition("@")[0]) for line in lines}
    assert {name for kind, name in found if kind == "U"} <= {"memcpy", "memset"}
    weak = {
        "_ITM_deregisterTMCloneTable",
        "_ITM_registerTMCloneTable",
        "__cxa_finalize",
        "__gmon_start__",
    }
    assert {name for kind, name in found if kind != "U"} <= weak


def graph_of(tensors: list[Tensor], operators: list[Operator], inputs: list[str], output: str) -> Graph:
    return Graph({item.name: item for item in tensors}, tuple(operators), tuple(inputs), (output,))


def demand_planned(graph: Graph) -> Plan:
    """The plan, which is sound."""
    plan = make_plan(graph, Layout.ROWS)
    with Checked("plain", plan.data.tobytes()) as checked:
        assert not checked.problem()
    return plan


def test_a_chain_of_parts_of_parts_needs_no_recursion():
    count = 4000
    tensors, operators = (
        [Tensor("x", (1, 1)), Tensor("c0", (1, 1))],
        [Operator(Op.RELU, ("x",), ("c0",))],
    )
    for k in range(1, count):
        tensors += [Tensor(f"y{k}", (1, 1)), Tensor(f"c{k}", (1, k + 1))]
        operators.append(Operator(Op.RELU, ("x",), (f"y{k}",)))
        operators.append(Operator(Op.CONCATENATION, (f"c{k - 1}", f"y{k}"), (f"c{k}",), axis=1))
    plan = demand_planned(graph_of(tensors, operators, ["x"], f"c{count - 1}"))
    assert plan.calls == count


def test_many_parts_are_planned():
    count = 1 << 16
    parts, results = [f"p{k}" for k in range(count)], [f"r{k}" for k in range(count)]
    whole, axis = Tensor("x", (1, count)), Tensor("axis", (), data=np.array(1, np.int32))
    operators = [Operator(Op.SPLIT, ("axis", "x"), tuple(parts), axis=1)]
    operators += [Operator(Op.RELU, (part,), (result,)) for part, result in zip(parts, results)]
    operators.append(Operator(Op.CONCATENATION, tuple(results), ("out",), axis=1))
    tensors = [Tensor(name, (1, 1)) for name in (*parts, *results)]
    graph = graph_of([whole, axis, *tensors, Tensor("out", (1, count))], operators, ["x"], "out")
    plan = demand_planned(graph)
    assert plan.calls == count


def test_too_many_gaps_in_the_arena_are_refused():
    """Every second small tensor is no longer used when larger ones are needed, which fit into no gap."""
    count = 20_000
    tensors, operators = [Tensor("x", (1, 100)), Tensor("one", (1, 1))], []

    def add(name: str, source: str, width: int) -> None:
        tensors.append(Tensor(name, (1, width)))
        operators.append(Operator(Op.RELU, (source,), (name,)))

    for k in range(count):
        add(f"small{k}", "one", 1)
    for k in range(0, count, 2):
        add(f"read{k}", f"small{k}", 1)
    for k in range(0, count, 2):
        add(f"large{k}", "x", 100)
    for k in range(count):
        add(f"late{k}", f"large{k}" if k % 2 == 0 else f"small{k}", 100 if k % 2 == 0 else 1)
    with pytest.raises(MalformedError, match="in use at a time"):
        make_plan(graph_of(tensors, operators, ["x", "one"], "late0"), Layout.ROWS)


def test_a_broadcast_into_too_many_calls_is_refused():
    shape = (1, 1024, 2, 1024, 2, 2, 2)
    first = tuple(n if k % 2 else 1 for k, n in enumerate(shape))
    other = tuple(1 if k % 2 else n for k, n in enumerate(shape))
    tensors = [Tensor("x", first), Tensor("y", other), Tensor("out", shape)]
    graph = graph_of(tensors, [Operator(Op.ADD, ("x", "y"), ("out",))], ["x", "y"], "out")
    with pytest.raises(MalformedError, match=f"more than {MOST_CALLS:,} calls"):
        make_plan(graph, Layout.ROWS)


@pytest.mark.parametrize(
    ("outputs", "inputs", "layout"), [(1, 1 << 24, Layout.BLOCKS), (1 << 23, 1, Layout.ROWS)]
)
def test_a_matrix_that_is_mostly_padding_is_refused_before_it_is_packed(outputs, inputs, layout):
    weights = np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), (outputs, inputs), (0, 0))
    tensors = [
        Tensor("x", (1, inputs)),
        Tensor("w", (outputs, inputs), data=weights),
        Tensor("b", (outputs,), data=np.zeros(outputs, np.float32)),
        Tensor("out", (1, outputs)),
    ]
    graph = graph_of(tensors, [Operator(Op.FULLY_CONNECTED, ("x", "w", "b"), ("out",))], ["x"], "out")
    with pytest.raises(MalformedError, match="its plan takes"):
        make_plan(graph, layout)


def test_a_zero_point_that_no_operator_reads_is_refused():
    odd = Tensor("odd", (1, 3), INT8, quantization=Quantization((0.1,), 1 << 40))
    tensors = [Tensor("x", (1, 3)), odd, Tensor("out", (1, 3))]
    graph = graph_of(tensors, [Operator(Op.RELU, ("x",), ("out",))], ["x", "odd"], "out")
    with pytest.raises(MalformedError, match="such scales"):
        make_plan(graph, Layout.ROWS)


def test_constants_without_a_kernel_are_refused():
    tensors = [
        Tensor("x", (1, 3)),
        Tensor("c", (1, 3), data=np.zeros((1, 3), np.int8), **SCALED),
        Tensor("d", (1, 3), **SCALED),
        Tensor("out", (1, 3)),
    ]
    operators = [Operator(Op.RSQRT, ("c",), ("d",)), Operator(Op.RELU, ("x",), ("out",))]
    with pytest.raises(MalformedError, match="of constants of these types"):
        make_plan(graph_of(tensors, operators, ["x"], "out"), Layout.ROWS)


def test_states_that_are_passed_on_crosswise_are_refused():
    """The engine copies one state after the other."""
    tensors = [Tensor(name, (1, 3)) for name in ("x", "one", "two", "out")]
    graph = Graph(
        {item.name: item for item in tensors},
        (Operator(Op.RELU, ("x",), ("out",)),),
        ("x", "one", "two"),
        ("out", "two", "one"),
    )
    with Checked("plain", make_plan(graph, Layout.ROWS).data.tobytes()) as checked:
        assert checked.problem() == "a state after a run overlaps one before it"


def test_weights_in_rows_are_refused_where_kernels_read_blocks():
    """er_check took the size of rows for the blocks that a float matmul reads."""
    kernels = next((name for name in load_library().kernels if name != "plain"), None)
    if kernels is None:
        pytest.skip("this CPU has plain kernels only")
    from tests.support.native_cases import random_plan

    data = bytearray(random_plan(kernels).data.tobytes())
    calls_at = PLAN_HEADER.unpack_from(data)[4]
    params = int.from_bytes(data[calls_at + 16 : calls_at + 20], "little")
    wide = params + MATMUL_PARAMS.size - 4
    assert data[wide : wide + 4] == bytes(4)
    data[wide] = 1
    with Checked(kernels, bytes(data)) as checked:
        assert checked.problem() == "a matmul is of a kind that there is not"
